"""MCP servers, their expiry and what the door loads, on both engines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from crossdock.model import Scope
from crossdock.store import Expired, Grants, Store, StoredServer, StoreFault, tables

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
Make = Callable[..., StoredServer]

FULL_SCOPE = Scope(
    methods=("read", "create"),
    tags=("orders",),
    tool_exposure="discovery",
    require_api_token_auth=True,
    result_format="both",
    confirm="destructive",
)


async def test_a_server_comes_back_as_it_was_stored(
    store: Store, a_server: Make, clock: Any
) -> None:
    plain = a_server(1, scope=Scope())
    full = a_server(
        2,
        scope=FULL_SCOPE,
        accepted_tools=("list_all_malomo_orders", "a_b"),
        expires_at=clock.now + timedelta(days=1),
    )
    for server in (plain, full):
        await store.servers.add(server)
        assert await store.servers.get(server.id) == server
    assert full.grant().scope == FULL_SCOPE
    assert await store.servers.get("mcp_srv_none") is None


async def test_no_tools_accepted_is_not_the_same_as_all(store: Store, a_server: Make) -> None:
    await store.servers.add(a_server(1, accepted_tools=()))
    server = await store.servers.get("mcp_srv_1")
    assert server is not None
    assert server.accepted_tools == ()


async def test_moments_keep_their_instant_and_come_back_in_utc(
    store: Store, a_server: Make
) -> None:
    abroad = datetime(2027, 1, 31, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=9)))
    await store.servers.add(a_server(1, expires_at=abroad))
    server = await store.servers.get("mcp_srv_1")
    assert server is not None
    assert server.expires_at == abroad
    assert server.expires_at is not None
    assert server.expires_at.tzinfo is UTC


async def test_a_moment_without_a_zone_is_refused(store: Store, a_server: Make) -> None:
    with pytest.raises(Exception, match="zone"):
        await store.servers.add(a_server(1, expires_at=datetime(2027, 1, 1)))
    assert await store.load_grants() == Grants()


async def test_servers_are_listed_by_account_newest_first(
    store: Store, a_server: Make, clock: Any
) -> None:
    for number in range(1, 6):
        clock.advance(seconds=1)
        account = "acme" if number % 2 else "other"
        await store.servers.add(a_server(number, account_id=account, created_at=clock.now))
    first = await store.servers.list(account_id="acme", limit=2)
    assert [server.id for server in first.items] == ["mcp_srv_5", "mcp_srv_3"]
    second = await store.servers.list(account_id="acme", limit=2, cursor=first.next_cursor)
    assert [server.id for server in second.items] == ["mcp_srv_1"]
    assert second.next_cursor is None
    assert len((await store.servers.list()).items) == 5


async def test_an_update_changes_only_what_may_change(
    store: Store, a_server: Make, clock: Any
) -> None:
    server = a_server(1)
    await store.servers.add(server)
    clock.advance(minutes=1)
    changed = await store.servers.update(
        "mcp_srv_1",
        lambda s: replace(
            s,
            name="Other",
            scope=FULL_SCOPE,
            expires_at=clock.now + timedelta(days=1),
            accepted_tools=("a",),
            id="mcp_srv_9",
            account_id="stolen",
            token_hash=b"stolen",
            created_by="stolen",
        ),
    )
    assert changed == await store.servers.get("mcp_srv_1")
    assert changed == replace(
        server,
        name="Other",
        scope=FULL_SCOPE,
        expires_at=clock.now + timedelta(days=1),
        accepted_tools=("a",),
        updated_at=clock.now,
    )
    cleared = await store.servers.update("mcp_srv_1", lambda s: replace(s, expires_at=None))
    assert cleared is not None
    assert cleared.expires_at is None
    assert await store.servers.update("mcp_srv_none", lambda s: s) is None


async def test_an_update_that_raises_writes_nothing(store: Store, a_server: Make) -> None:
    await store.servers.add(a_server(1))

    def refuse(server: StoredServer) -> StoredServer:
        raise LookupError("no tool survives")

    with pytest.raises(LookupError):
        await store.servers.update("mcp_srv_1", refuse)
    assert await store.servers.get("mcp_srv_1") == a_server(1)


async def test_a_rotated_token_overlaps_with_the_one_before(
    store: Store, a_server: Make, clock: Any
) -> None:
    await store.servers.add(a_server(1))
    clock.advance(minutes=1)
    rotated = await store.servers.rotate("mcp_srv_1", b"2" * 32, overlap=timedelta(hours=1))
    assert rotated == await store.servers.get("mcp_srv_1")
    assert rotated is not None
    assert rotated.token_hash == b"2" * 32
    assert rotated.previous_token_hash == a_server(1).token_hash
    assert rotated.previous_expires_at == clock.now + timedelta(hours=1)

    clock.advance(minutes=1)
    again = await store.servers.rotate("mcp_srv_1", b"3" * 32)
    assert again is not None
    assert (again.previous_token_hash, again.previous_expires_at) == (None, None)
    assert await store.servers.rotate("mcp_srv_none", b"3" * 32) is None


async def test_an_outlived_rotated_token_is_forgotten(
    store: Store, a_server: Make, clock: Any
) -> None:
    await store.servers.add(a_server(1))
    await store.servers.rotate("mcp_srv_1", b"2" * 32, overlap=timedelta(hours=1))
    clock.advance(hours=1)
    assert await store.expire() == Expired()
    server = await store.servers.get("mcp_srv_1")
    assert server is not None
    assert (server.previous_token_hash, server.previous_expires_at) == (None, None)


async def test_a_removed_server_leaves_nothing(store: Store, a_server: Make) -> None:
    await store.servers.add(a_server(1))
    assert await store.servers.remove("mcp_srv_1")
    assert not await store.servers.remove("mcp_srv_1")
    assert await store.load_grants() == Grants()


async def test_last_use_is_noted_in_batches_and_never_goes_back(
    store: Store, a_server: Make, clock: Any
) -> None:
    for number in (1, 2):
        await store.servers.add(a_server(number))
    later = clock.now + timedelta(seconds=5)
    await store.servers.touch({})
    await store.servers.touch({"mcp_srv_1": later, "mcp_srv_2": clock.now, "mcp_srv_gone": later})
    await store.servers.touch({"mcp_srv_1": clock.now, "mcp_srv_2": later})
    found = {server.id: server.last_used_at for server in (await store.load_grants()).servers}
    assert found == {"mcp_srv_1": later, "mcp_srv_2": later}


async def test_an_expired_server_becomes_a_stub_and_is_forgotten_after_30_days(
    store: Store, a_server: Make, clock: Any
) -> None:
    expiry = clock.now + timedelta(hours=1)
    await store.servers.add(a_server(1, expires_at=expiry))
    await store.servers.add(a_server(2, expires_at=expiry + timedelta(microseconds=1)))
    await store.servers.add(a_server(3))
    clock.now = expiry - timedelta(microseconds=1)
    assert await store.expire() == Expired()

    clock.now = expiry
    expired = await store.expire()
    assert [stub.server_id for stub in expired.servers] == ["mcp_srv_1"]
    grants = await store.load_grants()
    assert sorted(server.id for server in grants.servers) == ["mcp_srv_2", "mcp_srv_3"]
    assert grants.stubs == expired.servers
    assert grants.stubs[0].token_hash == a_server(1).token_hash
    assert grants.stubs[0].expired_at == expiry

    clock.now = expiry + timedelta(days=30) - timedelta(microseconds=1)
    assert [stub.server_id for stub in (await store.expire()).servers] == ["mcp_srv_2"]
    assert len((await store.load_grants()).stubs) == 2
    clock.now = expiry + timedelta(days=30)
    assert await store.expire() == Expired(forgotten=1)
    assert [stub.server_id for stub in (await store.load_grants()).stubs] == ["mcp_srv_2"]


async def test_a_server_that_expired_long_ago_leaves_no_stub(
    store: Store, a_server: Make, clock: Any
) -> None:
    await store.servers.add(a_server(1, expires_at=clock.now))
    clock.advance(days=31)
    assert (await store.expire()).servers == ()
    assert await store.load_grants() == Grants()


async def test_a_token_that_still_overlapped_at_expiry_is_remembered_too(
    store: Store, a_server: Make, clock: Any
) -> None:
    expiry = clock.now + timedelta(hours=1)
    await store.servers.add(a_server(1, expires_at=expiry))
    await store.servers.rotate("mcp_srv_1", b"2" * 32, overlap=timedelta(hours=2))
    await store.servers.add(a_server(3, expires_at=expiry))
    await store.servers.rotate("mcp_srv_3", b"4" * 32, overlap=timedelta(minutes=1))
    clock.now = expiry
    stubs = (await store.expire()).servers
    hashes = {a_server(1).token_hash, b"2" * 32, b"4" * 32}
    assert {stub.token_hash for stub in stubs} == hashes
    assert {stub.expired_at for stub in stubs} == {expiry}


async def test_expiring_nothing_writes_nothing(open_store: OpenStore, a_server: Make) -> None:
    one, other = await open_store(), await open_store()
    await one.servers.add(a_server(1))
    assert await other.changes()
    assert await one.expire() == Expired()
    assert not await other.changes()


async def test_a_config_that_is_not_understood_is_refused_by_name(
    store: Store, a_server: Make
) -> None:
    await store.servers.add(a_server(1))
    widened = update(tables.mcp_servers).values(config={"methods": ["read"], "grants": "all"})
    await store.servers._database.write(lambda c: c.execute(widened))
    with pytest.raises(StoreFault, match="mcp_srv_1"):
        await store.load_grants()
    assert await store.servers.remove("mcp_srv_1")
    assert await store.load_grants() == Grants()


async def test_two_servers_never_share_a_hash(store: Store, a_server: Make) -> None:
    await store.servers.add(a_server(1))
    with pytest.raises(StoreFault):
        await store.servers.add(a_server(2, token_hash=a_server(1).token_hash))
    assert [server.id for server in (await store.load_grants()).servers] == ["mcp_srv_1"]
