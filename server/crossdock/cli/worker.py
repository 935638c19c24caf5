"""One worker of several: what its parent hands it, and the line between the two."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Literal

import msgspec

LINE_BYTES = 64 * 2**20


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker gets from its parent: its number, and open files by their descriptors."""

    number: int
    listening: list[int]
    line: int


class Word(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A word on the line. A worker says `ready`, asks for its siblings' numbers (`ask`) and gives
    its own (`numbers`); the parent asks for them (`tell`) and answers (`siblings`)."""

    kind: Literal["ready", "ask", "numbers", "tell", "siblings"]
    id: int = 0
    text: str = ""
    texts: dict[str, str] = {}


class ParentLine:
    """A worker's line to its parent. `gone` is called when the parent is no more."""

    def __init__(self, orders: Orders, numbers: Callable[[], bytes]) -> None:
        self._socket = socket.socket(fileno=orders.line)
        self._numbers = numbers
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[Word]] = {}
        self._count = 0

    async def open(self, gone: Callable[[], None]) -> None:
        """Say that this worker serves, and answer from now on."""
        reader, self._writer = await asyncio.open_connection(sock=self._socket, limit=LINE_BYTES)
        self._reading = asyncio.create_task(self._read(reader, gone))
        self._send(Word(kind="ready"))

    async def close(self) -> None:
        """Say nothing more."""
        if self._writer is None or self._reading is None:
            self._socket.close()
            return
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()

    async def siblings(self) -> dict[str, str]:
        """Return what the other workers count, by their numbers; without those that do not answer.

        What the parent counts itself stands under an empty name.
        """
        self._count += 1
        waiting = self._asked[self._count] = asyncio.get_running_loop().create_future()
        self._send(Word(kind="ask", id=self._count))
        try:
            async with asyncio.timeout(2):
                answer = await waiting
        except TimeoutError:
            return {}
        finally:
            self._asked.pop(self._count, None)
        return {**answer.texts, "": _DEATHS % answer.text}

    def _send(self, message: Word) -> None:
        assert self._writer is not None
        self._writer.write(msgspec.json.encode(message) + b"\n")

    async def _read(self, reader: asyncio.StreamReader, gone: Callable[[], None]) -> None:
        try:
            while said := await reader.readline():
                message = msgspec.json.decode(said, type=Word)
                if message.kind == "tell":
                    text = self._numbers().decode()
                    self._send(Word(kind="numbers", id=message.id, text=text))
                elif waiting := self._asked.get(message.id):
                    waiting.set_result(message)
        except OSError:
            pass  # as good as its end
        gone()


_DEATHS = """# HELP crossdock_worker_deaths_total Workers that died and were started again.
# TYPE crossdock_worker_deaths_total counter
crossdock_worker_deaths_total %s
"""
