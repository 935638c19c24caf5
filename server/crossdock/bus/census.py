"""Who serves from the store and is not on the bus: their messages would reach nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from crossdock.bus import Away, Bus, end
from crossdock.errors import StoreError

_SECONDS = 4.0


class Serving(Protocol):
    """A process that serves, as the store knows it."""

    @property
    def id(self) -> str:
        """Its id on the bus."""

    @property
    def node(self) -> str:
        """The machine it runs on."""

    @property
    def silent(self) -> float:
        """For how many seconds nothing was heard of it."""


class Census:
    """Compares the two every few seconds. `missing` are nodes whose processes are not on the bus.

    One that was killed is in the store for a while; it is missing only if the store hears of it
    again after it was not on the bus.
    """

    def __init__(
        self,
        bus: Bus,
        serving: Callable[[], Awaitable[Sequence[Serving]]],
        *,
        seconds: float = _SECONDS,
    ) -> None:
        self._bus = bus
        self._serving = serving
        self._seconds = seconds
        self._since: dict[str, float] = {}
        self._running: asyncio.Task[None] | None = None
        self.missing: tuple[str, ...] = ()

    def run(self) -> None:
        """Begin to look."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Look no longer."""
        if self._running is not None:
            await end(self._running)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            with contextlib.suppress(Away, StoreError):  # told elsewhere, by whoever noticed
                await self._look()

    async def _look(self) -> None:
        heard = {one.id: one for one in await self._serving()}
        now = asyncio.get_running_loop().time()
        absent = await self._bus.absent([*heard])
        self._since = {id: self._since.get(id, now) for id in absent}
        late = [one for one in absent if now - heard[one].silent > self._since[one]]
        self.missing = tuple(sorted({heard[id].node for id in late}))
