"""Rules for a tool as it came out: does its schema compile, do hosts take it, do examples fit?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jsonschema_rs
import msgspec

from crossdock.adapter.arguments import split
from crossdock.adapter.binding import Binding
from crossdock.adapter.declaration import Declaration
from crossdock.adapter.described import Described
from crossdock.adapter.docs import Fence, schema_of
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.hosts import unfit
from crossdock.adapter.schema import (
    MIRRORED,
    NO_SCHEMA,
    compiled,
    header_places,
    is_token,
    subschemas,
)
from crossdock.authoring import Page
from crossdock.errors import InvalidArguments

TOOLS = Stage()
MOST_OPTIONS = 250  # values of one enum; OpenAI's strict mode counts their characters above it
_SPAN = re.compile(r"(?<!`)`(?!`)\s*(\{.*?\})\s*`(?!`)", re.DOTALL)


class Made:
    """A tool that was made of a section and an endpoint."""

    def __init__(self, described: Described, binding: Binding, head: Declaration) -> None:
        self.described = described
        self.binding = binding
        self.head = head
        self.adapter = described.adapter
        self.file = described.file

    def line(self, place: Place) -> int:
        """Return the line of a key of the block; of what is not in it that of the heading."""
        return self.described.line(place)

    def key(self, place: Place) -> str:
        """Return a place with the tool before it, unless it is one of adapter.toml."""
        return ".".join(place) if place[:1] == ("resources",) else self.described.key(place)

    def written(self, path: list[str]) -> Place:
        """Return where the author wrote what stands at a place of the whole schema."""
        if "schema" in self.described.table:
            return ("schema", *path)
        if path[:1] == ["properties"] and len(path) > 1:
            for place, _ in self.described.arguments:
                if place[1] == path[1]:
                    return (*place, *path[2:])
        return ()

    @cached_property
    def error(self) -> Exception | None:
        """Why the schema does not compile; None if it does."""
        try:
            compiled(self.binding.schema)
        except NO_SCHEMA as error:
            return error
        return None


@TOOLS.rule("argument-schema", "docsmd")
def _compiles(made: Made) -> Iterator[Flaw]:
    if made.error is not None:
        path = [str(step) for step in getattr(made.error, "instance_path", ())]
        yield Flaw(
            place=made.written(path),
            message=f"the JSON Schema is not valid: {str(made.error).splitlines()[0]}",
            remedy="write it by JSON Schema 2020-12; a $ref leads to #/$defs/NAME",
        )


@TOOLS.rule("confirm", "adaptertoml")
def _confirmed(made: Made) -> Iterator[Flaw]:
    tool = made.binding.tool
    place = ("resources", tool.resource, "methods", tool.method, "confirm")
    known = {argument.key for argument in tool.arguments}
    for name in tool.confirm or ():
        if name not in known:
            yield Flaw(
                file=made.head.file,
                line=made.head.line(place),
                place=place,
                message=f"confirm names `{name}`, which is no argument of {tool.name}",
                remedy="name an argument of its page, or write always or never",
            )


@TOOLS.rule("send", "adaptertoml")
def _whole_body(made: Made) -> Iterator[Flaw]:
    tool = made.binding.tool
    place = ("resources", tool.resource, "methods", tool.method, "send", "whole")
    whole = tool.endpoint.send.whole
    if whole and not any(a.where == "body" and a.key == whole for a in tool.arguments):
        yield Flaw(
            file=made.head.file,
            line=made.head.line(place),
            place=place,
            message=f"`{whole}` is no argument in [body] of {tool.name}",
            remedy=f"document it as [body.{whole}]",
        )


def examples_of(made: Made) -> Iterator[tuple[int, str]]:
    """Yield the JSON under every `### Example` with its line: blocks, and spans in the text."""
    section = made.described.section
    for fence in section.fences:
        if _is_example(fence.below) and _is_json(fence):
            yield fence.line, fence.text
    for under, lines in section.below:
        if not _is_example(under) or not lines:
            continue
        text = "\n".join(line for _, line in lines)
        for found in _SPAN.finditer(text):
            yield lines[0][0] + text.count("\n", 0, found.start()), found[1]


def _is_example(heading: str | None) -> bool:
    return heading is not None and bool(re.match(r"(?i)examples?\b", heading))


def _is_json(fence: Fence) -> bool:
    return fence.language.lower() in ("json", "json5", "jsonc") or (
        not fence.language and fence.text.lstrip().startswith("{")
    )


@TOOLS.rule("example", "docsmd")
def _examples(made: Made) -> Iterator[Flaw]:
    if made.error is not None:
        return
    for line, text in examples_of(made):
        why = _misfit(made.binding, text)
        if why:
            yield Flaw(
                place=(),
                line=line,
                message=f"the example {why}",
                remedy="write the arguments of one call as they are documented",
            )
    for place, value in made.described.arguments:
        for one in value.get("examples") or ():
            schema = {**schema_of(value), "$defs": made.binding.schema.get("$defs", {})}
            if not jsonschema_rs.is_valid(schema, one):
                yield Flaw(
                    place=(*place, "examples"),
                    message=f"the example {one!r} does not fit",
                    remedy="give values that the schema takes: a refusal shows them",
                )


def _misfit(binding: Binding, text: str) -> str:
    """Return why an example is no call of a tool; "" if it is one."""
    try:
        given = json.loads(text)
    except ValueError as error:
        return f"is no JSON: {error}"
    if not isinstance(given, dict):
        return "is no object"
    if set(given) == {"name", "arguments"} and "arguments" not in binding.places:
        given = given["arguments"]
    try:
        split(binding, msgspec.Raw(msgspec.json.encode(given)), lambda cursor, filters: Page())
    except InvalidArguments as error:
        return f"does not fit: {error.argument} {error.why}"
    return ""


@TOOLS.rule("argument-portable", "docsmd", lint=True)
def _portable(made: Made) -> Iterator[Flaw]:
    if made.error is not None:
        return
    for path, why in unfit(made.binding.tool.input_schema):
        yield Flaw(
            place=made.written(path),
            severity="warning",
            message=why,
            remedy="write it in the form that every host takes, or some client drops the tool",
        )
    whole: dict[str, Any] = {
        "properties": {place[1]: value for place, value in made.described.arguments}
    }
    if "schema" in made.described.table:
        whole = made.described.table["schema"]
    for inner, part in subschemas((), whole):
        yield from _odd_values(made, inner, part)


_BOUNDS = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


def _contradictions(made: Made, part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the keys of a schema that no value can follow, or that contradict each other."""
    for low, high in _BOUNDS:
        if low in part and high in part and part[low] > part[high]:
            yield high, f"{high} is below {low}: no value fits"
    if part.get("additionalProperties") is False and isinstance(part.get("required"), list):
        known = part.get("properties") or {}
        for name in part["required"]:
            if name not in known and "patternProperties" not in part:
                yield "required", f"`{name}` is required, and no property of that name may be given"
    if "default" in part:
        defs = made.binding.schema.get("$defs", {})
        if not jsonschema_rs.is_valid({**schema_of(part), "$defs": defs}, part["default"]):
            yield "default", "the default does not fit"


def _odd_values(made: Made, path: Place, part: dict[str, Any]) -> Iterator[Flaw]:
    for key, why in _contradictions(made, part):
        yield Flaw(
            place=made.written([*path, key]),
            severity="warning",
            message=why,
            remedy="mend one of the two",
        )
    options = part.get("enum")
    if isinstance(options, list) and len(options) > MOST_OPTIONS:
        yield Flaw(
            place=made.written([*path, "enum"]),
            severity="warning",
            message=f"an enum of {len(options):,} values, which fills a context and some refuse",
            remedy=f"list {MOST_OPTIONS} at most; of more, say in words how one is found",
        )
    properties = part.get("properties")
    for name in properties if isinstance(properties, dict) else ():
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name):
            yield Flaw(
                place=made.written([*path, "properties", name]),
                severity="warning",
                message=f"the property {name!r} has a name that some host refuses",
                remedy="use letters, digits, _, . and -, 64 at most",
            )


@TOOLS.rule("argument-schema", "docsmd")
def _headers(made: Made) -> Iterator[Flaw]:
    """Conforming clients drop a tool whose `x-mcp-header` is wrong."""
    taken: set[str] = set()
    for path, header, part in header_places(made.binding.schema):
        why = ""
        if not isinstance(header, str) or not is_token(header):
            why = f"{header!r} is no header name"
        elif part.get("type") not in ("string", "integer", "boolean"):
            why = "it is for a string, an integer or a boolean"
        elif header.lower() in taken:
            why = f"{header!r} is given twice"
        taken.add(str(header).lower())
        if why:
            steps = [step for name in path for step in ("properties", name)]
            yield Flaw(
                place=made.written([*steps, MIRRORED]),
                message=f"{MIRRORED}: {why}",
                remedy="mend it, or leave it out",
            )
