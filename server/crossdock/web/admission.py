"""Who a request is from: its token, wherever it stands, and the second factor beside it.

Who may not pass is written down, and told to wait when too many wrong API tokens came from there.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from msgspec.structs import replace

from crossdock.access.gate import Caller
from crossdock.errors import Denied, Refused
from crossdock.model import Grant
from crossdock.web import app_keys

_UNAUTHORIZED = (
    "Send a valid API token as Authorization: Bearer …; `crossdock token create` makes one."
)


def admit(request: web.Request) -> Grant:
    """Return what the request may do. Raises Refused: 401, 403, 410 or 429."""
    second = request.headers.get("X-Api-Token")
    token = request.match_info.get("token")
    if token is None:
        token = bearer(request)
    elif second is None:
        second = bearer(request)
    origins = request.app[app_keys.origins]
    try:
        return request.app[app_keys.gate].admit(token, second, lambda: origins.client(request))
    except Denied as denied:
        raise _told(request, denied, "mcp") from None


def admit_caller(request: web.Request) -> Caller:
    """Return whose API token the request holds. Raises Refused: 401 or 429."""
    token = bearer(request)
    caller = request.app[app_keys.gate].caller(token)
    if caller is None:
        wrong: Literal["missing", "invalid"] = "invalid" if token else "missing"
        denied = Denied(401, f"{wrong}_api_token", _UNAUTHORIZED, challenge=wrong)
        raise _told(request, denied, "admin")
    address = request.app[app_keys.origins].client(request)
    return replace(caller, address=None if address is None else str(address))


def bearer(request: web.Request) -> str | None:
    """Return the token of the Authorization header."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def _told(request: web.Request, denied: Denied, door: str) -> Refused:
    return request.app[app_keys.deny](door, denied, request.app[app_keys.origins].client(request))
