"""The key ring in the store: opening, refusing, rotating; on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, select, update

from crossdock.access.tokens import hash_token, mint
from crossdock.errors import ConfigError, StoreError
from crossdock.model import Secret
from crossdock.store import Rotation, Store, StoredAccount, StoredServer, StoreFault, tables
from crossdock.store.master_key import MasterKey
from crossdock.store.sealing import SealBroken

OpenStore = Callable[..., Coroutine[Any, Any, Store]]


async def an_account(store: Store, name: str = "Acme") -> StoredAccount:
    return await store.accounts.add(
        integration="malomo",
        name=name,
        settings={},
        credentials={"api_key": Secret(f"sk_{name}"), "org_id": Secret("o")},
    )


def with_api_key(secret: Secret) -> Callable[[StoredAccount], StoredAccount]:
    return lambda a: replace(a, credentials={**a.credentials, "api_key": secret})


async def execute(store: Store, statement: Any) -> None:
    await store.keys._database.write(lambda c: c.execute(statement))


async def key_rows(store: Store) -> dict[str, Any]:
    rows = await store.keys._database.read(lambda c: c.execute(select(tables.keys)).all())
    return {row.id: row for row in rows}


async def test_the_ring_is_made_once_and_the_same_ever_after(open_store: OpenStore) -> None:
    one = await open_store()
    other = await open_store()
    for name in ("pepper", "cursor_key", "state_key"):
        assert getattr(one.keys.ring, name) == getattr(other.keys.ring, name)
    keys = {one.keys.ring.pepper, one.keys.ring.cursor_key, one.keys.ring.state_key}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    purposes = [key.purpose for key in await one.keys.list()]
    assert sorted(purposes) == ["canary", "cursor", "data", "pepper", "state"]


async def test_two_processes_that_start_at_once_make_one_ring(open_store: OpenStore) -> None:
    stores = [await open_store(locked=True) for _ in range(4)]
    folder_key = MasterKey.for_this_process()
    rings = await asyncio.gather(*(store.unlock(folder_key) for store in stores))
    assert len({ring.pepper for ring in rings}) == 1
    assert len(await stores[0].keys.list()) == 5


async def test_another_master_key_is_refused_and_what_is_at_stake_is_named(
    open_store: OpenStore, a_server: Callable[..., StoredServer], tmp_path: Path
) -> None:
    store = await open_store()
    await an_account(store)
    await an_account(store, "Other")
    await store.servers.add(a_server(1))
    other = MasterKey("file:other.key", tmp_path)
    other.read_or_create()
    with pytest.raises(ConfigError) as caught:
        await (await open_store(locked=True)).unlock(other)
    words = str(caught.value)
    assert "other.key is not the master key of the store" in words
    assert "2 accounts, 1 MCP server" in words


async def test_a_missing_master_key_is_not_replaced_by_a_new_one(
    open_store: OpenStore, tmp_path: Path
) -> None:
    await an_account(await open_store())
    path = tmp_path / "state" / "master.key"
    path.rename(tmp_path / "aside")
    with pytest.raises(ConfigError, match=r"master\.key is missing.*1 account.*Restore"):
        await open_store()
    assert not path.exists()
    (tmp_path / "aside").rename(path)
    await open_store()


@pytest.mark.parametrize("purpose", ["canary", "pepper", "cursor", "state"])
async def test_a_damaged_or_missing_key_is_named_and_nothing_is_made_up(
    open_store: OpenStore, purpose: str
) -> None:
    store = await open_store()
    row = next(row for row in (await key_rows(store)).values() if row.purpose == purpose)
    here = tables.keys.c.id == row.id
    last = "A" if row.wrapped[-4] != "A" else "B"
    damaged = row.wrapped[:-4] + last + row.wrapped[-3:]
    await execute(store, update(tables.keys).where(here).values(wrapped=damaged))
    with pytest.raises(StoreFault, match=r"is damaged or missing\. Restore a backup"):
        await open_store()
    await execute(store, delete(tables.keys).where(here))
    with pytest.raises(StoreFault, match=r"is damaged or missing\. Restore a backup"):
        await open_store()


async def test_two_swapped_keys_are_refused(open_store: OpenStore) -> None:
    store = await open_store()
    rows = {row.purpose: row for row in (await key_rows(store)).values()}
    for row, other in (("pepper", "cursor"), ("cursor", "pepper")):
        change = update(tables.keys).where(tables.keys.c.id == rows[row].id)
        await execute(store, change.values(wrapped=rows[other].wrapped))
    with pytest.raises(StoreFault, match="damaged"):
        await open_store()


async def test_a_store_that_lost_all_its_keys_is_refused(open_store: OpenStore) -> None:
    store = await open_store()
    await an_account(store)
    await execute(store, delete(tables.keys))
    with pytest.raises(StoreFault, match="has lost its keys"):
        await open_store()


async def test_a_damaged_data_key_makes_credentials_unreadable_and_a_rotation_mends_it(
    open_store: OpenStore,
) -> None:
    store = await open_store()
    account = await an_account(store)
    data = next(row for row in (await key_rows(store)).values() if row.purpose == "data")
    await execute(
        store,
        update(tables.keys)
        .where(tables.keys.c.id == data.id)
        .values(wrapped=data.wrapped[:-1] + ("A" if data.wrapped[-1] != "A" else "Q")),
    )
    store = await open_store()
    found = await store.accounts.get(account.id)
    assert found is not None
    assert sorted(found.unreadable) == ["api_key", "org_id"]
    with pytest.raises(StoreError, match="keys rotate"):
        await an_account(store, "Other")

    rotated = await store.rotate_keys()
    assert sorted(rotated.unreadable) == [f"{account.id}.api_key", f"{account.id}.org_id"]
    assert (await key_rows(store))[data.id].status == "kept"
    fresh = {"api_key": Secret("new"), "org_id": Secret("new")}
    await store.accounts.update(account.id, lambda a: replace(a, credentials=fresh))
    assert (await store.rotate_keys()).unreadable == ()
    assert data.id not in await key_rows(store)


async def test_a_rotation_seals_everything_anew_and_kills_no_url(open_store: OpenStore) -> None:
    store = await open_store()
    accounts = [await an_account(store, f"Acme {number}") for number in range(5)]
    await store.renewed.keep("in-config-toml", {}, {"refresh_token": "renewed"})
    token = mint("mcp")
    ring = store.keys.ring
    before = (ring.pepper, ring.cursor_key, ring.state_key, hash_token(ring.pepper, token))
    old = next(row for row in (await key_rows(store)).values() if row.purpose == "data")

    rotated = await store.rotate_keys()
    assert rotated == Rotation(key_id=rotated.key_id, resumed=False, resealed=11)
    rows = await key_rows(store)
    assert old.id not in rows
    assert rows[rotated.key_id].status == "active"
    again = await open_store()
    for reader in (store, again):
        for account in accounts:
            assert await reader.accounts.get(account.id) == account
        renewed = await reader.renewed.current("in-config-toml", {})
        assert renewed == {"refresh_token": Secret("renewed")}
        ring = reader.keys.ring
        assert (
            ring.pepper,
            ring.cursor_key,
            ring.state_key,
            hash_token(ring.pepper, token),
        ) == before


async def test_an_interrupted_rotation_goes_on_where_it_stopped(open_store: OpenStore) -> None:
    store = await open_store()
    accounts = [await an_account(store, f"Acme {number}") for number in range(4)]
    database = store.keys._database
    key_id, resumed = await database.write(store.keys.begin_rotation)
    assert not resumed
    await database.write(lambda c: store.accounts.reseal(c, (accounts[1].id,)))

    other = await open_store()  # the first process is gone; both keys are needed and there
    for account in accounts:
        assert await other.accounts.get(account.id) == account
    rotated = await other.rotate_keys()
    assert rotated == Rotation(key_id=key_id, resumed=True, resealed=6)
    for account in accounts:
        assert await other.accounts.get(account.id) == account
    data = [row for row in (await key_rows(other)).values() if row.purpose == "data"]
    assert [(row.id, row.status) for row in data] == [(key_id, "active")]
    assert (await other.rotate_keys()).resumed is False


async def test_a_rotation_by_another_process_fails_no_read_and_no_write(
    open_store: OpenStore,
) -> None:
    serving, rotating = await open_store(), await open_store()
    accounts = [await an_account(serving, f"Acme {number}") for number in range(6)]
    done = asyncio.Event()

    async def serve(account: StoredAccount) -> int:
        count = 0
        while not done.is_set():
            count += 1
            secret = Secret(f"{account.name} {count}")
            await serving.accounts.update(account.id, with_api_key(secret))
            found = await serving.accounts.get(account.id)
            assert found is not None
            assert found.unreadable == ()
            assert found.credentials["api_key"] == secret
        return count

    working = asyncio.gather(*(serve(account) for account in accounts))
    for _ in range(3):
        rotated = await rotating.rotate_keys()
        assert rotated.unreadable == ()
    done.set()
    counts = await working
    for account, count in zip(accounts, counts, strict=True):
        for store in (serving, rotating):
            found = await store.accounts.get(account.id)
            assert found is not None
            assert found.credentials["api_key"] == Secret(f"{account.name} {count}")
    data = [row for row in (await key_rows(serving)).values() if row.purpose == "data"]
    assert [row.id for row in data] == [rotated.key_id]


async def test_another_master_key_can_wrap_the_same_keys(
    open_store: OpenStore, tmp_path: Path
) -> None:
    store, running = await open_store(), await open_store()
    account = await an_account(store)
    pepper = store.keys.ring.pepper
    new = MasterKey("file:new.key", tmp_path)
    assert await store.keys.rewrap(new) == 5
    assert await store.accounts.get(account.id) == account

    with pytest.raises(ConfigError, match="is not the master key"):
        await open_store()
    reopened = await open_store(locked=True)
    assert (await reopened.unlock(new)).pepper == pepper
    assert await reopened.accounts.get(account.id) == account

    assert await running.accounts.get(account.id) == account
    await reopened.rotate_keys()
    with pytest.raises(StoreError, match="wrapped by another master key"):
        await running.accounts.get(account.id)


async def test_a_renewed_credential_stands_in_for_the_configured_one(
    open_store: OpenStore,
) -> None:
    store = await open_store()
    configured = {"client_id": Secret("id"), "refresh_token": Secret("first")}
    assert await store.renewed.current("acme", configured) == configured
    await store.renewed.keep("acme", configured, {"refresh_token": "second"})
    await store.renewed.keep("acme", configured, {"refresh_token": "third"})
    expected = {"client_id": Secret("id"), "refresh_token": Secret("third")}
    assert await (await open_store()).renewed.current("acme", configured) == expected
    assert await store.renewed.current("other", configured) == configured


async def test_a_credential_set_anew_wins_over_the_renewed_one(store: Store) -> None:
    await store.renewed.keep("acme", {"refresh_token": Secret("first")}, {"refresh_token": "2nd"})
    anew = {"refresh_token": Secret("anew")}
    assert await store.renewed.current("acme", anew) == anew


async def test_a_damaged_or_borrowed_renewed_credential_is_refused(store: Store) -> None:
    rows = tables.renewed_credentials
    for account_id in ("acme", "other"):
        await store.renewed.keep(account_id, {}, {"refresh_token": account_id})
    await execute(store, delete(rows).where(rows.c.account_id == "other"))
    await execute(store, update(rows).values(account_id="other"))
    with pytest.raises(SealBroken):
        await store.renewed.current("other", {})
    rotated = await store.rotate_keys()
    assert rotated.unreadable == ("other.refresh_token",)
