"""Every store test runs against both engines: `open_store` opens the same empty store again.

PostgreSQL is the real one, started once per run from the system's binaries on a unix socket.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from crossdock.model import Scope
from crossdock.store import Store, StoredServer, upgrade
from crossdock.store.master_key import MasterKey

OpenStore = Callable[..., Coroutine[Any, Any, Store]]


class Clock:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


class Postgres:
    """A PostgreSQL of our own, in a folder of its own."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="crossdock-pg-"))
        if os.getuid() == 0:  # initdb and pg_ctl refuse to run as root
            shutil.chown(self._folder, "postgres", "postgres")

    def start(self) -> None:
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self._folder} -c fsync=off "
            "-c synchronous_commit=off -c full_page_writes=off -c max_connections=40"
        )
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", "30", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    async def execute(self, statement: str, database: str = "postgres") -> Any:
        connection = await asyncpg.connect(
            host=str(self._folder), user="postgres", database=database
        )
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # pg_ctl hands its pipes on to the server, so a pipe here would never end
        with (self._folder.parent / f"{self._folder.name}.out").open("w+") as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, cwd="/", timeout=60, check=False
            )
            output.seek(0)
            text = output.read()
        Path(output.name).unlink()
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{text}")


def _binaries() -> Path | None:
    found = [Path(shutil.which("pg_ctl") or "/nowhere")]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)
    return next((path.parent for path in found if (path.parent / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    binaries = _binaries()
    if binaries is None:
        words = "PostgreSQL's binaries (initdb, pg_ctl) are not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    server = Postgres(binaries)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store; a PostgreSQL one is upgraded."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path}/state/crossdock.db"
    server: Postgres = request.getfixturevalue("postgres")
    name = f"t{uuid4().hex}"
    await server.execute(f"CREATE DATABASE {name}")
    await upgrade(server.url(name))
    return server.url(name)


@pytest.fixture
def master(tmp_path: Path) -> MasterKey:
    return MasterKey("file:state/master.key", tmp_path)


@pytest.fixture
async def open_store(url: str, master: MasterKey, clock: Clock) -> AsyncIterator[OpenStore]:
    """Open the store of this test, as often as wanted: each one is like a process of its own."""
    opened: list[Store] = []

    async def open_it(*, locked: bool = False, node: str = "") -> Store:
        store = await Store.open(url, clock=clock, node=node)
        opened.append(store)
        if not locked:
            await store.unlock(master)
        return store

    yield open_it
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
def a_server(clock: Clock) -> Callable[..., StoredServer]:
    """Make a server whose id and hash come from its number."""

    def make(number: int = 1, **changes: Any) -> StoredServer:
        values: dict[str, Any] = {
            "id": f"mcp_srv_{number}",
            "name": f"Agent {number}",
            "account_id": "acme",
            "scope": Scope(methods=("read", "create"), tags=("orders",)),
            "token_hash": number.to_bytes(32, "big"),
            "created_by": "cli",
            "created_at": clock.now,
            "updated_at": clock.now,
        }
        return StoredServer(**(values | changes))

    return make
