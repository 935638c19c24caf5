"""Streamable HTTP: POST /mcp/{token}, one URL for every revision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aiohttp import web

from crossdock.model import Grant
from crossdock.protocol.jsonrpc import is_batch, read_batch, read_message
from crossdock.protocol.messages import Reply, Request
from crossdock.protocol.versions import Headers
from crossdock.web import app_keys
from crossdock.web.admission import admit
from crossdock.web.body import body_of
from crossdock.web.channel import PostChannel
from crossdock.web.sse import StreamSender
from crossdock.web.watching import SHOW_REQUEST, told, watched


async def post(request: web.Request) -> web.StreamResponse:
    """Serve what one POST holds."""
    grant = admit(request)
    channel = PostChannel(request)
    try:
        body = await body_of(request)
        if SHOW_REQUEST in request.headers:
            with watched(request) as sent:
                reply = told(await _answer(request, grant, channel, body), sent)
        else:
            reply = await _answer(request, grant, channel, body)
        if reply.listener is None:
            return await channel.finish(reply)
    finally:
        channel.close()
    try:
        return await StreamSender(request, reply.listener.stream, numbered=False).run()
    finally:
        request.app[app_keys.listeners].remove(reply.listener)


async def _answer(request: web.Request, grant: Grant, channel: PostChannel, body: bytes) -> Reply:
    dispatcher = request.app[app_keys.dispatcher]
    afterwards: list[Callable[[], None]] = []
    request[app_keys.afterwards] = afterwards
    made = partial(
        Request,
        grant=grant,
        headers=headers_of(request),
        channel=channel,
        id=request[app_keys.request_id],
        admit=partial(admit, request),
        afterwards=afterwards,
    )
    if is_batch(body):
        return await dispatcher.answer_batch([made(message=part) for part in read_batch(body)])
    return await dispatcher.answer(made(message=read_message(body)))


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
