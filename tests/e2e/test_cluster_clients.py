"""Clients that are not ours, of every era, with two nodes behind nginx and nothing that sticks."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from e2e.real_clients import WAYS, Way, check, go
from harness import malomo
from harness.cluster import Cluster, Visitor

pytestmark = pytest.mark.e2e
THROUGH = {
    "mcp2-http",
    "mcp2-sse",
    "mcp1-http",
    "mcp1-sse-path",
    "fastmcp-legacy-http",
    "client2-http",
    "client2-legacy-http",
    "sdk1-http",
    "sdk1-sse-path",
}


@pytest.mark.requirement("nodes:clients:every-era")
async def test_clients_of_every_era_are_served_by_both_nodes_in_turn(
    cluster: Cluster, visitor: Visitor, shop: str, tmp_path: Path
) -> None:
    ways = [way for way in WAYS if str(way) in THROUGH]
    assert len(ways) == len(THROUGH)
    account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
    server = await (await visitor.server(account)).known()
    turns = asyncio.Semaphore(3)

    async def turn(way: Way) -> tuple[Way, list[dict[str, Any]]]:
        async with turns:
            return way, await go(way, server.url, tmp_path)

    for way, answers in await asyncio.gather(*map(turn, ways)):
        await check(way, answers, server)
    for node in cluster.nodes:
        assert await asyncio.to_thread(node.stop) == 0
    asked = f"SELECT node FROM audit WHERE server_id = '{server.id}' AND kind = 'call'"
    served = Counter(cluster.postgres.execute(asked, cluster.database).split())
    print(f"\ncalls of {len(ways)} clients: {dict(served)}")
    assert sum(served.values()) == 2 * len(ways)
    assert len(served) == 2
