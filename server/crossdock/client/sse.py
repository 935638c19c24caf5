"""Reads server-sent events: bytes in, events out. Knows nothing of MCP.

Only what a client of the gateway needs of the format: data, name, id and the wished-for delay.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from crossdock.model import Struct

_MOST_LINE = 64 * 1024 * 1024


class Event(Struct, frozen=True, kw_only=True):
    """One event. `retry` is the delay, in seconds, that the server wishes before a new attempt."""

    data: bytes = b""
    name: str = "message"
    id: str | None = None
    retry: float | None = None


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Yield the events of a stream. One that the end of the stream cuts off is dropped."""
    fields: list[tuple[bytes, bytes]] = []
    async for line in _lines(chunks):
        if line:
            field, _, value = line.partition(b":")
            if field:  # a line that begins with a colon is a comment
                fields.append((field, value.removeprefix(b" ")))
        elif fields:
            yield _event(fields)
            fields = []


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines without their ends, which are LF, CRLF or CR."""
    rest: list[bytes] = []
    held = 0
    after_return = False
    async for chunk in chunks:
        if after_return:
            chunk = chunk.removeprefix(b"\n")
        after_return = chunk.endswith(b"\r")
        pieces = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for piece in pieces[:-1]:
            yield b"".join([*rest, piece])
            rest, held = [], 0
        if pieces[-1]:
            rest.append(pieces[-1])
            held += len(pieces[-1])
            if held > _MOST_LINE:
                raise ValueError("a line of the event stream is too long")


def _event(fields: list[tuple[bytes, bytes]]) -> Event:
    data = [value for field, value in fields if field == b"data"]
    last = {field: value.decode("utf-8", "replace") for field, value in fields}
    retry = last.get(b"retry", "")
    return Event(
        data=b"\n".join(data),
        name=last.get(b"event") or "message",
        id=last.get(b"id"),
        retry=int(retry) / 1000 if retry.isascii() and retry.isdigit() else None,
    )
