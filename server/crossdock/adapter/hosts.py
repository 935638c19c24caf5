"""What hosts take of JSON Schema: the form in which a tool's arguments are shown.

Judged by what OpenAI's strict mode, Gemini's FunctionDeclaration and Anthropic's tools accept. The
schema that arguments are checked against stays the author's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crossdock.adapter.samples import types_of

LONGEST_TEXT = 1_024
_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "$defs", "patternProperties", "dependentSchemas")
_OF_ARRAYS = frozenset({"items", "minItems", "maxItems", "uniqueItems", "prefixItems", "contains"})
_OF_OBJECTS = frozenset({"properties", "required", "minProperties", "maxProperties"})


def shown(schema: Any) -> Any:
    """Return a schema as hosts are shown it.

    `additionalProperties: false` and `examples` are for us, and null stands for left out; several
    types become `anyOf`, and an enum has its type.
    """
    if not isinstance(schema, Mapping):
        return schema
    part = {
        key: _shown_part(key, value)
        for key, value in schema.items()
        if key != "examples" and not (key == "additionalProperties" and value is False)
    }
    if "enum" in part and "type" not in part:
        part = {"type": _type_of(part["enum"]), **part}
    kinds = [kind for kind in types_of(part) if kind != "null"]
    if isinstance(part.get("type"), list):
        if len(kinds) == 1:
            part["type"] = kinds[0]
        else:
            return _branches(part, kinds)
    return part


def _type_of(options: list[Any]) -> list[str]:
    """Return the types of an enum's values: some hosts take none without."""
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return list(dict.fromkeys(names[type(one)] for one in options if type(one) in names))


def _shown_part(key: str, value: Any) -> Any:
    if key in _ONE:
        return shown(value)
    if key in _LISTS and isinstance(value, list):
        return [shown(one) for one in value]
    if key in _MAPS and isinstance(value, Mapping):
        return {name: shown(one) for name, one in value.items()}
    return value


def _branches(part: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    own = _OF_ARRAYS | _OF_OBJECTS
    branches: list[dict[str, Any]] = []
    for kind in kinds:
        keys = {"array": _OF_ARRAYS, "object": _OF_OBJECTS}.get(kind, frozenset())
        branches.append({"type": kind} | {key: part[key] for key in part if key in keys})
    rest = {key: value for key, value in part.items() if key != "type" and key not in own}
    return {**rest, "anyOf": branches}


def unfit(schema: Mapping[str, Any]) -> Iterator[tuple[list[str], str]]:
    """Yield what some host will not take of a schema as it is shown: its path, and why."""
    for key in ("anyOf", "oneOf", "allOf", "not"):
        if key in schema:
            yield [key], f"the arguments as a whole have `{key}`, which hosts refuse"
    for path, part in _parts([], schema):
        if part.get("type") == "array" and not part.get("items"):
            yield [*path, "type"], "it is an array without `items`"
        if len(part.get("description", "")) > LONGEST_TEXT:
            words = f"its description has more than {LONGEST_TEXT:,} characters"
            yield [*path, "description"], words


def _parts(path: list[str], schema: Any) -> Iterator[tuple[list[str], Mapping[str, Any]]]:
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for key in _MAPS:
        for name, part in schema.get(key, {}).items():
            yield from _parts([*path, key, name], part)
    for key in _ONE:
        yield from _parts([*path, key], schema.get(key))
    for key in _LISTS:
        for index, part in enumerate(schema.get(key, ())):
            yield from _parts([*path, key, str(index)], part)
