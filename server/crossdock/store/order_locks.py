"""Locks on a customer's records between all processes that serve from one PostgreSQL.

The provider checks no version, so two processes must never be at one record while a request may be
under way. A lock is a session's: it is waited for in the order of asking, ends with its session,
and has no time after which it would be given away. It ends too early for a request that was sent:
so the holder writes down, right before each write, until when that one may arrive, and takes it
back with the lock. Whoever finds the intent of somebody else waits until it is over.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]

from crossdock.errors import kept_waiting, may_arrive, store_away
from crossdock.model import OrderLock
from crossdock.store.intents import boottime, lock_name
from crossdock.store.lock_sessions import ANSWER_SECONDS, BROKEN, LockSession, LockSessions

_STALE_SECONDS = 2.0
_LOOK_SECONDS = 0.5
_TRIES = 3
_LIVE = """
SELECT extract(epoch FROM until - clock_timestamp())::float8 AS left
FROM write_intents WHERE key = $1 AND until > clock_timestamp()
"""
_ANNOUNCE = """
INSERT INTO write_intents (key, holder, until)
VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, until = excluded.until
"""
# Committed before the lock is let go: whoever gets it next must not find what is not yet deleted.
_FORGET = """
BEGIN; DELETE FROM write_intents WHERE key = '{key}' AND holder = '{holder}'; COMMIT;
"""


class SharedOrderLocks:
    """Implements OrderLocks. `seconds` are how long a write may be on its way."""

    shared = True

    def __init__(
        self, sessions: LockSessions, process: str, pepper: Callable[[], bytes], *, seconds: float
    ) -> None:
        self._sessions = sessions
        self._process = process
        self._pepper = pepper
        self._seconds = seconds
        self._count = itertools.count(1)

    @asynccontextmanager
    async def hold(
        self, *key: str, wait: float, beside: OrderLock | None = None
    ) -> AsyncIterator[OrderLock]:
        """Hold the lock of `key`; see `OrderLocks`. Locks of one caller share its session."""
        ends = time.monotonic() + wait
        if isinstance(beside, _SharedLock) and not beside.session.asked:
            async with self._held(beside.session, key, wait, ends) as lock:
                yield lock
            return
        async with self._sessions.one(wait) as session, self._held(session, key, wait, ends) as one:
            yield one

    @asynccontextmanager
    async def _held(
        self, session: LockSession, key: tuple[str, ...], wait: float, ends: float
    ) -> AsyncIterator[OrderLock]:
        holder = f"{self._process}.{next(self._count)}"
        lock = _SharedLock(session, lock_name(self._pepper(), key), holder, self._seconds)
        await lock.take(wait, ends)
        try:
            await lock.clear(ends)
            yield lock
        finally:
            await lock.release()

    async def recall(self) -> None:
        """Do nothing: intents are looked for when a lock is taken."""

    async def close(self) -> None:
        """End the sessions that nobody uses."""
        await self._sessions.close()


class _SharedLock:
    """A lock while it is held, or being waited for."""

    def __init__(self, session: LockSession, name: str, holder: str, seconds: float) -> None:
        self.session = session
        self._name = name
        self._number = int.from_bytes(bytes.fromhex(name[:16]), signed=True)
        self._holder = holder
        self._seconds = seconds
        self._announced = False

    async def take(self, wait: float, ends: float) -> None:
        left = max(ends - time.monotonic(), 0.001)
        self.session.holds += 1
        try:
            await self.session.run(
                f"SET lock_timeout = {max(1, int(left * 1000))}; "
                f"SELECT pg_advisory_lock({self._number})",
                seconds=left + ANSWER_SECONDS,
            )
        except asyncpg.LockNotAvailableError:
            self.session.holds -= 1
            raise kept_waiting(wait) from None
        except BROKEN:
            raise store_away() from None

    async def clear(self, ends: float) -> None:
        """Wait until nothing of somebody else may arrive any more. Raises Busy."""
        while (left := await self._foreign()) > 0:
            if left > ends - time.monotonic():
                raise may_arrive(left)
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    async def _foreign(self) -> float:
        try:
            found = await self.session.row(_LIVE, self._name)
        except BROKEN:
            raise store_away() from None
        return 0.0 if found is None else float(found["left"])

    async def announce(self) -> None:
        """See `OrderLock`. A process that stood still in between says so anew."""
        self._announced = True
        for _ in range(_TRIES):
            begun = boottime()
            try:
                await self.session.row(_ANNOUNCE, self._name, self._holder, self._seconds)
            except BROKEN:
                raise store_away() from None
            if boottime() - begun <= _STALE_SECONDS:
                return
        raise store_away()

    async def release(self) -> None:
        """Take the intent back and let go; where that fails, the session ends and the lock with it,
        and the intent by itself."""
        forget = _FORGET.format(key=self._name, holder=self._holder) if self._announced else ""
        try:
            await self.session.run(f"{forget}SELECT pg_advisory_unlock({self._number})")
        except BROKEN:
            return
        self.session.holds -= 1
