"""A human's consent counts once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from crossdock.store import Store

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
ENDS = datetime(2026, 11, 21, 12, 10, tzinfo=UTC)


async def test_of_many_at_once_one_counts(open_store: OpenStore) -> None:
    store = await open_store()
    used = await asyncio.gather(*(store.approvals.use(b"one", ENDS) for _ in range(20)))
    assert sorted(used) == [False] * 19 + [True]
    assert await store.approvals.use(b"another", ENDS)


async def test_it_is_used_up_for_another_process_and_after_a_restart(
    open_store: OpenStore,
) -> None:
    first = await open_store()
    assert await first.approvals.use(b"one", ENDS)
    other = await open_store()
    assert not await other.approvals.use(b"one", ENDS)
    await first.close()
    assert not await (await open_store()).approvals.use(b"one", ENDS)


async def test_what_ended_by_itself_is_forgotten_and_nothing_else(open_store: OpenStore) -> None:
    store = await open_store()
    await store.approvals.use(b"old", ENDS)
    await store.approvals.use(b"new", ENDS + timedelta(minutes=5))
    assert await store.approvals.forget(ENDS + timedelta(seconds=1)) == 1
    assert not await store.approvals.use(b"new", ENDS)
    assert await store.approvals.use(b"old", ENDS)
