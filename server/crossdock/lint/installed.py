"""Adapters that are installed or dropped in: where they lie, and plugins that do not load."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from crossdock.adapter import Adapter
from crossdock.adapter.declaration import TOML
from crossdock.adapter.findings import GUIDE, Finding
from crossdock.lint.places import GROUP, PROJECT, AdapterPlace
from crossdock.plugins import PluginRecord


def place_of(adapter: Adapter) -> AdapterPlace:
    """Return where a loaded adapter lies."""
    return _place(adapter.folder, adapter.watched)


def _place(folder: Path, overlays: tuple[Path, ...] = ()) -> AdapterPlace:
    beside = folder.parent / PROJECT
    project = folder.parent if beside.is_file() else None
    return AdapterPlace(folder=folder, project=project, overlays=overlays)


def unloaded(record: PluginRecord) -> tuple[AdapterPlace | None, Finding | None]:
    """Return where a plugin that did not load has its adapter; else why it did not load."""
    folder = _folder_of(record)
    if folder is not None and (folder / TOML).is_file():
        return _place(folder), None
    return None, Finding(
        rule="python-import",
        severity="error",
        adapter=record.name,
        file=Path(record.source).name,
        line=1,
        key="",
        message=record.error,
        remedy="mend it, or leave it out with [plugins] disabled",
        link=f"{GUIDE}#hooks",
    )


def _folder_of(record: PluginRecord) -> Path | None:
    if Path(record.source).is_dir():
        return Path(record.source)
    for point in importlib.metadata.entry_points(group=GROUP, name=record.name):
        try:
            spec = importlib.util.find_spec(point.module)
        except (ImportError, ValueError):
            return None
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent
    return None
