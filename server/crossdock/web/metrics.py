"""/metrics for Prometheus: counts and durations of calls. Shows no server, no token and no data."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

text_key: web.AppKey[Callable[[], str]] = web.AppKey("metrics", Callable[[], str])  # type: ignore[arg-type]


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics."""
    return web.Response(
        text=request.app[text_key](),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
