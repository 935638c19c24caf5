"""Messages on their way to a client, apart from the connection that carries them.

A stream that can be resumed keeps what it sent for a short while, in bounded memory, so that a
client whose connection broke gets the rest over another one. Nothing is ever written to disk.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter

from crossdock.bus import Bus, new_id
from crossdock.model import Struct

_EVENT_ID = re.compile(r"([a-z0-9]{32,40})-(\d{1,9})")
_MOST_WAITING = 1000


class StreamLimits(Struct, frozen=True, kw_only=True):
    """How much is kept for clients that come back, and for how long."""

    seconds: float
    events: int
    bytes_in_all: int


class Stream:
    """A sequence of messages, numbered from 1. A connection drains it; another may take over.

    The `id` of one that is kept names its process, so that it can be asked for elsewhere.
    """

    def __init__(self, owner: str = "", server: str = "", id: str = "") -> None:
        self.id = id or uuid.uuid4().hex
        self.owner = owner
        self.server = server
        self.ended = False
        self.holder: object = None
        self.last = 0
        self.size = 0
        self._events: list[tuple[int, bytes]] = []  # an empty deque takes ten times as much
        self._waiting: asyncio.Future[None] | None = None

    def push(self, message: bytes) -> int:
        """Add a message and return its number."""
        self.last += 1
        self._events.append((self.last, message))
        self.size += len(message)
        self.wake()
        return self.last

    def end(self) -> None:
        """Add nothing any more; who drains it stops behind the last message."""
        self.ended = True
        self.wake()

    def after(self, number: int) -> list[tuple[int, bytes]]:
        """Return the messages behind this number that are still there."""
        return [event for event in self._events if event[0] > number]

    def forget(self, count: int) -> int:
        """Drop the oldest messages until `count` are left; return the bytes that were freed."""
        before = self.size
        while len(self._events) > count:
            self.size -= len(self._events.pop(0)[1])
        return before - self.size

    def sent(self, number: int) -> None:
        """Drop the messages up to this number: they are nobody's concern any more."""
        while self._events and self._events[0][0] <= number:
            self.size -= len(self._events.pop(0)[1])

    @property
    def clogged(self) -> bool:
        """Whether so much waits that nobody can be reading."""
        return len(self._events) >= _MOST_WAITING

    async def more(self) -> None:
        """Wait until `wake`: something was added, or it is over, or time passed."""
        mine = self._waiting = asyncio.get_running_loop().create_future()
        try:
            await mine
        finally:
            if self._waiting is mine:
                self._waiting = None

    def wake(self) -> None:
        """Let whoever drains this stream look again."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def take(self, holder: object) -> None:
        """Give the stream to this connection; another one that had it lets go."""
        self.holder = holder
        self.wake()

    def event_id(self, number: int) -> str:
        """Return the id of an event: it names the stream, too."""
        return f"{self.id}-{number}"


def parted(event_id: str) -> tuple[str, int]:
    """Return the id of an event's stream, and its number; no id for what is none."""
    parts = _EVENT_ID.fullmatch(event_id)
    return (parts[1], int(parts[2])) if parts else ("", 0)


class Streams:
    """The streams that can be resumed."""

    def __init__(self, limits: StreamLimits, bus: Bus) -> None:
        self._limits = limits
        self._bus = bus
        self._open: dict[str, Stream] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._bytes: Counter[str] = Counter()

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._bytes.total()

    def begin(self, owner: str, server: str) -> Stream:
        """Return a new stream of the session `owner`, on a server that has its share of memory."""
        stream = Stream(owner, server, new_id(self._bus))
        self._open[stream.id] = stream
        return stream

    def push(self, stream: Stream, message: bytes) -> int:
        """Add a message; the oldest go when there are too many.

        Where all together are too large, the server that holds the most loses its oldest.
        """
        number = stream.push(message)
        if stream.id not in self._open:  # its session has ended meanwhile
            stream.forget(0)
            return number
        self._bytes[stream.server] += len(message)
        self._freed(stream, stream.forget(self._limits.events))
        while self.size > self._limits.bytes_in_all:
            [(heaviest, _)] = self._bytes.most_common(1)
            oldest = next(one for one in self._open.values() if one.size and one.server == heaviest)
            self._freed(oldest, oldest.forget(0))
        return number

    def _freed(self, stream: Stream, size: int) -> None:
        self._bytes[stream.server] -= size
        if not self._bytes[stream.server]:
            del self._bytes[stream.server]

    def end(self, stream: Stream) -> None:
        """End a stream; it can be asked for a little longer."""
        stream.end()
        if stream.id in self._open and stream.id not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[stream.id] = loop.call_later(self._limits.seconds, self._drop, stream)

    def find(self, event_id: str, owner: str) -> tuple[Stream, int] | None:
        """Return the stream of an event and its number; None if it is gone or another's."""
        id, number = parted(event_id)
        stream = self._open.get(id)
        return None if stream is None or stream.owner != owner else (stream, number)

    def forget(self, owner: str) -> None:
        """End and drop all streams of a session."""
        for stream in [one for one in self._open.values() if one.owner == owner]:
            stream.end()
            self._drop(stream)

    def close(self) -> None:
        """End and drop all streams."""
        for stream in list(self._open.values()):
            stream.end()
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        timer = self._timers.pop(stream.id, None)
        if timer is not None:
            timer.cancel()
        if self._open.pop(stream.id, None) is not None:
            self._freed(stream, stream.forget(0))
