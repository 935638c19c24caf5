"""Connections of clients, and what each may take: time for a request's head and for an answer's
bytes, and a place among a number of them. Nothing of this costs a call anything: connections are
looked at once a second.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import web

from crossdock.config import LimitSettings
from crossdock.log import logger
from crossdock.web import app_keys
from crossdock.web.front import Front
from crossdock.web.guards import QuietHandler

_EVERY = 1.0
_GLANCE = 0.02  # between two looks at whether the last connection is gone
_AT_ONCE = 20  # one in so many makes room when there are too many connections
log = logger(__name__)


class Bounds:
    """Looks after the connections of one server."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._open: dict[BoundedHandler, asyncio.Transport] = {}
        self._unread: dict[BoundedHandler, int] = {}
        self.bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, handler: BoundedHandler, transport: asyncio.Transport) -> None:
        """Look after a connection; the longest idle ones go when there are too many."""
        if len(self._open) >= self._limits.connections:
            self._make_room()
        self._open[handler] = transport
        if self._timer is None:
            self._later()

    def remove(self, handler: BoundedHandler) -> None:
        """Forget a connection."""
        self._open.pop(handler, None)
        self.taken(handler)

    def unread(self, handler: BoundedHandler, size: int) -> None:
        """A client does not take what was written; those that wait longest go when it is much."""
        self._unread[handler] = size
        self.bytes += size
        while self.bytes > self._limits.answers_bytes_in_all and len(self._unread) > 1:
            self._abort(next(iter(self._unread)), "too much waits for clients that do not read")

    def taken(self, handler: BoundedHandler) -> None:
        """A client has taken what was written."""
        self.bytes -= self._unread.pop(handler, 0)

    async def deserted(self, seconds: float, *, idle: float | None = None) -> None:
        """Wait so long at most, until no connection is open.

        One that has been `idle` for so many seconds does not count: a proxy that would have used
        it again has done so.
        """
        now = asyncio.get_running_loop().time
        ends = now() + seconds
        while now() < ends and not all(  # noqa: ASYNC110 - to be idle for a while is no event
            idle is not None and one.idle and now() - one.idle_since >= idle for one in self._open
        ):
            await asyncio.sleep(_GLANCE)

    def stop(self) -> None:
        """Look no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self) -> None:
        every = min(_EVERY, self._limits.header_seconds, self._limits.answer_write_seconds)
        self._timer = asyncio.get_running_loop().call_later(every, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for handler, transport in [*self._open.items()]:
            if 0 < handler.head_since <= now - self._limits.header_seconds:
                self._abort(handler, "its request's head did not come in time")
            elif transport.is_closing() and not handler.stuck_since:
                handler.stuck_since = now  # what it has not read yet keeps it open
            elif 0 < handler.stuck_since <= now - self._limits.answer_write_seconds:
                self._abort(handler, "it did not take its answer in time")
        if self._open:
            self._later()

    def _abort(self, handler: BoundedHandler, why: str) -> None:
        transport = self._open.pop(handler)
        self.taken(handler)
        log.info("connection.ended", why=why)
        transport.abort()

    def _make_room(self) -> None:
        idle = sorted((one for one in self._open if one.idle), key=lambda one: one.idle_since)
        for handler in idle[: len(self._open) // _AT_ONCE + 1]:
            self._abort(handler, "there are too many connections")


class BoundedHandler(QuietHandler):
    """A connection that `Bounds` looks after."""

    __slots__ = ("_bounds", "head_since", "stuck_since")

    def __init__(self, manager: web.Server, bounds: Bounds, **given: Any) -> None:
        super().__init__(manager, **given)
        self._bounds = bounds
        self.head_since = 0.0
        self.stuck_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being served, nor has come."""
        return not self._request_in_progress and not self._messages

    @property
    def idle_since(self) -> float:
        """When it began to wait for a request, by the loop's clock."""
        return self._next_keepalive_close_time - self._keepalive_timeout

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.head_since = self._loop.time()
        self._bounds.add(self, cast(asyncio.Transport, transport))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Be looked after no longer."""
        self._bounds.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a request's head has come when there is a message."""
        if self.head_since == 0.0 and self.idle:
            self.head_since = self._loop.time()
        super().data_received(data)
        if self.head_since and not self.idle:
            self.head_since = 0.0

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        super().pause_writing()
        self.stuck_since = self._loop.time()
        if self.transport is not None:
            self._bounds.unread(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken nearly all."""
        super().resume_writing()
        self.stuck_since = 0.0
        self._bounds.taken(self)

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: Any
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            for done in request.get(app_keys.afterwards, ()):
                done()


class _BoundedServer(web.Server):
    bounds: Bounds

    def __call__(self) -> BoundedHandler:
        return BoundedHandler(self, self.bounds, loop=self._loop, **self._kwargs)


class BoundedRunner(web.AppRunner):
    """A runner whose connections are bounded. aiohttp has no public place to say so."""

    def __init__(self, app: web.Application, limits: LimitSettings, **given: Any) -> None:
        super().__init__(app, **given)
        self.bounds = Bounds(limits)

    async def _make_server(self) -> Any:
        server = await super()._make_server()
        server.__class__ = _BoundedServer
        cast(_BoundedServer, server).bounds = self.bounds
        server.request_handler = Front(self.app, server.request_handler)
        return server

    async def cleanup(self) -> None:
        """Stop to listen, and close everything."""
        await super().cleanup()
        self.bounds.stop()
