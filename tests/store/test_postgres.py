"""PostgreSQL gone, back, or not as expected: words and recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.util import await_only, greenlet_spawn

from crossdock.store import Store, StoredServer, StoreFault, upgrade

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(params=["postgresql"])
def engine() -> str:
    return "postgresql"


def name_of(url: str) -> str:
    return url.rpartition("@/")[2].partition("?")[0]


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@127.0.0.1:1/x", "postgresql://u@127.0.0.1:1/x?password=hunter2"],
)
async def test_a_server_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StoreFault, match="nothing answers there") as caught:
        await Store.open(url)
    assert caught.value.reason == "unreachable"
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1/x" in str(caught.value)


async def test_a_database_that_does_not_exist_is_said_to(postgres: Any) -> None:
    with pytest.raises(StoreFault, match="database does not exist") as caught:
        await Store.open(postgres.url("nope"))
    assert caught.value.reason == "missing"


async def test_a_database_of_something_else_is_refused(postgres: Any) -> None:
    await postgres.execute("CREATE DATABASE songs")
    await postgres.execute("CREATE TABLE songs (title TEXT)", "songs")
    for use in (Store.open, upgrade):
        with pytest.raises(StoreFault, match="belongs to something else"):
            await use(postgres.url("songs"))


async def test_broken_connections_are_replaced_and_the_lease_taken_again(
    open_store: OpenStore, postgres: Any, url: str, a_server: Callable[..., StoredServer]
) -> None:
    store, other = await open_store(), await open_store()
    await store.lease()
    await store.servers.add(a_server(1))
    await postgres.execute(KILL, name_of(url))
    await store.servers.add(a_server(2))
    assert len((await store.load_grants()).servers) == 2
    await postgres.execute(KILL, name_of(url))
    assert not await store.changes()
    with pytest.raises(StoreFault, match="served by another"):
        await other.lease()


async def test_a_lease_that_another_took_meanwhile_is_noticed(
    open_store: OpenStore, postgres: Any, url: str
) -> None:
    store, other = await open_store(), await open_store()
    await store.lease()
    await postgres.execute(KILL, name_of(url))
    await other.lease()
    with pytest.raises(StoreFault, match="served by another") as caught:
        await store.changes()
    assert caught.value.reason == "in_use"


async def test_a_writer_that_is_kept_waiting_says_so(
    open_store: OpenStore, a_server: Callable[..., StoredServer]
) -> None:
    store, blocker = await open_store(), await open_store()
    found: list[StoreFault] = []

    async def meet_the_lock() -> None:
        with pytest.raises(StoreFault, match="locked") as caught:
            await store.servers._database.write(impatient, quiet=True)
        found.append(caught.value)

    def impatient(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        connection.exec_driver_sql("LOCK TABLE mcp_servers")

    def hold_it() -> None:
        with blocker.servers._database.engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE mcp_servers")
            await_only(meet_the_lock())

    await greenlet_spawn(hold_it)
    assert found[0].reason == "locked"
    await store.servers.add(a_server(1))


async def test_a_deadlock_is_tried_again_until_both_are_through(open_store: OpenStore) -> None:
    store = await open_store()
    runs: list[str] = []

    def locking(*names: str) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            runs.append(names[0])
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '50ms'")
            connection.exec_driver_sql(f"LOCK TABLE {names[0]}")
            connection.exec_driver_sql("SELECT pg_sleep(0.2)")
            connection.exec_driver_sql(f"LOCK TABLE {names[1]}")

        return work

    write = store.servers._database.write
    async with asyncio.timeout(20):
        await asyncio.gather(
            write(locking("keys", "audit"), quiet=True), write(locking("audit", "keys"), quiet=True)
        )
    assert len(runs) > 2
