"""Nodes are restarted one by one behind nginx while calls go on, and no call fails.

`CLUSTER_ROUNDS=50` restarts each node so often; each run prints what it measured (`-s`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientError
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster, ClusterServer
from harness.patience import until

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]
ROUNDS = int(os.environ.get("CLUSTER_ROUNDS", "1"))
CALLERS = 4


class Load:
    """Calls without a pause, and what came of them."""

    def __init__(self, server: ClusterServer) -> None:
        self._server = server
        self._over = False
        self.made = 0
        self.failed: list[str] = []

    async def call(self) -> None:
        """Read through nginx until it is over."""
        while not self._over:
            self.made += 1
            try:
                called = await self._server.call("list_all_malomo_orders", {"limit": 1})
                if called.is_error:
                    self.failed.append(called.text)
            except (ClientError, TimeoutError, AssertionError) as error:
                self.failed.append(repr(error)[:300])

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        callers = [asyncio.create_task(self.call()) for _ in range(CALLERS)]
        try:
            await self.more()
            yield
            await self.more()
        finally:
            self._over = True
            await asyncio.gather(*callers)

    async def more(self) -> None:
        """Wait until as many calls were made as there are callers, twice."""
        enough = self.made + 2 * CALLERS
        await until(lambda: self.made >= enough, 60)


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
