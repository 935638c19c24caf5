"""Entry → JSON Schema 2020-12 for the model, and a compiled validator for us."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs

from crossdock.adapter.refusals import explain, known_as, near
from crossdock.authoring import Argument
from crossdock.errors import AdapterError, InvalidArguments

NO_SCHEMA = (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError)
DIALECT = "https://json-schema.org/draft/2020-12/schema"
KEYWORDS = frozenset(
    [
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$ref",
        "$schema",
        "$vocabulary",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "dependentRequired",
        "dependentSchemas",
        "deprecated",
        "description",
        "else",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "readOnly",
        "required",
        "then",
        "title",
        "type",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
        "writeOnly",
    ]
)


_ONE = frozenset(
    [
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_LISTS = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
_MAPS = frozenset(["$defs", "dependentSchemas", "patternProperties", "properties"])
_WITHIN = _ONE | _LISTS | _MAPS
_Step = tuple[tuple[str, ...], dict[str, Any]]


def subschemas(place: tuple[str, ...], schema: Any) -> list[_Step]:
    """Return a schema and every one in it, from outside in, each with its place."""
    found: list[_Step] = []
    if isinstance(schema, dict):
        found.append((place, schema))
    for where, part in found:  # which grows
        for key in _WITHIN.intersection(part):
            value = part[key]
            if key in _ONE:
                inner = [((*where, key), value)]
            elif key in _LISTS:
                parts = value if isinstance(value, list) else ()
                inner = [((*where, key, str(index)), one) for index, one in enumerate(parts)]
            else:
                named = value if isinstance(value, dict) else {}
                inner = [((*where, key, name), one) for name, one in named.items()]
            found += [step for step in inner if isinstance(step[1], dict)]
    return found


def is_keyword(name: str) -> bool:
    """Tell whether JSON Schema 2020-12 knows a key, or it is marked as somebody's own (`x-…`)."""
    return name in KEYWORDS or name.startswith("x-")


MIRRORED = "x-mcp-header"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def input_schema(arguments: tuple[Argument, ...], defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool's flat arguments; only the `$defs` that are used."""
    # Hosts refuse an object without properties, also where there are none.
    properties = {argument.key: argument.schema for argument in arguments}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [argument.key for argument in arguments if argument.required]:
        schema["required"] = required
    schema["additionalProperties"] = False
    if used := _used(schema, defs):
        schema["$defs"] = used
    return schema


def header_places(
    schema: dict[str, Any],
) -> Iterator[tuple[tuple[str, ...], Any, dict[str, Any]]]:
    """Yield the properties that clients repeat in headers: path, the header's name, schema."""
    open_ends: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), schema)]
    while open_ends:
        path, part = open_ends.pop()
        properties = part.get("properties")
        for key, value in properties.items() if isinstance(properties, dict) else ():
            if isinstance(value, dict):
                open_ends.append(((*path, key), value))
                if MIRRORED in value:
                    yield (*path, key), value[MIRRORED], value


def is_token(text: str) -> bool:
    """Tell whether a text may be a part of a header's name."""
    return bool(_TOKEN.fullmatch(text))


def mirrored(schema: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the properties that clients repeat in headers (`x-mcp-header`), as (header, path)."""
    return tuple((header, ".".join(path)) for path, header, _ in header_places(schema))


def _used(schema: Any, defs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    open_ends = [schema]
    while open_ends:
        part = open_ends.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            name = (
                reference[8:] if isinstance(reference, str) and reference[:8] == "#/$defs/" else ""
            )
            if name in defs and name not in found:
                found[name] = defs[name]
                open_ends.append(defs[name])
            open_ends.extend(part.values())
        elif isinstance(part, list):
            open_ends.extend(part)
    return {name: found[name] for name in defs if name in found}


def _refuse(uri: str) -> Any:
    # The library fetches remote references by default; a schema must never cause a request.
    raise ValueError(f"a reference to {uri} is not allowed; use #/$defs/…")


def compiled(schema: dict[str, Any]) -> Any:
    """Return a schema as jsonschema_rs checks by it. Raises one of NO_SCHEMA where it is none."""
    jsonschema_rs.meta.validate({**schema, "$schema": DIALECT})
    return jsonschema_rs.Draft202012Validator(schema, retriever=_refuse, validate_formats=True)


def compile_schema(
    schema: dict[str, Any], source: str, call: Callable[[], str] = str
) -> Callable[[Any], None]:
    """Return a function that raises InvalidArguments for values that do not fit.

    `call` gives a call that fits, for a refusal of one that lacks something. Raises AdapterError
    naming `source` when the schema itself is wrong.
    """
    try:
        validator = compiled(schema)
    except NO_SCHEMA as error:
        reason = str(error).splitlines()[0]
        raise AdapterError(f"{source}: the JSON Schema is not valid: {reason}") from None
    known = list(schema.get("properties", {}))
    closed = schema.get("additionalProperties") is False

    def validate(arguments: Any) -> None:
        # is_valid first: the common case costs no iterator and no error objects.
        if validator.is_valid(arguments):
            return
        # Looked for here: of a tool without arguments the library does not say which is unknown.
        for name in arguments if closed and isinstance(arguments, dict) else ():
            if name not in known:
                raise InvalidArguments(
                    name,
                    f"is unknown{near(name, known)}; this tool's arguments are: {known_as(known)}",
                )
        raise explain(next(iter(validator.iter_errors(arguments))), schema, call())

    return validate
