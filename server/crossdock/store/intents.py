"""The `write_intents` table where one process serves: what the one before it may have sent.

Locks within a process end with it, and a request that it sent may arrive later still. So it writes
down, right before each write of a locked record, until when that one may arrive, and takes it back
when it lets the record go. Who starts after a kill leaves such records alone for as long.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, and_, delete, or_, select
from sqlalchemy.dialects import sqlite

from crossdock.errors import may_arrive, store_away
from crossdock.model import OrderLock
from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.records import StoreFault

MARGIN_SECONDS = 5.0
"""How much longer than its request a write may be on its way."""

_ROWS = tables.write_intents


def lock_name(pepper: bytes, key: tuple[str, ...]) -> str:
    """Return the name of a lock, in hex: keyed, since it is made of credentials and ids."""
    return hmac.digest(pepper, "\0".join(key).encode(), "sha256").hex()


class OwnOrderLocks:
    """Implements OrderLocks for the one process that serves from a SQLite file.

    `seconds` are how long a write may be on its way.
    """

    shared = False

    def __init__(
        self, database: Database, process: str, pepper: Callable[[], bytes], *, seconds: float
    ) -> None:
        self._database = database
        self._process = process
        self._pepper = pepper
        self._seconds = seconds
        self._count = itertools.count(1)
        self._foreign: dict[str, float] = {}
        self._over: list[tuple[str, str]] = []
        self._forgetting: asyncio.Task[None] | None = None

    async def recall(self) -> None:
        """Read what the process before may still have on its way."""
        query = select(_ROWS.c.key, _ROWS.c.until)
        rows = await self._database.read(lambda c: c.execute(query).all())
        now = datetime.now(UTC)
        for row in rows:
            left = min((row.until - now).total_seconds(), self._seconds)
            self._foreign[row.key] = time.monotonic() + left

    @asynccontextmanager
    async def hold(
        self, *key: str, wait: float, beside: OrderLock | None = None
    ) -> AsyncIterator[OrderLock]:
        """Leave a record alone while it may still change; see `OrderLocks`."""
        name = lock_name(self._pepper(), key)
        if name in self._foreign:
            await self._clear(name, wait)
        lock = _OwnLock(self, name, f"{self._process}.{next(self._count)}")
        try:
            yield lock
        finally:
            if lock.announced:
                self._forget(name, lock.holder)

    async def _clear(self, name: str, wait: float) -> None:
        left = self._foreign[name] - time.monotonic()
        if left > wait:
            raise may_arrive(left)
        await asyncio.sleep(max(left, 0))
        self._foreign.pop(name, None)

    async def write(self, name: str, holder: str) -> None:
        """Write an intent down, and with it take those back that are over. Raises Busy."""
        until = datetime.now(UTC) + timedelta(seconds=self._seconds)
        new = sqlite.insert(_ROWS).values(key=name, holder=holder, until=until)
        put = new.on_conflict_do_update(
            index_elements=[_ROWS.c.key],
            set_={"holder": new.excluded.holder, "until": new.excluded.until},
        )
        over, self._over = self._over, []

        def work(connection: Connection) -> None:
            _delete(connection, over)
            connection.execute(put)

        try:
            await self._database.write(work, quiet=True)
        except StoreFault:
            self._over += over
            raise store_away() from None

    def _forget(self, name: str, holder: str) -> None:
        self._over.append((name, holder))
        if self._forgetting is None:
            self._forgetting = asyncio.create_task(self._take_back())

    async def _take_back(self) -> None:
        try:
            while self._over:
                over, self._over = self._over, []
                try:
                    await self._database.write(lambda c, o=over: _delete(c, o), quiet=True)  # type: ignore[misc]
                except StoreFault:  # they end by themselves; the next intent takes them back
                    self._over += over
                    return
        finally:
            self._forgetting = None

    async def close(self) -> None:
        """Take back what is over."""
        if self._forgetting is not None:
            await self._forgetting


class _OwnLock:
    """A record of which this process has the lock."""

    def __init__(self, locks: OwnOrderLocks, name: str, holder: str) -> None:
        self._locks = locks
        self._name = name
        self.holder = holder
        self.announced = False

    async def announce(self) -> None:
        self.announced = True
        await self._locks.write(self._name, self.holder)


def _delete(connection: Connection, over: list[tuple[str, str]]) -> None:
    ended = [and_(_ROWS.c.key == key, _ROWS.c.holder == holder) for key, holder in over]
    connection.execute(delete(_ROWS).where(or_(_ROWS.c.until < datetime.now(UTC), *ended)))


if sys.platform == "linux":

    def boottime() -> float:
        """Return seconds of a clock that also goes while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
else:

    def boottime() -> float:
        """Return seconds of a clock that is never put back."""
        return time.monotonic()
