"""Shows who writes an adapter what a call sent: to nobody else, in the answer's `_meta`.

Asked for by a header, and granted on this machine or to an owner. It is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web

from crossdock.errors import Refused
from crossdock.model import SentRequest, watcher
from crossdock.protocol.messages import Reply
from crossdock.web import app_keys
from crossdock.web.admission import bearer

SHOW_REQUEST = "X-Crossdock-Show-Request"
SENT_KEY = "crossdock/requests"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
_REFUSED = (
    "What a call sends is shown on this machine only, or to an owner: send an owner's API token as "
    "X-Api-Token (`crossdock call … --header 'X-Api-Token: ${TOKEN}'`)."
)


@contextmanager
def watched(request: web.Request) -> Iterator[list[SentRequest]]:
    """Watch what this request's calls send. Raises Refused for who may not see it."""
    if not _is_here(request) and not _is_owner(request):
        raise Refused(403, _REFUSED)
    sent: list[SentRequest] = []
    before = watcher.set(sent)
    try:
        yield sent
    finally:
        watcher.reset(before)  # the connection's next request is another's


def told(reply: Reply, sent: list[SentRequest]) -> Reply:
    """Return a reply whose result says what was sent; an answer's body is no part of it."""
    if reply.payload is None:
        return reply
    message = msgspec.json.decode(reply.payload, type=dict[str, msgspec.Raw] | list[msgspec.Raw])
    if isinstance(message, list) or "result" not in message:
        return reply
    result: dict[str, Any] = msgspec.json.decode(message["result"], type=dict[str, msgspec.Raw])
    meta = msgspec.json.decode(result.get("_meta", b"{}"), type=dict[str, msgspec.Raw])
    shown = [msgspec.structs.asdict(one) for one in sent]
    for one in shown:
        del one["reply"]
    whole = {**message, "result": {**result, "_meta": {**meta, SENT_KEY: shown}}}
    return msgspec.structs.replace(reply, payload=msgspec.json.encode(whole))


def _is_here(request: web.Request) -> bool:
    """Whether it comes from this machine, and not through a proxy on it."""
    origins = request.app[app_keys.origins]
    client = origins.client(request)
    through = any(name in request.headers for name in _FORWARDED)
    return client is not None and client.is_loopback and not through and not origins.is_public


def _is_owner(request: web.Request) -> bool:
    gate = request.app[app_keys.gate]
    for token in (request.headers.get("X-Api-Token"), bearer(request)):
        caller = gate.caller(token)
        if caller is not None and caller.role == "owner":
            return True
    return False
