"""Flat arguments → Call. Refuses what it does not know; nothing is sent upstream before this."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import msgspec

from crossdock.adapter.load import Binding
from crossdock.authoring import Argument, Call, Page
from crossdock.errors import InvalidArguments

OpenCursor = Callable[[str, dict[str, Any]], Page]
_RESERVED = frozenset("/\\?#%")


def split(binding: Binding, raw: msgspec.Raw | None, open_cursor: OpenCursor) -> Call:
    """Validate the arguments of a call and place each one.

    `open_cursor(cursor, filters)` gives the page behind a signed cursor.
    Raises InvalidArguments naming the argument.
    """
    arguments = _decoded(raw)
    for alias, key in binding.aliases.items():
        if alias in arguments:
            if key in arguments:
                raise InvalidArguments(alias, f"is another spelling of {key}; give one of them")
            arguments[key] = arguments.pop(alias)
    binding.validate(arguments)
    placed: dict[str, Any] = {"path": {}, "query": {}, "body": {}, "mapper": {}}
    for key, value in arguments.items():
        argument = binding.places.get(key)
        if argument is None:  # a whole [schema] may leave room for more than it names
            raise InvalidArguments(key, "is unknown")
        if argument.where in placed:
            placed[argument.where][argument.name] = _checked(argument, value)
    if binding.tool.method != "list":
        return Call(tool=binding.tool, **placed)
    limit, cursor = arguments.pop("limit", None), arguments.pop("next_cursor", None)
    return Call(
        tool=binding.tool,
        limit=limit,
        page=Page() if cursor is None else open_cursor(cursor, arguments),
        filters=arguments,
        **placed,
    )


def _decoded(raw: msgspec.Raw | None) -> dict[str, Any]:
    if raw is None:
        return {}
    try:
        arguments = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments("arguments", f"cannot be read: {error}") from None
    if not isinstance(arguments, dict):
        raise InvalidArguments("arguments", "must be an object")
    return arguments


def _checked(argument: Argument, value: Any) -> Any:
    if argument.where == "path":
        if not isinstance(value, str):
            value = msgspec.json.encode(value).decode()
        _check_id(argument, value)
    elif argument.where == "query":
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                _check_text(argument.key, one)
        if argument.style == "comma" and isinstance(value, list):
            return ",".join(str(one) for one in value)
    return value


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
