"""Revocation and expiry under load: in force within a second, also from another process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider, reply
from harness.running import Clock, MakeGateway, Running, Server
from harness.speaking import Response

from crossdock.store import Store


@pytest.fixture
async def running(acme_gateway: Running, provider: Provider) -> Running:
    provider.plays(reply({"count": 1}))
    return acme_gateway


SLACK = 4  # how many of the slowest call's times a busy machine may be late


class Load:
    """Callers that go on until they are stopped, and remember when which status came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.answers: list[tuple[float, Response]] = []
        self.slowest = 0.0
        self._callers = [asyncio.create_task(self._call()) for _ in range(6)]

    async def _call(self) -> None:
        while True:
            begun = time.time()
            response = await self._server.attempt("acme_items_count")
            self.slowest = max(self.slowest, time.time() - begun)
            self.answers.append((begun, response))

    async def until(self, status: int, seconds: float) -> None:
        """Wait until a call is answered so, and a little longer."""
        await until(lambda: self.answers and self.answers[-1][1].status == status, seconds)
        await self.beyond(time.time() + 0.1)

    async def beyond(self, moment: float) -> None:
        """Go on until a moment has passed."""
        await until(lambda: time.time() >= moment)

    async def stop(self) -> None:
        for caller in self._callers:
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    def begun_after(self, moment: float) -> set[int]:
        """Return the statuses of calls that began after a moment."""
        return {response.status for begun, response in self.answers if begun > moment}


async def _revoked_here(running: Running, server: Server) -> None:
    path = f"/integrated-account/shop/mcp/{server.id}"
    assert (await running.request("DELETE", path)).status == 204


async def _revoked_elsewhere(running: Running, server: Server) -> None:
    async with await Store.open("sqlite:///state/crossdock.db", folder=running.folder) as store:
        assert await store.servers.remove(server.id)


@pytest.mark.requirement("server:revoked:refused")
@pytest.mark.parametrize(("revoke", "within"), [(_revoked_here, 0.0), (_revoked_elsewhere, 1.0)])
async def test_no_call_that_begins_later_than_that_passes_a_revocation(
    running: Running, revoke: Callable[[Running, Server], Awaitable[None]], within: float
) -> None:
    server = await running.server()
    load = Load(server)
    await load.until(200, 5)
    await revoke(running, server)
    revoked = time.time()
    await load.until(403, 5)
    late = revoked + within + (within and SLACK * load.slowest)
    await load.beyond(late + 0.1)
    await load.stop()
    assert load.begun_after(late) == {403}
    assert load.begun_after(revoked - 60) == {200, 403}


@pytest.mark.requirement("server:expired:gone", "server:expired:erased")
async def test_no_call_that_begins_after_the_last_second_passes_an_expiry(
    gateway: MakeGateway, acme_folder: object, provider: Provider, clock: Clock
) -> None:
    provider.plays(reply({"count": 1}))
    running = await gateway(
        adapters=["acme"], accounts={"shop": acme.account(provider.url)}, clock=clock
    )
    server = await running.server(expires_at=clock.now + timedelta(seconds=1))
    load = Load(server)
    await load.until(200, 5)
    clock.advance(seconds=1)
    ended = time.time()
    await load.until(410, 5)
    await load.stop()
    assert load.begun_after(ended) == {410}
    assert load.begun_after(0) == {200, 410}
    path = f"/integrated-account/shop/mcp/{server.id}"

    async def gone() -> bool:
        return (await running.request("GET", path)).status == 404

    await until(gone)
    assert (await server.send("tools/list")).status == 410
    kept = await running.gateway.store.load_grants()
    assert [one.id for one in kept.servers if one.id == server.id] == []
    assert [one.server_id for one in kept.stubs] == [server.id]


async def test_a_server_made_by_another_process_is_served_within_a_second(
    running: Running,
) -> None:
    made = await running.server()
    async with await Store.open("sqlite:///state/crossdock.db", folder=running.folder) as store:
        stored = await store.servers.get(made.id)
        assert stored is not None
        assert await store.servers.remove(made.id)
        await _answers_within_a_second(made, 403)
        await store.servers.add(stored)
    await _answers_within_a_second(made, 200)


async def _answers_within_a_second(server: Server, status: int) -> None:
    begun, slowest = time.time(), 0.0

    async def answers() -> bool:
        nonlocal slowest
        asked = time.time()
        response = await server.send("tools/list")
        slowest = max(slowest, time.time() - asked)
        return response.status == status

    await until(answers)
    assert time.time() - begun < 1 + SLACK * slowest
