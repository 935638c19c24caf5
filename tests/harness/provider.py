"""A provider that does as it is told: a real aiohttp server which records and misbehaves."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CHUNK = b" " * 65536


@dataclass(frozen=True)
class Received:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path as it was encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query string as it was encoded."""
        return self.target.partition("?")[2]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Provider:
    """Plays `replies` in turn, and the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.written = 0
        self.url = ""
        self._replies: list[Reply] = [reply({"ok": True})]

    def plays(self, *replies: Reply) -> None:
        """Answer with these from now on, and forget what was received."""
        self.requests.clear()
        self._replies = list(replies)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record a request and play the next reply."""
        received = Received(request.method, request.raw_path, request.headers, await request.read())
        self.requests.append(received)
        chosen = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        return await chosen(request)

    async def start(self, path: str = "") -> web.AppRunner:
        """Listen on a free port; `url` leads to `path`. Whoever started it cleans the runner up."""
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
        return runner


# --- replies ---------------------------------------------------------------------------------


def reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """Answer JSON; `_` in a header's name stands for `-`."""
    return raw(json.dumps(value).encode(), status, **headers)


def raw(body: bytes, status: int = 200, *, kind: str = "application/json", **headers: str) -> Reply:
    """Answer these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def play(request: web.Request) -> web.Response:
        return web.Response(
            body=body, status=status, headers={"Content-Type": kind, **named} if kind else named
        )

    return play


def wire(data: bytes, *, abort: bool = False) -> Reply:
    """Write these bytes to the socket, whatever they are, and hang up."""

    async def play(request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        if data:
            transport.write(data)
        if abort:
            transport.abort()
        else:
            transport.close()
        return web.Response()

    return play


def drop() -> Reply:
    """Hang up without an answer."""
    return wire(b"", abort=True)


def silent(head: bytes = b"") -> Reply:
    """Take the request, write `head` and say nothing more."""

    async def play(request: web.Request) -> web.Response:
        if head:
            assert request.transport is not None
            request.transport.write(head)
        await asyncio.Event().wait()
        return web.Response()

    return play


def trickle(head: bytes) -> Reply:
    """Write `head`, then one byte after the other and never an end."""

    async def play(request: web.Request) -> web.Response:
        transport = request.transport
        assert transport is not None
        transport.write(head)
        while not transport.is_closing():
            transport.write(b"x")
            await asyncio.sleep(0.02)
        return web.Response()

    return play


def endless(provider: Provider) -> Reply:
    """Send chunks for as long as somebody reads; `provider.written` counts the bytes."""

    async def play(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            while True:
                await response.write(_CHUNK)
                provider.written += len(_CHUNK)
        except ConnectionError:
            pass  # the reader had enough, as it should
        return response

    return play


def bomb(size: int, encoding: str = "gzip") -> Reply:
    """Answer `size` bytes of blanks and a JSON array, packed as small as can be."""
    packer = zlib.compressobj(level=9, wbits=31 if encoding == "gzip" else 15)
    parts = [packer.compress(_CHUNK) for _ in range(max(1, size // len(_CHUNK)))]
    packed = b"".join([*parts, packer.compress(b"[]"), packer.flush()])
    return raw(packed, Content_Encoding=encoding)
