"""Locks on customers' records, and writes that may still arrive: between processes and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from harness.patience import turns, until
from sqlalchemy import text

from crossdock.errors import Busy, StoreAway
from crossdock.store import Store

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
Make = Callable[..., Coroutine[Any, Any, Any]]
SECRET, ORDER = "sk_live_secret", "/orders/1042"
SHORT = -2.5
"""Seconds of a request that may arrive for 2.5 s, with the margin."""

LOCKS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'crossdock lock'
"""
postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


@pytest.fixture
async def make(open_store: OpenStore) -> AsyncIterator[Make]:
    """Give the locks of another process each time."""
    async with AsyncExitStack() as stack:

        async def one(seconds: float = 30.0, most: int = 8) -> Any:
            store = await open_store()
            locks = store.order_locks(request_seconds=seconds, most=most)
            stack.push_async_callback(locks.close)
            await locks.recall()
            return locks

        yield one


async def rows(store: Store) -> list[Any]:
    query = text("SELECT key, holder FROM write_intents")
    return list(await store.servers._database.read(lambda c: c.execute(query).all()))


async def end_locks(store: Store) -> None:
    await store.servers._database.write(lambda c: c.execute(text(LOCKS)), quiet=True)


async def enter(locks: Any, wait: float = 0.05) -> None:
    async with locks.hold(SECRET, ORDER, wait=wait):
        pass


@postgresql
async def test_one_process_at_a_time_and_none_forgotten(make: Make) -> None:
    inside, most, count = 0, 0, 0

    async def work(locks: Any) -> None:
        nonlocal inside, most, count
        async with locks.hold(SECRET, ORDER, wait=20) as lock:
            inside += 1
            most = max(most, inside)
            await lock.announce()
            await turns(1)
            count += 1
            inside -= 1

    processes = [await make(), await make(), await make()]
    await asyncio.gather(*(work(locks) for _ in range(10) for locks in processes))
    assert (most, count) == (1, 30)


@postgresql
async def test_who_waits_too_long_is_told_and_other_records_go_on(make: Make) -> None:
    one, other = await make(), await make()
    async with one.hold(SECRET, ORDER, wait=1):
        with pytest.raises(Busy, match="Others have been changing this record for"):
            await enter(other)
        async with other.hold(SECRET, "/orders/2", wait=1), other.hold("x", ORDER, wait=1):
            pass
    await enter(other)


@postgresql
async def test_the_lock_of_a_dead_process_is_free_and_its_write_is_waited_for(
    make: Make, store: Store
) -> None:
    dead, other = await make(), await make()
    with pytest.raises(StoreAway):
        async with dead.hold(SECRET, ORDER, wait=1) as lock:
            await lock.announce()
            await end_locks(store)
            await lock.announce()
    with pytest.raises(Busy, match=r"cut off and may still arrive; try again in 3[45] s\."):
        await enter(other)
    async with other.hold(SECRET, "/orders/2", wait=1):
        pass


@postgresql
async def test_a_process_that_was_killed_between_its_requests_frees_the_record_at_once(
    make: Make, store: Store
) -> None:
    dead, other = await make(), await make()
    async with dead.hold(SECRET, ORDER, wait=1):
        await end_locks(store)
        await enter(other, wait=5)


@postgresql
async def test_a_write_that_can_not_arrive_any_more_holds_up_nobody(
    make: Make, store: Store
) -> None:
    dead, other = await make(seconds=SHORT), await make()
    with pytest.raises(StoreAway):
        async with dead.hold(SECRET, ORDER, wait=1) as lock:
            await lock.announce()
            await end_locks(store)
            await lock.announce()
    with pytest.raises(Busy, match="may still arrive"):
        await enter(other)
    await enter(other, wait=10)
    assert len(await rows(store)) == 1


@postgresql
async def test_a_lost_lock_sends_nothing(make: Make, store: Store) -> None:
    locks = await make()
    sent = False
    with pytest.raises(StoreAway, match="nothing was sent"):
        async with locks.hold(SECRET, ORDER, wait=1) as lock:
            await end_locks(store)
            await lock.announce()
            sent = True
    assert not sent
    await enter(locks)


@postgresql
async def test_one_call_takes_one_session_however_many_locks_it_holds(make: Make) -> None:
    locks = await make(most=1)
    async with (
        locks.hold("a", wait=1) as first,
        locks.hold("b", wait=1, beside=first) as second,
    ):
        await first.announce()
        await second.announce()
        with pytest.raises(Busy):
            await enter(locks)
    await enter(locks)


@postgresql
async def test_a_queue_stands_before_the_sessions(make: Make, store: Store) -> None:
    locks = await make(most=2)

    async def work(number: int) -> None:
        async with locks.hold(str(number), wait=10):
            await turns(1)

    await asyncio.gather(*(work(number) for number in range(12)))
    count = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossdock lock'")
    found = await store.servers._database.read(lambda c: c.execute(count).scalar_one())
    assert found <= 2


@postgresql
async def test_who_is_cancelled_while_waiting_leaves_nothing_behind(make: Make) -> None:
    one, other = await make(), await make()
    async with one.hold(SECRET, ORDER, wait=1):
        waiting = asyncio.create_task(enter(other, wait=30))
        await until(lambda: other._sessions._places._value == 7)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await enter(one, wait=5)
    await enter(other, wait=5)


async def test_what_was_answered_leaves_no_intent_and_no_secret(make: Make, store: Store) -> None:
    locks = await make()
    async with locks.hold(SECRET, ORDER, wait=1) as lock:
        assert await rows(store) == []
        await lock.announce()
        await lock.announce()
        [row] = await rows(store)
        assert SECRET not in str(row)
        assert "1042" not in str(row)
        assert len(row.key) == 64
    await locks.close()
    assert await rows(store) == []


async def test_after_a_kill_and_a_restart_a_write_on_its_way_is_waited_for(make: Make) -> None:
    killed = await make(seconds=SHORT)
    leaving = AsyncExitStack()
    lock = await leaving.enter_async_context(killed.hold(SECRET, ORDER, wait=1))
    await lock.announce()
    if isinstance(await make(), type(killed)) and hasattr(killed, "_sessions"):
        lock.session.end()  # what a kill does
    restarted = await make()
    with pytest.raises(Busy, match="cut off and may still arrive; try again in [123] s"):
        await enter(restarted)
    async with restarted.hold(SECRET, "/orders/2", wait=0.05):
        pass
    await enter(restarted, wait=10)
    await leaving.aclose()


async def test_locks_need_the_store(make: Make, open_store: OpenStore) -> None:
    store = await open_store()
    locks = store.order_locks(request_seconds=30, most=8)
    await store.close()
    await store.servers._database.write(
        lambda c: c.execute(text("DROP TABLE write_intents")), quiet=True
    )
    with pytest.raises(StoreAway, match="nothing was sent"):
        async with locks.hold(SECRET, ORDER, wait=1) as lock:
            await lock.announce()
    await locks.close()
