"""Server-sent events: how a message looks on an event stream, and how such a stream begins."""

from __future__ import annotations

from aiohttp import web

from crossdock.protocol.replay import Stream
from crossdock.web import app_keys
from crossdock.web.guards import cross_origin

EVENTS = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"
RETRY_MS = 1_000
_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

# Some readers take these for line ends. In JSON they can only stand within a string.
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def event(message: bytes, id: str = "") -> bytes:
    """Return a message as an event."""
    for plain, escaped in _LINE_ENDS:
        if plain in message:
            message = message.replace(plain, escaped)
    head = f"id: {id}\n".encode() if id else b""
    return b"%bevent: message\ndata: %b\n\n" % (head, message)


def priming(id: str) -> bytes:
    """Return the empty event with which a stream begins that can be left and resumed."""
    return f"id: {id}\nretry: {RETRY_MS}\ndata: \n\n".encode()


def headers(request: web.Request) -> dict[str, str]:
    """Return the headers of an event stream."""
    return {
        **_HEADERS,
        "X-Request-Id": request[app_keys.request_id],
        **cross_origin(request),
    }


def begin(request: web.Request) -> web.StreamResponse:
    """Return an event stream, not yet prepared."""
    response = web.StreamResponse(headers=headers(request))
    response.content_type = EVENTS
    return response


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
        response = begin(self._request)
        await response.prepare(self._request)
        stream.take(self)
        keepalive = self._request.app[app_keys.keepalive]
        keepalive.watch(self)
        try:
            if primed:
                await response.write(priming(stream.event_id(position)))
            while stream.holder is self:
                if waiting := stream.after(position):
                    for number, message in waiting:
                        id = stream.event_id(number) if self._numbered else ""
                        await response.write(event(message, id))
                        position = number
                    self._since = None
                elif stream.ended:
                    break
                elif self._due:
                    self._due, self._since = False, None
                    await response.write(KEEP_ALIVE)
                else:
                    await stream.more()
            await response.write_eof()
        except ConnectionError:
            pass  # the client has gone; what it missed waits for it where that is possible
        finally:
            keepalive.leave(self)
        return response
