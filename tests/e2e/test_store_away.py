"""PostgreSQL is killed, frozen or cut off: what goes on, what is refused, and that it recovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster, Node
from harness.patience import until

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]
UPDATE, READ = "update_a_malomo_order_by_id", "get_single_malomo_order_by_id"
ADD = {"id": "89123", "shipments": [{"carrier": "fedex", "tracking_code": "1"}]}
FEW = {"limits": {"lock_wait_seconds": 3.0, "stale_seconds": 600.0}}


@asynccontextmanager
async def cluster_of(
    make_cluster: MakeCluster, canaries: Canaries, shop: str, nodes: int, settings: Any
) -> AsyncIterator[tuple[Cluster, Any, Any]]:
    cluster = await asyncio.to_thread(lambda: make_cluster(nodes=nodes, settings=settings))
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        server = await (await visitor.server(account)).known()
        yield cluster, visitor, server


async def ready(visitor: Any, node: Node) -> int:
    async with visitor.http.get(f"{node.url}/readyz") as reply:
        status: int = reply.status
        return status


async def puts(shop: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{shop}/_sandbox/requests") as reply:
        return sum(1 for one in await reply.json() if one["method"] == "PUT")


def take_away(cluster: Cluster, how: str) -> None:
    match how:
        case "kill":
            cluster.postgres.kill()
        case "freeze":
            cluster.postgres.freeze()
        case _:
            for node in cluster.nodes:
                node.cut("store")


def give_back(cluster: Cluster, how: str) -> None:
    match how:
        case "kill":
            cluster.postgres.start()
        case "freeze":
            cluster.postgres.thaw()
        case _:
            for node in cluster.nodes:
                node.mend("store")


@pytest.mark.parametrize("how", ["kill", "freeze", "cut"])
async def test_without_postgresql_reads_go_on_and_nothing_unguarded_is_written(
    make_cluster: MakeCluster, canaries: Canaries, shop: str, how: str
) -> None:
    async with cluster_of(make_cluster, canaries, shop, 2, FEW) as (cluster, visitor, server):
        a, b = cluster.nodes
        assert not (await server.at(a).call(UPDATE, ADD)).is_error
        calls, before = 1, await puts(shop)
        await asyncio.to_thread(take_away, cluster, how)
        try:
            for node in (a, b):
                assert not (await server.at(node).call(READ, {"id": "89123"})).is_error
                error = (await server.at(node).call(UPDATE, ADD)).error
                assert (error["kind"], error["retryable"]) == ("busy", True)
                assert "nothing was sent" in error["message"]
                calls += 2
                begun = time.monotonic()
                token = {"name": "t", "role": "viewer"}
                many = [visitor.request("POST", "/api-token", token, at=node) for _ in range(3)]
                many.append(visitor.request("GET", "/api-token", at=node))
                assert [one.status for one in await asyncio.gather(*many)] == [503] * 4
                assert time.monotonic() - begun < 8  # 5 s, and a busy machine
                await until(lambda node=node: _is(visitor, node, 503), 20)
            assert await puts(shop) == before
        finally:
            await asyncio.to_thread(give_back, cluster, how)
        for node in (a, b):
            await until(lambda node=node: _is(visitor, node, 200), 30)
            called = await server.at(node).call(UPDATE, ADD)
            assert not called.is_error, called.text
            calls += 1
        await until(lambda: logged(cluster) >= calls, 20)
    for node in cluster.nodes:
        await asyncio.to_thread(node.stop)
    assert logged(cluster) == calls


async def _is(visitor: Any, node: Node, status: int) -> bool:
    return await ready(visitor, node) == status


def logged(cluster: Cluster) -> int:
    count = "SELECT count(*) FROM audit WHERE kind = 'call'"
    return int(cluster.postgres.execute(count, cluster.database))


async def test_who_does_not_hear_the_store_for_long_stops_serving_until_it_does(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    settings = {"limits": {"stale_seconds": 3.0}}
    async with cluster_of(make_cluster, canaries, shop, 2, settings) as (cluster, visitor, server):
        a, b = cluster.nodes
        await asyncio.to_thread(a.cut, "store")

        async def refused() -> Any:
            response = await server.at(a).attempt(READ, {"id": "89123"})
            return response if response.status == 503 else None

        response = await until(refused, 30)
        assert "could have missed a revocation" in response.error["message"]
        assert int(response.headers["Retry-After"]) > 0
        assert not (await server.at(b).call(READ, {"id": "89123"})).is_error
        gone = await visitor.request(
            "DELETE",
            f"/integrated-account/{server.created['integrated_account_id']}/mcp/{server.id}",
            at=b,
        )
        assert gone.status == 204
        await asyncio.to_thread(a.mend, "store")

        async def revoked() -> bool:
            return (await server.at(a).attempt(READ, {"id": "89123"})).status == 403

        await until(revoked, 30)
