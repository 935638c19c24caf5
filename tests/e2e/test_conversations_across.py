"""Conversations through nginx without stickiness: real processes, killed and cut off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin

import pytest
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster
from harness.patience import until
from harness.streaming import Stream

pytestmark = pytest.mark.e2e
MakeCluster = Callable[..., Cluster]


async def test_the_oldest_transport_through_nginx_with_four_processes(
    make_cluster: MakeCluster, canaries: Canaries, shop: str
) -> None:
    cluster = make_cluster(nodes=2, workers=2)
    a, b = cluster.nodes
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        server = await (await visitor.server(account)).known()
        async with visitor.http.get(server.at(a).url) as response:
            stream = Stream(response)
            first = await stream.next()
            assert first is not None
            front, beside = (urljoin(one.url, first.data) for one in (cluster.front, b))

            async def post(url: str, message: dict[str, Any]) -> int:
                body = json.dumps({"jsonrpc": "2.0", **message}).encode()
                sent = {"Content-Type": "application/json"}
                return (await server.request("POST", url, body, sent)).status

            async def taken() -> bool:
                return await post(beside, {"id": "back", "method": "ping"}) == 202

            await until(taken)
            assert (await stream.message())["id"] == "back"
            for number in range(12):
                assert await post(front, {"id": number, "method": "ping"}) == 202
                assert (await stream.message())["id"] == number
            b.cut("bus")
            assert await post(beside, {"id": "cut", "method": "ping"}) == 503

            async def degraded() -> bool:
                ready = await visitor.request("GET", "/readyz", at=b)
                return ready.status == 200 and ready.json.get("degraded") == ["bus"]

            await until(degraded, 30)
            b.mend("bus")
            await until(taken, 30)
            assert (await stream.message())["id"] == "back"
            a.kill()

            async def gone() -> bool:
                return await post(beside, {"id": "gone", "method": "ping"}) == 404

            await until(gone, 30)
