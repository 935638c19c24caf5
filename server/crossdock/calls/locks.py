"""Locks by name, within this process. They vanish when nobody holds or awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from crossdock.errors import kept_waiting
from crossdock.model import OrderLock, OrderLocks


class Locks:
    """Serialises what must not overlap."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, ...], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, *key: str, wait: float) -> AsyncIterator[None]:
        """Hold the lock of `key`. Raises Busy after `wait` seconds."""
        lock, users = self._held.get(key, (asyncio.Lock(), 0))
        self._held[key] = (lock, users + 1)
        try:
            try:
                async with asyncio.timeout(wait):
                    await lock.acquire()
            except TimeoutError:
                raise kept_waiting(wait) from None
            try:
                yield
            finally:
                lock.release()
        finally:
            lock, users = self._held[key]
            if users == 1:
                del self._held[key]
            else:
                self._held[key] = (lock, users - 1)


class _Alone:
    """The lock and the locks of a process without a store: others do not exist."""

    shared = False

    def hold(
        self, *key: str, wait: float, beside: OrderLock | None = None
    ) -> AbstractAsyncContextManager[OrderLock]:
        return nullcontext(self)

    async def announce(self) -> None:
        pass


ALONE: OrderLocks = _Alone()
"""For a process that shares no store with others, and remembers nothing of the one before it."""
