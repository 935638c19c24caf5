"""Noticing what other processes wrote, and finishing what was begun; on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from harness.patience import turns, until
from msgspec.structs import replace

from crossdock.model import Secret
from crossdock.store import AuditEntry, Store, StoredServer

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
Make = Callable[..., StoredServer]


async def test_only_writes_of_others_are_changes(open_store: OpenStore, a_server: Make) -> None:
    one, other = await open_store(), await open_store()
    await one.changes()  # unlocking the first store made its keys
    await one.servers.add(a_server(1))
    assert not await one.changes()
    assert await other.changes()
    assert not await other.changes()
    assert len((await other.load_grants()).servers) == 1

    await other.servers.add(a_server(2))
    await one.servers.add(a_server(3))
    assert await one.changes()
    assert await other.changes()
    assert not await one.changes()
    assert not await other.changes()


async def test_every_kind_of_write_that_matters_is_noticed(
    open_store: OpenStore, a_server: Make, clock: Any
) -> None:
    one, other = await open_store(), await open_store()
    await one.changes()
    account = await one.accounts.add(
        integration="malomo", name="A", settings={}, credentials={"k": Secret("s")}
    )
    await one.servers.add(a_server(1, account_id=account.id))
    await one.servers.add(a_server(2, expires_at=clock.now + timedelta(hours=1)))
    clock.advance(hours=2)
    writes: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: one.servers.update("mcp_srv_1", lambda s: replace(s, name="Other")),
        lambda: one.servers.rotate("mcp_srv_1", b"9" * 32, overlap=timedelta(minutes=1)),
        lambda: one.accounts.update(account.id, lambda a: replace(a, status="needs_reauth")),
        one.expire,
        one.rotate_keys,
        lambda: one.servers.remove("mcp_srv_1"),
        lambda: one.accounts.remove(account.id),
    ]
    assert await other.changes()
    for write in writes:
        await write()
        assert await other.changes()
        assert not await other.changes()


async def test_reading_and_failing_change_nothing(open_store: OpenStore, a_server: Make) -> None:
    one, other = await open_store(), await open_store()
    await one.servers.add(a_server(1))
    assert await other.changes()
    await one.load_grants()
    await one.check()

    def refuse(server: StoredServer) -> StoredServer:
        raise LookupError

    with pytest.raises(LookupError):
        await one.servers.update("mcp_srv_1", refuse)
    assert not await other.changes()
    assert not await one.changes()


async def test_a_change_is_never_missed_between_asking_and_loading(
    open_store: OpenStore, a_server: Make
) -> None:
    writer, door = await open_store(), await open_store()
    seen: set[str] = set()
    done = asyncio.Event()

    async def watch() -> None:
        while True:
            last = done.is_set()
            if await door.changes():
                seen.update(server.id for server in (await door.load_grants()).servers)
            elif last:
                return

    watching = asyncio.create_task(watch())
    for number in range(30):
        await writer.servers.add(a_server(number))
        await door.audit.append(
            [AuditEntry(time=a_server().created_at, kind="k", actor="a", action="a", outcome="ok")]
        )
    done.set()
    await watching
    assert seen == {f"mcp_srv_{number}" for number in range(30)}


async def test_a_write_whose_caller_went_away_is_whole_and_shows_as_a_change(
    open_store: OpenStore, a_server: Make
) -> None:
    store = await open_store()
    await store.changes()
    task = asyncio.create_task(store.servers.add(a_server(1)))
    await turns(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(store.changes)
    assert [server.id for server in (await store.load_grants()).servers] == ["mcp_srv_1"]


async def test_closing_waits_for_what_was_begun(open_store: OpenStore, a_server: Make) -> None:
    store = await open_store()
    task = asyncio.create_task(store.servers.add(a_server(1)))
    await turns(1)
    task.cancel()
    await store.close()
    other = await open_store()
    assert [server.id for server in (await other.load_grants()).servers] == ["mcp_srv_1"]


async def test_cancelled_readers_leave_the_store_in_order(
    open_store: OpenStore, a_server: Make
) -> None:
    store = await open_store()
    await store.servers.add(a_server(1))
    for number in range(12):
        tasks = [asyncio.create_task(store.load_grants()) for _ in range(4)]
        await turns(number)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len((await store.load_grants()).servers) == 1
    assert not await store.changes()
