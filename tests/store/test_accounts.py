"""Integrated accounts in the store, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from crossdock.errors import StoreError
from crossdock.model import Secret
from crossdock.store import (
    AccountInUse,
    BadCursor,
    Store,
    StoredAccount,
    StoredServer,
    UnknownAccount,
    tables,
)

OpenStore = Callable[..., Coroutine[Any, Any, Store]]

SETTINGS = {"base_url": "https://api.example", "big": 2**70, "nested": {"é": [1, None, True]}}
CREDENTIALS = {"client_id": Secret("id-1"), "client_secret": Secret("sk_live_hunter2 é\n\0")}


async def an_account(store: Store, name: str = "Acme", **changes: Any) -> StoredAccount:
    values: dict[str, Any] = {"settings": SETTINGS, "credentials": CREDENTIALS}
    return await store.accounts.add(integration="malomo", name=name, **(values | changes))


async def sealed(store: Store, account_id: str) -> dict[str, str]:
    query = select(tables.accounts.c.credentials).where(tables.accounts.c.id == account_id)
    return await store.keys._database.read(lambda c: dict(c.execute(query).scalar_one()))


async def put_sealed(store: Store, account_id: str, credentials: dict[str, str]) -> None:
    rows = tables.accounts
    change = update(rows).where(rows.c.id == account_id).values(credentials=credentials)
    await store.keys._database.write(lambda c: c.execute(change))


async def test_an_account_comes_back_as_it_was_stored(store: Store, clock: Any) -> None:
    account = await an_account(store)
    assert account.id.startswith("acc_")
    assert account.created_at == account.updated_at == clock.now
    assert await store.accounts.get(account.id) == account
    opened = account.account()
    assert (opened.source, opened.version) == ("store", 1)
    assert opened.credentials["client_secret"].reveal() == "sk_live_hunter2 é\n\0"


async def test_an_unknown_account_is_none(store: Store) -> None:
    assert await store.accounts.get("acc_none") is None
    assert await store.accounts.update("acc_none", lambda account: account) is None
    assert await store.accounts.remove("acc_none") is None


async def test_credentials_need_open_keys(open_store: OpenStore) -> None:
    store = await open_store(locked=True)
    with pytest.raises(StoreError, match="unlock"):
        await an_account(store)


async def test_accounts_are_listed_newest_first_and_each_exactly_once(
    store: Store, clock: Any
) -> None:
    made = []
    for number in range(7):
        made.append((await an_account(store, f"Acme {number}")).id)
        if number % 3 == 0:  # several share one moment
            clock.advance(seconds=1)
    met: list[StoredAccount] = []
    cursor = None
    while True:
        page = await store.accounts.list(limit=2, cursor=cursor)
        met += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.items) == 2
        await an_account(store, "made while paging")
    assert sorted(account.id for account in met) == sorted(made)
    assert [a.created_at for a in met] == sorted((a.created_at for a in met), reverse=True)


async def test_accounts_are_listed_by_integration(store: Store) -> None:
    await an_account(store)
    rose = await store.accounts.add(
        integration="roserocket", name="Rose", settings={}, credentials={}
    )
    page = await store.accounts.list(integration="roserocket")
    assert page.items == (rose,)
    assert page.next_cursor is None


@pytest.mark.parametrize("cursor", ["", "x", "e30", "WyIyMDI2LTExLTIxIiwiYSJd", "🦆", "bnVsbA"])
async def test_an_invented_cursor_is_refused(store: Store, cursor: str) -> None:
    for read in (store.accounts, store.servers, store.api_tokens, store.audit):
        with pytest.raises(BadCursor):
            await read.list(cursor=cursor)


async def test_an_update_keeps_what_it_does_not_name(store: Store, clock: Any) -> None:
    account = await an_account(store)
    before = await sealed(store, account.id)
    clock.advance(minutes=1)
    changed = await store.accounts.update(
        account.id,
        lambda a: replace(
            a,
            name="Acme Ltd",
            credentials={**a.credentials, "client_secret": Secret("new")},
            id="acc_other",
            integration="other",
        ),
    )
    assert changed == await store.accounts.get(account.id)
    assert changed is not None
    assert (changed.id, changed.integration, changed.name) == (account.id, "malomo", "Acme Ltd")
    assert changed.credentials == {"client_id": Secret("id-1"), "client_secret": Secret("new")}
    assert (changed.version, changed.updated_at) == (2, clock.now)
    after = await sealed(store, account.id)
    assert after["client_id"] == before["client_id"]
    assert after["client_secret"] != before["client_secret"]


async def test_a_credential_can_be_dropped(store: Store) -> None:
    account = await an_account(store)
    await store.accounts.update(
        account.id, lambda a: replace(a, credentials={"client_id": a.credentials["client_id"]})
    )
    assert set(await sealed(store, account.id)) == {"client_id"}


async def test_only_what_affects_the_connection_raises_the_version(
    store: Store, clock: Any
) -> None:
    account = await an_account(store)
    clock.advance(minutes=1)
    named = await store.accounts.update(
        account.id, lambda a: replace(a, name="Other", status="needs_reauth")
    )
    assert named is not None
    assert (named.version, named.status, named.updated_at) == (1, "needs_reauth", clock.now)
    clock.advance(minutes=1)
    same = await store.accounts.update(account.id, lambda a: replace(a, name="Other"))
    assert same == named
    moved = await store.accounts.update(account.id, lambda a: replace(a, settings={}))
    assert moved is not None
    assert moved.version == 2


async def test_an_update_that_raises_writes_nothing(store: Store) -> None:
    account = await an_account(store)

    def refuse(account: StoredAccount) -> StoredAccount:
        raise LookupError("not like this")

    with pytest.raises(LookupError):
        await store.accounts.update(account.id, refuse)
    assert await store.accounts.get(account.id) == account


async def test_updates_at_once_all_stay(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    account = await an_account(one, settings={})

    def add(number: int) -> Callable[[StoredAccount], StoredAccount]:
        return lambda a: replace(a, settings={**a.settings, f"n{number}": number})

    await asyncio.gather(
        *(
            (one if number % 2 else other).accounts.update(account.id, add(number))
            for number in range(20)
        )
    )
    found = await one.accounts.get(account.id)
    assert found is not None
    assert found.settings == {f"n{number}": number for number in range(20)}
    assert found.version == 21


async def test_an_account_with_live_servers_is_not_removed(
    store: Store, a_server: Callable[..., StoredServer]
) -> None:
    account = await an_account(store)
    await store.servers.add(a_server(1, account_id=account.id), stored_account=True)
    with pytest.raises(AccountInUse, match="1 MCP server") as caught:
        await store.accounts.remove(account.id)
    assert caught.value.servers == ("mcp_srv_1",)
    assert await store.accounts.get(account.id) == account


async def test_a_cascade_takes_the_servers_and_renewed_credentials_along(
    store: Store, a_server: Callable[..., StoredServer]
) -> None:
    account, other = await an_account(store), await an_account(store, "Other")
    await store.servers.add(a_server(1, account_id=account.id))
    await store.servers.add(a_server(2, account_id=other.id))
    for one in (account, other):
        await store.renewed.keep(one.id, one.credentials, {"client_secret": "renewed"})
    assert await store.accounts.remove(account.id, cascade=True) == ("mcp_srv_1",)
    assert [server.id for server in (await store.load_grants()).servers] == ["mcp_srv_2"]
    assert await store.renewed.current(account.id, account.credentials) == CREDENTIALS
    kept = await store.renewed.current(other.id, other.credentials)
    assert kept["client_secret"] == Secret("renewed")


async def test_expired_servers_do_not_hold_an_account(
    store: Store, clock: Any, a_server: Callable[..., StoredServer]
) -> None:
    account = await an_account(store)
    expiry = clock.now + timedelta(hours=1)
    await store.servers.add(a_server(1, account_id=account.id, expires_at=expiry))
    clock.advance(hours=1)
    assert await store.accounts.remove(account.id) == ()
    stubs = (await store.load_grants()).stubs
    assert [(stub.server_id, stub.expired_at) for stub in stubs] == [("mcp_srv_1", expiry)]


async def test_a_server_for_a_removed_account_is_refused(
    store: Store, a_server: Callable[..., StoredServer]
) -> None:
    account = await an_account(store)
    await store.accounts.remove(account.id)
    with pytest.raises(UnknownAccount, match=account.id):
        await store.servers.add(a_server(1, account_id=account.id), stored_account=True)
    await store.servers.add(a_server(1, account_id="in-config-toml"))


async def test_every_flipped_byte_of_a_sealed_credential_is_refused(store: Store) -> None:
    account = await an_account(store, credentials={"api_key": Secret("sk_1")})
    whole = (await sealed(store, account.id))["api_key"]
    for place in range(len(whole)):
        changed = whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :]
        await put_sealed(store, account.id, {"api_key": changed})
        found = await store.accounts.get(account.id)
        assert found is not None
        assert (found.unreadable, found.credentials) == (("api_key",), {})


async def test_credentials_swapped_between_rows_or_fields_are_refused(store: Store) -> None:
    one, other = await an_account(store), await an_account(store, "Other")
    first, second = await sealed(store, one.id), await sealed(store, other.id)
    await put_sealed(store, one.id, {**first, "client_id": second["client_id"]})
    await put_sealed(
        store,
        other.id,
        {"client_id": second["client_secret"], "client_secret": second["client_id"]},
    )
    found = {a.id: a for a in (await store.accounts.list()).items}
    assert found[one.id].unreadable == ("client_id",)
    assert found[one.id].credentials == {"client_secret": CREDENTIALS["client_secret"]}
    assert found[other.id].unreadable == ("client_id", "client_secret")


async def test_an_unreadable_credential_is_kept_until_it_is_set_anew_or_dropped(
    store: Store,
) -> None:
    account = await an_account(store)
    broken = {**(await sealed(store, account.id)), "client_id": "v1.broken"}
    await put_sealed(store, account.id, broken)
    renamed = await store.accounts.update(account.id, lambda a: replace(a, name="Other"))
    assert renamed is not None
    assert (renamed.unreadable, renamed.version) == (("client_id",), 1)
    assert await sealed(store, account.id) == broken

    repaired = await store.accounts.update(
        account.id,
        lambda a: replace(a, credentials={**a.credentials, "client_id": Secret("id-2")}),
    )
    assert repaired == await store.accounts.get(account.id)
    assert repaired is not None
    assert (repaired.unreadable, repaired.version) == ((), 2)

    await put_sealed(store, account.id, broken)
    dropped = await store.accounts.update(account.id, lambda a: replace(a, unreadable=()))
    assert dropped == await store.accounts.get(account.id)
    assert set(await sealed(store, account.id)) == {"client_secret"}
