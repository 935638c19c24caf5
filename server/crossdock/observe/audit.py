"""Writes down who did what, in batches and off the call path. Never arguments, never data.

A line that was taken is stored or waits. When more wait than `most`, `room` holds new calls back
before anything is sent for them, and `degraded` says why: a call without its line would be one that
nobody can account for. A process that is killed takes the lines of its last half second with it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from crossdock.authoring import CallEvent
from crossdock.errors import Busy, StoreError
from crossdock.log import logger
from crossdock.redaction import redactor
from crossdock.store import AuditEntry

FLUSH_SECONDS = 0.2
_BATCH = 1000
_NAME = 200
log = logger(__name__)

Append = Callable[[Sequence[AuditEntry]], Awaitable[None]]


class AuditLog:
    """Collects lines; `run` stores them every fifth of a second, `close` those that are left.

    `most` lines may wait; then calls wait for `patience` seconds before they are refused.
    """

    def __init__(
        self,
        append: Append,
        clock: Callable[[], datetime],
        *,
        most: int,
        patience: float,
    ) -> None:
        self._append = append
        self._clock = clock
        self._most = most
        self._patience = patience
        self._waiting: deque[AuditEntry] = deque()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._ending = asyncio.Event()
        self._writing = asyncio.Lock()
        self._batch = _BATCH
        self._failing = ""
        self._running: asyncio.Task[None] | None = None
        self.unwritable = 0

    # --- taking lines ------------------------------------------------------------------------

    def note(self, entry: AuditEntry) -> None:
        """Take a line; returns at once."""
        self._waiting.append(entry)
        if len(self._waiting) >= self._most:
            self._roomy.clear()

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
                second_factor=event.second_factor,
                upstream_requests=event.upstream_requests,
                upstream_seconds=event.upstream_seconds,
            )
        )

    def note_unknown(self, server_id: str, account_id: str, tool: str, request_id: str) -> None:
        """Take the line of a call of a tool that this server does not show."""
        self.note(
            AuditEntry(
                time=self._clock(),
                kind="call",
                actor=server_id,
                action=_shown(tool),
                outcome="unknown_tool",
                account_id=account_id,
                server_id=server_id,
                request_id=request_id,
            )
        )

    async def room(self) -> None:
        """Wait until there is room for one more call's line. Raises Busy; nothing was sent."""
        if self._roomy.is_set():
            return
        try:
            async with asyncio.timeout(self._patience):
                await self._roomy.wait()
        except TimeoutError:
            raise Busy(
                "The gateway cannot write its call log and takes no calls until it can; nothing "
                "was sent. Try again later."
            ) from None

    @property
    def waiting(self) -> int:
        """How many lines are not stored yet."""
        return len(self._waiting)

    @property
    def degraded(self) -> str:
        """Why calls are held back or soon will be; empty when all is well."""
        if self._failing:
            return f"the call log cannot be written: {self._failing}"
        if len(self._waiting) >= self._most // 2:
            return f"the call log is {len(self._waiting)} lines behind"
        return ""

    # --- storing them ------------------------------------------------------------------------

    def run(self) -> None:
        """Start to store lines as they come."""
        self._running = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._ending.is_set():
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._ending.wait()
            except TimeoutError:
                await self._written()

    async def _written(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # whatever it is, the next round tries again
            log.error("audit.failed", lines=len(self._waiting), exc_info=error)

    async def flush(self) -> None:
        """Store what waits. When the store is down the lines wait on."""
        async with self._writing:
            while self._waiting and await self._store():
                if len(self._waiting) < self._most:
                    self._roomy.set()

    async def _store(self) -> bool:
        """Store a batch. A line leaves the queue when it is stored, not before."""
        batch = list(itertools.islice(self._waiting, self._batch))
        try:
            await self._append(batch)
        except StoreError as error:
            self._failing = str(error)
            log.warning("audit.waiting", lines=len(self._waiting), error=str(error))
            return False
        except Exception as error:
            self._halve(batch, error)
            return True
        self._failing, self._batch = "", min(_BATCH, self._batch * 2)
        for _ in batch:
            self._waiting.popleft()
        return True

    def _halve(self, batch: list[AuditEntry], error: Exception) -> None:
        """Close in on the line that nothing can store; it goes into the log of the process."""
        if len(batch) > 1:
            self._batch = len(batch) // 2
            return
        line = self._waiting.popleft()
        self.unwritable += 1
        told = {name: getattr(line, name) for name in line.__struct_fields__}
        log.error("audit.unwritable", line=told, exc_info=error)

    async def close(self) -> None:
        """Store what is left."""
        self._ending.set()
        if self._running is not None:
            await self._running
        await self.flush()
        if self._waiting:
            log.error("audit.lost", lines=len(self._waiting), error=self._failing)


def _shown(name: str) -> str:
    """Return a name that anybody may have made up as it can be kept."""
    kept = name[:_NAME].encode("utf-8", "replace").decode()
    return redactor.clean("".join(c if c.isprintable() else "\ufffd" for c in kept)) or '""'
