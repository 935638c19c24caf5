"""Who may do what: every route that exists, against every role, and against nobody."""

from __future__ import annotations

import re
from typing import Any

import pytest
from harness.running import Running

from crossdock.access.gate import Role
from crossdock.web.admin import ROUTES
from crossdock.web.admin.routes import RANK, Route
from crossdock.web.app import build

ROLES: tuple[Role, ...] = ("owner", "operator", "viewer", "client")
OPEN = {
    "/connect/callback",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/connect.mcpb",
    "/connect.tgz",
}

# What the contract says, written down a second time: owner everything, operator accounts and
# servers, viewer GET, client nothing.
TABLE: dict[tuple[str, str], Role] = {
    ("POST", "/integrated-account"): "operator",
    ("GET", "/integrated-account"): "viewer",
    ("GET", "/integrated-account/{id}"): "viewer",
    ("PATCH", "/integrated-account/{id}"): "operator",
    ("DELETE", "/integrated-account/{id}"): "operator",
    ("POST", "/integrated-account/{id}/test"): "operator",
    ("POST", "/integrated-account/{id}/connect"): "operator",
    ("GET", "/integrated-account/{id}/tools"): "viewer",
    ("POST", "/integrated-account/{id}/mcp"): "operator",
    ("GET", "/integrated-account/{id}/mcp"): "viewer",
    ("GET", "/integrated-account/{id}/mcp/{server_id}"): "viewer",
    ("PATCH", "/integrated-account/{id}/mcp/{server_id}"): "operator",
    ("DELETE", "/integrated-account/{id}/mcp/{server_id}"): "operator",
    ("POST", "/integrated-account/{id}/mcp/{server_id}/rotate"): "operator",
    ("POST", "/integrated-account/{id}/mcp/{server_id}/accept-tools"): "operator",
    ("POST", "/api-token"): "owner",
    ("GET", "/api-token"): "viewer",
    ("GET", "/api-token/{id}"): "viewer",
    ("DELETE", "/api-token/{id}"): "owner",
}
ALIAS = "/admin/integrated-accounts/{id}/mcp"


def known_as(path: str) -> str:
    return path.replace("/admin/integrated-accounts/", "/integrated-account/")


def test_the_table_of_routes_is_what_the_contract_says() -> None:
    made = {(r.verb, known_as(path)): r.role for r in ROUTES for path in r.paths}
    assert made == TABLE
    aliased = {path for r in ROUTES for path in r.paths if path.startswith("/admin/")}
    assert aliased == {
        path.replace("/integrated-account/{id}/mcp", ALIAS)
        for _, path in TABLE
        if path.startswith("/integrated-account/{id}/mcp")
    }


@pytest.mark.requirement("roles:table:enforced")
async def test_nothing_is_routed_besides_the_table_and_what_is_open_to_all(
    malomo_gateway: Running,
) -> None:
    routed = {
        (route.method, route.resource.canonical)
        for route in build(malomo_gateway.gateway).router.routes()
        if route.resource is not None
    }
    rest = {
        (verb, path)
        for verb, path in routed
        if not path.startswith("/mcp") and path not in OPEN and not path.startswith("/.well-known")
    }
    assert {(verb, known_as(path)) for verb, path in rest} <= TABLE.keys()


@pytest.fixture
async def tokens(malomo_gateway: Running) -> dict[Role, str]:
    made = {}
    for role in ROLES:
        body = {"name": f"the {role}", "role": role}
        response = await malomo_gateway.request("POST", "/api-token", body)
        assert response.status == 201
        made[role] = response.json["token"]
        malomo_gateway.canaries.issue(made[role], f"the token of the {role}")
    return made


def filled(path: str, server_id: str) -> str:
    return re.sub(r"\{id\}", "shop", path.replace("{server_id}", server_id))


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.verb} {r.paths[0]}")
@pytest.mark.requirement("roles:table:enforced")
async def test_each_role_passes_where_its_rank_allows_and_nowhere_else(
    malomo_gateway: Running, tokens: dict[Role, str], route: Route
) -> None:
    server = await malomo_gateway.server()
    for path in route.paths:
        target = filled(path, server.id)
        # a body that no route takes: whoever passes the guard is refused behind it
        body: Any = None if route.body is None else {"no such field": 1}
        for role, token in tokens.items():
            if route.verb == "DELETE":
                target = re.sub(r"(shop|mcp_srv_\w+)$", "nobody", filled(path, "nobody"))
            response = await malomo_gateway.request(route.verb, target, body, token=token)
            if RANK[role] < RANK[route.role]:
                assert response.status == 403, (role, path)
                assert response.json["error"] == "forbidden"
                assert role in response.json["message"]
                assert route.role in response.json["message"]
            else:
                assert response.status not in (401, 403, 500), (role, path, response)
        for nobody in (None, "cda_nonsense", server.token, "Basic", "\u00fc", "\udcff"):
            response = await malomo_gateway.request(route.verb, target, body, token=nobody)
            assert response.status == 401, (nobody, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_refusal_by_role_is_written_down(
    malomo_gateway: Running, tokens: dict[Role, str]
) -> None:
    await malomo_gateway.request("DELETE", "/api-token/x", token=tokens["operator"])
    await malomo_gateway.gateway.audit.flush()
    newest = (await malomo_gateway.gateway.store.audit.list(limit=1)).items[0]
    assert (newest.action, newest.outcome, newest.kind) == ("token.revoke", "forbidden", "admin")
    assert newest.actor.startswith("tok_")


async def test_a_client_token_is_a_second_factor_and_nothing_else(
    malomo_gateway: Running, tokens: dict[Role, str]
) -> None:
    bare = await malomo_gateway.server(require_api_token_auth=True)
    assert (await bare.send("tools/list")).status == 401
    speaker = malomo_gateway.speaker(
        f"/mcp/{bare.token}", {"Authorization": f"Bearer {tokens['client']}"}
    )
    assert await speaker.names()
    for path in ("/integrated-account", "/api-token"):
        response = await malomo_gateway.request("GET", path, token=tokens["client"])
        assert response.status == 403


async def test_a_revoked_or_expired_token_opens_nothing(
    malomo_gateway: Running, tokens: dict[Role, str]
) -> None:
    listed = (await malomo_gateway.request("GET", "/api-token")).json["result"]
    ids = {one["role"]: one["id"] for one in listed}
    path = f"/api-token/{ids['operator']}"
    assert (await malomo_gateway.request("DELETE", path)).status == 204
    response = await malomo_gateway.request("GET", "/integrated-account", token=tokens["operator"])
    assert response.status == 401
    assert (await malomo_gateway.request("DELETE", path)).status == 404
    assert (await malomo_gateway.request("GET", path)).status == 404
