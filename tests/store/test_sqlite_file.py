"""The SQLite file: made whole, refused when damaged, and never overwritten."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crossdock.errors import ConfigError
from crossdock.model import Secret
from crossdock.store import Store, StoredServer, StoreFault
from crossdock.store.master_key import MasterKey

Make = Callable[..., StoredServer]
URL = "sqlite:///state/crossdock.db"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "crossdock.db"


@pytest.fixture
async def filled(path: Path, tmp_path: Path, a_server: Make) -> Path:
    """A closed store with a hundred servers."""
    async with await Store.open(URL, folder=tmp_path) as store:
        for number in range(100):
            await store.servers.add(a_server(number))
    return path


async def refused(tmp_path: Path) -> StoreFault:
    with pytest.raises(StoreFault) as caught:
        await Store.open(URL, folder=tmp_path)
    assert "crossdock.db" in str(caught.value)
    return caught.value


async def test_file_and_folder_are_for_their_owner_alone(tmp_path: Path, path: Path) -> None:
    old = os.umask(0)
    try:
        async with await Store.open(URL, folder=tmp_path) as store:
            await store.unlock(MasterKey("file:state/master.key", tmp_path))
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    finally:
        os.umask(old)
    assert sorted(file.name for file in path.parent.iterdir()) == ["crossdock.db", "master.key"]


async def test_writes_are_on_disk_when_they_return(tmp_path: Path) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        pragmas = {}
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            pragmas[name] = await store.keys._database.read(
                lambda c, name=name: c.exec_driver_sql(f"PRAGMA {name}").scalar()  # type: ignore[misc]
            )
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


async def test_an_absolute_path_and_a_store_in_memory_work_too(
    tmp_path: Path, a_server: Make
) -> None:
    async with await Store.open(f"sqlite:///{tmp_path}/other/x.db") as store:
        await store.servers.add(a_server(1))
    assert (tmp_path / "other" / "x.db").exists()
    for url in ("sqlite://", "sqlite:///:memory:"):
        async with await Store.open(url, folder=tmp_path) as store:
            await store.unlock(MasterKey.for_this_process())
            await store.lease()
            await store.servers.add(a_server(1))
            assert len((await store.load_grants()).servers) == 1
            assert not await store.changes()


@pytest.mark.parametrize(
    "url",
    ["", "state.db", "mysql://u:hunter2@h/d", "sqlite://state.db", "sqlite+aiosqlite:///x.db",
     "sqlite:///x.db?mode=memory&password=hunter2", "postgresql+psycopg://u:hunter2@h/d", "://"],
)  # fmt: skip
async def test_another_url_is_refused_with_words_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^\[store\] url") as caught:
        await Store.open(url, folder=tmp_path)
    assert "hunter2" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, path: Path
) -> None:
    path.parent.mkdir()
    for content in (b"#!/bin/sh\n", b"\0" * 4096, random.Random(1).randbytes(20000), b"SQLite"):
        path.write_bytes(content)
        assert (await refused(tmp_path)).reason == "corrupt"
        assert path.read_bytes() == content


async def test_an_empty_file_is_refused(tmp_path: Path, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert "empty file" in str(await refused(tmp_path))
    assert path.stat().st_size == 0


async def test_a_folder_in_its_place_is_refused(tmp_path: Path, path: Path) -> None:
    path.mkdir(parents=True)
    assert "not a file" in str(await refused(tmp_path))


async def test_a_database_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, path: Path
) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    assert "belongs to something else" in str(await refused(tmp_path))
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [("songs",)]


@pytest.mark.parametrize("seed", range(4))
async def test_random_damage_is_refused_and_left_alone(
    tmp_path: Path, filled: Path, seed: int
) -> None:
    chance = random.Random(seed)
    content = bytearray(filled.read_bytes())
    for page in range(1, len(content) // 4096):  # every page's header, so none can be missed
        content[page * 4096 : page * 4096 + 64] = chance.randbytes(64)
    filled.write_bytes(content)
    assert (await refused(tmp_path)).reason == "corrupt"
    assert filled.read_bytes() == content


@pytest.mark.parametrize("name", ["accounts", "api_tokens", "mcp_servers_expiry", "keys"])
async def test_damage_is_found_where_nothing_reads_at_the_start(
    tmp_path: Path, filled: Path, name: str
) -> None:
    connection = sqlite3.connect(filled)
    query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    page: int = connection.execute(query, (name,)).fetchone()[0]
    connection.close()
    content = bytearray(filled.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 16] = b"\xff" * 16
    filled.write_bytes(content)
    assert "is damaged and was left as it is" in str(await refused(tmp_path))
    assert filled.read_bytes() == content


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.9])
async def test_a_truncated_file_is_refused_and_left_alone(
    tmp_path: Path, filled: Path, keep: float
) -> None:
    content = filled.read_bytes()
    content = content[: int(len(content) * keep)]
    filled.write_bytes(content)
    assert (await refused(tmp_path)).reason == "corrupt"
    assert filled.read_bytes() == content


@pytest.mark.parametrize("place", [0, 5, 16, 100])
async def test_a_flipped_header_is_refused(tmp_path: Path, filled: Path, place: int) -> None:
    content = bytearray(filled.read_bytes())
    content[place] ^= 0x55
    filled.write_bytes(content)
    assert (await refused(tmp_path)).reason == "corrupt"
    assert filled.read_bytes() == content


async def test_a_missing_file_with_writes_in_its_journal_is_not_made_anew(
    tmp_path: Path, path: Path, a_server: Make
) -> None:
    store = await Store.open(URL, folder=tmp_path)
    await store.servers.add(a_server(1))
    journal = path.with_name("crossdock.db-wal")
    saved = journal.read_bytes()
    await store.close()
    path.rename(tmp_path / "aside")
    journal.write_bytes(saved)
    assert (await refused(tmp_path)).reason == "missing"
    assert journal.read_bytes() == saved
    assert not path.exists()


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_file_lost_while_in_use_takes_no_more_writes(
    tmp_path: Path, path: Path, a_server: Make, how: str
) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        path.unlink()
        if how == "replaced":
            path.write_bytes(b"")
        for use in (lambda: store.servers.add(a_server(1)), store.changes, store.check):
            with pytest.raises(StoreFault, match="removed or replaced") as caught:
                await use()
            assert caught.value.reason == "missing"


async def test_a_full_disk_loses_only_the_write_that_met_it(tmp_path: Path, a_server: Make) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        await store.servers.add(a_server(1))
        write = store.keys._database.write
        pages: int = await write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").scalar())
        with pytest.raises(StoreFault, match="disk is full. Make room") as caught:
            await store.servers.add(a_server(2, name="x" * 100_000))
        assert caught.value.reason == "full"
        assert [server.id for server in (await store.load_grants()).servers] == ["mcp_srv_1"]
        await write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages + 100}").scalar())
        await store.servers.add(a_server(2, name="x" * 100_000))
        assert len((await store.load_grants()).servers) == 2


async def test_a_locked_store_says_so_and_recovers(
    tmp_path: Path, path: Path, a_server: Make
) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        write = store.keys._database.write
        await write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout=50").scalar())
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFault, match="locked") as caught:
            await store.servers.add(a_server(1))
        assert caught.value.reason == "locked"
        assert not await store.changes()
        blocker.execute("ROLLBACK")
        blocker.close()
        await store.servers.add(a_server(1))


async def test_who_waits_behind_others_for_a_locked_store_waits_no_longer_than_they(
    tmp_path: Path, path: Path, a_server: Make
) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        writes = [store.servers.add(a_server(number)) for number in range(4)]
        async with asyncio.timeout(15):  # one after the other they would take 20 s
            refused = await asyncio.gather(*writes, return_exceptions=True)
        assert {one.reason for one in refused if isinstance(one, StoreFault)} == {"locked"}
        assert len([one for one in refused if isinstance(one, StoreFault)]) == 4
        blocker.execute("ROLLBACK")
        blocker.close()
        await store.servers.add(a_server(1))


async def test_a_read_only_store_says_so(tmp_path: Path, a_server: Make) -> None:
    async with await Store.open(URL, folder=tmp_path) as store:
        write = store.keys._database.write
        await write(lambda c: c.exec_driver_sql("PRAGMA query_only=1"), quiet=True)
        with pytest.raises(StoreFault, match="permissions") as caught:
            await store.servers.add(a_server(1))
        assert caught.value.reason == "read_only"


async def test_a_folder_that_cannot_be_made_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    assert (await refused(tmp_path)).reason == "missing"


async def test_no_secret_is_anywhere_in_the_files(tmp_path: Path, path: Path) -> None:
    secrets = [f"sk_live_hunter{number}" for number in range(20)]
    async with await Store.open(URL, folder=tmp_path) as store:
        ring = await store.unlock(MasterKey("file:state/master.key", tmp_path))
        for secret in secrets:
            account = await store.accounts.add(
                integration="malomo",
                name="Acme",
                settings={},
                credentials={"api_key": Secret(secret)},
            )
            await store.renewed.keep(account.id, account.credentials, {"api_key": secret + "-new"})
        await store.rotate_keys()
        plain: list[Any] = [ring.pepper, ring.cursor_key, ring.state_key, b"hunter"]
        for file in path.parent.glob("crossdock.db*"):
            content = file.read_bytes()
            assert not any(one in content for one in plain), file
