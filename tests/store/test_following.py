"""Each change is followed record by record; everything is read again only over a gap."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from crossdock.model import Secret
from crossdock.store import ApiToken, Changes, Store, StoredServer, journal

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
Make = Callable[..., StoredServer]


@pytest.fixture
async def two(open_store: OpenStore) -> tuple[Store, Store]:
    one, other = await open_store(), await open_store()
    await one.changes()
    await other.changes()
    return one, other


async def raw(store: Store, statement: str) -> None:
    await store.servers._database.write(lambda c: c.execute(text(statement)), quiet=True)


def named(*records: tuple[Any, str]) -> Changes:
    return Changes(records=frozenset(records))


async def test_a_change_names_its_records_and_no_others(
    two: tuple[Store, Store], a_server: Make, clock: Any
) -> None:
    one, other = two
    account = await one.accounts.add(integration="malomo", name="A", settings={}, credentials={})
    assert await other.changes() == named(("account", account.id))
    await one.servers.add(a_server(1, account_id=account.id))
    await one.servers.add(a_server(2, expires_at=clock.now + timedelta(hours=1)))
    assert await other.changes() == named(("server", "mcp_srv_1"), ("server", "mcp_srv_2"))
    await one.accounts.update(account.id, lambda a: replace(a, name="B"))
    assert await other.changes() == named(("account", account.id))
    await one.servers.rotate("mcp_srv_1", b"9" * 32)
    assert await other.changes() == named(("server", "mcp_srv_1"))
    token = ApiToken(
        id="t1", name="t", role="viewer", token_hash=b"7" * 32, last4="abcd",
        created_by="cli", created_at=clock.now,
    )  # fmt: skip
    await one.api_tokens.add(token)
    await one.api_tokens.remove("t1")
    assert await other.changes() == named(("token", "t1"))
    clock.advance(hours=2)
    await one.expire()
    stub = ("stub", (2).to_bytes(32, "big").hex())
    assert await other.changes() == named(("server", "mcp_srv_2"), stub)
    await one.accounts.remove(account.id, cascade=True)
    assert await other.changes() == named(("account", account.id), ("server", "mcp_srv_1"))
    clock.advance(days=31)
    await one.expire()
    assert await other.changes() == named(stub)
    assert not await one.changes()


async def test_what_is_reread_is_what_is_there(
    two: tuple[Store, Store], a_server: Make, clock: Any
) -> None:
    one, other = two
    account = await one.accounts.add(
        integration="malomo", name="A", settings={}, credentials={"k": Secret("s")}
    )
    await one.servers.add(a_server(1))
    await one.servers.add(a_server(2, expires_at=clock.now))
    await one.expire()
    await one.servers.remove("mcp_srv_1")
    found = await other.reread(await other.changes())
    stored = found.accounts[account.id]
    assert stored is not None
    assert stored.credentials == {"k": Secret("s")}
    assert found.servers == {"mcp_srv_1": None, "mcp_srv_2": None}
    [stub] = found.stubs.values()
    assert stub is not None
    assert stub.server_id == "mcp_srv_2"


async def test_a_renewed_credential_and_the_call_log_wake_nobody(
    two: tuple[Store, Store], a_server: Make, clock: Any
) -> None:
    one, other = two
    await one.servers.add(a_server(1))
    await other.changes()
    await one.renewed.keep("acc", {}, {"refresh_token": "new"})
    await one.servers.touch({"mcp_srv_1": clock.now})
    await one.approvals.use(b"n" * 12, clock.now)
    assert not await other.changes()
    assert (await other.renewed.current("acc", {}))["refresh_token"] == Secret("new")


async def test_a_write_that_nobody_journalled_reads_everything_again(
    two: tuple[Store, Store], a_server: Make
) -> None:
    """A process of the version before raises the counter and leaves no record."""
    one, other = two
    await raw(one, "UPDATE revision SET n = n + 1")
    await one.servers.add(a_server(1))
    assert (await other.changes()).everything
    assert not await other.changes()
    await one.servers.remove("mcp_srv_1")
    assert await other.changes() == named(("server", "mcp_srv_1"))


async def test_the_journal_stays_short_and_who_slept_too_long_reads_everything(
    two: tuple[Store, Store], a_server: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "KEPT", 20)
    monkeypatch.setattr(journal, "_PRUNED", 5)
    one, other = two
    await one.servers.add(a_server(1))
    await other.changes()
    for number in range(40):
        await one.servers.update("mcp_srv_1", lambda s, n=number: replace(s, name=f"N{n}"))
    count = text("SELECT count(*) FROM changes")
    rows = await one.servers._database.read(lambda c: c.execute(count).scalar_one())
    assert 20 <= rows <= 25
    assert (await other.changes()).everything
    await one.servers.update("mcp_srv_1", lambda s: replace(s, name="Last"))
    assert await other.changes() == named(("server", "mcp_srv_1"))


async def test_a_restored_backup_is_read_as_a_whole(
    two: tuple[Store, Store], a_server: Make
) -> None:
    one, other = two
    for number in range(3):
        await one.servers.add(a_server(number))
    await other.changes()
    await raw(one, "DELETE FROM changes")
    await raw(one, "UPDATE revision SET n = 0")
    assert (await other.changes()).everything


async def test_a_write_that_changes_nothing_is_no_change(
    two: tuple[Store, Store], a_server: Make
) -> None:
    one, other = two
    await one.servers.add(a_server(1))
    await other.changes()
    await one.servers.update("mcp_srv_1", lambda server: server)
    assert await one.servers.update("mcp_srv_9", lambda server: server) is None
    assert await other.changes() == Changes()
