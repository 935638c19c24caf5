"""Method → handler; the one place where exceptions become replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from crossdock.errors import (
    CrossdockError,
    ProtocolError,
    Refused,
    ToolFailure,
    UnknownTool,
    UpstreamFailure,
)
from crossdock.log import logger
from crossdock.model import Grant, Struct, Tools
from crossdock.protocol import render
from crossdock.protocol.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Message,
    Unreadable,
    error_bytes,
    read_message,
    result_bytes,
    text_of,
)
from crossdock.protocol.versions import Headers, Revision, classify, negotiate

log = logger(__name__)


class Inbound(Struct, frozen=True, kw_only=True):
    """One POST: its body, the headers that matter, and the id under which it is logged."""

    body: bytes
    headers: Headers
    request_id: str


class Reply(Struct, frozen=True, kw_only=True):
    """What goes back. No payload: the message was accepted and needs no answer (202)."""

    payload: bytes | None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


ACCEPTED = Reply(payload=None, status=202)
Handler = Callable[[Grant, Message, Revision, str], Awaitable[Reply]]


class Dispatcher:
    """Serves MCP messages of every revision for a grant."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        both: dict[str, Handler] = {"tools/list": self._list, "tools/call": self._call}
        self._modern: dict[str, Handler] = {**both, "server/discover": self._discover}
        self._legacy: dict[str, Handler] = {
            **both,
            "initialize": self._initialize,
            "ping": self._ping,
        }

    async def handle(self, grant: Grant, inbound: Inbound) -> Reply:
        """Answer one message."""
        message: Message | None = None
        try:
            message = read_message(inbound.body)
            if not message.method:
                raise Unreadable(-32600, "A response is only due to a request of ours", message.id)
            revision = classify(message, inbound.headers)
            if not message.is_request:
                return ACCEPTED
            handlers = self._modern if revision.modern else self._legacy
            handler = handlers.get(message.method)
            if handler is None:
                raise ProtocolError(
                    METHOD_NOT_FOUND,
                    f"Method not found: {message.method[:100]}",
                    status=404 if revision.modern else 200,
                )
            return await handler(grant, message, revision, inbound.request_id)
        except ProtocolError as error:
            known = error.id if isinstance(error, Unreadable) else None
            id = message.id if message is not None else known
            return Reply(payload=error_bytes(id, error.code, str(error), error.data), status=error.status)
        except Refused as refused:
            id = message.id if message is not None else None
            payload = error_bytes(id, refused.status * 100 + 1, str(refused))
            return Reply(payload=payload, status=refused.status)
        except Exception as error:
            if not isinstance(error, CrossdockError):
                log.error("request.failed", request_id=inbound.request_id, exc_info=error)
            id = message.id if message is not None else None
            return internal_error(id, inbound.request_id)

    async def _initialize(
        self, grant: Grant, message: Message, revision: Revision, request_id: str
    ) -> Reply:
        requested = message.params.get("protocolVersion")
        revision = negotiate(None if requested is None else text_of(requested))
        return _result(message, render.initialize(revision, _instructions(grant)))

    async def _discover(
        self, grant: Grant, message: Message, revision: Revision, request_id: str
    ) -> Reply:
        return _result(message, render.discover(revision, _instructions(grant)))

    async def _ping(
        self, grant: Grant, message: Message, revision: Revision, request_id: str
    ) -> Reply:
        return _result(message, b"{}")

    async def _list(
        self, grant: Grant, message: Message, revision: Revision, request_id: str
    ) -> Reply:
        if "cursor" in message.params:
            raise ProtocolError(INVALID_PARAMS, "cursor: all tools are on the first page")
        return _result(message, render.tool_list(self._tools.list(grant), revision))

    async def _call(
        self, grant: Grant, message: Message, revision: Revision, request_id: str
    ) -> Reply:
        name, arguments = _call_params(message)
        try:
            answer = await self._tools.call(grant, name, arguments, request_id)
        except UnknownTool as error:
            raise ProtocolError(INVALID_PARAMS, str(error)[:300]) from None
        except ToolFailure as failure:
            headers: render.Pairs = ()
            if isinstance(failure, UpstreamFailure):
                limited = failure.kind == "rate_limited"
                headers = render.rate_headers(failure.rate, limited)
            payload = render.failure(failure, request_id, revision)
            return _result(message, payload, headers)
        payload = render.answer(answer, grant.scope.result_format, revision)
        return _result(message, payload, render.rate_headers(answer.rate, limited=False))


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


def _result(
    message: Message, result: bytes, headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    id: Any = message.id
    return Reply(payload=result_bytes(id, result), headers=headers)


def _instructions(grant: Grant) -> str:
    return (
        f"Tools of the MCP server {grant.name!r}. Lists are paged: pass next_cursor back unchanged. "
        "Errors say whether a retry makes sense; on rate_limited wait retry_after_seconds."
    )


def internal_error(id: bytes | None, request_id: str) -> Reply:
    """Return the reply for what should not have happened: an id to look up, no detail."""
    return Reply(
        payload=error_bytes(id, INTERNAL_ERROR, f"Internal error (request {request_id})")
    )
