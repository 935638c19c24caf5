"""From one event loop to that of another thread and back, with answers, errors, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Trip:
    """Something under way on another loop. `ended` is called here when nothing of it is left there,
    which is later than its answer where it does not obey a cancellation."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Awaitable[Any]],
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._ended = ended
        self._there = loop
        self._make = make
        self._here = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._here.create_future()
        self.task: asyncio.Task[None] | None = None

    async def answer(self) -> Any:
        """Start, and return what comes of it. Who is cancelled here, cancels it there."""
        self._there.call_soon_threadsafe(self._start)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Cancel it there; it need not obey."""
        with suppress(RuntimeError):  # its loop is gone, and it with it
            self._there.call_soon_threadsafe(self._stop)

    def _start(self) -> None:
        self.task = self._there.create_task(self._run())
        self.task.add_done_callback(self._over)

    def _over(self, _: object) -> None:
        if self._ended is not None:
            with suppress(RuntimeError):
                self._here.call_soon_threadsafe(self._ended)

    def _stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        try:
            value, error = await self._make(), None
        except BaseException as raised:  # told to who waits; a loop must not end by it
            value, error = None, raised
        with suppress(RuntimeError):  # who waited is gone
            self._here.call_soon_threadsafe(self._tell, value, error)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        if self._answer.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self._answer.cancel()
        elif isinstance(error, StopIteration):  # which no future can hold
            self._answer.set_exception(RuntimeError(repr(error)))
        elif error is not None:
            self._answer.set_exception(error)
        else:
            self._answer.set_result(value)


async def across(loop: asyncio.AbstractEventLoop, make: Callable[[], Awaitable[T]]) -> T:
    """Return what `make` gives on another thread's loop."""
    answer: T = await Trip(loop, make).answer()
    return answer
