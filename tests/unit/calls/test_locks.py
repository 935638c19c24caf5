"""Locks by name: exclusive, bounded in time, gone when nobody needs them."""

from __future__ import annotations

import asyncio

import pytest
from harness.patience import turns

from crossdock.calls.locks import Locks
from crossdock.errors import Busy


async def test_one_holder_at_a_time_in_the_order_of_asking() -> None:
    locks, met = Locks(), []

    async def work(number: int) -> None:
        async with locks.hold("a", wait=5):
            met.append(("in", number))
            await turns(1)
            met.append(("out", number))

    await asyncio.gather(*(work(number) for number in range(5)))
    assert met == [(way, number) for number in range(5) for way in ("in", "out")]


async def test_other_keys_do_not_wait() -> None:
    locks = Locks()
    async with locks.hold("shop", "a", wait=1), locks.hold("shop", "b", wait=0.01):
        pass


async def test_waiting_ends_with_words_and_without_the_lock() -> None:
    locks = Locks()
    async with locks.hold("a", wait=1):
        with pytest.raises(Busy, match="nothing was written"):
            async with locks.hold("a", wait=0.01):
                raise AssertionError
    async with locks.hold("a", wait=0.01):
        pass


async def test_a_cancelled_wait_and_a_failing_holder_leave_nothing_behind() -> None:
    locks = Locks()
    with pytest.raises(ZeroDivisionError):
        async with locks.hold("a", wait=1):
            waiting = asyncio.create_task(_enter(locks))
            await turns(1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            raise ZeroDivisionError
    assert locks._held == {}  # noqa: SLF001 -- that it forgets is the promise


async def _enter(locks: Locks) -> None:
    async with locks.hold("a", wait=5):
        raise AssertionError
