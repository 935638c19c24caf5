"""What a path names: a folder with adapter.toml, a distribution, or a folder of such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from crossdock.adapter.declaration import TOML, Broken, toml_of

PROJECT = "pyproject.toml"
GROUP = "crossdock"
_DEEPEST = 3
_APART = ("tests", "node_modules", "build", "dist")


class AdapterPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that holds an adapter; `project` is the distribution that it was found in,
    `overlays` are an operator's pages for it."""

    folder: Path
    project: Path | None = None
    overlays: tuple[Path, ...] = ()


def places_in(path: Path) -> list[AdapterPlace]:
    """Return the adapters that a path names, in the order of their names."""
    if path.is_file() and path.name == TOML:
        path = path.parent
    return list(_found(path, _DEEPEST)) if path.is_dir() else []


def _found(path: Path, depth: int) -> Iterator[AdapterPlace]:
    if (path / TOML).is_file():
        yield AdapterPlace(folder=path)
        return
    if (path / PROJECT).is_file():
        inside = list(_of_project(path))
        if inside:
            yield from inside
            return
    for one in _folders(path) if depth else ():
        yield from _found(one, depth - 1)


def _of_project(project: Path) -> Iterator[AdapterPlace]:
    for root in (project, project / "src"):
        for one in _folders(root):
            if (one / TOML).is_file():
                yield AdapterPlace(folder=one, project=project)
                return
    for module in modules_of(project):  # it says that it has an adapter, which has no adapter.toml
        for root in (project / "src", project):
            folder = root.joinpath(*module.split("."))
            if folder.is_dir():
                yield AdapterPlace(folder=folder, project=project)
                return


def modules_of(project: Path) -> list[str]:
    """Return the modules of a distribution's entry points in our group."""
    points = table_of(project).get("project", {}).get("entry-points", {}).get(GROUP, {})
    return [str(value).partition(":")[0].strip() for value in points.values()]


def table_of(project: Path) -> dict[str, Any]:
    """Return what a pyproject.toml says; nothing if it is none."""
    found = toml_of((project / PROJECT).read_bytes().decode("utf-8", "replace"))
    return {} if isinstance(found, Broken) else found


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(
        one
        for one in path.iterdir()
        if one.is_dir() and not one.name.startswith((".", "_")) and one.name not in _APART
    )
