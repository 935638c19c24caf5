"""The transport of 2024-11-05: one event stream for all answers, and a path to post messages to.

The stream is the session: it ends what runs when it ends, and nothing of it can be resumed. Its id
names its process; a message that is posted to another one is passed on, and acknowledged there.
Revisions up to 2025-11-25 are spoken over it, since clients negotiate them here, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from crossdock.bus import Absent, Answer, elsewhere, new_id
from crossdock.errors import ProtocolError, Refused
from crossdock.model import Grant, Struct
from crossdock.protocol.dispatch import Dispatcher
from crossdock.protocol.jsonrpc import (
    METHOD_NOT_FOUND,
    error_bytes,
    read_message,
    text_of,
)
from crossdock.protocol.messages import Request
from crossdock.protocol.replay import Stream
from crossdock.protocol.sessions import Session
from crossdock.protocol.subscriptions import Listener
from crossdock.protocol.versions import OLDEST, REVISIONS, VERSION_KEY, Headers, negotiate
from crossdock.web import app_keys
from crossdock.web.accept import streams_only
from crossdock.web.admission import admit
from crossdock.web.body import body_of
from crossdock.web.sse import GONE, EventStream

streams_key: web.AppKey[dict[str, LegacyStream]] = web.AppKey("legacy_streams")
POSTED = "message posted"
_CLOSED = "This stream is closed or not of this server. Open a new one."
_MOST_BYTES = 32 * 1024 * 1024  # of answers that a client does not read


class Posted(Struct, frozen=True, kw_only=True):
    """A message for a stream, with what the process that got it knows of who posted it."""

    stream: str
    grant: Grant
    body: bytes
    request_id: str


class LegacyStream:
    """One open stream: its session, its messages and the calls that run for it."""

    def __init__(self, session: Session, admit: Callable[[], Grant]) -> None:
        self.session = session
        self.admit = admit
        self.messages = Stream(session.nonce)
        self.listener = Listener(admit, self.messages, session=session.nonce)
        self.running: set[asyncio.Task[None]] = set()
        self._owed: dict[int, list[Callable[[], None]]] = {}
        self._retired = False

    # As the protocol's `Channel`:

    streams = True

    def begin(self, session: str, server: str, priming: bool) -> None:
        """The stream is open already, and nothing of it can be resumed."""

    async def send(self, message: bytes) -> None:
        """Send a message; a client that reads nothing loses its stream."""
        self._push(message)

    def answer(self, message: bytes, afterwards: list[Callable[[], None]]) -> None:
        """Send an answer; `afterwards` is called when it was written, or never can be."""
        number = self._push(message)
        self._owed[number] = afterwards
        if self.messages.ended:
            self.sent(number)

    def _push(self, message: bytes) -> int:
        number = self.messages.push(message)
        if self.messages.clogged or self.messages.size > _MOST_BYTES:
            self.messages.end()
        return number

    def sent(self, number: int) -> None:
        """A message was written, or never will be."""
        self.messages.sent(number)
        for done in self._owed.pop(number, ()):
            done()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something whose answer goes over this stream."""
        task = asyncio.create_task(work)
        self.running.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if self._retired and not self.running:
            self.messages.end()

    def retire(self) -> None:
        """End as soon as nothing runs any more."""
        self._retired = True
        if not self.running:
            self.messages.end()

    def close(self) -> None:
        """Nothing is written any more."""
        self.messages.end()
        for task in self.running:
            task.cancel()
        for number in [*self._owed]:
            self.sent(number)

    async def release(self) -> None:
        """There is no coming back here."""

    def tick(self, now: float) -> None:
        """The response sends its own comments; the tick is for who may listen at all."""


def retire(app: web.Application) -> None:
    """Let every stream end once its calls have been answered."""
    for stream in app[streams_key].values():
        app[app_keys.listeners].remove(stream.listener)
        stream.retire()


async def get(request: web.Request) -> web.StreamResponse:
    """Open the stream and keep it open."""
    grant = admit(request)
    streams_only(request.headers.get("Accept"))
    app = request.app
    opened, listeners = app[streams_key], app[app_keys.listeners]
    keepalive = app[app_keys.keepalive]
    id = new_id(app[app_keys.bus])
    session = app[app_keys.sessions].begin(grant.server_id, OLDEST, None, id)
    stream = LegacyStream(session, partial(admit, request))
    listeners.add(stream.listener)
    opened[id] = stream
    keepalive.watch(stream)
    response = EventStream(request, heartbeat=keepalive.quiet, lasts=True)
    try:
        with contextlib.suppress(*GONE):  # the client has gone
            await response.prepare(request)
            await response.named("endpoint", _endpoint(request, id))
            await _carry(stream, response)
            await response.farewell()
    finally:
        response.stop()
        keepalive.leave(stream)
        del opened[id]
        listeners.remove(stream.listener)
        app[app_keys.dispatcher].leave(id)
        stream.close()
    return response


async def _carry(stream: LegacyStream, response: EventStream) -> None:
    messages = stream.messages
    while not messages.ended:
        for number, message in messages.after(0):
            await response.message(message)
            stream.sent(number)
        if not messages.ended and not messages.after(0):
            await messages.more()


def _endpoint(request: web.Request, id: str) -> str:
    """Return where to post: a path, since clients refuse another origin."""
    prefix = urlsplit(request.app[app_keys.settings].server.public_url).path.rstrip("/")
    token = request.match_info.get("token")
    return f"{prefix}/mcp{'' if token is None else '/' + token}/messages?session_id={id}"


async def post(request: web.Request) -> web.StreamResponse:
    """Take a message in; its answer goes over the stream."""
    grant = admit(request)
    id = request.query.get("session_id") or request.query.get("sessionId")
    if not id:
        raise Refused(400, "session_id is missing: post to the path that the stream named.")
    process = elsewhere(request.app[app_keys.bus], id)
    if process is None:
        _stream(request.app, id, grant)  # a body for nobody need not come
    body = await body_of(request)
    posted = Posted(stream=id, grant=grant, body=body, request_id=request[app_keys.request_id])
    if process is None:
        await _take(request.app, posted)
    else:
        await _pass_on(request.app, process, posted)
    return web.Response(status=202)


async def _pass_on(app: web.Application, process: str, posted: Posted) -> None:
    """Have the stream's own process take a message. Raises Refused: 503 where it is unreachable."""
    read_message(posted.body)  # what is no message need not travel
    try:
        await app[app_keys.bus].ask(process, POSTED, msgspec.msgpack.encode(posted))
    except Absent:
        raise Refused(404, _CLOSED) from None


def taker(app: web.Application) -> Answer:
    """Return what takes messages that other processes pass on."""

    async def take(body: bytes) -> bytes:
        await _take(app, msgspec.msgpack.decode(body, type=Posted))
        return b""

    return take


def _stream(app: web.Application, id: str, grant: Grant) -> LegacyStream:
    stream = app[streams_key].get(id)
    if stream is None or stream.session.server_id != grant.server_id:
        raise Refused(404, _CLOSED)
    return stream


async def _take(app: web.Application, posted: Posted) -> None:
    dispatcher, grant = app[app_keys.dispatcher], posted.grant
    stream, message = _stream(app, posted.stream, grant), read_message(posted.body)
    claim = message.meta.get(VERSION_KEY)
    named = None if claim is None else REVISIONS.get(text_of(claim) or "")
    if message.is_request and claim is not None and (named is None or named.modern):
        # The newest revision has no such transport; this answer makes its clients initialize.
        words = f"Method not found: {message.method[:100]}"
        await stream.send(error_bytes(message.id, METHOD_NOT_FOUND, words))
        return
    if message.method == "initialize":
        with contextlib.suppress(ProtocolError):  # the answer to the message says what is wrong
            stream.session = app[app_keys.sessions].begin(
                grant.server_id,
                negotiate(message.params),
                message.params.get("capabilities"),
                stream.session.nonce,
            )
    received = Request(
        grant=grant,
        message=message,
        headers=Headers(),  # the stream is the session, and says which revision it speaks
        channel=stream,
        id=posted.request_id,
        admit=stream.admit,
        session=stream.session,
        revision=stream.session.revision,
    )
    if not message.is_request:
        await dispatcher.answer(received)
        return
    if len(stream.running) >= app[app_keys.settings].limits.calls_per_server:
        raise Refused(429, "Too many calls are running on this stream. Wait for an answer.")
    # The answer goes another way than this request, and clients wait for its 202.
    stream.start(_answer(dispatcher, received, stream))


async def _answer(dispatcher: Dispatcher, received: Request, stream: LegacyStream) -> None:
    try:
        reply = await dispatcher.answer(received)
        if reply.payload is not None:
            stream.answer(reply.payload, [*received.afterwards])
            received.afterwards.clear()
    finally:
        for done in received.afterwards:
            done()
