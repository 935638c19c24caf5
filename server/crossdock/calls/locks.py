"""Locks by name, within this process. They vanish when nobody holds or awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crossdock.errors import Busy


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
                raise Busy(
                    f"Others have been changing this record for {wait:g} s; nothing was written. "
                    "Try again."
                ) from None
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
