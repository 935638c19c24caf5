"""Rules for an adapter's distribution: its entry point, its range, what travels in the wheel."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from crossdock.adapter.declaration import TOML, Broken, toml_of
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.toml_lines import KeyLines
from crossdock.lint.places import GROUP, PROJECT

PACKAGE = Stage()
_POINTS = ("project", "entry-points", GROUP)
_HATCH = ("tool", "hatch", "build", "targets", "wheel")


class Package:
    """A pyproject.toml beside the adapter's folder, or above it."""

    def __init__(
        self, adapter: str, folder: Path, project: Path, module: ModuleType | None
    ) -> None:
        self.adapter = adapter
        self.folder = folder
        self.project = project
        self.module = module
        self.file = Path(os.path.relpath(project / PROJECT, folder)).as_posix()
        text = (project / PROJECT).read_bytes().decode("utf-8-sig", "replace")
        self.read = toml_of(text)
        self.table = {} if isinstance(self.read, Broken) else self.read
        self._lines = KeyLines("" if isinstance(self.read, Broken) else text)

    def line(self, place: Place) -> int:
        """Return the line of a key, or of the nearest table around it."""
        return self._lines.line(place)

    def key(self, place: Place) -> str:
        """Return a place as it is told."""
        return ".".join(place)

    def at(self, *place: str) -> Any:
        """Return what stands at a place; None: nothing."""
        found: Any = self.table
        for step in place:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    @property
    def module_name(self) -> str:
        """What the adapter's folder is imported as."""
        parts = self.folder.relative_to(self.project).parts
        return ".".join(parts[1:] if parts[0] == "src" else parts)


@PACKAGE.rule("toml-syntax", "publish-it")
def _syntax(package: Package) -> Iterator[Flaw]:
    if isinstance(package.read, Broken):
        yield Flaw(
            place=(),
            line=package.read.line,
            message=f"it is no TOML: {package.read.reason}",
            remedy="mend this line, or the one before it",
        )


@PACKAGE.rule("package-entry", "publish-it")
def _entry(package: Package) -> Iterator[Flaw]:
    if isinstance(package.read, Broken):
        return
    points, name = package.at(*_POINTS), package.module_name
    remedy = f'write [project.entry-points.{GROUP}] with {package.adapter} = "{name}"'
    if not isinstance(points, dict) or not points:
        yield Flaw(place=_POINTS, message=f"no entry point in the group {GROUP}", remedy=remedy)
        return
    for key, value in points.items():
        module, _, attribute = str(value).partition(":")
        if module.strip() != name:
            yield Flaw(
                place=(*_POINTS, key),
                message=f"{value!r} is not the module of the adapter, which is {name}",
                remedy=remedy,
            )
        elif attribute and package.module and not hasattr(package.module, attribute.strip()):
            yield Flaw(
                place=(*_POINTS, key),
                message=f"{name} has no {attribute.strip()!r}",
                remedy=remedy,
            )


@PACKAGE.rule("package-range", "publish-it", lint=True)
def _range(package: Package) -> Iterator[Flaw]:
    given = package.at("project", "dependencies")
    texts = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    for index, text in enumerate(texts):
        found = re.match(r"\s*crossdock\s*(?:\[[^]]*\])?\s*(\(?)([^;)]*)", text)
        if found and not re.match(r"[-._A-Za-z0-9]", text.strip()[len("crossdock") :]):
            bounded = re.search(r"<|~=|==", found[2]) and re.search(r">|~=|==", found[2])
            if not bounded:
                yield _no_range(("project", "dependencies", str(index)), f"{text!r} has no bounds")
            return
    if not isinstance(package.read, Broken):
        yield _no_range(("project", "dependencies"), "it does not say which crossdock it needs")


def _no_range(place: Place, message: str) -> Flaw:
    return Flaw(
        place=place,
        severity="warning",
        message=message,
        remedy='write "crossdock>=0.2,<0.4": the oldest and the newest that it is tested with',
    )


@PACKAGE.rule("package-files", "publish-it")
def _files(package: Package) -> Iterator[Flaw]:
    if isinstance(package.read, Broken):
        return
    backend = str(package.at("build-system", "build-backend") or "setuptools")
    place, left_out = (
        _left_out_by_hatch(package)
        if backend.startswith("hatchling")
        else _left_out_by_setuptools(package)
        if backend.startswith("setuptools")
        else ((), "")
    )
    if left_out:
        yield Flaw(
            place=place,
            message=f"{left_out} is not in the wheel",
            remedy="let adapter.toml and docs/ travel with the module",
        )


def _wanted(package: Package) -> list[str]:
    """Return the files that must travel, from the distribution's folder."""
    folder = package.folder
    own = [folder / TOML, *sorted((folder / "docs").glob("*.md"))]
    return [one.relative_to(package.project).as_posix() for one in own if one.is_file()]


def _left_out_by_hatch(package: Package) -> tuple[Place, str]:
    wheel = package.at(*_HATCH) or {}
    packages = wheel.get("packages") or wheel.get("only-include")
    for file in _wanted(package):
        key = "packages" if "packages" in wheel else "only-include"
        if packages and not any(_below(file, one) for one in packages):
            return (*_HATCH, key), file
        if "include" in wheel and not any(_matches(file, one) for one in wheel["include"]):
            return (*_HATCH, "include"), file
        for pattern in wheel.get("exclude") or ():
            if _matches(file, pattern):
                return (*_HATCH, "exclude"), file
    return (), ""


def _left_out_by_setuptools(package: Package) -> tuple[Place, str]:
    table = package.at("tool", "setuptools") or {}
    place: Place = ("tool", "setuptools", "package-data")
    given = table.get("package-data") or {}
    patterns = [*given.get(package.module_name, ()), *given.get("*", ())]
    root = package.folder.relative_to(package.project).as_posix()
    if not given and (package.project / "MANIFEST.in").is_file():
        return (), ""  # include-package-data is on unless it is said otherwise
    for file in _wanted(package):
        inner = file.removeprefix(f"{root}/")
        if not any(fnmatch.fnmatch(inner, one.replace("**/", "*")) for one in patterns):
            return place, file
    return (), ""


def _below(file: str, folder: str) -> bool:
    folder = folder.strip("/").removeprefix("./")
    return not folder or file == folder or file.startswith(f"{folder}/")


def _matches(file: str, pattern: str) -> bool:
    """Tell whether a pattern of .gitignore's kind takes a file."""
    bare = pattern.strip("/").removeprefix("./")
    parts = file.split("/")
    heads = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    if "/" not in bare:
        return any(fnmatch.fnmatch(part, bare) for part in parts)
    loose = bare.replace("/**/", "/*").replace("**/", "*").replace("/**", "/*")
    return any(fnmatch.fnmatch(head, loose) for head in heads)
