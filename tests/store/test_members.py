"""Who serves from a store: each process says so by a row, which goes with it or falls silent."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from crossdock.store import AuditEntry, Store

OpenStore = Callable[..., Coroutine[Any, Any, Store]]


async def joined(open_store: OpenStore, **seen: Any) -> Store:
    store = await open_store()
    await store.members.join(replace(store.members.me, **seen))
    return store


async def age(store: Store, seconds: int) -> None:
    late = f"UPDATE members SET seen_at = seen_at - interval '{seconds} s'"
    await store.members._database.write(lambda c: c.execute(text(late)), quiet=True)


async def test_a_process_has_a_name_of_eight_characters_that_no_other_has(
    open_store: OpenStore,
) -> None:
    names = {(await open_store()).members.me.id for _ in range(5)}
    assert len(names) == 5
    assert all(re.fullmatch("[a-z0-9]{8}", name) for name in names)


async def test_one_process_that_serves_knows_itself(open_store: OpenStore) -> None:
    store = await open_store()
    assert await store.members.all() == ()
    await store.members.join(store.members.me)
    assert [one.id for one in await store.members.all()] == [store.members.me.id]
    await store.members.leave()
    assert await store.members.all() == ()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_members_see_each_other_until_they_close(open_store: OpenStore) -> None:
    pages = {"malomo": "1.0+a/b"}
    one = await joined(
        open_store, version="9", adapters=pages, configuration="c", keys=("k1", "k2")
    )
    other = await joined(open_store)
    found = await other.members.all()
    assert [member.id for member in found] == [one.members.me.id, other.members.me.id]
    assert (found[0].version, found[0].configuration, found[0].keys) == ("9", "c", ("k1", "k2"))
    assert found[0].adapters == pages
    assert found[0].started_at is not None
    await one.close()
    assert [member.id for member in await other.members.all()] == [other.members.me.id]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_who_is_silent_serves_no_more_until_heard_again(open_store: OpenStore) -> None:
    one, other = await joined(open_store), await joined(open_store)
    await age(one, 60)
    await one.members.seen()
    assert [member.id for member in await one.members.all()] == [one.members.me.id]
    dead = (await one.members.all(silent=300))[1]
    assert dead.id == other.members.me.id
    assert 60 <= dead.silent < 300
    await other.members.seen()
    assert len(await one.members.all()) == 2


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_who_was_silent_for_hours_is_forgotten_and_comes_back(open_store: OpenStore) -> None:
    one, other = await joined(open_store), await joined(open_store)
    await age(one, 7200)
    await one.members.seen()
    await one.members.forget()
    assert len(await one.members.all(silent=10_000)) == 1
    await other.members.seen()
    assert len(await one.members.all()) == 2


async def test_a_line_of_the_call_log_names_its_node(open_store: OpenStore, clock: Any) -> None:
    store = await open_store(node="left")
    line = AuditEntry(time=clock.now, kind="call", actor="a", action="b", outcome="ok")
    await store.audit.append([line])
    assert [one.node for one in (await store.audit.list()).items] == ["left"]
