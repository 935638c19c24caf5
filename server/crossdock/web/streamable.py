"""Streamable HTTP: POST /mcp/{token}, one URL for every revision."""

from __future__ import annotations

import asyncio
from functools import partial

from aiohttp import web

from crossdock.errors import ProtocolError, Refused
from crossdock.protocol.jsonrpc import Unreadable, read_message
from crossdock.protocol.messages import Inbound
from crossdock.protocol.versions import Headers
from crossdock.web import app_keys
from crossdock.web.accept import accepted
from crossdock.web.auth import admit
from crossdock.web.channel import Channel
from crossdock.web.replies import JSON, refusal
from crossdock.web.sse import Drain

_BODY_SECONDS = 30.0
_ID_BYTES = 65_536  # beyond this a refused body is not read for its id


async def post(request: web.Request) -> web.StreamResponse:
    """Serve one MCP message."""
    try:
        grant = admit(request)
    except Refused as refused:
        return refusal(refused, await id_of(request))
    refuse_encoded(request)
    accepts = accepted(request.headers.get("Accept"))
    inbound = Inbound(
        body=await body_of(request),
        headers=headers_of(request),
        request_id=request[app_keys.request_id],
        admit=partial(admit, request),
    )
    app = request.app
    dispatcher, pulse = app[app_keys.dispatcher], app[app_keys.pulse]
    channel = Channel(request, accepts)
    pulse.watch(channel)
    try:
        reply = await dispatcher.handle(grant, inbound, channel)
        if reply.subscription is None:
            return await channel.finish(reply)
    finally:
        pulse.leave(channel)
        channel.close()
    try:
        return await Drain(request, reply.subscription.stream, numbered=False).run()
    finally:
        dispatcher.listeners.remove(reply.subscription.listener)


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


def refuse_encoded(request: web.Request) -> None:
    """Raise Refused (415) unless the body is plain JSON."""
    if request.content_type != JSON or "Content-Encoding" in request.headers:
        raise Refused(415, "Send the message as Content-Type: application/json, unencoded.")


async def id_of(request: web.Request) -> bytes | None:
    """Read a refused message's id, so that the client can show the refusal to its user."""
    if request.content_length is None or request.content_length > _ID_BYTES:
        return None
    try:
        return read_message(await body_of(request)).id
    except Unreadable as error:
        return error.id
    except (ProtocolError, Refused):
        return None


async def body_of(request: web.Request) -> bytes:
    """Read the body. Raises Refused (408) when it does not come."""
    if request.content.is_eof():  # it came in one piece with its head, as small bodies do
        return await request.read()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Refused(408, "The body did not arrive in time.") from None


def headers_of(request: web.Request) -> Headers:
    """Return the headers that the protocol reads."""
    headers = request.headers
    return Headers(
        version=tuple(headers.getall("MCP-Protocol-Version", ())),
        method=tuple(headers.getall("Mcp-Method", ())),
        name=tuple(headers.getall("Mcp-Name", ())),
        session=headers.get("Mcp-Session-Id"),
        values=lambda name: headers.getall(name, ()),
    )
