"""Nodes on one PostgreSQL and one Redis behind nginx."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]


async def test_a_node_serves_behind_nginx_and_outlives_its_engines(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    cluster = make_cluster(nodes=1)
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        server = await (await visitor.server(account)).known()
        for engine in (cluster.postgres, cluster.redis):
            engine.kill()
            orders = await server.call("list_all_malomo_orders", {"limit": 1})
            assert orders.data["result_count"] == 1
            engine.start()
        assert cluster.nodes[0].stop() == 0
