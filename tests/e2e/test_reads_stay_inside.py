"""A read call makes no round trip to PostgreSQL or Redis: what it needs is in the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]
READS = (
    ("get_single_malomo_order_by_id", {"id": "89123"}),
    ("list_all_malomo_orders", {"limit": 1}),
)


async def test_a_hundred_reads_ask_neither_engine_for_anything(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    """With nothing passing to either, and nothing refused, whoever asked would wait for ever."""
    cluster = await asyncio.to_thread(lambda: make_cluster(nodes=1))
    [node] = cluster.nodes
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        server = (await (await visitor.server(account)).known()).at(node)
        for engine in ("store", "bus"):
            await asyncio.to_thread(node.cut, engine)
        for _ in range(25):
            for name, arguments in READS:
                called = await asyncio.gather(*(server.call(name, arguments) for _ in range(2)))
                assert [one.is_error for one in called] == [False, False]
            assert len(await server.tools()) > 3
        for engine in ("store", "bus"):
            await asyncio.to_thread(node.mend, engine)
