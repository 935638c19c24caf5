"""One timer for everything that is kept alive: no stream has a task or a timer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

_SECONDS = 1.0


class KeptAlive(Protocol):
    """What wants to be looked at with every tick."""

    def tick(self, now: float) -> None:
        """Look; `now` is the loop's time. Must not block and must not fail."""


class Keepalive:
    """Ticks every second while something is watched. `also` is called with every tick.

    After `quiet` seconds without a word a stream says that it is still there; where that is less
    than a second, ticks come as often.
    """

    def __init__(self, quiet: float, also: Callable[[], None]) -> None:
        self.quiet = quiet
        self._every = min(_SECONDS, quiet)
        self._also = also
        self._watched: set[KeptAlive] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, thing: KeptAlive) -> None:
        """Look at this with every tick from now on."""
        self._watched.add(thing)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._tick)

    def leave(self, thing: KeptAlive) -> None:
        """Look at this no longer."""
        self._watched.discard(thing)

    def stop(self) -> None:
        """Tick no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self._timer = None
        if not self._watched:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._every, self._tick)
        now = loop.time()
        for thing in tuple(self._watched):
            thing.tick(now)
        self._also()
