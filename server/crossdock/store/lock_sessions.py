"""PostgreSQL sessions for locks: each is one caller's alone for as long as it holds something.

What a session holds ends with it, however that comes about, so none is ever replaced behind its
user's back. There are so many at a time; who finds none waits for its turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from crossdock.errors import kept_waiting, store_away

ANSWER_SECONDS = 4.0
"""How long a session that answers at all may take over a statement that waits for nobody."""

SETTINGS = {
    "application_name": "crossdock lock",
    "statement_timeout": "0",  # a lock is waited for as long as its caller does
    "idle_in_transaction_session_timeout": "30s",
    # a machine that is gone is noticed after 40 s, and its locks are free
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}

BROKEN = (
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
    *(OSError, TimeoutError),
)
"""What a session raises when it, or the server, is of no use any more."""

Connect = Callable[[], Awaitable[Any]]

_RESTED = 1.0  # seconds; who was idle for longer is asked whether it still is there


class LockSession:
    """One session, asked one thing at a time. `holds` counts what would be lost with it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._used = time.monotonic()
        self.holds = 0

    @property
    def asked(self) -> bool:
        """Whether an answer is being waited for."""
        return self._turn.locked()

    @property
    def reusable(self) -> bool:
        """Whether it is there and holds nothing."""
        return not (self.holds or self.asked or self._connection.is_closed())

    async def run(self, statements: str, *, seconds: float = ANSWER_SECONDS) -> None:
        """Run statements of ours, which hold no value of anybody else's. Raises one of BROKEN."""
        async with self._turn:
            await self._connection.execute(statements, timeout=seconds)
            self._used = time.monotonic()

    async def row(self, query: str, *values: Any) -> Any:
        """Return the first row of a query. Raises one of BROKEN."""
        async with self._turn:
            found = await self._connection.fetchrow(query, *values, timeout=ANSWER_SECONDS)
            self._used = time.monotonic()
            return found

    async def answers(self) -> bool:
        """Whether it still is there."""
        if time.monotonic() - self._used < _RESTED:
            return not self._connection.is_closed()
        try:
            await self.run("SELECT 1")
        except BROKEN:
            return False
        return True

    def end(self) -> None:
        """End it at once; the server lets go of what it held."""
        self._connection.terminate()


class LockSessions:
    """At most `most` sessions; those that nobody uses are kept for the next."""

    def __init__(self, connect: Connect, most: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(most)
        self._idle: list[LockSession] = []
        self._closed = False

    @asynccontextmanager
    async def one(self, wait: float) -> AsyncIterator[LockSession]:
        """Have a session. Raises Busy after `wait` seconds, StoreAway where there is no server.

        One that still holds something afterwards is ended.
        """
        try:
            async with asyncio.timeout(wait):
                await self._places.acquire()
        except TimeoutError:
            raise kept_waiting(wait) from None
        try:
            session = await self._ready()
            try:
                yield session
            finally:
                if session.reusable and not self._closed:
                    self._idle.append(session)
                else:
                    session.end()
        finally:
            self._places.release()

    async def _ready(self) -> LockSession:
        while self._idle:
            session = self._idle.pop()
            if await session.answers():
                return session
            session.end()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return LockSession(await self._connect())
        except BROKEN:
            raise store_away() from None

    async def close(self) -> None:
        """End those that nobody uses; the others end with their users."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()
