"""One database, one writer at a time.

Every piece of work is one transaction, in a task of its own: a caller that is cancelled cannot tear
it, and what was begun is committed or rolled back as a whole. SQLite is used through a single
connection, so that `PRAGMA data_version` tells the writes of others from our own. PostgreSQL gets
the same discipline by a counter row that each write raises first: it orders writers across
processes, and what it numbers stands in the journal.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, StaticPool
from sqlalchemy.util import greenlet_spawn

from crossdock.errors import ConfigError
from crossdock.store import journal, sqlite_file, tables, version
from crossdock.store.faults import fault, should_repeat, silent, waited_too_long
from crossdock.store.records import Changes, Kind, StoreFault

T = TypeVar("T")
Work = Callable[[Connection], T]

_LOCK_SECONDS = 5
_CONNECT_SECONDS = 2
_ANSWER_SECONDS = 4.5
_ATTEMPTS = 3
_QUICK_CHECK_BYTES = 64 * 2**20
_PRAGMAS = (
    f"PRAGMA busy_timeout={_LOCK_SECONDS * 1000}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
)


class Database:
    """An open database. `work` runs synchronously against a connection, within a transaction; it
    may be run again when PostgreSQL asks for it, so it must only touch the connection."""

    def __init__(self, engine: Engine, where: str, path: Path | None) -> None:
        self.where = where
        self.path = path
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.engine = engine
        self._reader = (
            engine
            if self.is_sqlite
            else engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._file = sqlite_file.identity(path) if path else None
        self._connections = 0
        self._version = (0, 0)
        self._seen: int | None = None
        self._own: set[int] = set()
        self._untold: set[tuple[Kind, str]] = set()
        if self.is_sqlite:
            _prepare_sqlite(engine, self._count_connection)

    def _count_connection(self) -> None:
        self._connections += 1

    async def read(self, work: Work[T], *, patient: bool = False) -> T:
        """Run `work` on one consistent state of the database.

        PostgreSQL has to be done within 4.5 seconds, unless the caller is `patient`."""
        return await self._finish(self._read(work), patient=patient)

    async def write(self, work: Work[T], *, quiet: bool = False, patient: bool = False) -> T:
        """Run `work` alone and commit it. When this returns, the write is on disk.

        `work` notes by `journal.changed` what others have to read again. `quiet` writes concern no
        grant, wake nobody, and need no order (the call log, last use)."""
        if quiet:
            return await self._finish(self._write_quietly(work), patient=patient)
        told: list[journal.Records] = []
        return await self._finish(self._write(work, told), told, patient=patient)

    async def write_in_order(self, work: Work[T]) -> T:
        """Run `work` alone and commit it; like a quiet write it wakes nobody."""
        return await self._finish(self._write_in_order(work))

    async def changes(self) -> Changes:
        """Return what somebody else wrote since the last time this was asked; at first nothing."""
        return await self._finish(self._changes())

    async def connect_for_locks(self) -> Any:
        """Open a session of PostgreSQL beside the pool, which is its caller's alone."""
        from crossdock.store.lock_sessions import SETTINGS

        return await self._connect(server_settings=SETTINGS)

    async def refuse_pooler(self) -> None:
        """Raise ConfigError where PostgreSQL's sessions are shared by a pooler, StoreFault where
        nothing answers."""
        if self.is_sqlite:
            return
        from crossdock.store.lock_sessions import BROKEN
        from crossdock.store.pooler import refuse_pooler

        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await refuse_pooler(lambda: self._connect(statement_cache_size=0))
        except BROKEN as error:
            raise fault(error, self.where) from error

    async def _connect(self, **how: Any) -> Any:
        import asyncpg  # type: ignore[import-untyped]

        _, given = self.engine.dialect.create_connect_args(self.engine.url)
        for name in ("prepared_statement_cache_size", "prepared_statement_name_func"):
            given.pop(name, None)
        return await asyncpg.connect(**given, **how, timeout=_CONNECT_SECONDS)

    async def close(self) -> None:
        """Let running work end, then let go of the database."""
        while self._running:
            await asyncio.wait(self._running)
        await greenlet_spawn(self.engine.dispose)

    async def _finish(
        self,
        job: Coroutine[Any, Any, T],
        told: Sequence[journal.Records] = (),
        *,
        patient: bool = False,
    ) -> T:
        task = asyncio.create_task(job)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(None if self.is_sqlite or patient else _ANSWER_SECONDS):
                return await asyncio.shield(task)
        except BaseException as error:
            if task.done():
                raise
            # nobody will be told how it ended: if it was a write, let `changes` tell
            task.add_done_callback(lambda _: self._untold.update(*told))
            task.add_done_callback(_ignore)
            if isinstance(error, TimeoutError):
                raise silent(self.where) from None
            raise

    async def _read(self, work: Work[T]) -> T:
        if not self.is_sqlite:
            return await self._attempt(self._reader, work)
        async with self._in_turn():
            return await self._attempt(self._reader, work)

    async def _write_quietly(self, work: Work[T]) -> T:
        if not self.is_sqlite:
            return await self._attempt(self.engine, work)
        return await self._write_alone(work)

    async def _write_in_order(self, work: Work[T]) -> T:
        if self.is_sqlite:
            return await self._write_alone(work)

        def ordered(connection: Connection) -> T:
            journal.order(connection)
            return work(connection)

        async with self._in_turn():
            return await self._attempt(self.engine, ordered)

    async def _write(self, work: Work[T], told: list[journal.Records]) -> T:
        def whole(connection: Connection) -> tuple[int, T, journal.Records]:
            n = journal.begin(connection)
            return n, work(connection), journal.end(connection, n)

        n, result, touched = await self._write_alone(whole)
        self._own.add(n)
        told.append(touched)
        return result

    async def _write_alone(self, work: Work[T]) -> T:
        async with self._in_turn() as left:
            self.still_there()
            begin = "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN"
            return await self._attempt(self.engine, work, begin=begin, wait=left)

    async def _changes(self) -> Changes:
        async with self._in_turn():
            self.still_there()
            version, seen, found = await self._attempt(self._reader, self._look)
            self._version, self._seen = version, seen
            self._own.clear()
            untold, self._untold = self._untold, set()
            return replace(found, records=found.records | untold) if untold else found

    def _look(self, connection: Connection) -> tuple[tuple[int, int], int, Changes]:
        version = (self._connections, _data_version(connection) if self.is_sqlite else 0)
        if self._seen is None:
            return version, journal.head(connection), Changes()
        if self.is_sqlite and version == self._version:  # all that was written is our own
            return version, max(self._own, default=self._seen), Changes()
        return version, *journal.since(connection, self._seen, self._own)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[float]:
        """Wait in turn; give the seconds that are left to wait for a lock. Raises StoreFault."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _LOCK_SECONDS
        try:
            async with asyncio.timeout_at(ends):
                await self._turn.acquire()
        except TimeoutError as error:
            raise waited_too_long(self.where) from error
        try:
            left = ends - loop.time()
            # Where there was nothing to wait for it is always the same, and needs no statement.
            yield left if left < _LOCK_SECONDS * 0.95 else _LOCK_SECONDS
        finally:
            self._turn.release()

    async def _attempt(
        self,
        engine: Engine,
        work: Work[T],
        *,
        begin: str = "BEGIN",
        wait: float = _LOCK_SECONDS,
    ) -> T:
        def transaction() -> T:
            with engine.connect() as connection:
                connection.execution_options(crossdock_begin=begin, crossdock_wait=wait)
                with connection.begin():
                    return work(connection)

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await greenlet_spawn(transaction)
            except DBAPIError as error:
                if attempt == _ATTEMPTS or not should_repeat(error):
                    raise fault(error, self.where) from error
            except (PoolTimeout, sqlite3.Error, OSError) as error:
                raise fault(error, self.where) from error
        raise AssertionError("unreachable")

    def still_there(self) -> None:
        """Raise StoreFault if the SQLite file is no longer the one that was opened: what is written
        now would be lost."""
        if self.path is not None and sqlite_file.identity(self.path) != self._file:
            raise StoreFault(
                "missing",
                f"The store {self.where} was removed or replaced while it was in use; nothing is "
                "written any more. Put the right file there and start crossdock again.",
            )


async def connect(url: str, folder: Path) -> Database:
    """Open the database behind `[store] url`; a SQLite file that is missing is made.

    Says nothing yet about its tables, but a damaged SQLite file is refused."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return await _connect_sqlite(parsed, folder)
    return _connect_postgres(parsed)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in {"sqlite", "postgresql"}:
        raise ConfigError(
            "[store] url is not understood. Write sqlite:///PATH, where PATH counts from the "
            "configuration's folder, or postgresql://USER@HOST/DATABASE."
        )
    if parsed.drivername == "sqlite" and (parsed.host or parsed.query):
        raise ConfigError(
            "[store] url: a sqlite URL is sqlite:///PATH and nothing more. An absolute path "
            "makes it four slashes."
        )
    return parsed


async def _connect_sqlite(url: URL, folder: Path) -> Database:
    path = None
    if url.database and url.database != ":memory:":
        path = (folder / url.database).absolute()
        await asyncio.to_thread(sqlite_file.prepare, path, version.create_file)
    engine = create_engine(
        URL.create("sqlite+aiosqlite", database=str(path) if path else ":memory:"),
        poolclass=StaticPool,
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    database = Database(engine, str(path or "in memory"), path)
    try:
        if path is None:
            await database.write(version.create, quiet=True)  # it makes the journal, too
        else:
            await database.read(_refuse_damage(path))
    except BaseException:
        await database.close()
        raise
    return database


def _connect_postgres(url: URL) -> Database:
    tables.suit_postgres()
    try:
        engine = create_engine(
            url.set(drivername="postgresql+asyncpg"),
            poolclass=AsyncAdaptedQueuePool,
            pool_size=5,
            max_overflow=0,
            pool_timeout=_LOCK_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "timeout": _CONNECT_SECONDS,
                "command_timeout": 15,
                "server_settings": {
                    "application_name": "crossdock",
                    "lock_timeout": f"{_LOCK_SECONDS}s",
                    "statement_timeout": "10s",
                    "idle_in_transaction_session_timeout": "30s",
                },
            },
        )
    except ModuleNotFoundError as error:
        raise ConfigError(
            "[store] url names PostgreSQL, and its driver is not installed. "
            "Install crossdock with the extra `postgres`."
        ) from error
    shown = {name: value for name, value in url.query.items() if name in {"host", "port"}}
    return Database(engine, url.set(query=shown).render_as_string(hide_password=True), None)


def _prepare_sqlite(engine: Engine, connected: Callable[[], None]) -> None:
    patience = _LOCK_SECONDS * 1000

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # or the driver begins transactions by its own rules
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()
        connected()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        nonlocal patience
        options = connection.get_execution_options()
        wait = int(options["crossdock_wait"] * 1000)
        if wait != patience:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={wait}")
            patience = wait
        connection.exec_driver_sql(options["crossdock_begin"])


def _refuse_damage(path: Path) -> Work[None]:
    def look(connection: Connection) -> None:
        # a long call log would make the start slow; damage in it threatens no grant
        small = path.stat().st_size <= _QUICK_CHECK_BYTES
        names = [table.name for table in tables.metadata.sorted_tables if table.name != "audit"]
        for argument in ["1"] if small else names:
            answer = connection.exec_driver_sql(f"PRAGMA quick_check({argument})").scalar()
            if answer != "ok":
                raise StoreFault(
                    "corrupt",
                    f"The store {path} is damaged and was left as it is. Restore a backup.",
                )

    return look


def _data_version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def _ignore(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not call it forgotten
