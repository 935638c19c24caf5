"""One connection to a provider: a request, its whole answer, and then perhaps the next.

A connection that is not certainly clean is never used again: one whose request was cancelled or
too slow, one that was not asked and speaks, one whose provider has closed its half.
"""

from __future__ import annotations

import asyncio
import re
import select
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from crossdock.calls.http_reader import Answer, AnswerReader, Read
from crossdock.errors import UpstreamFailure

_KEPT_FOR = re.compile(r"timeout\s*=\s*(\d{1,6})")


class HttpConnection(asyncio.Protocol):
    """Sends requests one at a time. Somebody has to `look` at it regularly, for its deadlines.

    `quiet_seconds` is how long a provider may say nothing while it is waited for, `idle_seconds`
    how long the connection is kept between two requests. `lost` is done when it is gone.
    """

    def __init__(self, reader: AnswerReader, quiet_seconds: float, idle_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = reader
        self._quiet_seconds = quiet_seconds
        self._idle_seconds = idle_seconds
        self._transport: asyncio.Transport
        self._readable: Callable[[], Any]
        self._answered: asyncio.Future[Answer] | None = None
        self._clean = True
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._ends = 0.0
        self._idle_until = 0.0
        self._heard_at = 0.0
        self._heard = False
        self._unsent = 0

    async def exchange(
        self, head: bytes, body: bytes | None, ends: float, read: Read | None, *, bodiless: bool
    ) -> Answer:
        """Send once and return the answer. `ends` is a moment of the loop's clock.

        Raises UpstreamFailure. Who is cancelled meanwhile takes the connection along.
        """
        self._reader.expect(read, bodiless=bodiless)
        answered: asyncio.Future[Answer] = self._loop.create_future()
        self._answered = answered
        self._ends = ends
        self._heard = True
        if body:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)
        try:
            return await answered
        finally:
            if self._answered is answered:  # cancelled: its answer must not become another's
                self._answered = None
                self.abort()

    def usable(self, now: float) -> bool:
        """Whether another request may be sent."""
        return self._clean and now < self._idle_until and not self._transport.is_closing()

    @property
    def silent(self) -> bool:
        """Whether nothing has come that the event loop has not told of yet: neither a goodbye, into
        which a request would be sent, nor bytes that would be taken for its answer."""
        return not self._readable()

    def look(self, now: float) -> None:
        """Give up on a provider that takes too long."""
        if self._answered is None:
            return
        unsent = self._transport.get_write_buffer_size()
        if self._heard or unsent < self._unsent:  # whoever still takes the request is not silent
            self._heard = False
            self._heard_at = now
        self._unsent = unsent
        if now >= self._ends or now - self._heard_at >= self._quiet_seconds:
            self._fail(
                UpstreamFailure(
                    "upstream_timeout", "The provider did not answer in time.", retryable=True
                )
            )

    def abort(self) -> None:
        """Drop the connection at once."""
        self._clean = False
        self._transport.abort()

    # --- what the event loop tells -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The provider is reached."""
        self._transport = transport  # type: ignore[assignment]
        self._readable = _asking(transport.get_extra_info("socket"))
        self._idle_until = self._loop.time() + self._idle_seconds

    def data_received(self, data: bytes) -> None:
        """Read on; what nobody asked for ends the connection."""
        if self._answered is None:
            self.abort()
            return
        self._heard = True
        try:
            if self._reader.feed(data):
                self._finish()
        except Exception as failure:
            self._fail(failure)

    def eof_received(self) -> None:
        """The provider closed its half, and nothing more comes."""
        self._over(clean=True)
        self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """There is no connection any more."""
        self._over(clean=error is None)
        self._clean = False
        if not self.lost.done():
            self.lost.set_result(None)

    # --- ends --------------------------------------------------------------------------------

    def _over(self, *, clean: bool) -> None:
        if self._answered is None:
            return
        try:
            self._reader.end(clean=clean)
            self._finish()
        except UpstreamFailure as failure:
            self._fail(failure)

    def _finish(self) -> None:
        answer = self._reader.taken()
        # A provider that answers before it has taken all of the request may not take the rest.
        if not self._reader.reusable or self._transport.get_write_buffer_size():
            self._clean = False
            self._transport.abort()
        self._idle_until = self._loop.time() + self._kept(answer)
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def _fail(self, failure: Exception) -> None:
        self.abort()
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():  # else who waited was just cancelled
            answered.set_exception(failure)
            answered.exception()  # nobody has to take it: who waits may be cancelled this moment

    def _kept(self, answer: Answer) -> float:
        """For how long the connection is kept: shorter than the provider says it does."""
        stated = answer.headers.get("keep-alive")
        found = stated and _KEPT_FOR.search(stated)
        return min(self._idle_seconds, int(found[1]) - 1) if found else self._idle_seconds


def _asking(sock: socket.socket) -> Callable[[], Any]:
    """Return what tells whether something can be read from a socket."""
    if sys.platform == "win32":
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()  # unlike select it takes any number of a file
    poll.register(sock.fileno(), select.POLLIN)
    return partial(poll.poll, 0)
