"""Stands before a provider's routes: records what comes, and lets go wrong what is to go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from crossdock.testing.fault import OTHER_WRITER, Fault, Faults

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONTROL = "/_sandbox/"
_MOST = 10_000


class Recorder:
    """A middleware with a memory. `received` holds `{method, path_qs, headers, body}` each, with
    header names in lower case; control routes are left out. `base` is cut from faults' paths."""

    def __init__(self, base: str = "") -> None:
        self.received: deque[dict[str, Any]] = deque(maxlen=_MOST)
        self.faults = Faults(base)

    async def note(self, request: web.Request) -> None:
        """Remember a request, unless it is a control route's or another writer's."""
        if request.path.startswith(CONTROL) or OTHER_WRITER in request.headers:
            return
        body = await request.read()
        self.received.append(
            {
                "method": request.method,
                "path_qs": request.raw_path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body.decode(errors="replace"),
            }
        )

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record, and answer wrongly where a fault says so."""
        await self.note(request)
        if request.path.startswith(CONTROL):
            return await handler(request)
        return await self.faults.apply(request, handler)

    def forget(self) -> None:
        """Forget what was received."""
        self.received.clear()

    def routes(self) -> list[web.RouteDef]:
        """Return the control routes for what is recorded and what goes wrong."""
        return [
            web.get("/_sandbox/requests", self.show_requests),
            web.delete("/_sandbox/requests", self.forget_requests),
            web.get("/_sandbox/faults", self.show_faults),
            web.post("/_sandbox/faults", self.add_faults),
            web.delete("/_sandbox/faults", self.end_faults),
        ]

    async def show_requests(self, _: web.Request) -> web.Response:
        """Answer what was received."""
        return shown([*self.received])

    async def forget_requests(self, _: web.Request) -> web.Response:
        """Forget what was received."""
        self.forget()
        return web.Response(status=204)

    async def show_faults(self, _: web.Request) -> web.Response:
        """Answer the faults in force."""
        return shown(self.faults.all())

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add a fault, or a list of them; what is no fault is a 400 in words."""
        try:
            given = msgspec.json.decode(await request.read())
            added = msgspec.convert(given if isinstance(given, list) else [given], list[Fault])
        except msgspec.MsgspecError as error:
            return shown({"message": str(error)}, 400)
        for fault in added:
            self.faults.add(fault)
        return shown(self.faults.all())

    async def end_faults(self, _: web.Request) -> web.Response:
        """Let nothing go wrong any more."""
        self.faults.replace(())
        return web.Response(status=204)


def shown(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Answer a value as JSON."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        headers=headers,
        content_type="application/json",
    )
