"""docs/*.md → documentation entries. The prose is the product: it goes to the model verbatim."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crossdock.adapter.declaration import Broken, toml_of
from crossdock.adapter.findings import Place
from crossdock.adapter.schema import is_keyword
from crossdock.adapter.toml_lines import KeyLines
from crossdock.authoring import Argument, Where

PLACES: tuple[Where, ...] = ("path", "query", "body", "mapper")
OURS = ("name", "required", "style", "free", "match", "aliases", "hint", "file")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*")
_CLOSING = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*")
_BELOW = re.compile(r" {0,3}#{3,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")


class Fence(msgspec.Struct, kw_only=True):
    """A fenced block: `line` is its opening's, `below` the `###` heading that it stands under."""

    language: str
    line: int
    below: str | None
    lines: list[str]
    closed: bool = False

    @property
    def text(self) -> str:
        """What stands in it."""
        return "\n".join(self.lines)


class PageSection:
    """A `##` of a page with everything up to the next one; the first, without heading, is the
    introduction. A block counts if it is the first one called `toml`, before any `###`. `below`
    are the words under each `###`, line by line, outside of fences."""

    def __init__(self, heading: str, line: int) -> None:
        self.heading = heading
        self.heading_line = line
        self.fences: list[Fence] = []
        self._prose: list[str] = []
        self.below: list[tuple[str, list[tuple[int, str]]]] = []
        self._below: str | None = None
        self.block: Fence | None = None
        self.table: dict[str, Any] | Broken = {}

    def read(self, number: int, line: str) -> None:
        """Take one line that is in no fence."""
        if found := _BELOW.fullmatch(line):
            self._below = found[1] or ""
            self.below.append((self._below, []))
        elif self.block is None and self._below is None:
            self._prose.append(line)
        elif self.below:
            self.below[-1][1].append((number, line))

    def open(self, number: int, language: str) -> Fence:
        """Begin a block."""
        fence = Fence(language=language, line=number, below=self._below, lines=[])
        self.fences.append(fence)
        if language == "toml" and self.block is None and self._below is None:
            self.block = fence
        return fence

    def close(self) -> None:
        """Parse the block, once the section is whole."""
        if self.block is not None:
            self.table = toml_of(self.block.text, self.block.line + 1)

    @property
    def prose(self) -> str:
        """What goes to the model."""
        return "\n".join(self._prose).strip()

    def lines(self) -> KeyLines | None:
        """Return where the keys of its block stand; None if nothing can be told of them."""
        if self.block is None or isinstance(self.table, Broken):
            return None
        return KeyLines(self.block.text, self.block.line + 1)


class PageText:
    """One page, taken apart. `unclosed` is the fence that runs on to its end."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.sections = [PageSection("", 1)]
        self.unclosed: Fence | None = None
        self.outside: list[tuple[int, str]] = []
        self._read(text.removeprefix("\ufeff"))
        self.intro, *self.tools = self.sections

    def _read(self, text: str) -> None:
        fence: Fence | None = None
        mark = ""
        for number, line in enumerate(text.split("\n"), 1):
            line = line.rstrip("\r")
            if fence is not None:
                closing = _CLOSING.fullmatch(line)
                if closing and closing[1].startswith(mark):
                    fence.closed, fence = True, None
                else:
                    fence.lines.append(line)
            elif opening := _FENCE.fullmatch(line):
                mark = opening[1]
                fence = self.sections[-1].open(number, opening[2])
            elif line.startswith("## "):
                self.sections.append(PageSection(line[3:].strip(), number))
            else:
                self.outside.append((number, line))
                self.sections[-1].read(number, line)
        self.unclosed = fence
        for section in self.sections:
            section.close()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One documentation entry: what lets an endpoint out as a tool."""

    tool: str
    description: str
    arguments: tuple[Argument, ...]
    aliases: dict[str, str]
    defs: dict[str, Any]
    source: str
    schema: dict[str, Any] | None = None


def arguments_of(table: Mapping[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield every argument that is written as a table, with its place: path first, mapper last."""
    for where in PLACES:
        given = table.get(where)
        for key, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, dict):
                yield (where, key), value


def schema_of(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of an argument, without the keys that are ours.

    A schema of type object has its own `required` list; ours is the boolean.
    """
    schema = {name: part for name, part in value.items() if name not in OURS and is_keyword(name)}
    if isinstance(value.get("required"), list):
        schema["required"] = value["required"]
    return schema


def entry_of(section: PageSection, defs: dict[str, Any], source: str) -> Entry:
    """Make an entry of a section in which no rule found an error."""
    table = section.table if isinstance(section.table, dict) else {}
    arguments, aliases = [], {}
    for place, value in arguments_of(table):
        arguments.append(_argument(place, value))
        aliases.update(dict.fromkeys(value.get("aliases", ()), place[1]))
    return Entry(
        tool=section.heading,
        description=section.prose,
        arguments=tuple(arguments),
        aliases=aliases,
        defs=defs,
        source=source,
        schema=table.get("schema"),
    )


def _argument(place: Place, value: Mapping[str, Any]) -> Argument:
    where, key = place
    required = value.get("required")
    match = value.get("match", [])
    return Argument(
        key=key,
        where=where,  # type: ignore[arg-type]
        name=value.get("name", key),
        schema=schema_of(value),
        required=required if isinstance(required, bool) else where == "path",
        style=value.get("style", ""),
        free=value.get("free", False),
        match=tuple([match] if isinstance(match, str) else match),
        hint=value.get("hint", ""),
        file=value.get("file", ""),
    )
