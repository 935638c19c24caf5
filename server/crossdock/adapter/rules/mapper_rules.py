"""Rules for what load_adapter is given: mappers for endpoints that exist, which can be called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossdock.adapter.findings import Flaw, Place, Stage

MAPPERS = Stage()


class Registered:
    """The mappers of an adapter beside the endpoints that are declared, as `resource.method`."""

    file = "__init__.py"

    def __init__(
        self, adapter: str, folder: Path, mappers: Mapping[str, Any], declared: set[str]
    ) -> None:
        self.adapter = adapter
        self.folder = folder
        self.mappers = mappers
        self.declared = declared

    def line(self, place: Place) -> int:
        """Return the line of a mapper's key in the module."""
        return self.found(place[-1])[1]

    def key(self, place: Place) -> str:
        """Return `resource.method`."""
        return ".".join(place[1::2])

    def found(self, key: str) -> tuple[str, int]:
        """Return the file and line in which a key is written; the module's top if in none."""
        for path in sorted(self.folder.glob("**/*.py"), key=lambda one: len(one.parts)):
            text = path.read_bytes().decode("utf-8", "replace")
            for number, line in enumerate(text.split("\n"), 1):
                if f'"{key}"' in line or f"'{key}'" in line:
                    return path.relative_to(self.folder).as_posix(), number
        return self.file, 1

    def unknown(self) -> dict[str, str]:
        """Return the mappers without an endpoint, each with the one that was probably meant."""
        found = {}
        for key in self.mappers:
            if key not in self.declared:
                near = difflib.get_close_matches(key, self.declared, 1)
                found[key] = near[0] if near else ""
        return found


def code_place(function: Any, folder: Path) -> tuple[str, int] | None:
    """Return the file, as seen from the adapter's folder, and the line of a function in it."""
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    if code is None:
        return None
    path = Path(code.co_filename)
    if not path.is_relative_to(folder):
        return None
    line = code.co_firstlineno
    text = path.read_bytes().decode("utf-8", "replace").split("\n")
    while line <= len(text) and not text[line - 1].lstrip().startswith(("def ", "async def ")):
        line += 1  # decorators stand before it
    shown = path.relative_to(folder).as_posix()
    return (shown, line) if line <= len(text) else (shown, code.co_firstlineno)


@MAPPERS.rule("python-mapper", "mappers")
def _no_endpoint(given: Registered) -> Iterator[Flaw]:
    for key, near in given.unknown().items():
        file, line = given.found(key)
        yield Flaw(
            place=("mappers", key),
            file=file,
            line=line,
            message=f"no endpoint for the mapper {key!r}",
            remedy=f"did you mean {near}?" if near else "declare it, or leave the mapper out",
        )


@MAPPERS.rule("python-mapper", "mappers")
def _uncallable(given: Registered) -> Iterator[Flaw]:
    for key, mapper in given.mappers.items():
        why = _wrong(mapper)
        if key in given.declared and why:
            resource, _, method = key.partition(".")
            file, line = code_place(mapper, given.folder) or given.found(key)
            yield Flaw(
                place=("resources", resource, "methods", method),
                file=file,
                line=line,
                message=f"the mapper of {key!r} {why}",
                remedy="write `async def name(call: Call, context: Context) -> Outcome`",
            )


def _wrong(mapper: Any) -> str:
    called = mapper if inspect.isroutine(mapper) else getattr(mapper, "__call__", None)  # noqa: B004
    if not callable(mapper):
        return f"is no function but {type(mapper).__name__}"
    if not (inspect.iscoroutinefunction(mapper) or inspect.iscoroutinefunction(called)):
        return "is not async"
    try:
        inspect.signature(mapper).bind(None, None)
    except TypeError:
        return "does not take (call, context)"
    except ValueError:
        return ""
    return ""
