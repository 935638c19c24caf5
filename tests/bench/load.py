"""Sends the same MCP request over and over, and checks every answer by value.

Reads an order as JSON from stdin, prints what came of it as one line of JSON. An answer is parsed
and compared with what the provider holds, unless it equals one that was, but for its id.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, NamedTuple

_IDS = 1_000_000
_KNOWN = 64


class Order(NamedTuple):
    """What to send, to whom, for how long, and what a right answer holds."""

    host: str
    port: int
    path: str
    method: str
    params: dict[str, Any]
    headers: dict[str, str]
    connections: int
    seconds: float
    calls: int  # ends earlier after so many; 0: never
    shows: str  # "records": a list of one; "record"; "tools": so many
    expected: Any


class Wrong(Exception):
    """An answer that is not the right one."""


class Checker:
    """Knows right answers from wrong ones."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._known: set[bytes] = set()

    def check(self, status: int, body: bytes, number: int) -> None:
        """Raise Wrong unless this is the right answer to the request of that number."""
        plain = body.replace(b"%d" % number, b"#", 1)
        if status == 200 and plain in self._known:
            return
        if status != 200:
            raise Wrong(f"{status}: {body[:300]!r}")
        self._judge(json.loads(_unwrapped(body)), number)
        if len(self._known) < _KNOWN:
            self._known.add(plain)

    def _judge(self, message: dict[str, Any], number: int) -> None:
        result = message.get("result")
        if message.get("id") != number or not isinstance(result, dict) or result.get("isError"):
            raise Wrong(f"not an answer to {number}: {str(message)[:300]}")
        if self._order.shows == "tools":
            if len(result["tools"]) != self._order.expected:
                raise Wrong(f"{len(result['tools'])} tools")
            return
        shown = json.loads(result["content"][0]["text"])
        if self._order.shows == "records":
            shown = shown["result"] if isinstance(shown, dict) else shown
            (shown,) = shown
        if not _within(shown, self._order.expected) or "id" not in shown:
            raise Wrong(f"another value: {str(shown)[:300]}")


def _unwrapped(body: bytes) -> bytes:
    """Return the message of an answer that may be one event of a stream."""
    if body.startswith(b"{"):
        return body
    return b"".join(line[5:] for line in body.splitlines() if line.startswith(b"data:"))


def _within(shown: Any, stored: Any) -> bool:
    """Whether all that is shown is stored so; a view may leave things out."""
    if isinstance(shown, dict) and isinstance(stored, dict):
        return all(key in stored and _within(value, stored[key]) for key, value in shown.items())
    if isinstance(shown, list) and isinstance(stored, list):
        return len(shown) == len(stored) and all(map(_within, shown, stored))
    return shown == stored


class Client(asyncio.Protocol):
    """One connection: the next request goes out when an answer is in."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._seen = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(error)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while (answer := _take(self._seen)) is not None:
            self._load.took(time.perf_counter() - self._began, *answer, self._number)
            self._next()

    def _next(self) -> None:
        request, self._number = self._load.request()
        if request:
            self._began = time.perf_counter()
            self._transport.write(request)
        else:
            self._transport.close()


def _take(seen: bytearray) -> tuple[int, bytes] | None:
    """Take one whole answer out of what came: its status and body."""
    end = seen.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(seen[:end]).lower()
    start = end + 4
    length = head.find(b"content-length:")
    if length >= 0:
        size = int(head[length + 15 :].split(b"\r\n", 1)[0])
        if len(seen) < start + size:
            return None
        body = bytes(seen[start : start + size])
        del seen[: start + size]
        return int(head[9:12]), body
    pieces = []
    while True:
        line = seen.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(bytes(seen[start:line]).split(b";")[0], 16)
        if len(seen) < line + 4 + size:
            return None
        pieces.append(bytes(seen[line + 2 : line + 2 + size]))
        start = line + 4 + size
        if size == 0:
            del seen[:start]
            return int(head[9:12]), b"".join(pieces)


class Load:
    """All connections of one order, and what they measured."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._checker = Checker(order)
        self._number = _IDS
        self._closed = 0
        self._done = asyncio.get_running_loop().create_future()
        self.seconds: list[float] = []
        self._started = time.perf_counter()
        self._until = self._started + order.seconds
        body = {"jsonrpc": "2.0", "id": _IDS, "method": order.method, "params": order.params}
        text = json.dumps(body).encode()
        headers = {
            "Host": f"{order.host}:{order.port}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Content-Length": str(len(text)),
            **order.headers,
        }
        lines = [f"POST {order.path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + text
        self._before, _, self._after = whole.partition(b"%d" % _IDS)

    def request(self) -> tuple[bytes, int]:
        """Return the next request and its number; nothing once time is up."""
        enough = self._order.calls and self._number - _IDS >= self._order.calls
        if enough or time.perf_counter() >= self._until:
            return b"", 0
        self._number += 1
        return b"%b%d%b" % (self._before, self._number, self._after), self._number

    def took(self, seconds: float, status: int, body: bytes, number: int) -> None:
        """Note an answer; the first wrong one ends everything."""
        self.seconds.append(seconds)
        try:
            self._checker.check(status, body, number)
        except (Wrong, ValueError, KeyError, TypeError, IndexError) as error:
            self._fail(error)

    def lost(self, error: Exception | None) -> None:
        """Note a connection's end."""
        self._closed += 1
        if error is not None or time.perf_counter() < self._until - 0.05:
            enough = self._order.calls and self._number - _IDS >= self._order.calls
            if not enough:
                self._fail(error or Wrong("the connection was closed early"))
        if self._closed == self._order.connections and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    async def run(self) -> dict[str, float]:
        """Send until time is up."""
        loop = asyncio.get_running_loop()
        for _ in range(self._order.connections):
            await loop.create_connection(lambda: Client(self), self._order.host, self._order.port)
        await self._done
        ordered = sorted(self.seconds)
        return {
            "answers": len(ordered),
            "seconds": time.perf_counter() - self._started,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[len(ordered) * 99 // 100],
        }


async def main() -> None:
    order = Order(**json.load(sys.stdin))
    try:
        print(json.dumps(await Load(order).run()))
    except (Wrong, OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"wrong answer: {error}")


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
