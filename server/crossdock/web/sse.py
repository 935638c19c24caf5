"""Server-sent events: every event stream of the gateway, and how a message looks on one.

aiohttp-sse makes the streams: it writes the events, and lets a client go that takes nothing for
`answer_write_seconds`. What it cannot do stands here: answer a POST with `no-transform`, and keep
quiet. Its heartbeat is a task per stream that speaks whether there was silence or not; only the
oldest transport uses it, the others are kept alive by one timer for all (`keepalive.py`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from crossdock.protocol.replay import Stream
from crossdock.web import app_keys
from crossdock.web.guards import cross_origin

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

EVENTS = "text/event-stream"
GONE = (ConnectionError, TimeoutError)  # what writing to a client raises that has left, or hangs
_KEEP_ALIVE = b": keep-alive\n%b\n"
_RETRY_MS = 1_000
_SPREAD_MS = 2  # opening a stream takes half of it, so that who comes back all at once is served
_NEVER = 10 * 365 * 86_400.0
_CACHE_CONTROL = "no-cache, no-store, no-transform"

# Some readers take these for line ends. In JSON they can only stand within a string.
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


class EventStream(EventSourceResponse):
    """An event stream, not yet prepared. `heartbeat` is the library's, in seconds.

    What `lasts` may break without a farewell: it begins with when to come back then. Writing raises
    what is in `GONE`. It ends with `write_eof`, or with `stop`.
    """

    def __init__(
        self, request: web.Request, *, heartbeat: float = _NEVER, lasts: bool = False
    ) -> None:
        super().__init__(
            headers=headers(request),
            sep="\n",
            allow_all_methods=True,
            ping_interval=heartbeat,
            send_timeout=request.app[app_keys.settings].limits.answer_write_seconds,
        )
        self._app = request.app
        self._untold = lasts
        self.headers["Cache-Control"] = _CACHE_CONTROL  # the library has words of its own
        del self.headers["Connection"]  # aiohttp knows whether the connection is kept

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the head. Raises ConnectionError when the client has gone meanwhile."""
        if request.transport is None:
            raise ConnectionResetError("the client has gone")
        return await super().prepare(request)

    async def _ping(self) -> None:
        if self._ping_interval < _NEVER:  # else the task ends at once: thousands of streams sleep
            await super()._ping()

    async def message(self, message: bytes, id: str = "") -> None:
        """Send a message of the protocol."""
        await self.named("message", _escaped(message).decode(), id)

    async def named(self, name: str, data: str, id: str = "") -> None:
        """Send an event."""
        await self.send(data, id=id or None, event=name, retry=self._first())

    async def prime(self, id: str) -> None:
        """Send the empty event with which a stream begins that can be left and resumed."""
        self._untold = False
        await self.send("", id=id, retry=self._retry())

    async def farewell(self) -> None:
        """Say when to come back, if this process is about to end."""
        if self._app[app_keys.draining]():
            await self.write(b"retry: %d\n\n" % self._retry())

    def _first(self) -> int | None:
        """Return when to come back, if that is still to be said."""
        untold, self._untold = self._untold, False
        return self._retry() if untold else None

    def _retry(self) -> int:
        """Return after how many ms to come back: the more may come, the less at once."""
        spread = max(_RETRY_MS, _SPREAD_MS * len(self._app[app_keys.listeners]))
        return _RETRY_MS + random.randrange(spread)  # noqa: S311 - no secret

    async def comment(self) -> None:
        """Say that there is nothing to say."""
        first = self._first()
        await self.write(_KEEP_ALIVE % (b"" if first is None else b"retry: %d\n" % first))

    async def write_eof(self, data: bytes = b"") -> None:
        """End the stream."""
        self.stop()
        await super().write_eof(data)

    def stop(self) -> None:
        """End the heartbeat, if the stream has begun."""
        if self.is_connected():
            self.stop_streaming()


def event(message: bytes) -> bytes:
    """Return the whole body of a stream that has one message alone."""
    return b"event: message\ndata: %b\n\n" % _escaped(message)


def _escaped(message: bytes) -> bytes:
    for plain, escaped in _LINE_ENDS:
        if plain in message:
            message = message.replace(plain, escaped)
    return message


def headers(request: web.Request) -> dict[str, str]:
    """Return the headers of an event stream."""
    return {
        "Cache-Control": _CACHE_CONTROL,
        "X-Accel-Buffering": "no",
        "X-Request-Id": request[app_keys.request_id],
        **cross_origin(request),
    }


class StreamSender:
    """Carries a stream's messages to one connection, until it ends or another takes over."""

    def __init__(self, request: web.Request, stream: Stream, *, numbered: bool) -> None:
        self._request = request
        self._stream = stream
        self._numbered = numbered
        self._since: float | None = None
        self._due = False

    def tick(self, now: float) -> None:
        """Ask for a comment when nothing was said for a while."""
        if self._since is None:
            self._since = now
        elif now - self._since >= self._request.app[app_keys.keepalive].quiet:
            self._due = True
            self._stream.wake()

    async def run(self, position: int = 0, *, primed: bool = False) -> web.StreamResponse:
        """Send what comes after `position`, for as long as the client stays."""
        stream = self._stream
        response = EventStream(self._request, lasts=True)
        keepalive = self._request.app[app_keys.keepalive]
        try:
            await response.prepare(self._request)
            stream.take(self)
            keepalive.watch(self)
            if primed:
                await response.prime(stream.event_id(position))
            await self._carry(response, position)
            await response.farewell()
            await response.write_eof()
        except GONE:
            pass  # the client has gone; what it missed waits for it where that is possible
        finally:
            keepalive.leave(self)
            response.stop()
        return response

    async def _carry(self, response: EventStream, position: int) -> None:
        stream = self._stream
        while stream.holder is self:
            if waiting := stream.after(position):
                for number, message in waiting:
                    await response.message(message, stream.event_id(number) * self._numbered)
                    position = number
                self._since = None
            elif stream.ended:
                return
            elif self._due:
                self._due, self._since = False, None
                await response.comment()
            else:
                await stream.more()
