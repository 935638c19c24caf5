"""Connections to providers, pooled for each account: nobody waits behind another account's calls.

A pool is made when its account first sends, and closed when it was idle for a while or when there
are too many idle ones. Those in use are as many as calls are under way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from crossdock.calls.http_connection import HttpConnection
from crossdock.calls.targets import Origin

_MOST = 256
_TICK = 0.1  # seconds; deadlines of connections end so much late at most

Dial = Callable[[Origin], Awaitable[HttpConnection]]


class Pool:
    """One account's connections, `most` at a time. Who finds no place waits for its turn.

    A place is had from `take` or `connected` until `give`; idle connections take none, but there
    are never more connections than places.
    """

    def __init__(self, dial: Dial, most: int) -> None:
        self._dial = dial
        self._most = most
        self._places = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._used: set[HttpConnection] = set()
        self._idle: dict[str, list[HttpConnection]] = {}
        self.last_used = 0.0

    @property
    def used(self) -> bool:
        """Whether somebody has a place, or waits for one."""
        return self._places > 0 or bool(self._waiting)

    @property
    def connections(self) -> list[HttpConnection]:
        """All connections there are."""
        return [*self._used, *(one for stack in self._idle.values() for one in stack)]

    def take(self, origin: Origin, now: float) -> HttpConnection | None:
        """Return a connection that is free at once, if there is a place and one."""
        if self._places >= self._most:
            return None
        connection = self._free(origin, now)
        if connection is not None:
            self._places += 1
            self._used.add(connection)
        return connection

    async def connected(self, origin: Origin) -> HttpConnection:
        """Wait for a place; return a connection that is free by then, or a new one."""
        if self._places >= self._most:
            await self._turn()
        else:
            self._places += 1
        try:
            connection = self._again(origin) or await self._dial(origin)
        except BaseException:
            self._leave()
            raise
        self._used.add(connection)
        return connection

    def give(self, connection: HttpConnection, origin: Origin, now: float) -> None:
        """Give a connection and its place back."""
        self._used.discard(connection)
        if _good(connection, now):
            self._idle.setdefault(origin.key, []).append(connection)
        self.last_used = now
        self._leave()

    def look(self, now: float) -> None:
        """Give up on what takes too long, and drop what was idle for long."""
        for connection in self._used:
            connection.look(now)
        for key in [*self._idle]:
            self._idle[key] = [one for one in self._idle[key] if _good(one, now)]
            if not self._idle[key]:
                del self._idle[key]

    # --- places ------------------------------------------------------------------------------

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # it had just come: the next one's, then
            raise

    def _leave(self) -> None:
        """Hand the place to who has waited longest; it is taken all the while."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._places -= 1

    # --- idle connections --------------------------------------------------------------------

    def _free(self, origin: Origin, now: float) -> HttpConnection | None:
        stack = self._idle.get(origin.key)
        while stack:
            connection = stack.pop()
            if connection.usable(now) and connection.silent:
                return connection
            connection.abort()
        return None

    def _again(self, origin: Origin) -> HttpConnection | None:
        """Return an idle connection; where there is none, make room for a new one."""
        free = self._free(origin, asyncio.get_running_loop().time())
        if free is None:
            idle = [stack for stack in self._idle.values() if stack]
            if idle and self._places + sum(map(len, idle)) > self._most:
                idle[0].pop(0).abort()
        return free


def _good(connection: HttpConnection, now: float) -> bool:
    """Whether a connection can be used again; it is dropped if not."""
    if connection.usable(now):
        return True
    connection.abort()
    return False


class Pools:
    """All pools. A pool is closed after `idle` seconds without a user."""

    def __init__(self, dial: Dial, *, connections: int, idle: float, most: int = _MOST) -> None:
        self._dial = dial
        self._connections = connections
        self._idle = idle
        self._most = most
        self._pools: dict[str, Pool] = {}
        self._open: set[HttpConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._pools)

    def of(self, account: str) -> Pool:
        """Return the account's pool."""
        return self._pools.get(account) or self._made(account)

    async def close(self) -> None:
        """Close all, whoever uses them."""
        if self._timer is not None:
            self._timer.cancel()
        self._pools.clear()
        for connection in self._open:
            connection.abort()
        await asyncio.gather(*[connection.lost for connection in self._open])

    def _made(self, account: str) -> Pool:
        if len(self._pools) >= self._most:
            unused = [one for one, pool in self._pools.items() if not pool.used]
            if unused:
                self._close(min(unused, key=lambda one: self._pools[one].last_used))
        loop = asyncio.get_running_loop()
        pool = self._pools[account] = Pool(self._opened, self._connections)
        pool.last_used = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(_TICK, self._tick)
        return pool

    async def _opened(self, origin: Origin) -> HttpConnection:
        connection = await self._dial(origin)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        return connection

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for account, pool in [*self._pools.items()]:
            pool.look(now)
            if not pool.used and now - pool.last_used >= self._idle:
                self._close(account)
        self._timer = loop.call_later(_TICK, self._tick) if self._pools else None

    def _close(self, account: str) -> None:
        for connection in self._pools.pop(account).connections:
            connection.abort()
