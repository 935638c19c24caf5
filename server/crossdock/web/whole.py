"""An answer that goes out in one piece.

Nearly every answer has the same few headers, so to a request of the usual shape (see `front.py`) it
is written as bytes; to any other aiohttp writes it, headers and all.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from aiohttp import web

from crossdock.protocol.messages import Reply
from crossdock.web import app_keys, sse
from crossdock.web.accept import Accepts
from crossdock.web.replies import JSON

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_SHORT = 16_384  # up to here a copy costs less than a second buffer
_VALUE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")


def whole(reply: Reply, accepts: Accepts, request: web.Request) -> web.StreamResponse:
    """Return the response that carries all of a reply."""
    if reply.silent:
        return web.Response(
            body=b": cancelled\n\n", headers=sse.headers(request), content_type=sse.EVENTS
        )
    if reply.payload is None:
        return web.Response(status=reply.status)
    if not accepts.json and reply.status == 200:
        return web.Response(
            body=sse.event(reply.payload),
            headers={**dict(reply.headers), **sse.headers(request)},
            content_type=sse.EVENTS,
        )
    stays = app_keys.usual in request and not request.app[app_keys.draining]()
    if stays and all(_VALUE.fullmatch(value) for _, value in reply.headers):
        return WrittenReply(reply.payload, reply.status, reply.headers)
    return web.Response(
        body=reply.payload, status=reply.status, headers=dict(reply.headers), content_type=JSON
    )


class WrittenReply(web.StreamResponse):
    """JSON to a request of the usual shape: over HTTP/1.1, on a connection that stays open."""

    def __init__(self, payload: bytes, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        super().__init__(status=status)
        self._payload = payload
        self._more = headers

    @property
    def prepared(self) -> bool:
        """Whether its headers are settled: always."""
        return True

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open: always."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it. Raises ConnectionError when the client has gone."""
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        more = "".join([f"{name}: {value}\r\n" for name, value in self._more])
        head = (
            f"HTTP/1.1 {self.status} {self.reason}\r\nContent-Type: {JSON}\r\n"
            f"Content-Length: {len(self._payload)}\r\n{more}"
            f"X-Request-Id: {request[app_keys.request_id]}\r\nServer: crossdock\r\n"
            f"Cache-Control: no-store\r\nDate: {_date()}\r\n\r\n"
        )
        if len(self._payload) < _SHORT:
            transport.write(head.encode("ascii") + self._payload)
        else:
            transport.writelines((head.encode("ascii"), self._payload))
        writer = request.writer
        await writer.drain()
        return writer

    async def write_eof(self, data: Any = b"") -> None:
        """Do nothing: all was written."""


_told = (0, "")


def _date() -> str:
    """Return the Date header, formatted once a second."""
    global _told  # noqa: PLW0603 - a clock
    now = int(time.time())
    if now != _told[0]:
        _told = (now, formatdate(now, usegmt=True))
    return _told[1]
