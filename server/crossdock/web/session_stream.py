"""GET and DELETE of the MCP URL: what sessions of older revisions are for.

A GET with a session is its standalone stream, or resumes a broken one; without session and without
a version header it is the transport of 2024-11-05.
"""

from __future__ import annotations

from functools import partial

from aiohttp import web

from crossdock.errors import Refused
from crossdock.protocol.replay import Stream, parted
from crossdock.protocol.sessions import Session
from crossdock.protocol.subscriptions import CHANGED, Listener
from crossdock.protocol.versions import REVISIONS, SUPPORTED
from crossdock.web import app_keys, legacy_sse
from crossdock.web.accept import streams_only
from crossdock.web.admission import admit
from crossdock.web.sse import StreamSender


async def get(request: web.Request) -> web.StreamResponse:
    """Open a stream."""
    _older_only(request)
    if "Mcp-Session-Id" not in request.headers:
        if "MCP-Protocol-Version" in request.headers:
            raise web.HTTPMethodNotAllowed("GET", ["POST"])
        return await legacy_sse.get(request)
    session = _session(request)
    streams_only(request.headers.get("Accept"))
    streams = request.app[app_keys.streams]
    missed = request.headers.get("Last-Event-ID")
    if missed is not None and (found := streams.find(missed, session.nonce)):
        stream, number = found
        return await StreamSender(request, stream, numbered=True).run(number)
    if missed is not None and (
        remote := await request.app[app_keys.resumption].find(missed, session.nonce)
    ):
        try:
            sender = StreamSender(request, remote, numbered=True)
            return await sender.run(parted(missed)[1])
        finally:
            remote.leave()
    return await _standalone(request, session, behind=missed is not None)


async def _standalone(
    request: web.Request, session: Session, *, behind: bool
) -> web.StreamResponse:
    listeners = request.app[app_keys.listeners]
    stream = Stream(session.nonce)
    listener = Listener(partial(admit, request), stream, session=session.nonce)
    listeners.add(listener)
    if behind:  # what changed while the client was away nobody wrote down: let it look again
        stream.push(CHANGED)
    try:
        sender = StreamSender(request, stream, numbered=True)
        return await sender.run(primed=session.revision.priming)
    finally:
        listeners.remove(listener)


async def delete(request: web.Request) -> web.StreamResponse:
    """End a session."""
    _older_only(request)
    if "Mcp-Session-Id" not in request.headers:
        raise web.HTTPMethodNotAllowed("DELETE", ["POST"])
    session = _session(request)
    request.app[app_keys.dispatcher].leave(session.nonce)
    await request.app[app_keys.sessions].end(session)
    return web.Response(status=204)


def _session(request: web.Request) -> Session:
    grant = admit(request)
    id = request.headers["Mcp-Session-Id"]
    return request.app[app_keys.sessions].open(id, grant.server_id)


def _older_only(request: web.Request) -> None:
    """Raise 405 for the newest revision, which has POST alone, and 400 for an unknown one."""
    for version in request.headers.getall("MCP-Protocol-Version", ()):
        revision = REVISIONS.get(version)
        if revision is None:
            raise Refused(
                400, f"MCP-Protocol-Version names no served revision: {', '.join(SUPPORTED)}."
            )
        if revision.modern:
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
