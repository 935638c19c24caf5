"""The far side of a bridge, scripted: an HTTP server that answers as a test tells it to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web

TOKEN = "cdm_thisTokenMustNeverBePrinted0123456789abcdefgh"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Received(NamedTuple):
    """One request, as it came."""

    verb: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)


class FarSide:
    """Answers with `self.answer`, and keeps what it received."""

    def __init__(self) -> None:
        self.answer: Answer = self.nothing
        self.received: list[Received] = []
        self.url = ""

    async def nothing(self, request: web.Request) -> web.StreamResponse:
        """Answer like a host that has nothing at this path."""
        return web.Response(status=404, text="nothing here")

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.received.append(Received(request.method, request.headers.copy(), body))
        return await self.answer(request)

    def methods(self) -> list[str]:
        """Return what was received, a word each: the message's method, or the HTTP verb."""
        return [
            one.message.get("method", "response") if one.body else one.verb for one in self.received
        ]

    def last(self, method: str) -> Received:
        """Return the latest request that carried this method."""
        return next(
            one
            for one in reversed(self.received)
            if one.body and one.message.get("method") == method
        )


@asynccontextmanager
async def listening() -> AsyncIterator[FarSide]:
    """Listen on a free port of this machine."""
    side = FarSide()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", side.take)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    side.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp/{TOKEN}"
    try:
        yield side
    finally:
        await runner.cleanup()


def result(id: Any, result: Any, **headers: str) -> web.Response:
    """Answer with a result, as JSON."""
    return web.json_response({"jsonrpc": "2.0", "id": id, "result": result}, headers=headers)


async def stream(request: web.Request, **headers: str) -> web.StreamResponse:
    """Begin an event stream."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
    await response.prepare(request)
    return response


def event(message: Any, **fields: str) -> bytes:
    """Return a message as one event."""
    lines = [f"{name}: {value}" for name, value in fields.items()]
    return "\n".join([*lines, f"data: {json.dumps(message)}", "", ""]).encode()
