"""A writer that is killed or frozen, and its write that arrives later: nothing acknowledged is lost.

Real processes against Malomo's sandbox: two nodes on PostgreSQL, and one process on SQLite that is
started again. `REPEAT=50` makes the long form of those that end at random moments.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from harness import late, malomo
from harness.canaries import Canaries
from harness.cluster import Cluster, Node
from harness.late import Doorman
from harness.patience import until
from harness.ports import free_port
from harness.speaking import Speaker

from crossdock.access.tokens import mint

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]
UPDATE, ORDER = "update_a_malomo_order_by_id", "89123"
REPEAT = int(os.environ.get("REPEAT", "1"))
SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
QUICK = {"limits": {"upstream_total_seconds": 2.0, "lock_wait_seconds": 30.0}}
"""A write may arrive for 7 seconds, and who finds one on its way has the patience to wait."""


@pytest.fixture
async def doorman(shop: str) -> AsyncIterator[Doorman]:
    async with late.standing(shop) as standing:
        yield standing


async def add(server: Speaker, code: str) -> Any:
    """Add a shipment; return what came of it."""
    shipments = [{"carrier": "fedex", "tracking_code": code}]
    return await server.call(UPDATE, {"id": ORDER, "shipments": shipments})


async def codes(server: Speaker) -> set[str]:
    order = (await server.call("get_single_malomo_order_by_id", {"id": ORDER})).data
    return {one["tracking_code"] for one in order["shipments"]}


async def cut_off(server: Speaker, code: str, doorman: Doorman, node: Node, how: str) -> Any:
    """Begin to add, and kill or freeze the node while the provider has the write."""
    doorman.hold()
    arrived = doorman.arrived
    adding = asyncio.create_task(add(server, code))
    await until(lambda: doorman.arrived > arrived, 30)
    await asyncio.to_thread(node.kill if how == "kill" else node.freeze)
    return adding


@asynccontextmanager
async def two_nodes(
    make_cluster: MakeCluster, canaries: Canaries, url: str, **settings: Any
) -> AsyncIterator[tuple[Cluster, Any]]:
    cluster = await asyncio.to_thread(lambda: make_cluster(settings={**QUICK, **settings}))
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", url, api_key=malomo.API_KEY)
        yield cluster, await (await visitor.server(account)).known()


async def test_twenty_additions_through_two_nodes_all_stay(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    async with two_nodes(make_cluster, canaries, shop, limits={"lock_wait_seconds": 60}) as (
        cluster,
        server,
    ):
        wanted = {f"p{number}" for number in range(20)}
        asked = [
            add(server.at(cluster.nodes[number % 2]), code)
            for number, code in enumerate(sorted(wanted))
        ]
        assert [called.is_error for called in await asyncio.gather(*asked)] == [False] * 20
        assert wanted <= await codes(server)


async def test_a_late_write_of_a_killed_node_wipes_out_nothing(
    make_cluster: MakeCluster, canaries: Canaries, doorman: Doorman
) -> None:
    async with two_nodes(make_cluster, canaries, doorman.url) as (cluster, server):
        a, b = cluster.nodes
        for turn in range(REPEAT):
            dying = await cut_off(server.at(a), f"late{turn}", doorman, a, "kill")
            adding = asyncio.create_task(add(server.at(b), f"next{turn}"))
            early, _ = await asyncio.wait({adding}, timeout=1.0)
            assert early == set(), "it did not wait for what may still arrive"
            doorman.let_in()
            assert not (await adding).is_error
            with pytest.raises(aiohttp.ClientError):
                await dying
            assert {f"late{turn}", f"next{turn}"} <= await codes(server.at(b))
            await asyncio.to_thread(a.start)


async def test_a_frozen_writer_is_waited_for_and_goes_on(
    make_cluster: MakeCluster, canaries: Canaries, doorman: Doorman
) -> None:
    limits = {"upstream_total_seconds": 30.0, "lock_wait_seconds": 2.0}
    async with two_nodes(make_cluster, canaries, doorman.url, limits=limits) as (cluster, server):
        a, b = cluster.nodes
        for turn in range(REPEAT):
            frozen = await cut_off(server.at(a), f"cold{turn}", doorman, a, "freeze")
            called = await add(server.at(b), f"warm{turn}")
            assert called.error["kind"] == "busy"
            assert "Others have been changing" in called.error["message"]
            await asyncio.to_thread(a.thaw)
            doorman.let_in()
            assert not (await frozen).is_error
            assert not (await add(server.at(b), f"warm{turn}")).is_error
            assert {f"cold{turn}", f"warm{turn}"} <= await codes(server)


async def test_who_has_no_patience_is_told_for_how_long_a_write_may_still_arrive(
    make_cluster: MakeCluster, canaries: Canaries, doorman: Doorman
) -> None:
    limits = {"upstream_total_seconds": 30.0, "lock_wait_seconds": 1.0}
    async with two_nodes(make_cluster, canaries, doorman.url, limits=limits) as (cluster, server):
        a, b = cluster.nodes
        dying = await cut_off(server.at(a), "late", doorman, a, "kill")
        error = (await add(server.at(b), "next")).error
        assert error["kind"] == "busy"
        assert error["retryable"] is True
        assert "was cut off and may still arrive; try again in 3" in error["message"]
        with pytest.raises(aiohttp.ClientError):
            await dying


async def test_one_process_on_sqlite_that_was_killed_waits_for_its_own_late_write(
    tmp_path: Path, canaries: Canaries, doorman: Doorman
) -> None:
    token = mint("api")
    canaries.issue(token, "the admin token")
    canaries.issue(malomo.API_KEY, "the sandbox's key")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "admin").write_text(token, encoding="utf-8")
    (tmp_path / "secrets" / "key").write_text(malomo.API_KEY, encoding="utf-8")
    (tmp_path / "node").mkdir()
    account = {"integration": "malomo", "settings": {"base_url": doorman.url}}
    settings: dict[str, Any] = {
        "server": {"port": free_port()},
        "admin": {"token": "file:../secrets/admin"},
        "plugins": {"only": ["malomo"]},
        "upstream": {"allow_private": ["127.0.0.1/32"]},
        "log": {"format": "json"},
        **QUICK,
        "accounts.shop": {**account, "credentials": {"api_key": "file:../secrets/key"}},
    }
    node = Node("node", tmp_path / "node", settings, 1)
    await asyncio.to_thread(node.start)
    try:
        async with aiohttp.ClientSession() as http:
            headers = {"Authorization": f"Bearer {token}"}
            where = f"{node.url}/integrated-account/shop/mcp"
            async with http.post(where, json={"name": "a"}, headers=headers) as reply:
                made = await reply.json()
            canaries.issue(made["token"], "the token of the server")
            server = Speaker(http, made["url"], canaries)
            for turn in range(REPEAT):
                dying = await cut_off(server, f"late{turn}", doorman, node, "kill")
                await asyncio.to_thread(node.start)
                adding = asyncio.create_task(add(server, f"next{turn}"))
                early, _ = await asyncio.wait({adding}, timeout=0.5)
                assert early == set(), "it did not wait for what may still arrive"
                doorman.let_in()
                assert not (await adding).is_error
                with pytest.raises(aiohttp.ClientError):
                    await dying
                assert {f"late{turn}", f"next{turn}"} <= await codes(server)
    finally:
        await asyncio.to_thread(node.kill)


async def test_kills_at_random_lose_nothing_that_was_acknowledged(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    chance = random.Random(SEED)
    limits = {"upstream_total_seconds": 1.0, "lock_wait_seconds": 60.0}
    async with two_nodes(make_cluster, canaries, shop, limits=limits) as (cluster, server):
        kept: set[str] = set()
        for turn in range(REPEAT):
            victim = chance.choice(cluster.nodes)
            adding = {
                f"{turn}.{number}": asyncio.create_task(
                    add(server.at(cluster.nodes[number % 2]), f"{turn}.{number}")
                )
                for number in range(6)
            }
            await asyncio.wait(adding.values(), timeout=chance.uniform(0.0, 1.0))
            await asyncio.to_thread(victim.kill)
            ended = await asyncio.gather(*adding.values(), return_exceptions=True)
            for code, came in zip(adding, ended, strict=True):
                if isinstance(came, BaseException):
                    assert isinstance(came, aiohttp.ClientError), came
                else:
                    assert not came.is_error, came.text
                    kept.add(code)
            await asyncio.to_thread(victim.start)
            assert kept <= await codes(server.at(victim))
        assert kept
