"""The way back of one POST: JSON in the end, or an event stream as soon as something must stream.

It stays JSON, with exact status and real headers, until there is a message before the answer or a
quarter of a minute of silence. A stream of a session can be resumed: its messages are numbered and
kept for a while, and the call goes on when the connection breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from crossdock.protocol.messages import Reply
from crossdock.protocol.replay import Stream
from crossdock.web import app_keys
from crossdock.web.accept import accepted
from crossdock.web.sse import GONE, EventStream
from crossdock.web.whole import whole


class PostChannel:
    """Implements the protocol's `Channel` for a POST."""

    __slots__ = (
        "__weakref__",
        "_accepts",
        "_begun",
        "_comment",
        "_gone",
        "_lock",
        "_over",
        "_priming",
        "_request",
        "_response",
        "_server",
        "_session",
        "_since",
        "_stream",
    )

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._accepts = accepted(request.headers.get("Accept"))
        self._response: EventStream | None = None
        self._lock: asyncio.Lock | None = None
        self._stream: Stream | None = None
        self._begun = False
        self._session = ""
        self._server = ""
        self._priming = False
        self._since: float | None = None
        self._comment: asyncio.Task[None] | None = None
        self._gone = False
        self._over = False

    @property
    def streams(self) -> bool:
        """Whether the client accepts an event stream."""
        return self._accepts.events

    def begin(self, session: str, server: str, priming: bool) -> None:
        """A call begins: keep the connection alive, and what is sent for this session."""
        self._begun, self._session, self._priming = True, session, priming
        self._server = server
        self._request.app[app_keys.keepalive].watch(self)

    # --- while the call runs -----------------------------------------------------------------

    async def send(self, message: bytes) -> None:
        """Send a message now."""
        async with self._alone():
            await self._open()
            await self._write(message)

    async def release(self) -> None:
        """End the connection, if the client can come back for what follows."""
        if not (self._session and self._priming and self._accepts.events):
            return
        async with self._alone():
            await self._open()
            if self._gone or self._response is None:
                return
            self._gone = True
            with contextlib.suppress(*GONE):
                await self._response.write_eof()
            if self._request.transport is not None:
                self._request.transport.close()

    def tick(self, now: float) -> None:
        """Say that the call is still running when nothing was said for a while."""
        if self._since is None:
            self._since = now
        elif (
            self._accepts.events
            and now - self._since >= self._request.app[app_keys.keepalive].quiet
        ):
            self._since = now
            self._comment = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        async with self._alone():
            await self._open()
            await self._put(EventStream.comment)

    def _alone(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def _open(self) -> None:
        if self._response is not None or self._over:
            return
        response = EventStream(self._request)
        if self._session:
            self._stream = self._request.app[app_keys.streams].begin(self._session, self._server)
            self._stream.take(self)
            self._request[app_keys.outlives] = True
            response.force_close()  # the next request must not wait behind a call that goes on
        self._response = response
        try:
            await response.prepare(self._request)
        except GONE:
            self._gone = True
        if self._stream is not None and self._priming:
            first = self._stream.event_id(0)
            await self._put(lambda response: response.prime(first))

    async def _write(self, message: bytes) -> None:
        id = ""
        if self._stream is not None:
            number = self._request.app[app_keys.streams].push(self._stream, message)
            id = self._stream.event_id(number)
        await self._put(lambda response: response.message(message, id))

    async def _put(self, what: Callable[[EventStream], Awaitable[None]]) -> None:
        elsewhere = self._stream is not None and self._stream.holder is not self
        if self._gone or self._over or elsewhere or self._response is None:
            return
        self._since = None
        try:
            await what(self._response)
        except GONE:
            self._gone = True

    # --- in the end --------------------------------------------------------------------------

    async def finish(self, reply: Reply) -> web.StreamResponse:
        """Send the answer and return the response."""
        if self._lock is None and self._response is None:
            return whole(reply, self._accepts, self._request)
        async with self._alone():
            response = self._response
            if response is None:
                return whole(reply, self._accepts, self._request)
            if reply.payload is not None:
                await self._write(reply.payload)
            self.close()
            if not self._gone:
                try:
                    await response.write_eof()
                except GONE:
                    self._gone = True
        return response

    def close(self) -> None:
        """Nothing follows: the answer was given, or nobody waits for it."""
        self._over = True
        if self._response is not None:
            self._response.stop()
        if self._begun:
            self._request.app[app_keys.keepalive].leave(self)
        if self._stream is not None:
            self._request.app[app_keys.streams].end(self._stream)
