"""Flat arguments → Call. Refuses what it does not know; nothing is sent upstream before this."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crossdock.adapter.binding import Binding
from crossdock.adapter.samples import resolved, types_of
from crossdock.authoring import Argument, Call, Page
from crossdock.errors import InvalidArguments

OpenCursor = Callable[[str, dict[str, Any]], Page]
_RESERVED = frozenset("/\\?#%")
MOST_BYTES = 256 * 1024
MOST_VALUES = 2_000  # of one argument, counted at every level
DEEPEST = 32
_EXACT = 2**53  # a larger float names no certain integer


def split(binding: Binding, raw: msgspec.Raw | None, open_cursor: OpenCursor) -> Call:
    """Validate the arguments of a call and place each one.

    `open_cursor(cursor, filters)` gives the page behind a signed cursor.
    Raises InvalidArguments naming the argument.
    """
    arguments = _bounded(_decoded(raw))
    for alias, key in binding.aliases.items():
        if alias in arguments:
            if key in arguments:
                raise InvalidArguments(alias, f"is another spelling of {key}; give one of them")
            arguments[key] = arguments.pop(alias)
    arguments = _plain(arguments, binding)
    try:
        binding.validate(arguments)
    except InvalidArguments as error:
        raise _hinted(error, binding.places.get(error.argument)) from None
    placed: dict[str, Any] = {"path": {}, "query": {}, "body": {}, "mapper": {}}
    for key, value in arguments.items():
        argument = binding.places.get(key)
        if argument is None:  # a whole [schema] may leave room for more than it names
            raise InvalidArguments(key, "is unknown")
        if argument.where in placed:
            placed[argument.where][argument.name] = _checked(argument, value)
    shown = binding.places.get("fields")
    by_us = shown is not None and shown.where == "fields"
    fields = tuple(arguments.pop("fields", ())) if by_us else ()
    if not binding.tool.lists:
        return Call(tool=binding.tool, fields=fields, **placed)
    limit, cursor = arguments.pop("limit", None), arguments.pop("next_cursor", None)
    return Call(
        tool=binding.tool,
        limit=limit,
        page=Page() if cursor is None else open_cursor(cursor, arguments),
        filters=arguments,
        fields=fields,
        **placed,
    )


def _decoded(raw: msgspec.Raw | None) -> dict[str, Any]:
    """Return what was given; null stands for left out, as hosts send it that fill in a form."""
    if raw is None:
        return {}
    size = len(memoryview(raw))
    if size > MOST_BYTES:
        raise InvalidArguments(
            "arguments", f"have {size:,} bytes; send at most {MOST_BYTES:,} in one call"
        )
    try:
        arguments = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments("arguments", f"cannot be read: {error}") from None
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidArguments("arguments", "must be an object")
    return {key: value for key, value in arguments.items() if value is not None}


def _bounded(arguments: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no record needs and what would keep a process busy."""
    for key, value in arguments.items():
        if not isinstance(value, (dict, list)):
            continue
        level, depth, count = [value], 0, 0
        while level:
            depth += 1
            if depth > DEEPEST:
                raise InvalidArguments(key, f"is nested deeper than {DEEPEST} levels")
            count += sum(map(len, level))
            if count > MOST_VALUES:
                raise InvalidArguments(
                    key, f"holds more than {MOST_VALUES:,} values; send fewer in one call"
                )
            level = [inner for outer in level for inner in _containers(outer)]
    return arguments


def _containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value
    return [one for one in inner if isinstance(one, (dict, list))]


def _plain(arguments: dict[str, Any], binding: Binding) -> dict[str, Any]:
    defs = binding.schema.get("$defs", {})
    known = binding.schema.get("properties", {})
    return {key: _read(value, known.get(key), defs) for key, value in arguments.items()}


def _read(value: Any, schema: Any, defs: Mapping[str, Any]) -> Any:
    """Read 2.0 as an integer where one belongs, and null in a described object as left out."""
    if not isinstance(value, (float, dict, list)) or not isinstance(schema, dict):
        return value
    schema = resolved(schema, defs)
    for branch in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        value = _read(value, branch, defs)
    if isinstance(value, float):
        whole = "integer" in types_of(schema) and value.is_integer() and abs(value) <= _EXACT
        return int(value) if whole else value
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return {
            key: _read(inner, known.get(key), defs)
            for key, inner in value.items()
            if inner is not None or key not in known or _takes_null(known[key], defs)
        }
    return [_read(inner, schema.get("items"), defs) for inner in value]


def _takes_null(schema: Any, defs: Mapping[str, Any]) -> bool:
    schema = resolved(schema, defs)
    if branches := (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        return any(_takes_null(branch, defs) for branch in branches)
    if "enum" in schema:
        return None in schema["enum"]
    kinds = types_of(schema)
    return not kinds or "null" in kinds


def _checked(argument: Argument, value: Any) -> Any:
    if argument.where == "path":
        if not isinstance(value, str):
            value = msgspec.json.encode(value).decode()
        try:
            _check_id(argument, value)
        except InvalidArguments as error:
            raise _hinted(error, argument) from None
    elif argument.where == "query":
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                _check_text(argument.key, one)
        if argument.style == "comma" and isinstance(value, list):
            return ",".join(str(one) for one in value)
    return value


def _hinted(error: InvalidArguments, argument: Argument | None) -> InvalidArguments:
    """Let the argument's hint follow a refusal of its value."""
    if argument is None or not argument.hint:
        return error
    return InvalidArguments(error.argument, f"{error.why}. {argument.hint}")


def _check_id(argument: Argument, value: str) -> None:
    _check_text(argument.key, value)
    if value.strip() in (".", ".."):
        raise InvalidArguments(argument.key, f"{value!r} cannot be an id")
    if argument.free:
        return
    if any(character in _RESERVED or character.isspace() for character in value):
        raise InvalidArguments(
            argument.key, "is not an id of the provider: it holds a blank or one of / \\ ? # %"
        )


def _check_text(key: str, value: str) -> None:
    if not value or value.isspace():
        raise InvalidArguments(key, "is empty; leave it out or give a value")
    if value.isprintable():
        return
    for character in value:
        # Blanks other than the ASCII space are not printable, but people do type them.
        if not character.isprintable() and unicodedata.category(character) != "Zs":
            raise InvalidArguments(
                key, f"holds the control character U+{ord(character):04X}, which is never sent"
            )
