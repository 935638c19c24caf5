"""Connections to providers, pooled for each account: nobody waits behind another account's calls.

A pool is made when its account first sends, and closed when it was idle for a while or when there
are too many idle ones. Those in use are as many as calls are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

_MOST = 256


class Pool:
    """One account's connections of one kind, and who uses them."""

    __slots__ = ("session", "used", "users")

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.users = 0
        self.used = 0.0

    def __enter__(self) -> aiohttp.ClientSession:
        self.users += 1
        return self.session

    def __exit__(self, *_: object) -> None:
        self.users -= 1
        self.used = asyncio.get_running_loop().time()


class Pools:
    """All pools. `opened` makes one; it is closed after `idle` seconds without a user."""

    def __init__(
        self, opened: Callable[[bool], aiohttp.ClientSession], idle: float, most: int = _MOST
    ) -> None:
        self._opened = opened
        self._idle = idle
        self._most = most
        self._pools: dict[tuple[str, bool], Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._pools)

    def session(self, account: str, *, public: bool) -> Pool:
        """Give the account's session for public hosts, or for those inside private networks: as
        long as it is used, `with pools.session(…) as session`."""
        return self._pools.get((account, public)) or self._made(account, public)

    async def close(self) -> None:
        """Close all, whoever uses them."""
        if self._timer is not None:
            self._timer.cancel()
        for key in [*self._pools]:
            self._close(key)
        await asyncio.gather(*self._closing)

    def _made(self, account: str, public: bool) -> Pool:
        if len(self._pools) >= self._most and (idle := self._unused()):
            self._close(min(idle, key=lambda key: self._pools[key].used))
        pool = self._pools[account, public] = Pool(self._opened(public))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle, self._tidy)
        return pool

    def _unused(self) -> list[tuple[str, bool]]:
        return [key for key, pool in self._pools.items() if not pool.users]

    def _tidy(self) -> None:
        loop = asyncio.get_running_loop()
        for key in self._unused():
            if loop.time() - self._pools[key].used >= self._idle:
                self._close(key)
        self._timer = loop.call_later(self._idle, self._tidy) if self._pools else None

    def _close(self, key: tuple[str, bool]) -> None:
        task = asyncio.create_task(self._pools.pop(key).session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
