"""The admin API: JSON in and out over `Control`.

Every route stands in one table with the role it needs, its body and its answer: what is not in the
table does not exist, and the OpenAPI document is made of the same table.
"""

from __future__ import annotations

from aiohttp import web

from crossdock.web.admin import accounts, servers, tokens
from crossdock.web.admin.routes import Route, control_key, guarded

__all__ = ["ROUTES", "Route", "add_routes", "control_key"]

ROUTES: tuple[Route, ...] = (*accounts.ROUTES, *servers.ROUTES, *tokens.ROUTES)


def add_routes(router: web.UrlDispatcher) -> None:
    """Route the admin API."""
    for route in ROUTES:
        for path in route.paths:
            router.add_route(route.verb, path, guarded(route))
