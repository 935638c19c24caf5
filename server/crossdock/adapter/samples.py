"""A call that fits a schema, made of its examples: what a refusal shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_TEXTS = {"date": "2026-11-21", "date-time": "2026-11-21T14:00:00Z", "email": "jane@example.com"}
_DEEPEST = 6


def sample_call(tool: str, schema: Mapping[str, Any]) -> str:
    """Return the shortest call of a tool as text, with every required argument."""
    arguments = _object(schema, schema.get("$defs", {}), 0)
    return f"{tool} {msgspec.json.encode(arguments).decode()}"


def _object(schema: Mapping[str, Any], defs: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {
        name: _value(name, properties.get(name, {}), defs, depth + 1)
        for name in schema.get("required", ())
    }


def _value(name: str, schema: Any, defs: Mapping[str, Any], depth: int) -> Any:
    schema = resolved(schema, defs)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches and depth < _DEEPEST:
        return _value(name, branches[0], defs, depth + 1)
    kinds = types_of(schema)
    if "object" in kinds:
        return _object(schema, defs, depth) if depth < _DEEPEST else {}
    if "array" in kinds:
        return [_value(name, schema.get("items", {}), defs, depth + 1)] if depth < _DEEPEST else []
    if "integer" in kinds or "number" in kinds:
        return schema.get("minimum", 1)
    if "boolean" in kinds:
        return True
    return _TEXTS.get(schema.get("format", ""), f"<{name}>")


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the types that a schema names."""
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def resolved(schema: Any, defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema with the definition it refers to; its own keys win."""
    if not isinstance(schema, Mapping):
        return {}
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
        return schema
    target = defs.get(reference.removeprefix("#/$defs/"))
    if not isinstance(target, Mapping) or "$ref" in target:
        return schema
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
