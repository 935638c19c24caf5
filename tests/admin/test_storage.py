"""The store under the admin API: full, locked, gone; raced by other writers; and what lies in it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from harness.malomo import Malomo
from harness.patience import turns, until
from harness.provider import Provider, reply
from harness.running import Running, Server

from crossdock.access.gate import Caller
from crossdock.store import Store

_OPERATOR = Caller(id="tests", name="tests", role="owner")


@contextmanager
def locked(running: Running) -> Iterator[None]:
    """Hold the store's write lock, as another process would."""
    path = running.folder / "state" / "crossdock.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def waiting(running: Running, milliseconds: int) -> int:
    """Let the store wait so long for a lock; return how long it waited before."""
    before = 0

    def work(connection: Any) -> None:
        nonlocal before
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={milliseconds}").scalar_one()

    await running.gateway.store.accounts._database.read(work)
    return before


async def limit_pages(running: Running, pages: int) -> None:
    """Let the store's disk be full, as far as SQLite can tell; 0 is the size it has."""
    database = running.gateway.store.accounts._database

    def work(connection: Any) -> None:
        size = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages or size}")

    await database.read(work)


@pytest.mark.requirement("admin:storage:told")
async def test_a_full_disk_is_507_while_calls_go_on_and_recovers_by_itself(
    acme_gateway: Running, provider: Provider
) -> None:
    provider.plays(reply({"count": 1}))
    server = await acme_gateway.server()
    await limit_pages(acme_gateway, 0)
    statuses = set()
    for number in range(60):
        body = {"name": f"{number}{'x' * 190}", "role": "client"}
        response = await acme_gateway.request("POST", "/api-token", body)
        statuses.add(response.status)
        if response.status == 507:
            assert response.json["error"] == "storage_unavailable"
            assert "disk is full" in response.json["message"]
            break
        acme_gateway.canaries.issue(response.json["token"], "a token")
    assert statuses <= {201, 507}
    assert 507 in statuses
    assert (await server.call("acme_items_count")).data == {"count": 1}
    assert (await acme_gateway.request("GET", "/api-token")).status == 200
    await limit_pages(acme_gateway, 1_000_000)
    again = await acme_gateway.request("POST", "/api-token", {"name": "x", "role": "client"})
    assert again.status == 201
    acme_gateway.canaries.issue(again.json["token"], "a token")


@pytest.mark.requirement("admin:storage:told")
async def test_a_locked_store_is_503_after_its_wait_while_calls_go_on(
    acme_gateway: Running, provider: Provider
) -> None:
    provider.plays(reply({"count": 1}))
    assert await waiting(acme_gateway, 500) == 5_000
    server = await acme_gateway.server()
    path = f"/integrated-account/shop/mcp/{server.id}"
    with locked(acme_gateway):
        write = asyncio.create_task(acme_gateway.request("PATCH", path, {"name": "never"}))
        calls = 0
        while not write.done():
            assert (await server.call("acme_items_count")).data == {"count": 1}
            calls += 1
        response = await write
    assert calls > 1
    assert response.status == 503
    assert "locked" in response.json["message"]
    assert (await acme_gateway.request("GET", path)).json["name"] == "Agent"
    assert (await acme_gateway.request("PATCH", path, {"name": "New"})).status == 200


async def test_a_write_whose_caller_hung_up_is_in_force_soon(acme_gateway: Running) -> None:
    control = acme_gateway.gateway.control
    servers = [await acme_gateway.server(name=f"s{number}") for number in range(30)]
    for number, server in enumerate(servers):
        revoking = asyncio.create_task(
            control.servers.revoke(await control.servers.get(server.id), _OPERATOR)
        )
        await turns(number + 1)  # so that it is torn at another place each time
        revoking.cancel()
        await asyncio.gather(revoking, return_exceptions=True)
    for server in servers:  # what was begun is carried out
        assert await acme_gateway.gateway.store.servers.get(server.id) is None
    for server in servers:
        await until(lambda server=server: _refused(server), 2)


async def _refused(server: Server) -> bool:
    return (await server.send("tools/list")).status == 403


async def test_what_the_door_knows_is_what_the_store_says_after_many_writers(
    acme_gateway: Running,
) -> None:
    running = acme_gateway
    servers = [await running.server(name=f"s{number}") for number in range(6)]
    latest: dict[int, str] = {}

    async def here(number: int) -> None:
        path = f"/integrated-account/shop/mcp/{servers[number].id}"
        for turn in range(8):
            rotated = await running.request("POST", f"{path}/rotate", {"overlap_seconds": turn % 2})
            latest[number] = rotated.json["token"]
            running.canaries.issue(latest[number], "a rotated token")
            await running.request("PATCH", path, {"name": f"s{number}.{turn}"})

    async def elsewhere(store: Store) -> None:
        for server in servers[4:]:
            await turns(50)
            assert await store.servers.remove(server.id)

    async with await Store.open("sqlite:///state/crossdock.db", folder=running.folder) as other:
        await asyncio.gather(*(here(number) for number in range(4)), elsewhere(other))
    for number, token in latest.items():
        told = await running.speaker(f"/mcp/{token}").send("server/discover")
        assert f"'s{number}.7'" in told.result["instructions"]
    for server in servers:
        await until(lambda server=server: _refused(server), 2)


@pytest.mark.requirement("server:token:hashed", "account:credentials:write-only")
async def test_no_secret_lies_in_database_journal_log_or_audit_while_the_gateway_runs(
    malomo: Malomo, shop: str
) -> None:
    running = malomo.running
    keys = [f"sk_sandbox_kept_{number}_b71c" for number in range(3)]
    for key in keys:
        running.canaries.issue(key, "a stored key")
        body = {
            "integration": "malomo",
            "name": "Acme",
            "settings": {"base_url": shop},
            "credentials": {"api_key": key},
        }
        account = (await running.request("POST", "/integrated-account", body)).json["id"]
        server = await running.server(account, require_api_token_auth=True)
        made = await running.request("POST", "/api-token", {"name": "x", "role": "client"})
        token = made.json["token"]
        running.canaries.issue(token, "an API token")
        speaker = running.speaker(f"/mcp/{server.token}", {"X-Api-Token": token})
        assert (await speaker.call("list_all_malomo_webhooks")).data["result_count"] >= 0
        rotated = await running.request(
            "POST", f"/integrated-account/{account}/mcp/{server.id}/rotate", {}
        )
        running.canaries.issue(rotated.json["token"], "a rotated token")
    await running.gateway.control.keys.rotate(_OPERATOR)
    await running.gateway.audit.flush()
    journal = running.folder / "state" / "crossdock.db-wal"
    assert journal.stat().st_size > 0
    running.canaries.read_folder(running.folder)  # the journal is emptied when the gateway ends
    running.canaries.check()
    lines = (await running.gateway.store.audit.list(limit=500)).items
    assert len(lines) > 12
    running.canaries.saw(*(str(line) for line in lines), where="the audit")
