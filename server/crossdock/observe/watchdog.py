"""Watches the event loop from a thread: who keeps everybody waiting is named while it happens.

The loop says every few milliseconds that it turns. Where it does not, the task that it is in is
looked up, and the innermost lines of code, which also name what is not a call: a hook, or us. Time
in which the machine gave the loop's thread no processor (Linux says so) is nobody's fault here.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from crossdock.log import logger

STALL = 0.25
_BEAT = 0.05
_DEEPEST = 6  # lines of code that are named
Who = Callable[["asyncio.Task[Any] | None"], tuple[str, str]]
log = logger(__name__)


class Watchdog:
    """Tells of stalls of a quarter second. `run` it inside the loop that it shall watch.

    `who` names adapter and tool of a task, empty where it knows none; it is called from the
    thread, as is `note`, with both, once for each stall, and `lasting`, over and over, with the
    seconds that a stall lasts so far, and 0 when it is over.
    """

    def __init__(
        self,
        who: Who,
        note: Callable[[str, str], None],
        stall: float = STALL,
        *,
        lasting: Callable[[float], None] | None = None,
    ) -> None:
        self._who = who
        self._note = note
        self._lasting = lasting
        self._stall = stall
        self._beaten = 0.0
        self._told = False
        self._over = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Watch this thread's running loop."""
        loop = asyncio.get_running_loop()
        self._beat(loop)
        self._thread = threading.Thread(
            target=self._watch,
            args=(loop, threading.get_ident(), threading.get_native_id()),
            name="watchdog",
            daemon=True,
        )
        self._thread.start()

    async def close(self) -> None:
        """Watch no longer."""
        self._over.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        if self._told:
            self._told = False
            log.warning("loop.turns_again", seconds=round(now - self._beaten, 3))
        self._beaten = now
        self._timer = loop.call_later(_BEAT, self._beat, loop)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int, native: int) -> None:
        beaten, waited, lasted = 0.0, 0.0, False
        while not self._over.wait(_BEAT):
            if beaten != self._beaten:
                beaten, waited = self._beaten, _waited(native)
            late = time.monotonic() - beaten
            if (
                late >= self._stall
                and not self._told
                and late - _waited(native) + waited >= self._stall
            ):
                self._told = True
                adapter, tool = self._who(asyncio.current_task(loop))
                where = _lines(thread)
                log.warning("loop.stalled", adapter=adapter, tool=tool, where=where)
                self._note(adapter, tool)
            if self._lasting is not None:
                stalled = late >= self._stall and self._told
                if stalled or lasted:
                    self._lasting(late if stalled else 0.0)
                lasted = stalled


def _waited(native: int) -> float:
    """Return the seconds that a thread has waited for a processor; 0 where nobody says so."""
    try:
        return int(Path(f"/proc/self/task/{native}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _lines(thread: int) -> list[str]:
    """Return the innermost lines that a thread is in: file, line and function, and no value."""
    frame = sys._current_frames().get(thread)
    found: list[str] = []
    while frame is not None and len(found) < _DEEPEST:
        code = frame.f_code
        found.append(f"{PurePath(code.co_filename).name}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return found
