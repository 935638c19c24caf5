"""What calls share that act on one customer's data at a provider: locks, and remembered ids."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from cachetools import TLRUCache

from crossdock.calls.locks import Locks
from crossdock.model import OrderLock, OrderLocks

_REMEMBERED = 1000
_AT_LEAST = 0.05  # seconds to ask the others, for who waited for its turn here until the end


class Tenant:
    """A customer at a provider, known by base URL and credentials: two accounts may share one."""

    def __init__(
        self,
        base_url: str,
        credentials: Mapping[str, str],
        locks: Locks,
        orders: OrderLocks,
        *,
        wait: float,
    ) -> None:
        known = msgspec.json.encode([base_url, sorted(credentials.items())])
        self._name = hashlib.sha256(known).hexdigest()
        self._locks = locks
        self._orders = orders
        self._wait = wait
        self._remembered: TLRUCache[str, tuple[float, Any]] = TLRUCache(
            _REMEMBERED, ttu=lambda _, kept, now: now + kept[0], timer=time.monotonic
        )

    @asynccontextmanager
    async def exclusive(
        self, key: str, beside: OrderLock | None = None
    ) -> AsyncIterator[OrderLock]:
        """Hold this tenant's lock of `key`, in this process and then among all. Raises Busy."""
        begun = time.monotonic()
        async with self._locks.hold("exclusive", self._name, key, wait=self._wait):
            left = max(self._wait - (time.monotonic() - begun), _AT_LEAST)
            async with self._orders.hold(self._name, key, wait=left, beside=beside) as lock:
                yield lock

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` gave less than `ttl` seconds ago; one maker at a time."""
        kept = self._remembered.get(key)
        if kept is not None:
            return kept[1]
        async with self._locks.hold("remember", self._name, key, wait=self._wait):
            kept = self._remembered.get(key)
            if kept is None:
                kept = (ttl, await make())
                self._remembered[key] = kept
            return kept[1]
