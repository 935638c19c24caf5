"""`[server] workers`: a parent that listens, and keeps so many processes alive behind one port."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.load import Load
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster, ClusterServer, Node, Visitor
from harness.patience import until

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]


def workers(node: Node) -> list[int]:
    """Return the processes that serve."""
    return node.children()


async def _server(visitor: Visitor, shop: str) -> ClusterServer:
    account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
    return await (await visitor.server(account)).known()


@pytest.mark.requirement("nodes:workers:replaced")
async def test_workers_are_replaced_on_sighup_and_started_again_when_they_die(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    cluster = make_cluster(nodes=1, workers=2)
    (node,) = cluster.nodes
    async with cluster.visit(canaries) as visitor:
        server = (await _server(visitor, shop)).at(node)
        assert len(node.logged("gateway.started")) == 1
        assert [line["worker"] for line in node.logged("worker.started")] == [1, 2]
        before = workers(node)
        assert len(before) == 2
        load = Load(server)
        async with load.going_on():
            node.tell(signal.SIGHUP)
            await asyncio.to_thread(node.wait_for, "workers.replaced")
        assert load.failed == []
        after = workers(node)
        assert len(after) == 2
        assert not {*before} & {*after}

        os.kill(after[0], signal.SIGKILL)
        await asyncio.to_thread(node.wait_for, "worker.died")
        await until(lambda: len({*workers(node)} - {*after}) == 1)
        for _ in range(20):
            assert (await server.send("tools/list")).status == 200
        assert node.stop() == 0
        assert workers(node) == []


@pytest.mark.requirement("nodes:workers:one-metrics")
async def test_whichever_worker_is_asked_tells_the_numbers_of_all(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    cluster = make_cluster(nodes=1, workers=2)
    (node,) = cluster.nodes
    async with cluster.visit(canaries) as visitor:
        server = (await _server(visitor, shop)).at(node)
        for _ in range(30):
            await server.call("list_all_malomo_orders", {"limit": 1})

        async def read() -> str:
            async with visitor.http.get(f"{node.url}/metrics") as reply:
                assert reply.status == 200
                return await reply.text()

        calls = r'crossdock_calls_total\{worker="(\d)",.*outcome="ok".*\} (\d+)'
        for _ in range(10):  # of different workers
            text = await read()
            assert sum(float(count) for _, count in re.findall(calls, text)) == 30
            assert {*re.findall(r'crossdock_info\{worker="(\d)"', text)} == {"1", "2"}
            assert text.count("# TYPE crossdock_calls_total counter") == 1
            assert "crossdock_worker_deaths_total 0" in text


@pytest.mark.requirement("nodes:workers:deaths")
async def test_five_deaths_within_a_minute_end_all_in_words(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(nodes=1, workers=2)
    (node,) = cluster.nodes
    for number in range(1, 6):
        os.kill(workers(node)[0], signal.SIGKILL)
        await asyncio.to_thread(node.wait_for, "worker.died", times=number)
        if number < 5:
            await until(lambda: len(workers(node)) == 2, 30)
    assert await asyncio.to_thread(node.wait) == 1
    assert "5 workers died within a minute, the last of signal SIGKILL; all are ended" in node.text


async def test_workers_do_not_outlive_their_parent(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(nodes=1, workers=2)
    (node,) = cluster.nodes
    left = workers(node)
    os.kill(node.pid, signal.SIGKILL)
    await until(lambda: not any(Path(f"/proc/{pid}/stat").exists() for pid in left), 30)


async def test_a_worker_that_cannot_start_tells_why_once_and_all_end(
    make_cluster: MakeCluster,
) -> None:
    cluster = make_cluster(nodes=1, workers=3, start=False)
    (node,) = cluster.nodes
    settings: dict[str, Any] = {**node.settings, "admin": {"token": "file:nowhere"}}
    node.configure(settings)
    cluster.start(nodes=False)
    node.launch()
    assert await asyncio.to_thread(node.wait) == 78
    assert node.text.count("nowhere") == 1


async def test_a_single_process_is_not_ended_by_a_reload(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(nodes=1)
    (node,) = cluster.nodes
    node.tell(signal.SIGHUP)
    await asyncio.to_thread(node.wait_for, "reload.ignored")
    assert node.running
    assert await asyncio.to_thread(node.stop) == 0
