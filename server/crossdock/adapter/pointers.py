"""JSON Pointers, followed through bytes that are decoded only along the way."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter.bodies import decode_as


def steps(pointer: str) -> list[str]:
    """Return the names that a pointer leads through, unescaped."""
    return [name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:]]


def at_pointer(value: Any, pointer: str) -> Any:
    """Follow a pointer through plain values; None where it leads nowhere."""
    for name in steps(pointer):
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def raw_at(body: bytes | msgspec.Raw, pointer: str) -> msgspec.Raw | None:
    """Follow a pointer through JSON; None where it leads nowhere. Raises UpstreamFailure."""
    for name in steps(pointer):
        opening = bytes(body).lstrip()[:1]
        if opening == b"{":
            inner = decode_as(body, dict[str, msgspec.Raw]).get(name)
        elif opening == b"[" and name.isdecimal():
            items = decode_as(body, list[msgspec.Raw])
            inner = items[int(name)] if int(name) < len(items) else None
        else:
            inner = None
        if inner is None:
            return None
        body = inner
    return msgspec.Raw(body)


def without(body: bytes | msgspec.Raw, pointer: str) -> bytes:
    """Return JSON less the member of an object that a pointer leads to; the rest as it stood."""
    name, *deeper = steps(pointer)
    level = decode_as(body, dict[str, msgspec.Raw])
    if deeper:
        inner = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in deeper)
        level[name] = msgspec.Raw(without(level[name], inner))
    else:
        del level[name]
    return msgspec.json.encode(level)
