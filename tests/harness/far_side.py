"""The far side of a bridge: the scripted provider, asked for MCP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from harness.provider import Provider, Received, raw

TOKEN = "cdm_thisTokenMustNeverBePrinted0123456789abcdefgh"


class FarSide(Provider):
    """Has nothing at any path until it is told what to play."""

    def __init__(self) -> None:
        super().__init__()
        self.plays(raw(b"nothing here", 404, kind="text/plain"))

    def methods(self) -> list[str]:
        """Return what was received, a word each: the message's method, or the HTTP verb."""
        return [
            one.json.get("method", "response") if one.body else one.method for one in self.requests
        ]

    def last(self, method: str) -> Received:
        """Return the latest request that carried this method."""
        return next(
            one for one in reversed(self.requests) if one.body and one.json.get("method") == method
        )


@asynccontextmanager
async def listening() -> AsyncIterator[FarSide]:
    """Listen on a free port of this machine."""
    side = FarSide()
    runner = await side.start(f"/mcp/{TOKEN}")
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
