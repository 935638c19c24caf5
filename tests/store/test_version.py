"""The tables: the same by whichever way they were made, and refused when of another version."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import crossdock.store
from crossdock.store import Store, StoredServer, StoreFault, current, tables, upgrade, version
from crossdock.store.database import Database, connect
from crossdock.store.master_key import MasterKey

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
NEW_TABLES = ("used_approvals", "changes", "write_intents", "members", "audit_writers")
NEW_TABLES += ("adapter_states",)
NEW_COLUMNS = (
    *("address", "second_factor", "changes", "upstream_requests", "upstream_seconds"),
    "node",
)
MIGRATIONS = Path(crossdock.store.__file__).with_name("migrations")


async def on(url: str, work: Callable[[Connection], Any]) -> Any:
    database: Database = await connect(url, Path())
    try:
        return await database.write(work, quiet=True)
    finally:
        await database.close()


def empty(connection: Connection) -> None:
    for name in inspect(connection).get_table_names():
        connection.execute(text(f'DROP TABLE "{name}"'))


def test_the_newest_migration_is_the_version_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [version.HEAD]
    assert {script.revision for script in scripts.walk_revisions()} == version.KNOWN


async def test_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    def differences(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, tables.metadata)

    await on(url, empty)
    assert await current(url) == (None, version.HEAD)
    assert await upgrade(url) == (None, version.HEAD)
    assert await current(url) == (version.HEAD, version.HEAD)
    assert await on(url, differences) == []


async def test_a_new_sqlite_file_equals_a_migrated_one(tmp_path: Path) -> None:
    def shape(connection: Connection) -> Any:
        # By their parts: SQLite writes a column that was added behind the table's constraints.
        found: dict[str, Any] = {}
        for (name,) in connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table'")
        ).all():
            columns = connection.execute(text(f'PRAGMA table_xinfo("{name}")')).all()
            indexes = connection.execute(text(f'PRAGMA index_list("{name}")')).all()
            found[name] = (
                [tuple(column) for column in columns],
                {
                    (index.name, index.unique, index.partial): [
                        tuple(part)
                        for part in connection.execute(text(f'PRAGMA index_xinfo("{index.name}")'))
                    ]
                    for index in indexes
                },
            )
        return found

    url = f"sqlite:///{tmp_path}/x.db"
    made = await on(url, shape)
    assert "audit" in made
    await on(url, empty)
    await upgrade(url)
    assert await on(url, shape) == made


async def test_a_store_of_the_first_release_is_moved_on_with_its_rows(
    url: str, open_store: OpenStore, a_server: Callable[..., StoredServer]
) -> None:
    def back(connection: Connection) -> None:
        for name in NEW_TABLES:
            connection.execute(text(f"DROP TABLE {name}"))
        connection.execute(text("ALTER TABLE revision DROP COLUMN works_from"))
        for name in NEW_COLUMNS:
            connection.execute(text(f"ALTER TABLE audit DROP COLUMN {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))

    store = await open_store()
    await store.servers.add(a_server(1))
    await store.close()
    await on(url, back)
    assert await upgrade(url) == ("0001", version.HEAD)
    store = await open_store()
    assert len((await store.load_grants()).servers) == 1
    assert (await store.audit.list()).items == ()


async def test_upgrading_twice_changes_nothing(
    url: str, open_store: OpenStore, a_server: Callable[..., StoredServer]
) -> None:
    await (await open_store()).servers.add(a_server(1))
    assert await upgrade(url) == (version.HEAD, version.HEAD)
    assert len((await (await open_store()).load_grants()).servers) == 1


async def test_a_newer_schema_is_refused_and_left_alone(url: str, open_store: OpenStore) -> None:
    await (await open_store()).close()

    def newer(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
        connection.execute(text("UPDATE revision SET works_from = '0999'"))

    await on(url, newer)
    for use in (Store.open, upgrade):
        with pytest.raises(StoreFault, match=r"newer crossdock \(schema 0999") as caught:
            await use(url)
        assert caught.value.reason == "schema"
    assert await current(url) == ("0999", version.HEAD)


async def test_sqlite_is_upgraded_by_itself_and_postgresql_refused_with_words(
    engine: str, url: str
) -> None:
    await on(url, empty)
    if engine == "sqlite":
        await (await Store.open(url)).close()
        assert await current(url) == (version.HEAD, version.HEAD)
    else:
        with pytest.raises(StoreFault, match="Run `crossdock db upgrade`"):
            await Store.open(url)
        assert await current(url) == (None, version.HEAD)


async def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    await on(url, empty)
    # in the way of the last table, so everything before it must be undone
    await on(url, lambda c: c.execute(text("CREATE TABLE alembic_version (version_num TEXT)")))
    await on(url, lambda c: c.execute(text("CREATE TABLE revision (x TEXT)")))
    with pytest.raises(StoreFault):
        await upgrade(url)

    def names(connection: Connection) -> list[str]:
        return sorted(inspect(connection).get_table_names())

    assert await on(url, names) == ["alembic_version", "revision"]
    await on(url, lambda c: c.execute(text("DROP TABLE revision")))
    await upgrade(url)
    assert len(await on(url, names)) == len(tables.metadata.tables) + 1


async def test_a_fresh_store_opens_without_importing_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from crossdock.store import Store\n"
        f"async def main(): await (await Store.open('sqlite:///{tmp_path}/x.db')).close()\n"
        "asyncio.run(main()); sys.exit('alembic' in sys.modules)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=environment())
    assert await asyncio.wait_for(process.wait(), 30) == 0


WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from crossdock.model import Scope, Secret
from crossdock.store.master_key import MasterKey
from crossdock.store import Store, StoredServer, random_id
folder = Path(sys.argv[1])
async def main():
    store = await Store.open("sqlite:///state/crossdock.db", folder=folder)
    await store.unlock(MasterKey("file:state/master.key", folder))
    while True:
        account = await store.accounts.add(
            integration="x", name="x", settings={}, credentials={"k": Secret("s")})
        now = datetime.now(UTC)
        server = StoredServer(
            id=random_id("mcp_srv_"), name="n", account_id=account.id, scope=Scope(),
            token_hash=random_id("").encode(), created_by="cli", created_at=now, updated_at=now)
        await store.servers.add(server, stored_account=True)
        print(account.id, server.id, flush=True)
        if len(sys.argv) > 2:
            await store.rotate_keys()
asyncio.run(main())
"""


@pytest.mark.parametrize("also", [[], ["rotating"]])
async def test_a_killed_process_loses_nothing_that_it_acknowledged(
    tmp_path: Path, also: list[str]
) -> None:
    acknowledged: list[str] = []
    for lines in (1, 7, 12):
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRITER, str(tmp_path), *also),
            stdout=asyncio.subprocess.PIPE,
            env=environment(),
        )
        assert writer.stdout
        async with asyncio.timeout(60):
            acknowledged += [(await writer.stdout.readline()).decode() for _ in range(lines)]
            writer.kill()
            rest = (await writer.stdout.read()).decode()
            await writer.wait()
        acknowledged += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    assert len(acknowledged) >= 20

    store = await Store.open("sqlite:///state/crossdock.db", folder=tmp_path)
    await store.unlock(MasterKey("file:state/master.key", tmp_path))
    await store.rotate_keys()
    servers = {server.id for server in (await store.load_grants()).servers}
    for line in acknowledged:
        account_id, server_id = line.split()
        account = await store.accounts.get(account_id)
        assert account is not None
        assert account.credentials["k"].reveal() == "s"
        assert server_id in servers
    await store.close()


def environment() -> dict[str, str]:
    source = str(Path(crossdock.store.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": source}


async def test_newer_tables_serve_an_older_process_as_long_as_they_say_so(
    url: str, open_store: OpenStore, a_server: Callable[..., StoredServer]
) -> None:
    """A node of the release before may restart while the upgrade goes from node to node."""

    def newer(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE mcp_servers ADD COLUMN later TEXT"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))

    await (await open_store()).servers.add(a_server(1))
    await on(url, newer)
    again = await open_store()
    await again.servers.add(a_server(2))
    assert len((await again.load_grants()).servers) == 2
    assert await current(url) == ("0999", version.HEAD)
    await on(url, lambda c: c.execute(text("UPDATE revision SET works_from = '0999'")))
    with pytest.raises(StoreFault, match="newer crossdock"):
        await Store.open(url)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_of_upgrades_at_once_one_does_the_work_and_the_others_wait(url: str) -> None:
    await on(url, empty)
    assert {after for _, after in await asyncio.gather(*(upgrade(url) for _ in range(3)))} == {
        version.HEAD
    }
    assert await current(url) == (version.HEAD, version.HEAD)
    await (await Store.open(url)).close()
