"""Waiting in tests: by asking again, with an end to the patience. Nowhere else is slept."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

PATIENCE = 10.0
_PAUSE = 0.005


async def until(true: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Ask until the answer is true, and return it; `true` may be a coroutine function."""
    async with asyncio.timeout(patience):
        while not (found := await _answer(true)):
            await asyncio.sleep(_PAUSE)
        return found


async def _answer(true: Callable[[], Any]) -> Any:
    answer = true()
    return await answer if inspect.isawaitable(answer) else answer


async def turns(number: int) -> None:
    """Let everything else have so many turns of the event loop."""
    for _ in range(number):
        await asyncio.sleep(0)
