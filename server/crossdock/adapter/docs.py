"""docs/*.md → documentation entries. The prose is the product: it goes to the model verbatim."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from crossdock.adapter.manifest import Lines, parse_toml
from crossdock.adapter.schema import KEYWORDS, is_keyword
from crossdock.authoring import Argument, Where
from crossdock.errors import AdapterError

_PLACES: tuple[Where, ...] = ("path", "query", "body", "mapper")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OURS = ("name", "required", "style", "free", "match", "aliases", "hint", "file")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One documentation entry: what lets an endpoint out as a tool."""

    tool: str
    description: str
    arguments: tuple[Argument, ...]
    aliases: dict[str, str]
    defs: dict[str, Any]
    source: str
    schema: dict[str, Any] | None = None


class _Section:
    def __init__(self, heading: str, line: int) -> None:
        self.heading = heading
        self.line = line
        self.prose: list[str] = []
        self.block: list[str] | None = None
        self.block_line = 0


def read_page(text: str, source: str) -> list[Entry]:
    """Decode one page into its entries, in the order of the file. Raises AdapterError."""
    intro, *sections = _sections(text, source)
    defs: dict[str, Any] = {}
    if intro.block is not None:
        table = parse_toml("\n".join(intro.block), source, intro.block_line)
        if unknown := set(table) - {"defs"}:
            raise AdapterError(
                f"{source}:{intro.block_line}: `{min(unknown)}` before the first heading; "
                "only [defs.…] may stand there"
            )
        defs = table.get("defs", {})
    return [_entry(section, defs, source) for section in sections]


def _sections(text: str, source: str) -> list[_Section]:
    sections = [_Section("", 1)]
    fence = ""
    fence_line = 0
    for number, line in enumerate(text.splitlines(), 1):
        current = sections[-1]
        if fence:
            if line.strip() == fence:
                fence = ""
            elif current.block_line == fence_line + 1 and current.block is not None:
                current.block.append(line)
            continue
        opening = re.fullmatch(r"(`{3,}|~{3,})\s*(\w*).*", line.strip())
        if opening:
            fence, fence_line = opening.group(1), number
            if opening.group(2) == "toml" and current.block is None:
                current.block, current.block_line = [], number + 1
        elif line.startswith("## "):
            sections.append(_Section(line[3:].strip(), number))
        elif current.block is None and not line.startswith("### "):
            current.prose.append(line)
        elif current.block is None:
            current.block, current.block_line = [], number + 1
    if fence:
        raise AdapterError(f"{source}:{fence_line}: this block is never closed")
    return sections


def _entry(section: _Section, defs: dict[str, Any], source: str) -> Entry:
    at = f"{source}:{section.line}"
    description = "\n".join(section.prose).strip()
    if not description:
        raise AdapterError(f"{at}: `{section.heading}` has no prose; say what the tool does")
    arguments: list[Argument] = []
    aliases: dict[str, str] = {}
    schema: dict[str, Any] | None = None
    if section.block:
        block = "\n".join(section.block)
        table = parse_toml(block, source, section.block_line)
        lines = Lines(block, source, section.block_line)
        schema = table.pop("schema", None)
        if schema is not None:
            _check_whole(schema, table, lines)
        if unknown := [place for place in table if place not in _PLACES]:
            raise AdapterError(
                f"{lines.at(unknown[0])}: `{unknown[0]}` is no place for an argument; "
                "use path, query, body or mapper"
            )
        for place in _PLACES:
            for key, value in table.get(place, {}).items():
                argument, others = _argument(place, key, value, lines)
                _refuse_twice(argument, arguments, lines)
                arguments.append(argument)
                aliases.update(dict.fromkeys(others, key))
    for alias in aliases:
        if any(argument.key == alias for argument in arguments):
            raise AdapterError(f"{at}: alias `{alias}` is an argument of its own")
    return Entry(
        tool=section.heading,
        description=description,
        arguments=tuple(arguments),
        aliases=aliases,
        defs=defs,
        source=at,
        schema=schema,
    )


def _check_whole(schema: Any, table: dict[str, Any], lines: Lines) -> None:
    """`[schema]` gives the model a JSON Schema exactly as it stands, in place of the places."""
    at = lines.at("schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise AdapterError(f'{at}: a whole schema has type = "object"')
    if table:
        raise AdapterError(
            f"{at}: beside [schema] there is no [{next(iter(table))}]; what fits a {{placeholder}} "
            "goes to the path, the rest to the query of a GET or DELETE and to other bodies"
        )


def _refuse_twice(argument: Argument, arguments: list[Argument], lines: Lines) -> None:
    for other in arguments:
        if other.key == argument.key:
            raise AdapterError(
                f"{lines.at(argument.where, argument.key)}: `{argument.key}` is both in "
                f"{other.where} and in {argument.where}; give one of them a different key and "
                f'`name = "{argument.key}"`'
            )


def _argument(place: Where, key: str, value: Any, lines: Lines) -> tuple[Argument, list[str]]:
    at = lines.at(place, key)
    if not _KEY.fullmatch(key):
        raise AdapterError(f"{at}: `{key}` is not an identifier; use it with `name = …`")
    if not isinstance(value, dict):
        raise AdapterError(f"{at}: write a table, as [{place}.{key}]")
    ours = {name: value[name] for name in _OURS if name in value}
    # A schema of type object has its own `required` list; ours is the boolean.
    schema = {name: part for name, part in value.items() if name not in _OURS}
    if isinstance(ours.get("required"), list):
        schema["required"] = ours.pop("required")
    if unknown := [name for name in schema if not is_keyword(name)]:
        near = difflib.get_close_matches(unknown[0], [*_OURS, *KEYWORDS], 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise AdapterError(
            f"{lines.at(place, key, unknown[0])}: `{unknown[0]}` is no key of an argument{hint}"
        )
    if not schema.get("description"):
        raise AdapterError(f"{at}: `{key}` has no description")
    if ours.get("style", "") not in ("", "comma"):
        raise AdapterError(f'{at}: style {ours["style"]!r} is unknown; the only one is "comma"')
    if not isinstance(ours.get("required", False), bool):
        raise AdapterError(f"{at}: required is true, false or a list of property names")
    match = ours.get("match", [])
    return Argument(
        key=key,
        where=place,
        name=ours.get("name", key),
        schema=schema,
        required=ours.get("required", place == "path"),
        style=ours.get("style", ""),
        free=ours.get("free", False),
        match=tuple([match] if isinstance(match, str) else match),
        hint=ours.get("hint", ""),
        file=ours.get("file", ""),
    ), ours.get("aliases", [])
