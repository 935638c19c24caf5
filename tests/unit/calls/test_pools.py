"""Connection pools belong to accounts, and ten thousand accounts keep few of them open."""

from __future__ import annotations

import aiohttp
import pytest
from harness.patience import until

from crossdock.calls.pools import Pools


class Opened:
    """Opens sessions and remembers them."""

    def __init__(self) -> None:
        self.sessions: list[aiohttp.ClientSession] = []

    def __call__(self, public: bool) -> aiohttp.ClientSession:
        self.sessions.append(aiohttp.ClientSession())
        return self.sessions[-1]

    @property
    def open(self) -> int:
        return sum(not session.closed for session in self.sessions)


@pytest.mark.requirement("security:slots:fair")
async def test_an_account_keeps_its_session_and_shares_it_with_nobody() -> None:
    pools = Pools(Opened(), 10.0)
    with (
        pools.session("a", public=True) as mine,
        pools.session("a", public=True) as again,
        pools.session("a", public=False) as inside,
        pools.session("b", public=True) as other,
    ):
        assert mine is again
        assert len({mine, inside, other}) == 3
    await pools.close()
    assert mine.closed and inside.closed and other.closed


async def test_many_accounts_keep_few_sessions_and_none_that_is_used_is_closed() -> None:
    opened = Opened()
    pools = Pools(opened, 10.0, most=5)
    with pools.session("busy", public=True) as busy:
        for number in range(10_000):
            with pools.session(str(number), public=True):
                assert len(pools) <= 5
        assert not busy.closed
        await until(lambda: opened.open <= 5)
    await pools.close()
    assert opened.open == 0


async def test_an_idle_session_is_closed_and_a_used_one_is_not() -> None:
    pools = Pools(Opened(), 0.01)
    with pools.session("a", public=True) as used:
        with pools.session("b", public=True) as idle:
            pass
        await until(lambda: idle.closed)
        assert not used.closed
    await until(lambda: len(pools) == 0)
    await pools.close()
