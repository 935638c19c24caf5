"""What passes through the protocol layer: one request in, one reply out, and what errors reply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from crossdock.errors import (
    CannotAsk,
    CrossdockError,
    InputRequired,
    ProtocolError,
    Refused,
    ToolFailure,
    UnknownTool,
    UpstreamFailure,
)
from crossdock.log import logger
from crossdock.model import Grant, Struct
from crossdock.protocol import render
from crossdock.protocol.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    Message,
    error_bytes,
    refusal_bytes,
    result_bytes,
)
from crossdock.protocol.sessions import Session
from crossdock.protocol.subscriptions import Listener
from crossdock.protocol.versions import ASSUMED, Headers, Revision

log = logger(__name__)


class Channel(Protocol):
    """The way back to the client while the answer is not finished."""

    @property
    def streams(self) -> bool:
        """Whether messages can be sent before the answer."""

    def begin(self, session: str, server: str, priming: bool) -> None:
        """A call begins, and may take long. What is sent is kept for this session of the server, if
        there is one, should the connection break."""

    async def send(self, message: bytes) -> None:
        """Send a message now."""

    async def release(self) -> None:
        """End the connection, if the client can come back for what follows."""


class Request(msgspec.Struct, kw_only=True):
    """A client's message with everything that its handler may need; the transport makes it.

    `id` is the one under which it is logged. `admit` judges the request's token again, for streams
    that outlive the judgement. Where its transport knows of no `session`, the dispatcher finds
    that and the `revision` from message and headers, and fills them in. The transport
    calls what is in `afterwards` once the answer was written, or could not be.
    """

    grant: Grant
    message: Message
    headers: Headers
    channel: Channel
    id: str
    admit: Callable[[], Grant]
    session: Session | None = None
    revision: Revision = ASSUMED
    afterwards: list[Callable[[], None]] = msgspec.field(default_factory=list)


class Reply(Struct, frozen=True, kw_only=True):
    """What goes back. No payload: the message was accepted and needs no answer (202).

    `listener` has a stream to be carried to the client in place of an answer. `silent` stands for a
    request that was cancelled: nobody expects its answer."""

    payload: bytes | None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    listener: Listener | None = None
    silent: bool = False


ACCEPTED = Reply(payload=None, status=202)
CANCELLED = Reply(payload=None, silent=True)


def succeeded(request: Request, result: bytes, headers: render.Pairs = ()) -> Reply:
    """Return the reply that carries a result."""
    return Reply(payload=result_bytes(request.message.id or b"null", result), headers=headers)


def failed(error: Exception, request: Request) -> Reply:
    """Return the reply to a request that could not be served; the one place that judges errors."""
    if isinstance(error, InputRequired):
        return succeeded(request, render.input_required(error.questions, error.state))
    if isinstance(error, ToolFailure) and not (
        isinstance(error, CannotAsk) and request.revision.modern
    ):
        return _failed_call(error, request)
    error = _as_protocol(error)
    id = request.message.id
    if isinstance(error, ProtocolError):
        payload = error_bytes(id, error.code, str(error), error.data)
        return Reply(payload=payload, status=error.status)
    if isinstance(error, Refused):
        again = error.retry_after
        waits = () if again is None else (("Retry-After", str(again)),)
        return Reply(payload=refusal_bytes(error, id), status=error.status, headers=waits)
    if not isinstance(error, CrossdockError):
        log.error("request.failed", request_id=request.id, exc_info=error)
    return Reply(payload=error_bytes(id, INTERNAL_ERROR, f"Internal error (request {request.id})"))


def _as_protocol(error: Exception) -> Exception:
    """Give the errors of tools that are errors of the message their code."""
    if isinstance(error, UnknownTool):
        return ProtocolError(INVALID_PARAMS, str(error)[:300])
    if isinstance(error, CannotAsk):
        data = {"requiredCapabilities": error.required}
        return ProtocolError(MISSING_CAPABILITY, str(error), status=400, data=data)
    return error


def _failed_call(failure: ToolFailure, request: Request) -> Reply:
    headers: render.Pairs = ()
    if isinstance(failure, UpstreamFailure):
        headers = render.rate_headers(failure.rate, failure.kind == "rate_limited")
    return succeeded(request, render.failure(failure, request.id, request.revision), headers)
