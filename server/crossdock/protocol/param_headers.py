"""`Mcp-Param-…` headers: arguments that clients of the newest revision repeat outside the body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crossdock.errors import ProtocolError
from crossdock.protocol.jsonrpc import HEADER_MISMATCH
from crossdock.protocol.versions import decoded_header

PREFIX = "Mcp-Param-"


def check(
    headers: tuple[tuple[str, str], ...],
    arguments: msgspec.Raw | None,
    values: Callable[[str], Sequence[str]],
) -> None:
    """Raise ProtocolError (-32020, 400) unless each header says what its argument says."""
    try:
        given = msgspec.json.decode(arguments or b"{}")
    except (msgspec.DecodeError, RecursionError):
        return  # the arguments themselves are refused, in words, a moment later
    for name, path in headers:
        _compare(PREFIX + name, values(PREFIX + name), path, _at(given, path))


def _at(given: Any, path: str) -> Any:
    for part in path.split("."):
        given = given.get(part) if isinstance(given, dict) else None
    return given


def _compare(header: str, sent: Sequence[str], path: str, value: Any) -> None:
    if value is None:
        if sent:
            raise _mismatch(f"{header} is given, but not the argument {path}")
        return
    if not sent:
        raise _mismatch(f"{header} is missing")
    if len(sent) > 1:
        raise _mismatch(f"{header} is given more than once")
    if not _same(decoded_header(sent[0].strip(" \t")), value):
        raise _mismatch(f"{header} does not match the argument {path}")


def _same(text: str, value: Any) -> bool:
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, (int, float)):
        try:
            return (int(text) if text.lstrip("-").isdecimal() else float(text)) == value
        except ValueError:
            return False
    return bool(text == value)


def _mismatch(reason: str) -> ProtocolError:
    return ProtocolError(HEADER_MISMATCH, f"Header mismatch: {reason}", status=400)
