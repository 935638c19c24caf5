"""A new URL for the same server, with and without an overlap, and while it is being used."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider
from harness.running import Clock, MakeGateway, Running, Server


@pytest.fixture
async def running(
    gateway: MakeGateway, acme_folder: object, provider: Provider, clock: Clock
) -> Running:
    return await gateway(
        adapters=["acme"], accounts={"shop": acme.account(provider.url)}, clock=clock
    )


async def rotated(running: Running, server: Server, body: Any = None) -> Server:
    path = f"/integrated-account/shop/mcp/{server.id}/rotate"
    response = await running.request("POST", path, body)
    assert response.status == 200, response
    made = response.json
    running.canaries.issue(made["token"], "the rotated token")
    assert made["id"] == server.id
    assert made["url"] == f"{running.url}/mcp/{made['token']}"
    return Server(made, running.http, made["url"], running.canaries)


@pytest.mark.requirement("server:rotate:overlap")
async def test_without_an_overlap_the_old_url_ends_at_once(running: Running) -> None:
    old = await running.server()
    for body in (None, {}, {"overlap_seconds": 0}):
        new = await rotated(running, old, body)
        assert await new.names()
        refused = await old.send("tools/list")
        unknown = await running.speaker("/mcp/cdm_unknown").send("tools/list")
        assert (refused.status, refused.body) == (unknown.status, unknown.body)
        old = new


@pytest.mark.requirement("server:rotate:overlap")
async def test_with_an_overlap_both_urls_are_good_until_it_is_over(
    running: Running, clock: Clock
) -> None:
    old = await running.server()
    new = await rotated(running, old, {"overlap_seconds": 60})
    assert new.created["old_url_until"] is not None
    clock.advance(seconds=59.9)
    assert await old.names() == await new.names() != []
    clock.advance(seconds=0.1)
    assert (await old.send("tools/list")).status == 403
    assert await new.names()


async def test_a_second_rotation_ends_the_url_before_the_last(running: Running) -> None:
    first = await running.server()
    second = await rotated(running, first, {"overlap_seconds": 60})
    third = await rotated(running, second, {"overlap_seconds": 60})
    assert (await first.send("tools/list")).status == 403
    assert await second.names() == await third.names() != []


@pytest.mark.parametrize("seconds", [-1, 604801, 1.5, "60", None])
async def test_an_overlap_that_makes_no_sense_is_refused(running: Running, seconds: Any) -> None:
    server = await running.server()
    path = f"/integrated-account/shop/mcp/{server.id}/rotate"
    response = await running.request("POST", path, {"overlap_seconds": seconds})
    assert response.status == 422
    assert response.json["details"] == {"field": "overlap_seconds"}
    assert await server.names()


async def test_a_rotation_with_an_overlap_fails_no_call_under_load(running: Running) -> None:
    server = await running.server()
    current = [server]
    failed: list[Any] = []
    calls = 0
    over = False

    async def caller() -> None:
        nonlocal calls
        while not over:
            response = await current[-1].attempt("acme_items_count")
            calls += 1
            if response.status != 200:
                failed.append(response)

    callers = [asyncio.create_task(caller()) for _ in range(8)]
    for _ in range(10):
        current.append(await rotated(running, current[-1], {"overlap_seconds": 60}))
        reached = calls + len(callers)
        await until(lambda reached=reached: calls >= reached)
    over = True
    await asyncio.gather(*callers)
    assert failed == []
    assert calls >= 10 * len(callers)


@pytest.mark.requirement("keys:rotate:online")
async def test_a_rotation_of_the_data_keys_fails_no_call_and_no_admin_request(
    running: Running, provider: Provider
) -> None:
    ids = []
    for number in range(8):
        body = {
            "integration": "acme",
            "name": f"Shop {number}",
            "settings": {"base_url": provider.url},
            "credentials": {"api_key": acme.API_KEY},
        }
        ids.append((await running.request("POST", "/integrated-account", body)).json["id"])
    servers = [await running.server(id) for id in ids[:5]]
    failed: list[Any] = []
    calls = changes = 0
    over = False

    async def caller(server: Server) -> None:
        nonlocal calls
        while not over:
            response = await server.attempt("acme_items_count")
            calls += 1
            if response.status != 200 or response.result["isError"]:
                failed.append(response)

    async def changer() -> None:
        nonlocal changes
        while not over:
            id = ids[changes % len(ids)]
            change = {"credentials": {"api_key": acme.API_KEY}, "name": f"n{changes}"}
            response = await running.request("PATCH", f"/integrated-account/{id}", change)
            changes += 1
            if response.status != 200:
                failed.append(response)

    workers = [asyncio.create_task(caller(server)) for server in servers]
    workers.append(asyncio.create_task(changer()))
    keys = set()
    for _ in range(3):
        done = await running.gateway.store.rotate_keys()
        assert done.unreadable == ()
        keys.add(done.key_id)
        reached = calls + len(servers), changes + 1
        await until(lambda reached=reached: calls >= reached[0] and changes >= reached[1])
    over = True
    await asyncio.gather(*workers)
    assert failed == []
    assert len(keys) == 3
    assert calls >= 3 * len(servers)
    assert changes >= 3
