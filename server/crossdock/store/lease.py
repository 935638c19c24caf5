"""The right to serve from a store: alone, or with others that share a bus.

Processes without a bus could not pass on to each other what belongs to another, so whoever serves
without one serves alone. Commands that only read or change records need no lease.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import greenlet_spawn

from crossdock.store.faults import fault
from crossdock.store.records import StoreFault

_ANSWER_SECONDS = 4.0
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
    """An advisory lock on a session of its own: shared by those with a bus, else exclusive."""

    def __init__(self, engine: Engine, where: str, *, shared: bool) -> None:
        self._engine = engine
        self._where = where
        self._shared = shared
        self._connection: Connection | None = None

    async def verify(self) -> None:
        """Make sure the lock is held, taking it (again) if it is not. Raises StoreFault."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                if self._connection is not None:
                    try:
                        await greenlet_spawn(self._connection.exec_driver_sql, "SELECT 1")
                        return
                    except (SQLAlchemyError, OSError):
                        await self.release()
                await self._take()
        except (SQLAlchemyError, OSError) as error:  # TimeoutError among them
            raise fault(error, self._where) from error

    async def _take(self) -> None:
        taken, holder = await greenlet_spawn(self._try)
        if taken is None:
            raise self._refused(holder)
        self._connection = taken

    def _try(self) -> tuple[Connection | None, Any]:
        key = {"key": _POSTGRES_LOCK}
        connection = self._engine.connect()
        taken = False
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            take = _SHARED if self._shared else _ALONE
            taken = bool(connection.execute(text(take), key).scalar())
            return (
                (connection, None)
                if taken
                else (
                    None,
                    connection.execute(text(_HOLDER), key).first(),
                )
            )
        finally:
            if not taken:
                connection.close()

    def _refused(self, holder: Any) -> StoreFault:
        named = f"PostgreSQL session {holder.pid} from {holder.host}" if holder else "just now"
        shared = holder is not None and holder.mode == "ShareLock"
        if self._shared:
            how, remedy = "which has no [bus] url", "Stop it, and give both the same [bus] url."
        elif shared:
            how = "one of those that share a [bus] url"
            remedy = "Give this one the same [bus] url, or a [store] url of its own."
        else:
            how = "alone, since it has no [bus] url"
            remedy = (
                "Stop that process, give this one a [store] url of its own, or both one [bus] url."
            )
        return StoreFault(
            "in_use",
            f"The store {self._where} is served by another crossdock, {named}, {how}. {remedy}",
        )

    async def release(self) -> None:
        """Let another process have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await greenlet_spawn(connection.invalidate)  # ends the session, and with it the lock
            await greenlet_spawn(connection.close)


_ALONE = "SELECT pg_try_advisory_lock(:key)"
_SHARED = "SELECT pg_try_advisory_lock_shared(:key)"
_HOLDER = """
SELECT pid, mode, coalesce(host(client_addr), 'this machine') AS host
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
