"""The network between a node and an engine: passes everything on until it is cut.

Of its own thread, so that it goes on while a test waits. A cut network closes nothing: bytes are
kept back, as when a cable is pulled.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


class Relay:
    """Listens on `port` and passes everything on to another port of this machine."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[Any]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._late = asyncio.Event()
        self._trap = b""
        self.trapped = threading.Event()

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self._do(self._listen())

    def hold(self) -> None:
        """Let nothing pass any more, and nothing be noticed."""
        self._do(self._set(passing=False))

    def hold_from(self, words: bytes) -> None:
        """Once these bytes come, keep them back, and what follows on that connection alone; then
        `trapped` is set, and `deliver` lets them arrive."""
        self.trapped.clear()
        self._trap = words

    def release(self) -> None:
        """Close what was open, and pass on again."""
        self._do(self._set(passing=True))

    def deliver(self) -> None:
        """Let what `hold_from` kept back arrive after all."""
        self._loop.call_soon_threadsafe(self._late.set)

    def sever(self) -> None:
        """Close what is open; new connections pass."""
        self._do(self._close())

    def stop(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port)

    async def _set(self, *, passing: bool) -> None:
        if passing:
            await self._close()
            self._passing.set()
        else:
            self._passing.clear()

    async def _close(self) -> None:
        for link in [*self._links]:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        writers = [writer]
        try:
            await self._passing.wait()
            there = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(there[1])
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, there[1]))
                both.create_task(self._pump(there[0], writer))
        except (OSError, asyncio.CancelledError):
            pass  # the engine is down, or the network was mended
        finally:
            self._links.discard(task)
            for one in writers:
                one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gate = self._passing
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._trap and self._trap in data:
                    self._trap = b""
                    gate = self._late
                    gate.clear()
                    self.trapped.set()
                await gate.wait()
                writer.write(data)
                await writer.drain()
            await gate.wait()
        writer.transport.abort()
