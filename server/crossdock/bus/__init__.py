"""Messages between the processes that serve from one store: told to all, or asked of one.

What is sent may vanish at any moment, and nothing that must be true depends on it. A read of a
tool sends nothing. Ids that a process gives out begin with its own, so whoever gets one back
knows whom to ask.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from crossdock.errors import CrossdockError, Refused

Hear = Callable[[bytes], None]
Answer = Callable[[bytes], Awaitable[bytes]]

_ID = re.compile(r"([a-z0-9]{8})[0-9a-f]{32}")
PATIENCE = 1.0
_SWALLOWED = 0.1


class Away(Refused):
    """The other processes cannot be reached: what was to be passed on was not."""

    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            503, "The gateway's processes cannot reach each other just now. Send it again."
        )


class Absent(CrossdockError):
    """There is no such process any more."""


class Bus(Protocol):
    """How this process reaches the others. Bodies are bytes of a few kilobytes, a megabyte at most.

    `process` is the id of this one. `trouble` says in words why others cannot be reached, and is
    empty while they can. `dropped` counts messages that were nobody's of this store, or old.
    """

    process: str
    trouble: str
    dropped: int

    def run(self) -> None:
        """Connect, and stay connected."""

    async def close(self) -> None:
        """Leave."""

    def hears(self, kind: str, hear: Hear) -> None:
        """Have this called with what others tell. Several may hear of one kind."""

    def answers(self, kind: str, answer: Answer) -> None:
        """Have this called with what others ask; what it raises as Refused the asker raises."""

    async def tell(self, kind: str, body: bytes, until: float | None = None) -> None:
        """Tell all others, if they can be reached. `until`, a moment in Unix time: also those that
        start before it."""

    async def ask(
        self,
        process: str,
        kind: str,
        body: bytes,
        *,
        once: bool = True,
        patience: float = PATIENCE,
    ) -> bytes:
        """Ask one other process, and return what it answers within `patience` seconds.

        With `once` it is not carried out after this gave up: the other makes sure before it acts.
        Raises Away, Absent, or what the other refused it with.
        """

    async def absent(self, processes: Collection[str]) -> list[str]:
        """Return which of these are not on the bus. Raises Away."""


class LocalBus:
    """The bus of a process that serves alone."""

    trouble = ""
    dropped = 0

    def __init__(self, process: str) -> None:
        self.process = process

    def run(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to leave."""

    def hears(self, kind: str, hear: Hear) -> None:
        """Nobody tells anything."""

    def answers(self, kind: str, answer: Answer) -> None:
        """Nobody asks."""

    async def tell(self, kind: str, body: bytes, until: float | None = None) -> None:
        """Nobody listens."""

    async def ask(
        self,
        process: str,
        kind: str,
        body: bytes,
        *,
        once: bool = True,
        patience: float = PATIENCE,
    ) -> bytes:
        """Raise Absent: there is no other process."""
        raise Absent

    async def absent(self, processes: Collection[str]) -> list[str]:
        """Return the others: none is here."""
        return [one for one in processes if one != self.process]


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they are over: `asyncio.wait_for` of Python 3.11 may swallow it."""
    pending: Collection[asyncio.Task[None]] = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_SWALLOWED)


def new_id(bus: Bus) -> str:
    """Return an id that nobody else has, and that names this process."""
    return bus.process + uuid.uuid4().hex


def elsewhere(bus: Bus, id: str) -> str | None:
    """Return the other process that gave this id out; None for one of this process, or no id."""
    found = _ID.fullmatch(id)
    return found[1] if found and found[1] != bus.process else None
