"""A pooler that shares sessions is told from PostgreSQL itself, and refused in words."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from harness.engines import program
from harness.parts import Part
from harness.ports import free_port

from crossdock.errors import ConfigError
from crossdock.store import Store, StoreFault

CONFIG = """
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits,search_path,lock_timeout,statement_timeout,idle_in_transaction_session_timeout
"""


@pytest.fixture(params=["postgresql"])
def engine() -> str:
    return "postgresql"


@pytest.fixture
async def pooled(url: str, postgres: Any) -> AsyncIterator[Any]:
    """Start pgbouncer before the store's server; give the store's URL through it."""
    parts: list[Part] = []
    # Not in `tmp_path`: pytest shuts everybody else out of the folders above it.
    folder = Path(tempfile.mkdtemp(prefix="crossdock-pooler-"))
    folder.chmod(0o755)

    async def start(mode: str, size: int) -> str:
        port = free_port()
        path = folder / "pgbouncer.ini"
        host = url.rpartition("host=")[2]
        path.write_text(CONFIG.format(host=host, port=port, mode=mode, size=size), encoding="utf-8")
        path.chmod(0o644)
        part = Part(
            "pgbouncer",
            [program("pgbouncer"), str(path)],
            ready="process up",
            folder=Path("/"),
            user="postgres",
        )
        parts.append(part)
        await asyncio.to_thread(part.start)
        name = url.rpartition("@/")[2].partition("?")[0]
        return f"postgresql://postgres@127.0.0.1:{port}/{name}"

    yield start
    for part in parts:
        part.kill()
    shutil.rmtree(folder)


@pytest.mark.parametrize("size", [1, 2, 10])
async def test_a_pooler_of_transactions_is_refused_in_words(pooled: Any, size: int) -> None:
    address = await pooled("transaction", size)
    with pytest.raises(ConfigError, match="Let it lead to PostgreSQL itself"):
        await Store.open(address)


async def test_a_pooler_of_sessions_and_postgresql_itself_are_taken(pooled: Any, url: str) -> None:
    for address in (await pooled("session", 20), url):
        store = await Store.open(address)
        await store.check()
        await store.close()


async def test_a_server_that_is_away_is_no_pooler() -> None:
    with pytest.raises(StoreFault, match="nothing answers there"):
        await Store.open(f"postgresql://postgres@127.0.0.1:{free_port()}/x")
