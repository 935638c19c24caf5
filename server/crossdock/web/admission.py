"""Who a request is from: its token, wherever it stands, and the second factor beside it."""

from __future__ import annotations

from aiohttp import web

from crossdock.model import Grant
from crossdock.web import app_keys


def admit(request: web.Request) -> Grant:
    """Return what the request may do. Raises Refused: 401, 403 or 410."""
    second = request.headers.get("X-Api-Token")
    token = request.match_info.get("token")
    if token is None:
        token = bearer(request)
    elif second is None:
        second = bearer(request)
    origins = request.app[app_keys.origins]
    return request.app[app_keys.gate].admit(token, second, lambda: origins.client(request))


def bearer(request: web.Request) -> str | None:
    """Return the token of the Authorization header."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None
