"""In front of the Application: POSTs to an MCP URL, as nearly all requests are, take a short way.

It leads past the router and the middlewares, not past what they do. A request of the usual shape
passes what they would check: its Host is ours, no page sent it, its path can be read in one way
only. It gets an id, and its errors become the same answers by the same functions. Whatever looks
different goes to the Application unchanged, which also words every refusal at the door.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from crossdock.web import app_keys
from crossdock.web.guards import answer_to, identified
from crossdock.web.streamable import post

_PATH = re.compile(r"/mcp(?:/(cdm_[0-9A-Za-z]+))?")
_UNUSUAL = ("Origin", "Expect", "Upgrade")
_HTTP_1_1 = (1, 1)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Front:
    """A server's handler. `otherwise` is the Application's own, which serves everything else."""

    def __init__(self, app: web.Application, otherwise: Handler) -> None:
        self._app = app
        self._otherwise = otherwise
        self._origins = app[app_keys.origins]
        self._draining = app[app_keys.draining]
        self._route = next(route for route in app.router.routes() if route.handler is post)

    async def __call__(self, base: web.BaseRequest) -> web.StreamResponse:
        """Serve a request."""
        found = _PATH.fullmatch(base.raw_path)
        if found is None or not self._is_usual(base):
            return await self._otherwise(base)
        request = cast(web.Request, base)  # the Application's factory made it
        self._place(request, found[1])
        request[app_keys.usual] = True
        request_id = identified(request)
        try:
            response = await post(request)
        except Exception as error:
            response = await answer_to(request, error)
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        return response

    def _is_usual(self, request: web.BaseRequest) -> bool:
        headers = request.headers
        return (
            request.method == "POST"
            and request.version == _HTTP_1_1
            and request.keep_alive
            and not any(name in headers for name in _UNUSUAL)
            and self._origins.host_fits(request)
            and not self._draining()
        )

    def _place(self, request: web.Request, token: str | None) -> None:
        """Say of a request what the router would have found."""
        match = web.UrlMappingMatchInfo({} if token is None else {"token": token}, self._route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match
