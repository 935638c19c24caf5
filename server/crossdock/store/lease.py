"""The right to be the only process that serves from a store.

Locks between writers of one order live in the process, so a second one serving the same accounts
would break their promise. Commands that only read or change records need no lease.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from crossdock.store.faults import fault
from crossdock.store.records import StoreFault

_POSTGRES_LOCK = 7232316874562164


class FileLease:
    """A lock on a file beside the SQLite file. It ends with the process, however that ends."""

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".lock")
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreFault(
                "read_only",
                f"The lock file {self._path} cannot be opened ({error.strerror}). "
                "Mend the permissions of its folder.",
            ) from error
        try:
            _lock(self._handle)
        except OSError:
            holder = _holder(self._handle)
            os.close(self._handle)
            raise StoreFault(
                "in_use",
                f"The store {store} is served by another crossdock, {holder}. Stop that process, "
                "or give this one a [store] url of its own.",
            ) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    async def verify(self) -> None:
        """Do nothing: the kernel keeps the lock."""

    async def release(self) -> None:
        """Let another process have it. The file stays: removing it would break a waiting lock."""
        os.close(self._handle)


class PostgresLease:
    """An advisory lock on a session of its own."""

    def __init__(self, engine: AsyncEngine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._connection: AsyncConnection | None = None

    async def verify(self) -> None:
        """Make sure the lock is held, taking it (again) if it is not. Raises StoreFault."""
        try:
            if self._connection is not None:
                try:
                    await self._connection.exec_driver_sql("SELECT 1")
                    return
                except (SQLAlchemyError, OSError):
                    await self.release()
            await self._take()
        except (SQLAlchemyError, OSError) as error:
            raise fault(error, self._where) from error

    async def _take(self) -> None:
        connection = await self._engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            key = {"key": _POSTGRES_LOCK}
            if (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key)).scalar():
                self._connection = connection
                return
            holder = (await connection.execute(text(_HOLDER), key)).first()
            named = f"PostgreSQL session {holder.pid} from {holder.host}" if holder else "just now"
            raise StoreFault(
                "in_use",
                f"The store {self._where} is served by another crossdock, {named}. Stop that "
                "process, or give this one a [store] url of its own.",
            )
        finally:
            if self._connection is not connection:
                await connection.close()

    async def release(self) -> None:
        """Let another process have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()  # ends the session, and with it the lock
            await connection.close()


_HOLDER = """
SELECT pid, coalesce(host(client_addr), 'this machine') AS host
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND (classid::bigint << 32) + objid::bigint = :key
  AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def _holder(handle: int) -> str:
    name = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
    return f"process {name}" if name.isdigit() else "which is just starting"


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 1024, os.SEEK_SET)  # beyond the text, which others must be able to read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
