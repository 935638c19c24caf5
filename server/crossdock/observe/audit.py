"""Writes down who did what, in batches and off the call path. Never arguments, never data.

A call only appends to a queue in memory. When the store cannot take the lines, the oldest are given
up beyond a bound, and that is counted and said: a gateway that stands still because its log is full
would help nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from crossdock.authoring import CallEvent
from crossdock.errors import StoreError
from crossdock.log import logger
from crossdock.store import AuditEntry

FLUSH_SECONDS = 0.5
_MOST = 20_000
_BATCH = 100  # each takes about 2 ms of the event loop
log = logger(__name__)


class AuditLog:
    """Collects lines; `run` stores them every half second, `close` those that are left."""

    def __init__(
        self,
        append: Callable[[Sequence[AuditEntry]], Awaitable[None]],
        clock: Callable[[], datetime],
        most: int = _MOST,
    ) -> None:
        self._append = append
        self._clock = clock
        self._most = most
        self._waiting: deque[AuditEntry] = deque()
        self._running: asyncio.Task[None] | None = None
        self._told = 0
        self.dropped = 0

    def note(self, entry: AuditEntry) -> None:
        """Take a line; returns at once."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(entry)

    def note_call(self, event: CallEvent) -> None:
        """Take the line of a finished tool call."""
        self.note(
            AuditEntry(
                time=self._clock(),
                kind="call",
                actor=event.server_id,
                action=event.tool,
                outcome=event.outcome,
                account_id=event.account_id,
                server_id=event.server_id,
                seconds=event.seconds,
                upstream_status=event.upstream_status,
                request_id=event.request_id,
            )
        )

    def run(self) -> None:
        """Start to store lines as they come."""
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Store what waits. When the store is down the lines wait on."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._append(batch)
            except StoreError as error:
                room = self._most - len(self._waiting)
                self.dropped += max(0, len(batch) - room)
                self._waiting.extendleft(reversed(batch[-room:] if room > 0 else ()))
                log.warning("audit.waiting", lines=len(self._waiting), error=str(error))
                break
        if self.dropped > self._told:
            log.warning("audit.dropped", lines=self.dropped - self._told)
            self._told = self.dropped

    async def close(self) -> None:
        """Store what is left."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
        await self.flush()
