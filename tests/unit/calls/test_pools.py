"""Connection pools belong to accounts, and ten thousand accounts keep few of them open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from harness import raw_provider
from harness.patience import turns, until
from harness.raw_provider import RawProvider
from yarl import URL

from crossdock.calls.dialing import Dialer
from crossdock.calls.http_connection import HttpConnection
from crossdock.calls.http_reader import AnswerReader
from crossdock.calls.pools import Pool, Pools
from crossdock.calls.targets import Origin, origin_of


class Yard:
    """Pools that lead to one provider; `kept` is how long a connection stays idle."""

    def __init__(self, provider: RawProvider, **more: float) -> None:
        self.provider = provider
        self.origin = origin_of(URL(provider.url()))
        self.kept = more.pop("kept", 10.0)
        settings = {"connections": 4, "idle": 10.0, **more}
        self.pools = Pools(self._dial, **settings)  # type: ignore[arg-type]

    async def _dial(self, origin: Origin) -> HttpConnection:
        dialer = Dialer([ip_network("127.0.0.1/32")], 5.0)
        return await dialer.connect(
            origin, lambda: HttpConnection(AnswerReader(1000), 5.0, self.kept)
        )

    async def used(self, account: str) -> tuple[Pool, HttpConnection]:
        """Take a connection, or open one."""
        pool = self.pools.of(account)
        now = asyncio.get_running_loop().time()
        return pool, pool.take(self.origin, now) or await pool.connected(self.origin)

    def give(self, pool: Pool, connection: HttpConnection) -> None:
        """Give it back."""
        pool.give(connection, self.origin, asyncio.get_running_loop().time())


@pytest.fixture
async def provider() -> AsyncIterator[RawProvider]:
    async with raw_provider.listening() as made:
        yield made


@pytest.mark.requirement("security:slots:fair")
async def test_an_account_keeps_its_connections_and_shares_them_with_nobody(
    provider: RawProvider,
) -> None:
    yard = Yard(provider)
    pool, mine = await yard.used("a")
    _, second = await yard.used("a")
    _, other = await yard.used("b")
    assert len({mine, second, other}) == 3
    yard.give(pool, mine)
    assert (await yard.used("b"))[1] is not mine
    assert (await yard.used("a"))[1] is mine
    await yard.pools.close()
    await until(lambda: provider.gone == 4)


async def test_many_accounts_keep_few_pools_and_none_that_is_used_is_closed(
    provider: RawProvider,
) -> None:
    yard = Yard(provider, most=5)
    busy, connection = await yard.used("busy")
    for number in range(200):
        yard.give(*await yard.used(str(number)))
        assert len(yard.pools) <= 5
    await until(lambda: provider.gone == 196)
    yard.give(busy, connection)
    assert (await yard.used("busy"))[1] is connection
    await yard.pools.close()
    await until(lambda: provider.gone == 201)


async def test_an_idle_pool_is_closed_and_a_used_one_is_not(provider: RawProvider) -> None:
    yard = Yard(provider, idle=0.01)
    await yard.used("a")
    yard.give(*await yard.used("b"))
    await until(lambda: len(yard.pools) == 1)
    await until(lambda: provider.gone == 1)
    await yard.pools.close()
    await until(lambda: provider.gone == 2)


async def test_an_idle_connection_is_closed_also_where_others_of_its_pool_are_used(
    provider: RawProvider,
) -> None:
    yard = Yard(provider, kept=0.01)
    pool, idle = await yard.used("a")
    await yard.used("a")
    yard.give(pool, idle)
    await until(lambda: provider.gone == 1)
    assert len(yard.pools) == 1
    await yard.pools.close()


async def test_who_waits_for_a_place_gets_the_one_that_is_given_back(provider: RawProvider) -> None:
    yard = Yard(provider, connections=1)
    pool, connection = await yard.used("a")
    first, second = (asyncio.create_task(yard.used("a")) for _ in range(2))
    await turns(1)
    yard.give(pool, connection)
    assert pool.take(yard.origin, 0.0) is None  # nobody overtakes
    assert (await first)[1] is connection
    assert not second.done()
    yard.give(pool, connection)
    assert (await second)[1] is connection
    yard.give(pool, connection)
    assert not pool.used
    await yard.pools.close()


async def test_who_is_woken_and_gives_up_wakes_the_next(provider: RawProvider) -> None:
    yard = Yard(provider, connections=1)
    pool, connection = await yard.used("a")
    first, second = (asyncio.create_task(yard.used("a")) for _ in range(2))
    await turns(1)
    yard.give(pool, connection)
    first.cancel()  # its turn has come, and it does not know yet
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await second)[1] is connection
    await yard.pools.close()


async def test_a_place_is_given_back_when_no_connection_can_be_made(provider: RawProvider) -> None:
    yard = Yard(provider, connections=1)
    nowhere = origin_of(URL("http://127.0.0.9:9"))
    pool = yard.pools.of("a")
    for _ in range(3):
        with pytest.raises(Exception, match="refused"):
            await pool.connected(nowhere)
    assert not pool.used
    yard.give(*await yard.used("a"))
    await yard.pools.close()
