"""Method → handler, for every revision; batches, notifications and answers to our questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from crossdock.errors import (
    CannotAsk,
    InputRequired,
    ProtocolError,
    Refused,
    ToolFailure,
    UnknownTool,
    UpstreamFailure,
)
from crossdock.model import Grant, Tools
from crossdock.protocol import render
from crossdock.protocol.caller import Asked, Exchange, Line
from crossdock.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    Message,
    Unreadable,
    error_bytes,
    key_of,
    notification_bytes,
    read_batch,
    read_message,
    result_bytes,
    text_of,
)
from crossdock.protocol.messages import (
    ACCEPTED,
    CANCELLED,
    Inbound,
    Incoming,
    Reply,
    Subscription,
    failed,
)
from crossdock.protocol.replay import Stream, Streams
from crossdock.protocol.request_state import States, bound_to
from crossdock.protocol.sessions import Session, Sessions
from crossdock.protocol.subscriptions import CHANGED_METHOD, Listener, Listeners
from crossdock.protocol.versions import (
    REVISIONS,
    VERSION_KEY,
    Headers,
    classify,
    level_of,
    negotiate,
)

_MOST_IN_BATCH = 50
_SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"

Handler = Callable[[Incoming], Awaitable[Reply]]


class Dispatcher:
    """Serves MCP messages of every revision for a grant."""

    def __init__(
        self,
        tools: Tools,
        sessions: Sessions,
        states: States,
        streams: Streams,
        listeners: Listeners,
        patience: float,
    ) -> None:
        self.sessions = sessions
        self.streams = streams
        self.listeners = listeners
        self.asked = Asked()
        self._tools = tools
        self._states = states
        self._patience = patience
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

    # --- messages ----------------------------------------------------------------------------

    async def handle(self, grant: Grant, inbound: Inbound, line: Line) -> Reply:
        """Answer one POST."""
        if inbound.body[:1] == b"[" or inbound.body.lstrip()[:1] == b"[":
            return await self._batch(grant, inbound, line)
        message: Message | None = None
        try:
            message = read_message(inbound.body)
            incoming = self._classified(grant, inbound, line, message)
        except Exception as error:
            return failed(error, message, inbound.request_id)
        return await self.serve(incoming)

    def _classified(self, grant: Grant, inbound: Inbound, line: Line, message: Message) -> Incoming:
        headers = inbound.headers
        session: Session | None = None
        if not message.method:
            if headers.session is None:
                raise Unreadable(
                    INVALID_REQUEST, "A response is only due to a request of ours", message.id
                )
            session = self.sessions.open(headers.session, grant.server_id)
            revision = session.revision
        else:
            revision = classify(message, headers)
            older = not revision.modern and message.method != "initialize"
            if headers.session is not None and older:
                session = self.sessions.open(headers.session, grant.server_id)
                revision = session.revision
        return Incoming(
            grant=grant,
            message=message,
            revision=revision,
            session=session,
            headers=headers,
            line=line,
            request_id=inbound.request_id,
            admit=inbound.admit,
        )

    async def serve(self, incoming: Incoming) -> Reply:
        """Answer one message whose revision and session are known."""
        message, revision = incoming.message, incoming.revision
        try:
            if not message.is_request:
                self._hear(incoming)
                return ACCEPTED
            handlers = self._modern if revision.modern else self._legacy
            handler = handlers.get(message.method)
            if handler is None:
                raise ProtocolError(
                    METHOD_NOT_FOUND,
                    f"Method not found: {message.method[:100]}",
                    status=404 if revision.modern else 200,
                )
            return await handler(incoming)
        except Exception as error:
            return failed(error, message, incoming.request_id)

    async def _batch(self, grant: Grant, inbound: Inbound, line: Line) -> Reply:
        """2025-03-26 alone has batches; all answers go into one array."""
        try:
            parts = read_batch(inbound.body)
            session = self._batching(grant, inbound.headers)
            if len(parts) > _MOST_IN_BATCH:
                raise Unreadable(
                    INVALID_REQUEST, f"A batch may hold at most {_MOST_IN_BATCH} messages"
                )
            messages = [read_message(part) for part in parts]
            for message in messages:
                if message.method == "initialize" or VERSION_KEY in message.meta:
                    raise Unreadable(INVALID_REQUEST, "This message must not be in a batch")
                if not message.method and session is None:
                    raise Unreadable(INVALID_REQUEST, "A response is only due to a request of ours")
        except Unreadable as error:
            return Reply(payload=error_bytes(None, error.code, str(error)), status=400)
        except Exception as error:
            return failed(error, None, inbound.request_id)
        batch = [
            Incoming(
                grant=grant,
                message=message,
                revision=REVISIONS["2025-03-26"],
                session=session,
                headers=inbound.headers,
                line=line,
                request_id=inbound.request_id,
                admit=inbound.admit,
            )
            for message in messages
        ]
        replies = await asyncio.gather(*(self.serve(one) for one in batch))
        answers = [reply.payload for reply in replies if reply.payload is not None]
        return Reply(payload=b"[%b]" % b",".join(answers)) if answers else ACCEPTED

    def _batching(self, grant: Grant, headers: Headers) -> Session | None:
        session = None
        if headers.session is not None:
            session = self.sessions.open(headers.session, grant.server_id)
            allowed = session.revision.batches
        else:
            named = [REVISIONS.get(version) for version in headers.version]
            allowed = all(one is not None and one.batches for one in named)
        if not allowed:
            raise Unreadable(INVALID_REQUEST, "Batches belong to the revision 2025-03-26 alone")
        return session

    # --- what needs no answer ----------------------------------------------------------------

    def _hear(self, incoming: Incoming) -> None:
        """Take in a notification, or the answer to a question of ours."""
        message, session = incoming.message, incoming.session
        if session is None or incoming.revision.modern:
            return
        if not message.method:
            self.asked.settle(session.nonce, message)
        elif message.method == "notifications/cancelled":
            requested = message.params.get("requestId")
            key = None if requested is None else key_of(requested)
            task = self._running.get((session.nonce, key))
            if task is not None and key is not None:
                self._cancelled.add(task)
                task.cancel()

    def leave(self, session: Session) -> None:
        """A session is over: nobody answers there, and nobody listens."""
        self.asked.leave(session.nonce)
        self.listeners.end_session(session.nonce)
        self.streams.forget(session.nonce)

    # --- handlers ----------------------------------------------------------------------------

    async def _initialize(self, incoming: Incoming) -> Reply:
        message = incoming.message
        revision = negotiate(message.params)
        session = self.sessions.begin(
            incoming.grant.server_id, revision, message.params.get("capabilities")
        )
        result = render.initialize(revision, _instructions(incoming.grant))
        return _result(message, result, (("Mcp-Session-Id", self.sessions.id_of(session)),))

    async def _discover(self, incoming: Incoming) -> Reply:
        result = render.discover(incoming.revision, _instructions(incoming.grant))
        return _result(incoming.message, result)

    async def _ping(self, incoming: Incoming) -> Reply:
        return _result(incoming.message, b"{}")

    async def _set_level(self, incoming: Incoming) -> Reply:
        raw = incoming.message.params.get("level")
        level = level_of(None if raw is None else text_of(raw))
        if incoming.session is not None:
            self.sessions.set_level(incoming.session, level)
        return _result(incoming.message, b"{}")

    async def _list(self, incoming: Incoming) -> Reply:
        if "cursor" in incoming.message.params:
            raise ProtocolError(INVALID_PARAMS, "cursor: all tools are on the first page")
        listing = self._tools.list(incoming.grant)
        return _result(incoming.message, render.tool_list(listing, incoming.revision))

    async def _listen(self, incoming: Incoming) -> Reply:
        message = incoming.message
        try:
            wanted = msgspec.json.decode(
                message.params.get("notifications", b"null"), type=dict[str, Any]
            )
        except msgspec.DecodeError:
            raise ProtocolError(
                INVALID_PARAMS, "params.notifications must be an object", status=400
            ) from None
        if not incoming.line.streams:
            raise Refused(406, "subscriptions/listen answers with text/event-stream; accept it.")
        honoured = {"toolsListChanged": True} if wanted.get("toolsListChanged") is True else {}
        id: Any = message.id
        meta = b'"_meta":{"%b":%b}' % (_SUBSCRIPTION.encode(), id)
        stream = Stream()
        listener = Listener(
            incoming.admit,
            stream.push,
            stream.end,
            change=notification_bytes(CHANGED_METHOD, b"{%b}" % meta) if honoured else None,
            farewell=result_bytes(id, b'{"resultType":"complete",%b}' % meta),
        )
        self.listeners.add(listener)
        told = b'{"notifications":%b,%b}' % (msgspec.json.encode(honoured), meta)
        stream.push(notification_bytes("notifications/subscriptions/acknowledged", told))
        return Reply(payload=None, subscription=Subscription(stream=stream, listener=listener))

    async def _call(self, incoming: Incoming) -> Reply:
        session = incoming.session
        if session is None:
            return await self._called(incoming)
        # Only a session tells one client's request ids from another's.
        key = (session.nonce, key_of(incoming.message.id or b"null"))
        task = asyncio.current_task()
        assert task is not None
        self._running[key] = task
        incoming.line.resume_as(session.nonce, incoming.revision.priming)
        try:
            return await self._called(incoming)
        except asyncio.CancelledError:
            if task not in self._cancelled:
                raise
            task.uncancel()
            return CANCELLED
        finally:
            self._cancelled.discard(task)
            if self._running.get(key) is task:
                del self._running[key]

    async def _called(self, incoming: Incoming) -> Reply:
        grant, message, revision = incoming.grant, incoming.message, incoming.revision
        name, arguments = _call_params(message)
        session = incoming.session
        exchange = Exchange(
            incoming.request_id,
            message,
            revision,
            incoming.headers,
            incoming.line,
            session,
            None if session is None else self.sessions.level(session),
            self.asked,
            self._states,
            self._patience,
        )
        headers: render.Pairs = ()
        try:
            if revision.modern and "requestState" in message.params:
                exchange.resume(bound_to(grant.server_id, name, arguments))
            outcome = await self._tools.call(grant, name, arguments, exchange)
            payload = render.answer(outcome, grant.scope.result_format, revision)
            headers = render.rate_headers(outcome.rate, limited=False)
        except UnknownTool as error:
            raise ProtocolError(INVALID_PARAMS, str(error)[:300]) from None
        except InputRequired as required:
            state = exchange.state_of(required, bound_to(grant.server_id, name, arguments))
            payload = render.input_required(required.questions, state)
        except CannotAsk as failure:
            if revision.modern:
                raise _missing_capability(failure) from None
            payload = render.failure(failure, incoming.request_id, revision)
        except ToolFailure as failure:
            if isinstance(failure, UpstreamFailure):
                headers = render.rate_headers(failure.rate, failure.kind == "rate_limited")
            payload = render.failure(failure, incoming.request_id, revision)
        return _result(message, payload, headers)


def _missing_capability(failure: CannotAsk) -> ProtocolError:
    return ProtocolError(
        MISSING_CAPABILITY,
        str(failure),
        status=400,
        data={"requiredCapabilities": failure.required},
    )


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


def _result(message: Message, result: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    id: Any = message.id
    return Reply(payload=result_bytes(id, result), headers=headers)


def _instructions(grant: Grant) -> str:
    return (
        f"Tools of the MCP server {grant.name!r}. Lists are paged: pass next_cursor back "
        "unchanged. Errors say whether a retry makes sense; on rate_limited wait "
        "retry_after_seconds."
    )
