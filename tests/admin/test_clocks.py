"""A node whose clock is far from the store's says so, and makes nothing that expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.running import Running

LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def readiness(running: Running) -> tuple[int, Any]:
    answer = await running.request("GET", "/readyz", token=None)
    return answer.status, answer.json


@pytest.mark.parametrize("ahead", [2.5, -29.0])
async def test_a_small_difference_is_told_and_hinders_nothing(
    malomo_gateway: Running, ahead: float
) -> None:
    malomo_gateway.gateway.clock.ahead = ahead
    status, told = await readiness(malomo_gateway)
    assert (status, told["degraded"]) == (200, ["clock"])
    assert "PostgreSQL's" in told["reasons"][0]
    token = {"name": "t", "role": "client", "expires_at": LATER}
    assert (await malomo_gateway.request("POST", "/api-token", token)).status == 201


@pytest.mark.parametrize("ahead", [31.0, -3600.0])
async def test_a_large_one_makes_nothing_that_expires(
    malomo_gateway: Running, ahead: float
) -> None:
    server = await malomo_gateway.server()
    path = f"/integrated-account/shop/mcp/{server.id}"
    malomo_gateway.gateway.clock.ahead = ahead
    expiring: list[tuple[str, str, Any]] = [
        ("POST", "/api-token", {"name": "t", "role": "client", "expires_at": LATER}),
        ("POST", "/integrated-account/shop/mcp", {"name": "s", "expires_at": LATER}),
        ("PATCH", path, {"expires_at": LATER}),
        ("POST", f"{path}/rotate", {"overlap_seconds": 60}),
    ]
    for verb, where, body in expiring:
        refused = await malomo_gateway.request(verb, where, body)
        assert refused.status == 503, (verb, where)
        assert "nothing is made here that expires" in refused.json["message"]
    begun = await server.send(
        "initialize",
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
        revision="2025-11-25",
    )  # fmt: skip
    assert begun.status == 503
    assert not (await server.call("list_all_malomo_orders", {"limit": 1})).is_error
    assert (await malomo_gateway.request("PATCH", path, {"expires_at": None})).status == 200
    forever = {"name": "t", "role": "client"}
    assert (await malomo_gateway.request("POST", "/api-token", forever)).status == 201


async def test_what_is_near_enough_is_not_told(malomo_gateway: Running) -> None:
    malomo_gateway.gateway.clock.ahead = -1.9
    assert (await readiness(malomo_gateway))[1] == {"status": "ready"}
