"""`crossdock serve` with several workers: a small parent that listens and keeps them alive.

The parent binds the port and hands the socket down, so no connection is refused while a worker is
away. It serves nothing itself: each worker is `crossdock serve` with an interpreter of its own.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from crossdock.cli import EXIT_FAILED
from crossdock.cli.worker import LINE_BYTES, Orders, Word
from crossdock.config import Settings
from crossdock.log import flush, logger
from crossdock.web.sockets import origin

log = logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_MOST_DEATHS, _WITHIN = 5, 60.0
_ANSWER_SECONDS = 1.0
_EXTRA_SECONDS = 20.0  # beyond shutdown_seconds; then a worker hangs


class Child:
    """A worker, as its parent knows it."""

    def __init__(self, number: int, process: asyncio.subprocess.Process) -> None:
        self.number = number
        self.process = process
        self.ready = asyncio.Event()
        self.ended = asyncio.create_task(process.wait())
        self.asked: dict[int, asyncio.Future[str]] = {}
        self._writer: asyncio.StreamWriter | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.returncode is None

    @property
    def killed(self) -> bool:
        """Whether a signal ended it, and not its own decision, for which it has given a reason."""
        return (self.process.returncode or 0) < 0

    @property
    def end(self) -> str:
        """How it ended."""
        code = self.process.returncode or 0
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    async def started(self) -> bool:
        """Wait until it serves; false if it ended instead."""
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait((ready, self.ended), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self.ready.is_set() and self.alive

    def tell_to_end(self) -> None:
        """Let it stop: it answers what was sent to it, and ends."""
        if self.alive:
            self.process.terminate()

    def take(self, writer: asyncio.StreamWriter) -> None:
        """Speak to it this way."""
        self._writer = writer

    def send(self, message: Word) -> None:
        """Send it a message."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")


class Parent:
    """Keeps `count` workers alive behind `listening`; `words` start one."""

    def __init__(
        self,
        words: Sequence[str],
        listening: Sequence[socket.socket],
        *,
        count: int,
        shutdown_seconds: float,
    ) -> None:
        self._words = [*words]
        self._listening = [*listening]
        self._count = count
        self._patience = shutdown_seconds + _EXTRA_SECONDS
        self._slots: dict[int, Child] = {}
        self._children: set[Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pauses: dict[int, float] = {}
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        self._died = 0
        self._questions = 0
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starting = True
        self._replacing: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until told to end; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, 0)
        loop.add_signal_handler(signal.SIGHUP, self._replace)
        try:
            start = asyncio.create_task(self._start())
            await asyncio.wait((start, self._over), return_when=asyncio.FIRST_COMPLETED)
            start.cancel()
            return await self._over
        finally:
            await self._close()

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)

    async def _start(self) -> None:
        """Start the first, which tells what is wrong, and then the others."""
        try:
            for numbers in ([1], range(2, self._count + 1)):
                begun = [await self._begin(number) for number in numbers]
                for child in begun:
                    if not await child.started():
                        self._end(child.process.returncode or EXIT_FAILED)
                        return
        except OSError as error:
            log.error("worker.not_started", error=str(error))
            self._end(EXIT_FAILED)
            return
        self._starting = False
        log.info("gateway.started", url=origin(self._listening[0]), workers=self._count)

    async def _begin(self, number: int) -> Child:
        ours, theirs = socket.socketpair()
        with theirs:
            files = [one.fileno() for one in (*self._listening, theirs)]
            orders = Orders(number=number, listening=files[:-1], line=files[-1])
            process = await asyncio.create_subprocess_exec(
                *(*self._words, "--as-worker", msgspec.json.encode(orders).decode()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=files,
                process_group=0,  # what a terminal sends comes to the parent alone
            )
        child = Child(number, process)
        self._children.add(child)
        self._slots.setdefault(number, child)
        self._do(self._listen(child, ours))
        self._do(self._watch(child))
        return child

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- deaths ------------------------------------------------------------------------------

    async def _watch(self, child: Child) -> None:
        await child.ended
        self._children.discard(child)
        beginning = self._starting and not child.ready.is_set()  # then somebody waits for it
        if self._over.done() or beginning or self._slots.get(child.number) is not child:
            return
        if child.ready.is_set() or child.killed:
            self._note_death(child)
        else:
            log.error("worker.not_started", worker=child.number, how=child.end)
        pause = self._pauses.get(child.number, _FIRST_PAUSE)
        self._pauses[child.number] = min(2 * pause, _LONGEST_PAUSE)
        await asyncio.sleep(pause)
        if not self._over.done() and self._slots.get(child.number) is child:
            del self._slots[child.number]
            await self._begin(child.number)

    def _note_death(self, child: Child) -> None:
        now = asyncio.get_running_loop().time()
        self._died += 1
        self._deaths.append(now)
        log.error("worker.died", worker=child.number, how=child.end)
        if len(self._deaths) == _MOST_DEATHS and now - self._deaths[0] < _WITHIN:
            flush()
            print(
                f"crossdock: {_MOST_DEATHS} workers died within a minute, the last of "
                f"{child.end}; all are ended. The log says what they did before; "
                "try `crossdock doctor`, or --workers 1.",
                file=sys.stderr,
                flush=True,
            )
            self._end(EXIT_FAILED)

    # --- SIGHUP ------------------------------------------------------------------------------

    def _replace(self) -> None:
        if not self._starting and (self._replacing is None or self._replacing.done()):
            self._replacing = asyncio.create_task(self._replace_all())

    async def _replace_all(self) -> None:
        for number in range(1, self._count + 1):
            new = await self._begin(number)
            if not await new.started():
                log.error(
                    "workers.not_replaced", worker=number, how=new.end, remedy="the old ones go on"
                )
                return
            old, self._slots[number] = self._slots.get(number), new
            if old is not None and old is not new:
                old.tell_to_end()
                await self._ended([old])
        log.info("workers.replaced", workers=self._count)

    # --- what they ask -----------------------------------------------------------------------

    async def _listen(self, child: Child, line: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=line, limit=LINE_BYTES)
        child.take(writer)
        try:
            while said := await reader.readline():
                message = msgspec.json.decode(said, type=Word)
                if message.kind == "ready":
                    child.ready.set()
                    self._pauses[child.number] = _FIRST_PAUSE
                elif message.kind == "ask":
                    self._do(self._answer(child, message.id))
                elif (waiting := child.asked.pop(message.id, None)) and not waiting.done():
                    waiting.set_result(message.text)
        except (OSError, ValueError, msgspec.MsgspecError):
            pass  # it was torn in the middle of a word
        finally:
            writer.close()

    async def _answer(self, child: Child, id: int) -> None:
        """Ask the others for their numbers, and give them to the one who wants to know."""
        others = [
            one
            for number, one in self._slots.items()
            if number != child.number and one.alive and one.ready.is_set()
        ]
        texts = await asyncio.gather(*map(self._ask, others))
        known = {str(o.number): text for o, text in zip(others, texts, strict=True) if text}
        child.send(Word(kind="siblings", id=id, texts=known, text=str(self._died)))

    async def _ask(self, child: Child) -> str:
        self._questions += 1
        id = self._questions
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        child.asked[id] = waiting
        child.send(Word(kind="tell", id=id))
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await waiting
        except TimeoutError:
            child.asked.pop(id, None)
            return ""

    # --- the end -----------------------------------------------------------------------------

    async def _close(self) -> None:
        """Let nobody connect any more, then let every worker end."""
        if self._replacing is not None:
            self._replacing.cancel()
        for one in self._listening:
            one.close()
        children = [*self._children]
        for child in children:
            child.tell_to_end()
        await self._ended(children)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        log.info("gateway.stopped")
        flush()

    async def _ended(self, children: Sequence[Child]) -> None:
        waiting = [child.ended for child in children]
        if waiting:
            _, hanging = await asyncio.wait(waiting, timeout=self._patience)
            if hanging:
                log.error("worker.hangs", workers=len(hanging))
            for child in children:
                if child.alive:
                    child.process.kill()
                    await child.ended


def run(words: Sequence[str], listening: Sequence[socket.socket], settings: Settings) -> int:
    """Keep the workers of these settings alive until SIGTERM; return the exit code."""

    async def serve() -> int:
        parent = Parent(
            [sys.executable, "-P", "-m", "crossdock", *words],
            listening,
            count=settings.server.workers,
            shutdown_seconds=settings.limits.shutdown_seconds,
        )
        return await parent.run()

    return asyncio.run(serve())
