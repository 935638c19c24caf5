"""Where strangers' Python runs: each adapter on a loop in a thread of its own.

What blocks there holds up nobody else. What blocks for long is interrupted, and whose code does so
again and again is left alone for a while. Adapters that are trusted run on the gateway's own loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from crossdock.adapter.bounded import Interrupted, interrupt
from crossdock.adapter.load import Adapter
from crossdock.adapter.rest import rest
from crossdock.authoring import Call, Mapper, Outcome, Tool
from crossdock.calls.across import Trip
from crossdock.calls.far_context import FarContext
from crossdock.calls.quarantine import Quarantine
from crossdock.errors import Busy
from crossdock.log import logger
from crossdock.model import Struct

if TYPE_CHECKING:
    from crossdock.calls.context import CallContext

T = TypeVar("T")
Who = Callable[["asyncio.Task[Any] | None"], tuple[str, str]]
Lasting = Callable[[float], None]
LONG = 5.0  # seconds of a stall that counts
_TOO_LONG = 6.0  # after these, and each second more, the code is interrupted
log = logger(__name__)


class Watching(Protocol):
    """What watches a loop; see `observe.watchdog`."""

    def run(self) -> None: ...

    async def close(self) -> None: ...


Watch = Callable[[Who, Lasting], Watching]


class Fare(Struct, frozen=True, kw_only=True):
    """How an adapter's code fares: `ok`, `stalled` or `quarantined`, and why."""

    state: str = "ok"
    error: str = ""


class AdapterThread:
    """One adapter's thread and loop; started when first needed. `running` counts its calls, until
    the adapter's code has ended them."""

    def __init__(self, name: str, limit: int, watch: Watch) -> None:
        self.name = name
        self.quarantine = Quarantine()
        self._limit = limit
        self._watch = watch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tools: dict[asyncio.Task[Any] | None, str] = {}
        self.running = 0
        self._stalled = 0.0
        self._interrupted = 0.0
        self._over = False

    @property
    def state(self) -> Fare:
        """How the adapter's code fares."""
        if self.quarantine.left:
            return Fare(state="quarantined", error=self.quarantine.why)
        if self._stalled >= LONG:
            return Fare(state="stalled", error=f"its code blocks its thread ({self._where()})")
        return Fare()

    def check(self) -> None:
        """Raise Busy unless another call of this adapter may begin."""
        if left := self.quarantine.left:
            raise Busy(
                f"The adapter {self.name} is left alone for {left:.0f} s more, because "
                f"{self.quarantine.why}; nothing was sent. Its log lines loop.stalled and "
                "call.unended name the place; mend or disable the plugin and restart to end this."
            )
        if self._stalled >= LONG:
            raise Busy(
                f"The adapter {self.name} blocks its thread ({self._where()}); nothing was sent. "
                "Try again later; the adapter's author has to mend it."
            )
        if self.running >= self._limit:
            raise Busy(
                f"Too many calls of the adapter {self.name} are under way; nothing was sent. "
                "Try again shortly."
            )

    async def mapped(self, mapper: Mapper, call: Call, context: CallContext) -> Outcome:
        """Run a mapper: the author's on its own loop, ours here. Raises Busy, or what it raises."""
        self.check()
        self.running += 1
        if mapper is rest:
            try:
                return await rest(call, context)
            finally:
                self.running -= 1
        far = FarContext(context, asyncio.get_running_loop())

        async def run() -> Outcome:
            self._tools[asyncio.current_task()] = call.tool.name
            try:
                return await mapper(call, far)
            finally:
                del self._tools[asyncio.current_task()]

        try:
            outcome: Outcome = await Trip(self._started(), run, self._less).answer()
            return outcome
        finally:
            far.close()

    def _less(self) -> None:
        self.running -= 1

    async def call(self, work: Callable[[], T]) -> T:
        """Return what a plain function of the adapter gives, called on its own loop."""

        async def run() -> T:
            return work()

        return await self.run(run)

    async def run(self, make: Callable[[], Awaitable[T]]) -> T:
        """Return what a coroutine of the adapter gives on its own loop."""
        answer: T = await Trip(self._started(), make).answer()
        return answer

    async def close(self) -> None:
        """End the thread, unless it does not listen."""
        self._over = True
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join, 0.5)
            if self._thread.is_alive():
                interrupt(self._thread.ident)
                await asyncio.to_thread(self._thread.join, 0.5)

    # --- the thread --------------------------------------------------------------------------

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._serve, args=(self._loop,), name=f"adapter {self.name}", daemon=True
            )
            self._thread.start()
        return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        watching = self._watch(self._who, self._lasting)
        loop.call_soon(watching.run)
        while not self._over:
            try:
                loop.run_forever()
            except Interrupted:  # it came too late, and met nobody's code
                log.warning("thread.interrupted", adapter=self.name)
        loop.run_until_complete(self._emptied(watching))
        loop.close()

    async def _emptied(self, watching: Watching) -> None:
        await watching.close()
        own = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not own]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=0.2)
        await asyncio.get_running_loop().shutdown_default_executor()

    def _who(self, task: asyncio.Task[Any] | None) -> tuple[str, str]:
        return self.name, self._tools.get(task, "")

    def _lasting(self, seconds: float) -> None:
        """Hear, from the watchdog's thread, how long the loop has been stalled; 0: it is not."""
        if self._stalled < LONG <= seconds:
            self.quarantine.note_stall()
            log.warning("adapter.stalled", adapter=self.name, seconds=LONG)
        if bool(seconds) != bool(self._stalled):
            _share_finely(self.name, stalled=bool(seconds))
        if seconds < _TOO_LONG:
            self._interrupted = 0.0
        elif seconds >= self._interrupted + 1.0 and self._thread is not None:
            self._interrupted = max(seconds, _TOO_LONG)
            interrupt(self._thread.ident)
        self._stalled = seconds

    def _where(self) -> str:
        return ", ".join(sorted({name for name in self._tools.values() if name})) or "no tool"


_usual = sys.getswitchinterval()
_stalling: set[str] = set()


def _share_finely(name: str, *, stalled: bool) -> None:
    """Take the interpreter from code that keeps it after a tenth of the usual time, while there is
    such: every answer of everybody else waits for it several times."""
    (_stalling.add if stalled else _stalling.discard)(name)
    sys.setswitchinterval(_usual / 10 if _stalling else _usual)


class AdapterThreads:
    """All adapters' threads, made when first needed."""

    def __init__(self, limit: int, watch: Watch) -> None:
        self._limit = limit
        self._watch = watch
        self._threads: dict[str, AdapterThread] = {}

    def of(self, adapter: Adapter) -> AdapterThread | None:
        """Return where an adapter's code runs; None: it is trusted, and runs here."""
        if adapter.trusted:
            return None
        thread = self._threads.get(adapter.name)
        if thread is None:
            thread = self._threads[adapter.name] = AdapterThread(
                adapter.name, self._limit, self._watch
            )
        return thread

    def overran(self, adapter: Adapter, tool: Tool, context: CallContext) -> None:
        """Note a call that was ended because its time was over: in the adapter's own code, unless
        it waited for its provider."""
        thread = self.of(adapter)
        if thread is not None and not context.sending:
            log.warning("call.unended", adapter=adapter.name, tool=tool.name)
            thread.quarantine.note_unended()

    def running(self, name: str) -> int:
        """Return how many calls of an adapter are under way, those included that have no end."""
        thread = self._threads.get(name)
        return 0 if thread is None else thread.running

    def fares(self) -> dict[str, Fare]:
        """Return how the code of each adapter fares that has a thread."""
        return {name: thread.state for name, thread in self._threads.items()}

    def state(self, name: str) -> Fare:
        """Return how an adapter's code fares."""
        thread = self._threads.get(name)
        return Fare() if thread is None else thread.state

    async def close(self) -> None:
        """End all threads."""
        await asyncio.gather(*(thread.close() for thread in self._threads.values()))
