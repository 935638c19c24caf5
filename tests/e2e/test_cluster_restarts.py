"""Nodes are restarted one by one behind nginx while calls go on, and no call fails.

`CLUSTER_ROUNDS=50` restarts each node so often; each run prints what it measured (`-s`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from e2e.load import Load
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]
ROUNDS = int(os.environ.get("CLUSTER_ROUNDS", "1"))


async def _restarted(cluster: Cluster, load: Load, again: Callable[[Any], None]) -> None:
    for _ in range(ROUNDS):
        for node in cluster.nodes:
            await asyncio.to_thread(again, node)
            await load.more()


@pytest.mark.requirement("nodes:stop:rolling")
async def test_nodes_restarted_one_by_one_under_load_fail_no_call(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    cluster = make_cluster(nodes=2)

    def again(node: Any) -> None:
        assert node.stop() == 0
        node.start()

    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        load = Load(await (await visitor.server(account)).known())
        begun = time.monotonic()
        async with load.going_on():
            await _restarted(cluster, load, again)
        seconds = time.monotonic() - begun
        print(
            f"\n{len(load.failed)} of {load.made} calls failed, {2 * ROUNDS} restarts, {seconds:.1f} s"
        )
        assert load.failed == []
