"""A value that fits a schema: for examples of drafted tools, and for what their sandbox answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.adapter.samples import types_of

_TEXTS = {
    "date": "2026-11-21",
    "date-time": "2026-11-21T14:00:00Z",
    "time": "14:00:00Z",
    "email": "jane@example.com",
    "uuid": "6c1f0f0e-3f5b-4a53-9d2c-2b0e6c1d7a11",
    "uri": "https://example.com/a",
    "url": "https://example.com/a",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
}
_DEEPEST = 6


def value_of(schema: Mapping[str, Any], name: str = "text", depth: int = 0) -> Any:
    """Return a value, made of the schema's own examples where it has any."""
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("oneOf", "anyOf"):
        if schema.get(key) and depth < _DEEPEST:
            return value_of(schema[key][0], name, depth + 1)
    if schema.get("allOf"):
        parts = [value_of(one, name, depth + 1) for one in schema["allOf"]]
        if all(isinstance(one, dict) for one in parts):
            return {key: one for part in parts for key, one in part.items()}
        return parts[0]
    return _plain(schema, name, depth)


def _plain(schema: Mapping[str, Any], name: str, depth: int) -> Any:
    kinds = types_of(schema)
    if "object" in kinds or (not kinds and "properties" in schema):
        return _object(schema, depth)
    if "array" in kinds:
        one = value_of(schema.get("items", {}), name, depth + 1)
        return [one] * max(1, int(schema.get("minItems", 1))) if depth < _DEEPEST else []
    if "integer" in kinds or "number" in kinds:
        return _number(schema)
    if "boolean" in kinds:
        return True
    text = _TEXTS.get(schema.get("format", ""), name.replace("_", "-"))
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    text = text if len(text) >= least else text + "x" * (least - len(text))
    return text[:most] if isinstance(most, int) else text


def _object(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    known = schema.get("properties", {})
    wanted = (
        known if depth == 0 else {name: known.get(name, {}) for name in schema.get("required", ())}
    )
    if depth >= _DEEPEST:
        return {}
    return {name: value_of(one, name, depth + 1) for name, one in wanted.items()}


def _number(schema: Mapping[str, Any]) -> int | float:
    value: int | float = schema.get("minimum", 1)
    if "exclusiveMinimum" in schema:
        value = schema["exclusiveMinimum"] + 1
    if "maximum" in schema:
        value = min(value, schema["maximum"])
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step:
        value = -(-value // step) * step
    return value
