"""adapter.toml as it was read, before anything is decoded: what rules are asked about."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from crossdock.adapter.findings import Finding, Flaw, Place
from crossdock.adapter.naming import is_identifier, singular_of, tool_name
from crossdock.adapter.toml_lines import KeyLines
from crossdock.adapter.toml_shapes import Mistake, fitting

TOML = "adapter.toml"


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A text that is no TOML: where, and why."""

    line: int
    reason: str


def toml_of(text: str, first_line: int = 1) -> dict[str, Any] | Broken:
    """Parse TOML. A byte order mark at its head does not count."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else text.rstrip().count("\n") + 1
        return Broken(
            line=first_line + line - 1, reason=str(error).partition(" (at ")[0] or "too deep"
        )


class Declaration:
    """adapter.toml, or the `[resources]` that Python contributes for an account.

    `given` is what was written, `table` what fits the keys of the file, `mistakes` the rest.
    `signs` says that Python signs requests, in place of `[auth]`.
    """

    def __init__(
        self, given: Mapping[str, Any], kind: type[msgspec.Struct], *, text: str, folder: str
    ) -> None:
        self.given = given
        self.table, self.mistakes = fitting(given, kind)
        self.folder = folder
        self.file = TOML
        self.signs = False
        self.mentioned = frozenset[str]()
        self.contributed = False
        self._lines = KeyLines(text)

    @property
    def adapter(self) -> str:
        """The adapter's name, or its folder's where it has none."""
        name = self.given.get("name")
        return name if isinstance(name, str) and is_identifier(name) else self.folder

    def line(self, place: Place) -> int:
        """Return the line of a key, or of the nearest table around it."""
        return self._lines.line(place)

    def key(self, place: Place) -> str:
        """Return a place as it is told."""
        return ".".join(place)

    def source(self, place: Place) -> str:
        """Return `folder/file:line` of a key, as tools tell where they are declared."""
        return f"{self.folder}/{self.file}:{self.line(place)}"

    def at(self, *place: str) -> Any:
        """Return what fits at a place; None: nothing."""
        return reach(self.table, place)

    def erring(self, *place: str) -> bool:
        """Tell whether something at a place does not fit, so that more must not be made of it."""
        return any(one.place[: len(place)] == place for one in self.mistakes)

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """What fits of every resource."""
        found = self.at("resources")
        return found if isinstance(found, dict) else {}

    def methods(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield every method with its place, in the order of the file."""
        for name, resource in self.resources.items():
            for method, spec in resource.get("methods", {}).items():
                yield (
                    ("resources", name, "methods", method),
                    ({"http": spec} if isinstance(spec, str) else spec),
                )

    def http(self, place: Place) -> tuple[Place, Any]:
        """Return the place and the text of a method's endpoint, however it is written."""
        spec = self.at(*place)
        return (place, spec) if isinstance(spec, str) else ((*place, "http"), spec.get("http"))

    def tables(self, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield every table of a name: the adapter's, those of resources and of methods."""
        if isinstance(found := self.table.get(name), dict):
            yield (name,), found
        for key, resource in self.resources.items():
            if isinstance(found := resource.get(name), dict):
                yield ("resources", key, name), found
        for place, spec in self.methods():
            if isinstance(found := spec.get(name), dict):
                yield (*place, name), found

    def tool(self, place: Place) -> str:
        """Return the name that a method's tool has, also where much else is wrong."""
        _, resource, _, method = place
        spec = self.at(*place)
        if isinstance(spec, dict) and (own := spec.get("tool")):
            return str(own)
        table = self.resources.get(resource, {})
        singular = table.get("singular") or singular_of(resource)
        return tool_name(self.adapter, resource, method, singular)

    def declared(self) -> dict[str, Place]:
        """Return every tool that is meant, with its place: of what is written, right or wrong."""
        found: dict[str, Place] = {}
        resources = self.given.get("resources")
        for name, resource in resources.items() if isinstance(resources, dict) else ():
            methods = resource.get("methods") if isinstance(resource, dict) else None
            for method in methods if isinstance(methods, dict) else ():
                place = ("resources", name, "methods", method)
                # What is no identifier is told; its page is named as it should have been.
                meant = re.sub("[^a-z0-9_]", "_", self._meant(place).lower())
                found.setdefault(meant, place)
        return found

    def _meant(self, place: Place) -> str:
        if self.at(*place) is not None and is_identifier(self.tool(place)):
            return self.tool(place)
        _, resource, _, method = place
        spec, table = reach(self.given, place), reach(self.given, place[:2])
        own = spec.get("tool") if isinstance(spec, dict) else None
        singular = table.get("singular") if isinstance(table, dict) else None
        noun = singular if isinstance(singular, str) else singular_of(resource)
        named = isinstance(own, str) and is_identifier(own)
        return str(own) if named else tool_name(self.adapter, resource, method, noun)


def reach(table: Any, place: Iterable[str]) -> Any:
    """Follow keys through tables; None where they lead nowhere."""
    for step in place:
        table = table.get(step) if isinstance(table, Mapping) else None
    return table


def reason_of(mistake: Mistake) -> str:
    """Return what msgspec says of a value, as people say it."""
    return mistake.words[:1].lower() + mistake.words[1:]


class Losses:
    """What errors take away: everything, resources, methods."""

    def __init__(self) -> None:
        self._places: dict[Place, Finding] = {}

    def add(self, finding: Finding, flaw: Flaw) -> None:
        """Note what an error takes. Whatever is not in `[resources]` takes the adapter."""
        for place in (flaw.place, *flaw.also):
            self._places.setdefault(self._lost(place), finding)

    @staticmethod
    def _lost(place: Place) -> Place:
        if place[:1] != ("resources",) or len(place) < 2:
            return ()
        return place[:4] if place[2:3] == ("methods",) and len(place) > 3 else place[:2]

    def fatal(self) -> tuple[Finding, ...]:
        """Return the error that took the whole adapter, if one did."""
        return (self._places[()],) if () in self._places else ()

    def takes(self, place: Place) -> bool:
        """Whether a method is lost."""
        return any(place[: len(lost)] == lost for lost in self._places if lost)
