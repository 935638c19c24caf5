"""Loops over many records that let everybody else have their turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
_SECONDS = 0.005


def unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """Iterate with `async for`; every few milliseconds the event loop turns once.

    For every loop over what a provider or a model may have made long. What one round does should
    take far less than that by itself.
    """
    return _Unhurried(items)


class _Unhurried(AsyncIterator[T]):
    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._until = time.monotonic() + _SECONDS

    async def __anext__(self) -> T:
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + _SECONDS
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
