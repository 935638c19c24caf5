"""When an adapter's code is left alone for a while: after repeated stalls, or calls without end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WITHIN = 600.0
_STALLS = 3
_UNENDED = 20
_FIRST = 60.0
_LONGEST = 3_600.0


class Quarantine:
    """One adapter's. Each further one is twice as long, until an hour went by without any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stalls: deque[float] = deque(maxlen=_STALLS)
        self._unended: deque[float] = deque(maxlen=_UNENDED)
        self._span = _FIRST
        self._until = 0.0
        self.why = ""

    @property
    def left(self) -> float:
        """For how many seconds it still lasts; 0 where there is none."""
        return max(0.0, self._until - self._clock())

    def note_stall(self) -> None:
        """Count a stall of its loop that lasted for long."""
        if self._full(self._stalls):
            self._begin(f"its code blocked its thread {_STALLS} times")

    def note_unended(self) -> None:
        """Count a call that its code did not end in time."""
        if self._full(self._unended):
            self._begin(f"{_UNENDED} calls of its code had no end")

    def _full(self, marks: deque[float]) -> bool:
        now = self._clock()
        marks.append(now)
        return len(marks) == marks.maxlen and now - marks[0] <= _WITHIN

    def _begin(self, why: str) -> None:
        now = self._clock()
        if now < self._until:
            return
        if now - self._until > _LONGEST:
            self._span = _FIRST
        self._until, self.why = now + self._span, why
        self._span = min(2 * self._span, _LONGEST)
        self._stalls.clear()
        self._unended.clear()
