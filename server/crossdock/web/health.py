"""What watches the process: /healthz, /readyz and /metrics. None shows a secret.

/healthz: the process is up. /readyz: it can serve, and if not, or not all, why. /metrics: counts
and durations of calls for Prometheus, without a server, a token or data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from crossdock.web.replies import json_reply

ready_key: web.AppKey[Callable[[], list[str]]] = web.AppKey("ready", Callable[[], list[str]])  # type: ignore[arg-type]
metrics_key: web.AppKey[Callable[[], Awaitable[bytes]]] = web.AppKey("metrics")

degraded_key: web.AppKey[Callable[[], dict[str, str]]] = web.AppKey("degraded")


async def healthz(request: web.Request) -> web.Response:
    """Say that the process answers."""
    return json_reply({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Say whether calls can be served: 503 with the reasons when not."""
    reasons = request.app[ready_key]()
    if reasons:
        return json_reply({"status": "not ready", "reasons": reasons}, 503)
    if degraded := request.app[degraded_key]():
        what = {"degraded": [*degraded], "reasons": [*degraded.values()]}
        return json_reply({"status": "degraded", **what})
    return json_reply({"status": "ready"})


async def metrics(request: web.Request) -> web.Response:
    """Return the counts in Prometheus' text format."""
    return web.Response(
        body=await request.app[metrics_key](),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
