"""API tokens: shown once, found by hash, good until their last second."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from harness import acme
from harness.running import Clock, MakeGateway, Running

from crossdock.access.tokens import PATTERN


async def test_a_token_is_in_the_answer_to_its_making_and_nowhere_else(
    malomo_gateway: Running,
) -> None:
    body = {"name": "Anna", "role": "operator", "expires_at": "2999-01-31T00:00:00+01:00"}
    response = await malomo_gateway.request("POST", "/api-token", body)
    assert response.status == 201
    made = response.json
    token = made.pop("token")
    malomo_gateway.canaries.issue(token, "Anna's token")  # looked for in all that follows
    assert PATTERN.fullmatch(token)
    assert token.startswith("cda_")
    assert made["name"] == "Anna"
    assert made["role"] == "operator"
    assert made["last4"] == token[-4:]
    assert made["created_by"] == "[admin] token"
    assert made["expires_at"] == "2999-01-30T23:00:00Z"
    assert (await malomo_gateway.request("GET", f"/api-token/{made['id']}")).json == made
    listed = (await malomo_gateway.request("GET", "/api-token")).json
    assert listed == {"result": [made], "next_cursor": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"role": "owner"}, "name"),
        ({"name": "x"}, "role"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "x", "role": "owner", "token": "mine"}, "token"),
        ({"name": "x", "role": "owner", "expires_at": "2999-01-31T00:00:00"}, "expires_at"),
        ({"name": "x", "role": "owner", "expires_at": "1999-01-31T00:00:00Z"}, "expires_at"),
        ({"name": "x", "role": "owner", "expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"name": "x", "role": "owner", "expires_at": "soon"}, "expires_at"),
        ({"name": "x", "role": "owner", "expires_at": 7}, "expires_at"),
    ],
)
async def test_a_token_that_cannot_be_made_is_refused_by_the_name_of_its_field(
    malomo_gateway: Running, body: dict[str, Any], field: str
) -> None:
    response = await malomo_gateway.request("POST", "/api-token", body)
    assert response.status == 422
    assert response.json["details"] == {"field": field}


async def test_a_token_ends_with_its_last_second(
    gateway: MakeGateway, acme_folder: object, clock: Clock
) -> None:
    running = await gateway(adapters=["acme"], clock=clock)
    until = clock.now + timedelta(hours=1)
    body = {"name": "x", "role": "viewer", "expires_at": until}
    token = (await running.request("POST", "/api-token", body)).json["token"]
    running.canaries.issue(token, "the viewer's token")
    clock.advance(seconds=3599.9)
    assert (await running.request("GET", "/api-token", token=token)).status == 200
    clock.advance(seconds=0.1)
    assert (await running.request("GET", "/api-token", token=token)).status == 401


async def test_tokens_and_servers_show_when_they_were_last_used(
    gateway: MakeGateway, acme_folder: object, clock: Clock
) -> None:
    running = await gateway(
        adapters=["acme"], accounts={"shop": acme.account("http://127.0.0.1:1")}, clock=clock
    )
    made = (await running.request("POST", "/api-token", {"name": "x", "role": "viewer"})).json
    running.canaries.issue(made["token"], "the viewer's token")
    server = await running.server()
    assert made["last_used_at"] is None
    clock.advance(minutes=5)
    await running.request("GET", "/api-token", token=made["token"])
    await server.tools()
    await running.gateway.housekeeping.settle()
    used = clock.now.isoformat().replace("+00:00", "Z")
    shown = await running.request("GET", f"/api-token/{made['id']}")
    assert shown.json["last_used_at"] == used
    listed = await running.request("GET", f"/integrated-account/shop/mcp/{server.id}")
    assert listed.json["last_used_at"] == used
