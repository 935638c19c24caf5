"""Deadlines end what takes too long, and nothing else: others' cancellations go through."""

from __future__ import annotations

import asyncio

import pytest
from harness.patience import turns, until

from crossdock.calls.deadlines import Deadline, Deadlines


def cancelling() -> int:
    """How many cancellations this task has still to see."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def test_what_takes_too_long_is_a_timeout_and_the_task_goes_on() -> None:
    deadlines = Deadlines()
    with pytest.raises(TimeoutError):
        with deadlines.within(0.01):
            await asyncio.Event().wait()
    assert cancelling() == 0
    with deadlines.within(10):
        await turns(3)


async def test_what_ends_in_time_is_left_alone_also_afterwards() -> None:
    deadlines = Deadlines()
    with deadlines.within(0.01) as first:
        pass
    with pytest.raises(TimeoutError):
        with deadlines.within(0.2):
            await until(lambda: asyncio.get_running_loop().time() > first.ends + 0.15)
            await asyncio.Event().wait()
    with pytest.raises(KeyError):
        with deadlines.within(0.01):
            raise KeyError
    assert cancelling() == 0


async def test_a_foreign_cancellation_goes_through() -> None:
    deadlines = Deadlines()

    async def within() -> None:
        with deadlines.within(10):
            await asyncio.Event().wait()

    task = asyncio.create_task(within())
    await turns(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("first", ["deadline", "foreign"])
async def test_of_both_at_once_the_foreign_one_counts(first: str) -> None:
    deadlines = Deadlines()
    entered: list[Deadline] = []

    async def within() -> None:
        with deadlines.within(10) as deadline:
            entered.append(deadline)
            await asyncio.Event().wait()

    task = asyncio.create_task(within())
    await until(lambda: entered)
    ends = [entered[0].expire, task.cancel]
    for end in ends if first == "deadline" else reversed(ends):
        end()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_of_two_within_each_other_each_ends_its_own() -> None:
    deadlines = Deadlines()
    with deadlines.within(10):
        with pytest.raises(TimeoutError):
            with deadlines.within(0.01):
                await asyncio.Event().wait()
        await turns(2)
    with pytest.raises(TimeoutError):
        with deadlines.within(0.01):
            with deadlines.within(10):
                await asyncio.Event().wait()
    assert cancelling() == 0


async def test_what_swallows_its_end_is_not_ended_again() -> None:
    deadlines = Deadlines()
    with deadlines.within(0.01):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        await turns(3)
    assert cancelling() == 0


async def test_time_stands_still_while_a_deadline_is_paused() -> None:
    deadlines = Deadlines()
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError):
        with deadlines.within(0.2) as deadline:
            begun = loop.time()
            with deadline.paused():
                await until(lambda: loop.time() > begun + 0.5)
            assert deadline.ends > loop.time()
            await asyncio.Event().wait()
    assert deadline.ends >= begun + 0.6
