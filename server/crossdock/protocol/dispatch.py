"""Method → handler, for every revision; batches, notifications and answers to our questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from crossdock.bus import Bus
from crossdock.errors import ProtocolError, Refused
from crossdock.model import Grant, Tools
from crossdock.protocol import render
from crossdock.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Message,
    Unreadable,
    key_of,
    notification_bytes,
    result_bytes,
    text_of,
)
from crossdock.protocol.messages import ACCEPTED, CANCELLED, Reply, Request, failed, succeeded
from crossdock.protocol.peer import ClientPeer
from crossdock.protocol.questions import Questions
from crossdock.protocol.replay import Stream, Streams
from crossdock.protocol.sessions import ENDED, Sessions
from crossdock.protocol.subscriptions import CHANGED_METHOD, Listener, Listeners
from crossdock.protocol.versions import REVISIONS, VERSION_KEY, classify, level_of, negotiate

_CANCELLED = "call cancelled"
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

Handler = Callable[[Request], Awaitable[Reply]]


class Dispatcher:
    """Serves MCP messages of every revision for a grant."""

    def __init__(
        self,
        tools: Tools,
        sessions: Sessions,
        questions: Questions,
        streams: Streams,
        listeners: Listeners,
        *,
        bus: Bus,
    ) -> None:
        self._tools = tools
        self._sessions = sessions
        self._questions = questions
        self._streams = streams
        self._listeners = listeners
        self._bus = bus
        self._running: dict[tuple[str, str | int | None], asyncio.Task[Any]] = {}
        self._cancelled: set[asyncio.Task[Any]] = set()
        both: dict[str, Handler] = {"tools/list": self._list, "tools/call": self._call}
        self._modern: dict[str, Handler] = {
            **both,
            "server/discover": self._discover,
            "subscriptions/listen": self._listen,
        }
        self._legacy: dict[str, Handler] = {
            **both,
            "initialize": self._initialize,
            "ping": self._ping,
            "logging/setLevel": self._set_level,
        }
        bus.hears(ENDED, lambda body: self.leave(body.decode()))
        bus.hears(_CANCELLED, self._hear_cancelled)

    # --- messages ----------------------------------------------------------------------------

    async def answer(self, request: Request) -> Reply:
        """Answer one message, whatever happens."""
        try:
            if request.session is None:
                self._recognise(request)
            if not request.message.is_request:
                await self._hear(request)
                return ACCEPTED
            handlers = self._modern if request.revision.modern else self._legacy
            handler = handlers.get(request.message.method)
            if handler is None:
                raise ProtocolError(
                    METHOD_NOT_FOUND,
                    f"Method not found: {request.message.method[:100]}",
                    status=404 if request.revision.modern else 200,
                )
            return await handler(request)
        except Exception as error:
            return failed(error, request)

    def _recognise(self, request: Request) -> None:
        """Find the revision and the session; an answer to a question of ours has both."""
        message, id = request.message, request.headers.session
        if message.method:
            request.revision = classify(message, request.headers)
            if id is None or request.revision.modern or message.method == "initialize":
                return
        elif id is None:
            raise Unreadable(
                INVALID_REQUEST, "A response is only due to a request of ours", message.id
            )
        request.session = self._sessions.open(id, request.grant.server_id)
        request.revision = request.session.revision

    async def answer_batch(self, requests: Sequence[Request]) -> Reply:
        """Answer all messages of a body in one array: 2025-03-26 alone has that. Raises Refused."""
        self._check_batch(requests)
        replies = await asyncio.gather(*(self.answer(request) for request in requests))
        answers = [reply.payload for reply in replies if reply.payload is not None]
        return Reply(payload=b"[%b]" % b",".join(answers)) if answers else ACCEPTED

    def _check_batch(self, requests: Sequence[Request]) -> None:
        headers = requests[0].headers
        if headers.session is not None:
            session = self._sessions.open(headers.session, requests[0].grant.server_id)
            allowed = session.revision.batches
        else:
            named = [REVISIONS.get(version) for version in headers.version]
            allowed = all(one is not None and one.batches for one in named)
        if not allowed:
            raise Unreadable(INVALID_REQUEST, "Batches belong to the revision 2025-03-26 alone")
        for message in (request.message for request in requests):
            if message.method == "initialize" or VERSION_KEY in message.meta:
                raise Unreadable(INVALID_REQUEST, "This message must not be in a batch")
            if not message.method and headers.session is None:
                raise Unreadable(INVALID_REQUEST, "A response is only due to a request of ours")

    # --- what needs no answer ----------------------------------------------------------------

    async def _hear(self, request: Request) -> None:
        """Take in a notification, or the answer to a question of ours."""
        message, session = request.message, request.session
        if session is None or request.revision.modern:
            return
        if not message.method:
            await self._questions.settle(session.nonce, message)
        elif message.method == "notifications/cancelled":
            requested = message.params.get("requestId")
            if requested is not None and not self._cancel(session.nonce, requested):
                body = msgspec.msgpack.encode((session.nonce, bytes(requested)))
                await self._bus.tell(_CANCELLED, body)

    def _cancel(self, session: str, id: bytes | msgspec.Raw) -> bool:
        """Cancel a call; False where this process runs none of this id."""
        key = key_of(id)
        task = None if key is None else self._running.get((session, key))
        if task is None:
            return False
        self._cancelled.add(task)
        task.cancel()
        return True

    def _hear_cancelled(self, body: bytes) -> None:
        self._cancel(*msgspec.msgpack.decode(body, type=tuple[str, bytes]))

    def leave(self, session: str) -> None:
        """A session is over: nobody answers there, and nobody listens."""
        self._questions.leave(session)
        self._listeners.end_session(session)
        self._streams.forget(session)

    # --- handlers ----------------------------------------------------------------------------

    async def _initialize(self, request: Request) -> Reply:
        message = request.message
        revision = negotiate(message.params)
        session = self._sessions.begin(
            request.grant.server_id, revision, message.params.get("capabilities")
        )
        result = render.initialize(revision, _instructions(request.grant))
        return succeeded(request, result, (("Mcp-Session-Id", self._sessions.id_of(session)),))

    async def _discover(self, request: Request) -> Reply:
        result = render.discover(request.revision, _instructions(request.grant))
        return succeeded(request, result)

    async def _ping(self, request: Request) -> Reply:
        return succeeded(request, b"{}")

    async def _set_level(self, request: Request) -> Reply:
        raw = request.message.params.get("level")
        level = level_of(None if raw is None else text_of(raw))
        if request.session is not None:
            await self._sessions.set_level(request.session, level)
        return succeeded(request, b"{}")

    async def _list(self, request: Request) -> Reply:
        if "cursor" in request.message.params:
            raise ProtocolError(INVALID_PARAMS, "cursor: all tools are on the first page")
        listing = self._tools.list(request.grant)
        return succeeded(request, render.tool_list(listing, request.revision))

    async def _listen(self, request: Request) -> Reply:
        message = request.message
        try:
            wanted = msgspec.json.decode(
                message.params.get("notifications", b"null"), type=dict[str, Any]
            )
        except msgspec.DecodeError:
            raise ProtocolError(
                INVALID_PARAMS, "params.notifications must be an object", status=400
            ) from None
        asked = wanted.get("toolsListChanged", False)
        if not isinstance(asked, bool):
            raise ProtocolError(
                INVALID_PARAMS, "notifications.toolsListChanged must be true or false", status=400
            )
        if not request.channel.streams:
            raise Refused(406, "subscriptions/listen answers with text/event-stream; accept it.")
        honoured = {"toolsListChanged": True} if asked else {}
        id: Any = message.id
        meta = b'"_meta":{"%b":%b}' % (_SUBSCRIPTION.encode(), id)
        listener = Listener(
            request.admit,
            Stream(),
            change=notification_bytes(CHANGED_METHOD, b"{%b}" % meta) if honoured else None,
            farewell=result_bytes(id, b'{"resultType":"complete",%b}' % meta),
        )
        self._listeners.add(listener)
        told = b'{"notifications":%b,%b}' % (msgspec.json.encode(honoured), meta)
        listener.push(notification_bytes("notifications/subscriptions/acknowledged", told))
        return Reply(payload=None, listener=listener)

    async def _call(self, request: Request) -> Reply:
        session = request.session
        if session is None:
            request.channel.begin("", "", priming=False)
            return await self._called(request)
        request.channel.begin(session.nonce, session.server_id, request.revision.priming)
        # Only a session tells one client's request ids from another's.
        key = (session.nonce, key_of(request.message.id or b"null"))
        task = asyncio.current_task()
        assert task is not None
        self._running[key] = task
        try:
            return await self._called(request)
        except asyncio.CancelledError:
            if task not in self._cancelled:
                raise
            task.uncancel()
            return CANCELLED
        finally:
            self._cancelled.discard(task)
            if self._running.get(key) is task:
                del self._running[key]

    async def _called(self, request: Request) -> Reply:
        grant, revision = request.grant, request.revision
        name, arguments = _call_params(request.message)
        peer = ClientPeer(request, self._questions, self._sessions)
        if revision.modern and "requestState" in request.message.params:
            peer.resume()
        outcome = await self._tools.call(grant, name, arguments, peer)
        payload = render.answer(outcome, grant.scope.result_format, revision)
        return succeeded(request, payload, render.rate_headers(outcome.rate, limited=False))


def _call_params(message: Message) -> tuple[str, msgspec.Raw | None]:
    raw_name = message.params.get("name")
    name = None if raw_name is None else text_of(raw_name)
    if not name:
        raise ProtocolError(INVALID_PARAMS, "params.name must be the name of a tool")
    arguments = message.params.get("arguments")
    if arguments is None or bytes(arguments) == b"null":
        return name, None
    if bytes(arguments)[:1] != b"{":
        raise ProtocolError(INVALID_PARAMS, "params.arguments must be an object")
    return name, arguments


def _instructions(grant: Grant) -> str:
    return (
        f"Tools of the MCP server {grant.name!r}. Lists are paged: pass next_cursor back "
        "unchanged. Errors say whether a retry makes sense; on rate_limited wait "
        "retry_after_seconds."
    )
