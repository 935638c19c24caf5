"""What passes through the protocol layer: a request on its way in, a reply on its way out."""

from __future__ import annotations

from crossdock.errors import CrossdockError, ProtocolError, Refused
from crossdock.log import logger
from crossdock.model import Grant, Struct
from crossdock.protocol.caller import Line
from crossdock.protocol.jsonrpc import INTERNAL_ERROR, Message, Unreadable, error_bytes
from crossdock.protocol.replay import Stream
from crossdock.protocol.sessions import Session
from crossdock.protocol.subscriptions import Admit, Listener
from crossdock.protocol.versions import Headers, Revision

log = logger(__name__)


class Inbound(Struct, frozen=True, kw_only=True):
    """One POST: its body, the headers that matter, and the id under which it is logged.

    `admit` judges the request's token again, for streams that outlive the judgement."""

    body: bytes
    headers: Headers
    request_id: str
    admit: Admit


class Subscription(Struct, frozen=True, kw_only=True):
    """A stream to be drained to the client, and its place among the listeners."""

    stream: Stream
    listener: Listener


class Reply(Struct, frozen=True, kw_only=True):
    """What goes back. No payload: the message was accepted and needs no answer (202).

    `silent` stands for a request that was cancelled: nobody expects its answer."""

    payload: bytes | None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    subscription: Subscription | None = None
    silent: bool = False


class Incoming(Struct, frozen=True, kw_only=True):
    """A message with everything that its handler may need."""

    grant: Grant
    message: Message
    revision: Revision
    session: Session | None
    headers: Headers
    line: Line
    request_id: str
    admit: Admit


ACCEPTED = Reply(payload=None, status=202)
CANCELLED = Reply(payload=None, silent=True)


def failed(error: Exception, message: Message | None, request_id: str) -> Reply:
    """Return the reply to a message that could not be served; the one place that judges errors."""
    id = message.id if message is not None else None
    if isinstance(error, ProtocolError):
        if message is None and isinstance(error, Unreadable):
            id = error.id
        payload = error_bytes(id, error.code, str(error), error.data)
        return Reply(payload=payload, status=error.status)
    if isinstance(error, Refused):
        payload = error_bytes(id, error.status * 100 + 1, str(error))
        return Reply(payload=payload, status=error.status)
    if not isinstance(error, CrossdockError):
        log.error("request.failed", request_id=request_id, exc_info=error)
    return internal_error(id, request_id)


def internal_error(id: bytes | None, request_id: str) -> Reply:
    """Return the reply for what should not have happened: an id to look up, no detail."""
    return Reply(payload=error_bytes(id, INTERNAL_ERROR, f"Internal error (request {request_id})"))
