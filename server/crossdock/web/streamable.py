"""Streamable HTTP: POST /mcp/{token}, one URL for every revision."""

from __future__ import annotations

import asyncio

from aiohttp import web

from crossdock.errors import ProtocolError, Refused
from crossdock.model import Grant
from crossdock.protocol.dispatch import Inbound, Reply
from crossdock.protocol.jsonrpc import Unreadable, read_message
from crossdock.protocol.versions import Headers
from crossdock.web import keys
from crossdock.web.replies import JSON, refusal

_BODY_SECONDS = 30.0
_ID_BYTES = 65_536  # beyond this a refused body is not read for its id


async def post(request: web.Request) -> web.StreamResponse:
    """Serve one MCP message."""
    try:
        grant = admit(request)
    except Refused as refused:
        return refusal(refused, await _id_of(request))
    if request.content_type != JSON or "Content-Encoding" in request.headers:
        raise Refused(415, "Send the message as Content-Type: application/json, unencoded.")
    as_events = _wants_events(request)
    inbound = Inbound(
        body=await _body(request),
        headers=_headers(request),
        request_id=request[keys.request_id],
    )
    reply = await request.app[keys.dispatcher].handle(grant, inbound)
    return _response(reply, as_events)


async def options(request: web.Request) -> web.StreamResponse:
    """Answer a CORS preflight of an allowed page."""
    asked = request.headers.get("Access-Control-Request-Headers", "")
    known = {name.lower() for name in _ALLOWED}
    extra = [
        name.strip()
        for name in asked.split(",")
        if name.strip().lower().startswith("mcp-param-") and name.strip().lower() not in known
    ]
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "POST, GET, DELETE",
            "Access-Control-Allow-Headers": ", ".join([*_ALLOWED, *extra]),
            "Access-Control-Max-Age": "600",
        },
    )


_ALLOWED = (
    "Content-Type",
    "Accept",
    "Authorization",
    "MCP-Protocol-Version",
    "Mcp-Session-Id",
    "Mcp-Method",
    "Mcp-Name",
    "Last-Event-ID",
    "X-Api-Token",
)


def admit(request: web.Request) -> Grant:
    """Return what the request may do, from the token in its path or its header."""
    bearer = _bearer(request)
    second = request.headers.get("X-Api-Token")
    token = request.match_info.get("token")
    if token is None:
        token = bearer
    elif second is None:
        second = bearer
    return request.app[keys.gate].admit(token, second)


def _bearer(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


async def _id_of(request: web.Request) -> bytes | None:
    """Read a refused message's id, so that the client can show the refusal to its user."""
    if request.content_length is None or request.content_length > _ID_BYTES:
        return None
    try:
        return read_message(await _body(request)).id
    except Unreadable as error:
        return error.id
    except (ProtocolError, Refused):
        return None


async def _body(request: web.Request) -> bytes:
    if request.content.is_eof():  # it came in one piece with its head, as small bodies do
        return await request.read()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refused(408, "The body did not arrive in time.") from None


def _headers(request: web.Request) -> Headers:
    headers = request.headers
    return Headers(
        version=tuple(headers.getall("MCP-Protocol-Version", ())),
        method=tuple(headers.getall("Mcp-Method", ())),
        name=tuple(headers.getall("Mcp-Name", ())),
    )


def _wants_events(request: web.Request) -> bool:
    """Whether the client accepts an event stream only. Raises Refused (406)."""
    accept = request.headers.get("Accept")
    if not accept or accept == "application/json, text/event-stream":
        return False
    ranges = [part.partition(";") for part in accept.lower().split(",")]
    wanted = {kind.strip() for kind, _, rest in ranges if "q=0" not in rest.replace(" ", "").split(";")}
    if wanted & {"application/json", "application/*", "*/*"}:
        return False
    if wanted & {"text/event-stream", "text/*"}:
        return True
    raise Refused(406, "Accept application/json or text/event-stream.")


def _response(reply: Reply, as_events: bool) -> web.Response:
    if reply.payload is None:
        return web.Response(status=reply.status)
    headers = dict(reply.headers)
    if as_events and reply.status == 200:
        headers |= {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        body = b"event: message\ndata: %b\n\n" % reply.payload
        return web.Response(body=body, headers=headers, content_type="text/event-stream")
    return web.Response(
        body=reply.payload, status=reply.status, headers=headers, content_type=JSON
    )
