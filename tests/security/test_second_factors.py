"""A second factor is bound to the server it opens, and the call log says which it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness.running import Running, Server
from harness.speaking import Response

from crossdock.store import AuditFilter

pytestmark = pytest.mark.requirement("security:second-factor:bound")
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


async def made(running: Running, role: str = "client") -> tuple[str, str]:
    """Make an API token; return its id and its text."""
    created = (await running.request("POST", "/api-token", {"name": role, "role": role})).json
    running.canaries.issue(created["token"], f"the token of a {role}")
    return created["id"], created["token"]


async def shown(server: Server, token: str) -> int:
    statuses = {
        (await server.post(PING, {"X-Api-Token": token})).status,
        (await server.post(PING, {"Authorization": f"Bearer {token}"})).status,
    }
    assert len(statuses) == 1
    return statuses.pop()


def path_of(server: Server) -> str:
    return f"/integrated-account/shop/mcp/{server.id}"


async def changed(running: Running, server: Server, **config: Any) -> Response:
    return await running.request("PATCH", path_of(server), {"config": config})


@pytest.mark.parametrize("role", ["owner", "operator", "viewer", "client"])
async def test_only_the_tokens_that_a_server_names_open_it(
    acme_gateway: Running, role: str
) -> None:
    (mine, token), (_, other) = await made(acme_gateway, role), await made(acme_gateway, role)
    server = await acme_gateway.server(require_api_token_auth=True, second_factors=[mine])
    assert server.created["config"]["second_factors"] == [mine]
    assert await shown(server, token) == 200
    assert await shown(server, other) == 401
    assert await shown(server, acme_gateway.admin_token) == 401
    any_one = await acme_gateway.server(require_api_token_auth=True)
    assert await shown(any_one, other) == 200
    assert await shown(any_one, acme_gateway.admin_token) == 401


async def test_what_counts_changes_with_the_next_request_and_null_takes_it_away(
    acme_gateway: Running,
) -> None:
    (one, token), (two, other) = await made(acme_gateway), await made(acme_gateway)
    server = await acme_gateway.server(require_api_token_auth=True, second_factors=[one])
    answer = await changed(acme_gateway, server, second_factors=[one, two])
    assert answer.json["config"]["second_factors"] == [one, two]
    assert (await shown(server, token), await shown(server, other)) == (200, 200)
    await changed(acme_gateway, server, second_factors=[two])
    assert (await shown(server, token), await shown(server, other)) == (401, 200)
    answer = await changed(acme_gateway, server, second_factors=None)
    assert "second_factors" not in answer.json["config"]
    assert await shown(server, token) == 200


@pytest.mark.parametrize(
    "named", ["nobody", "config", "tok_000000000000000000000000", "", "x/y", "cda_" + "A" * 49]
)
async def test_a_token_that_does_not_exist_is_refused_by_name(
    acme_gateway: Running, named: str
) -> None:
    known, _ = await made(acme_gateway)
    server = await acme_gateway.server()
    for answer in (
        await acme_gateway.request(
            "POST",
            "/integrated-account/shop/mcp",
            {"name": "A", "config": {"second_factors": [known, named]}},
        ),
        await changed(acme_gateway, server, second_factors=[known, named]),
    ):
        assert (answer.status, answer.json["error"]) == (422, "invalid_field")
        assert answer.json["details"] == {"field": "config.second_factors[1]"}
        assert "no API token" in answer.json["message"]
        assert (repr(named) in answer.json["message"]) == (named.isidentifier() and len(named) < 50)
    for wrong in ([], "x", [7], [None], [known] * 1_001):
        assert (await changed(acme_gateway, server, second_factors=wrong)).status == 422


async def test_a_revoked_token_leaves_the_servers_that_name_it_shut(acme_gateway: Running) -> None:
    gone, token = await made(acme_gateway)
    server = await acme_gateway.server(require_api_token_auth=True, second_factors=[gone])
    assert (await acme_gateway.request("DELETE", f"/api-token/{gone}")).status == 204
    assert await shown(server, token) == 401
    _, other = await made(acme_gateway)
    assert await shown(server, other) == 401
    renamed = await acme_gateway.request("PATCH", path_of(server), {"name": "Still there"})
    assert renamed.status == 200
    assert await shown(server, other) == 401


async def test_the_call_log_names_the_token_that_was_used(acme_gateway: Running) -> None:
    id, token = await made(acme_gateway)
    guarded = await acme_gateway.server(require_api_token_auth=True)
    await guarded.call("acme_items_count", {}, headers={"X-Api-Token": token})
    plain = await acme_gateway.server()
    await plain.call("acme_items_count", {}, headers={"X-Api-Token": token})
    await acme_gateway.gateway.audit.flush()
    page = await acme_gateway.gateway.store.audit.list(AuditFilter(kind="call"))
    assert [(line.server_id, line.second_factor) for line in page.items] == [
        (plain.id, None),
        (guarded.id, id),
    ]


async def test_the_names_outlive_a_restart(acme_gateway: Running, acme_folder: Path) -> None:
    id, token = await made(acme_gateway)
    server = await acme_gateway.server(require_api_token_auth=True, second_factors=[id])
    await acme_gateway.gateway.sync.reload()
    assert await shown(server, token) == 200
    assert await shown(server, await acme_gateway.api_token()) == 401
