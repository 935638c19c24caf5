"""One section of a page beside its endpoint, and the definitions of a page: what rules judge."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from crossdock.adapter.declaration import Broken
from crossdock.adapter.docs import OURS, PLACES, PageSection, PageText, arguments_of
from crossdock.adapter.findings import Place
from crossdock.adapter.manifest import Method
from crossdock.adapter.schema import KEYWORDS, is_keyword, subschemas
from crossdock.adapter.toml_lines import KeyLines

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
DEFS = "#/$defs/"


class Described:
    """One section of a page beside the endpoint that it is for; None: that endpoint is wrong.

    `mapped` says whether Python has a mapper for it; None: nobody knows. `unread`: the definitions
    of its page cannot be read. `broken`: what is written is wrong somewhere. `laid`: the page is an
    overlay's.
    """

    unread = False
    broken = False
    laid = False

    def __init__(
        self,
        adapter: str,
        page: PageText,
        section: PageSection,
        method: Method | None,
        *,
        mapped: bool | None,
    ) -> None:
        self.adapter = adapter
        self.file = page.file
        self.section = section
        self.method = method
        self.mapped = mapped
        self.defs = defs_of(page)

    @cached_property
    def table(self) -> dict[str, Any]:
        """The block; empty where there is none, or where it is no TOML."""
        return {} if isinstance(self.section.table, Broken) else self.section.table

    @cached_property
    def _lines(self) -> KeyLines | None:
        return self.section.lines()

    @cached_property
    def arguments(self) -> list[tuple[Place, dict[str, Any]]]:
        """Every argument with its place."""
        return list(arguments_of(self.table))

    def line(self, place: Place) -> int:
        """Return the line of a key of the block; of what is not in it that of the heading."""
        if self._lines is None or not place or place[0] not in self.table:
            return self.section.heading_line
        if len(place) > 1 and place[1] not in (self.table[place[0]] or {}):
            return self.section.heading_line
        return self._lines.line(place)

    def key(self, place: Place) -> str:
        """Return a place with the tool before it."""
        return ".".join((self.section.heading, *place))

    def meant(self, value: Mapping[str, Any], *names: str) -> bool:
        """Tell whether a misspelt key stands for one of `names`."""
        return any(near_key(key) in names for key in value if not _known(key))

    def references(self) -> set[str]:
        """Return the names of the page's definitions that the arguments use."""
        found: set[str] = set()
        for place, value in self.arguments:
            for _, part in subschemas(place, value):
                if isinstance(reference := part.get("$ref"), str):
                    found.add(reference.removeprefix(DEFS).partition("/")[0])
        return found

    def unsettled(self) -> bool:
        """Whether an argument that is written wrong may be the one that the path lacks."""
        odd = set(self.table) - set(PLACES)
        paths = [(place, value) for place, value in self.arguments if place[0] == "path"]
        return self.broken and (
            bool(odd)
            or len(paths) != len(self.table.get("path") or ())
            or any(
                self.meant(value, "name")
                or not IDENTIFIER.fullmatch(place[1])
                or not isinstance(value.get("name", ""), str)
                for place, value in paths
            )
        )


class Definitions:
    """The `[defs]` of a page."""

    def __init__(self, adapter: str, page: PageText) -> None:
        self.adapter = adapter
        self.file = page.file
        self.defs = defs_of(page)
        self._lines = page.intro.lines()

    def line(self, place: Place) -> int:
        """Return the line of a key."""
        return self._lines.line(place) if self._lines else 1

    def key(self, place: Place) -> str:
        """Return a place as it is told."""
        return ".".join(place)


def aliases_of(value: Mapping[str, Any]) -> list[str]:
    """Return the other spellings of an argument, as far as they are texts."""
    given = value.get("aliases")
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def spelled(place: Place, value: Mapping[str, Any]) -> str:
    """Return the provider's spelling of an argument; its key, where that is no text."""
    name = value.get("name")
    return name if isinstance(name, str) else place[1]


def defs_of(page: PageText) -> dict[str, Any]:
    """Return the definitions of a page."""
    table = page.intro.table
    found = table.get("defs") if isinstance(table, dict) else None
    return found if isinstance(found, dict) else {}


def _known(key: str) -> bool:
    return key in OURS or is_keyword(key)


def near_key(key: str) -> str:
    """Return the key of an argument that was probably meant; "" for none."""
    near = difflib.get_close_matches(key, [*OURS, *KEYWORDS], 1)
    return near[0] if near else ""
