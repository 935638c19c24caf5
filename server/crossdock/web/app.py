"""The composition root: an open Gateway → web.Application. Reads as a list."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from aiohttp import web

from crossdock.gateway import Gateway
from crossdock.web import (
    admin,
    app_keys,
    callback_page,
    connect_page,
    health,
    legacy_sse,
    openapi,
    session_stream,
    streamable,
)
from crossdock.web.guards import MIDDLEWARES, end_outliving
from crossdock.web.keepalive import Keepalive
from crossdock.web.origins import Origins


def build(gateway: Gateway) -> web.Application:
    """Return the web application of an open gateway. Its owner closes the gateway."""
    settings = gateway.settings
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=settings.limits.body_bytes)
    app[app_keys.settings] = settings
    app[app_keys.gate] = gateway.gate
    app[app_keys.deny] = gateway.deny
    app[app_keys.draining] = lambda: gateway.draining
    app[app_keys.dispatcher] = gateway.dispatcher
    app[app_keys.sessions] = gateway.sessions
    app[app_keys.streams] = gateway.streams
    app[app_keys.resumption] = gateway.resumption
    app[app_keys.bus] = gateway.bus
    app[app_keys.listeners] = gateway.listeners
    app[app_keys.tools] = gateway.calls
    app[app_keys.origins] = Origins(settings.server)
    app[admin.control_key] = gateway.control
    app[health.ready_key] = lambda: gateway.unready
    app[health.degraded_key] = lambda: gateway.degraded
    app[health.metrics_key] = gateway.numbers
    document: Callable[[], bytes] = cache(partial(openapi.document, admin.ROUTES))
    app[openapi.document_key] = document
    app[app_keys.keepalive] = Keepalive(settings.limits.quiet_seconds, gateway.listeners.check)
    app[app_keys.outliving] = set()
    app[legacy_sse.streams_key] = {}
    gateway.bus.answers(legacy_sse.POSTED, legacy_sse.taker(app))
    app.on_response_prepare.append(_present)
    # The router tries paths in this order, and nearly every request is for the first.
    for path in ("/mcp/{token}", "/mcp", "/mcp/{token}/"):
        app.router.add_post(path, streamable.post)
        app.router.add_get(path, connect_page.in_browsers(session_stream.get), allow_head=False)
        app.router.add_delete(path, session_stream.delete)
        app.router.add_route("OPTIONS", path, streamable.options)
    for path in ("/mcp", "/mcp/{token}"):
        app.router.add_get(f"{path}/sse", legacy_sse.get, allow_head=False)
        app.router.add_post(f"{path}/messages", legacy_sse.post)
        for part in ("sse", "messages"):
            app.router.add_route("OPTIONS", f"{path}/{part}", streamable.options)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", health.metrics)
    app.router.add_get("/openapi.json", openapi.openapi)
    connect_page.add_routes(app.router)
    callback_page.add_routes(app.router)
    admin.add_routes(app.router)
    return app


async def _present(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing of this gateway is kept by a cache unless it says so, nor names its libraries."""
    response.headers["Server"] = "crossdock"
    response.headers.setdefault("Cache-Control", "no-store")
    if request.app[app_keys.draining]():
        response.force_close()
        response.headers["Connection"] = "close"


def say_farewell(app: web.Application) -> None:
    """Let streams that wait for news end, and those that carry answers once these are given."""
    legacy_sse.retire(app)
    app[app_keys.listeners].close()


async def hang_up(app: web.Application) -> None:
    """End what nobody can come back for."""
    app[app_keys.streams].close()
    app[app_keys.keepalive].stop()
    await end_outliving(app)
