"""The admin API: JSON in and out over `Control`. Unknown fields are refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from crossdock.access.gate import Caller, Role
from crossdock.control import Control, Issued, NewServer, field_error, shown_server
from crossdock.errors import Rejected
from crossdock.web import keys
from crossdock.web.replies import JSON, json_reply

control_key: web.AppKey[Control] = web.AppKey("control", Control)
_RANK: dict[Role, int] = {"client": 0, "viewer": 1, "operator": 2, "owner": 3}
_PAGE, _MOST = 50, 200


def require(request: web.Request, role: Role) -> Caller:
    """Return who asks. Raises Rejected: 401 without a valid API token, 403 below `role`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    caller = request.app[keys.gate].caller(token.strip() if scheme.lower() == "bearer" else None)
    if caller is None:
        raise Rejected(
            401,
            "unauthorized",
            "Send a valid API token as Authorization: Bearer … "
            "([admin] token in config.toml names the first one).",
        )
    if _RANK[caller.role] < _RANK[role]:
        raise Rejected(
            403, "forbidden", f"This needs the role {role}; the token has the role {caller.role}."
        )
    return caller


async def body(request: web.Request, kind: type[Any]) -> Any:
    """Decode the request's JSON body. Raises Rejected: 400, 413, 415, 422 with the field."""
    if request.content_type != JSON or "Content-Encoding" in request.headers:
        raise Rejected(415, "unsupported_media_type", "Send Content-Type: application/json.")
    most = request.app[keys.settings].limits.admin_body_bytes
    text = await request.read()
    if len(text) > most:
        raise Rejected(413, "too_large", f"The body is larger than {most:,} bytes.")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise field_error(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Rejected(400, "malformed_json", "The body is not valid JSON.") from None


def page(request: web.Request) -> tuple[int, str | None]:
    """Return `limit` and `cursor` of a list. Raises Rejected (422)."""
    for name in request.query:
        if name not in ("limit", "cursor"):
            raise Rejected(422, "invalid_field", f"{name}: is unknown", {"field": name})
    text = request.query.get("limit", str(_PAGE))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST:
        raise Rejected(
            422, "invalid_field", f"limit: must be 1 to {_MOST}", {"field": "limit"}
        )
    return int(text), request.query.get("cursor")


# --- MCP servers -----------------------------------------------------------------------------


async def create_server(request: web.Request) -> web.Response:
    """POST /integrated-account/{id}/mcp."""
    caller = require(request, "operator")
    new = await body(request, NewServer)
    issued = await request.app[control_key].create_server(request.match_info["id"], new, caller)
    return json_reply(_issued(request, issued), 201)


async def list_servers(request: web.Request) -> web.Response:
    """GET /integrated-account/{id}/mcp."""
    require(request, "viewer")
    limit, cursor = page(request)
    servers, following = await request.app[control_key].servers(
        request.match_info["id"], limit, cursor
    )
    return json_reply(
        {"result": [shown_server(server) for server in servers], "next_cursor": following}
    )


async def get_server(request: web.Request) -> web.Response:
    """GET /integrated-account/{id}/mcp/{server_id}."""
    require(request, "viewer")
    return json_reply(shown_server(await _server(request)))


async def delete_server(request: web.Request) -> web.Response:
    """DELETE /integrated-account/{id}/mcp/{server_id}."""
    require(request, "operator")
    await request.app[control_key].revoke_server(await _server(request))
    return web.Response(status=204)


async def _server(request: web.Request) -> Any:
    return await request.app[control_key].server(
        request.match_info["server_id"], request.match_info["id"]
    )


def _issued(request: web.Request, issued: Issued) -> dict[str, Any]:
    origin = request.app[keys.origins].public_url(request)
    return {
        **shown_server(issued.server),
        "token": issued.token,
        "url": f"{origin}/mcp/{issued.token}",
    }


def add_routes(router: web.UrlDispatcher) -> None:
    """Route the admin API; the second prefix is the alias that one published article prints."""
    for prefix in ("/integrated-account", "/admin/integrated-accounts"):
        router.add_post(f"{prefix}/{{id}}/mcp", create_server)
        router.add_get(f"{prefix}/{{id}}/mcp", list_servers)
        router.add_get(f"{prefix}/{{id}}/mcp/{{server_id}}", get_server)
        router.add_delete(f"{prefix}/{{id}}/mcp/{{server_id}}", delete_server)
