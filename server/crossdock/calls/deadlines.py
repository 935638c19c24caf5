"""Deadlines of calls: one timer for all of them. asyncio.timeout would set one up for each call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

_TICK = 0.1  # seconds; a deadline ends so much late at most


class Deadlines:
    """Watches what runs within deadlines."""

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """Return what ends the body of a `with` by TimeoutError when it takes longer."""
        return Deadline(self, seconds)

    def watch(self, deadline: Deadline) -> None:
        """Look after a deadline that has begun."""
        self._running.add(deadline)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def forget(self, deadline: Deadline) -> None:
        """Look after it no longer."""
        self._running.discard(deadline)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for deadline in [one for one in self._running if one.ends <= now]:
            deadline.expire()
        self._timer = loop.call_later(_TICK, self._tick) if self._running else None


class Deadline:
    """Cancels the task that entered it when its time is over. Somebody else's cancellation goes
    through as it is, also when both come together."""

    __slots__ = ("_cancelling", "_deadlines", "_expired", "_task", "ends")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._expired = False
        self._task: asyncio.Task[Any]
        self._cancelling = 0
        self.ends = seconds  # once entered, a moment of the loop's clock

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline belongs to a task")
        self._task = task
        self._cancelling = task.cancelling()
        self.ends += asyncio.get_running_loop().time()
        self._deadlines.watch(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.forget(self)
        if not self._expired:
            return
        foreign = self._task.uncancel() > self._cancelling
        if not foreign and kind is asyncio.CancelledError:
            raise TimeoutError from error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within this the time stands still."""
        loop = asyncio.get_running_loop()
        left = self.ends - loop.time()
        self._deadlines.forget(self)
        try:
            yield
        finally:
            self.ends = loop.time() + left
            self._deadlines.watch(self)

    def expire(self) -> None:
        """The time is over."""
        self._deadlines.forget(self)
        self._expired = True
        self._task.cancel()
