"""Entry → JSON Schema 2020-12 for the model, and a compiled validator for us."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jsonschema_rs

from crossdock.adapter.refusals import explain, known_as, near
from crossdock.authoring import Argument
from crossdock.errors import AdapterError, InvalidArguments

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


def mirrored(schema: dict[str, Any], source: str) -> tuple[tuple[str, str], ...]:
    """Return the properties that clients repeat in headers (`x-mcp-header`), as (header, path).

    Raises AdapterError where conforming clients would drop the tool.
    """
    found: dict[str, tuple[str, str]] = {}
    open_ends = [("", schema)]
    while open_ends:
        path, part = open_ends.pop()
        properties = part.get("properties")
        for key, value in properties.items() if isinstance(properties, dict) else ():
            place = f"{path}.{key}" if path else key
            if not isinstance(value, dict):
                continue
            open_ends.append((place, value))
            header = value.get(MIRRORED)
            if header is None:
                continue
            if not isinstance(header, str) or not _TOKEN.fullmatch(header):
                raise AdapterError(f"{source}: {place}: {MIRRORED} {header!r} is no header name")
            if value.get("type") not in ("string", "integer", "boolean"):
                raise AdapterError(
                    f"{source}: {place}: {MIRRORED} is for a string, an integer or a boolean"
                )
            if header.lower() in found:
                raise AdapterError(f"{source}: {place}: {MIRRORED} {header!r} is given twice")
            found[header.lower()] = header, place
    return tuple(found.values())


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


def compile_schema(
    schema: dict[str, Any], source: str, call: Callable[[], str] = str
) -> Callable[[Any], None]:
    """Return a function that raises InvalidArguments for values that do not fit.

    `call` gives a call that fits, for a refusal of one that lacks something. Raises AdapterError
    naming `source` when the schema itself is wrong.
    """
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": DIALECT})
        validator = jsonschema_rs.Draft202012Validator(
            schema, retriever=_refuse, validate_formats=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
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
