"""Broken streams that are resumed in another process than the one that keeps them.

The process in the event id is asked for what follows, piece by piece, as the client takes it. What
it keeps stays there: an answer that is lost on the way is asked for again by the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import msgspec

from crossdock.bus import Absent, Bus, elsewhere
from crossdock.errors import Refused
from crossdock.model import Struct
from crossdock.protocol.replay import Stream, Streams, parted

_REST = "rest of a stream"
_PIECE = 256 * 1024
_WAITS = 2.0


class _Wanted(Struct, frozen=True, array_like=True, kw_only=True):
    """What comes behind an event, for one connection of the stream's session.

    `begun` bytes of the next message are there already; `first` takes the stream over.
    """

    event: str
    owner: str
    holder: str
    begun: int
    first: bool


class _Rest(Struct, frozen=True, array_like=True, kw_only=True):
    """Messages with their numbers; the last may be cut off, and has `left` more bytes."""

    messages: tuple[tuple[int, bytes], ...] = ()
    left: int = 0
    ended: bool = False
    known: bool = True


class RemoteStream(Stream):
    """A stream that another process keeps; what `more` waits for is fetched from there."""

    def __init__(self, bus: Bus, process: str, event_id: str, owner: str) -> None:
        id, number = parted(event_id)
        super().__init__(owner, id=id)
        self.last = number
        self._bus = bus
        self._process = process
        self._connection = uuid.uuid4().hex
        self._fetching: asyncio.Task[None] | None = None
        self._first = True
        self._begun = b""

    async def begin(self) -> bool:
        """Fetch for the first time; False when it is not kept any more. Raises Away."""
        try:
            return await self._fetch()
        except Absent:
            return False

    async def more(self) -> None:
        """Wait until `wake`: something was fetched, or it is over, or time passed."""
        self.sent(self.last)
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._go_on())
        await super().more()

    def leave(self) -> None:
        """Fetch nothing more."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _go_on(self) -> None:
        try:
            if not await self._fetch():
                self.end()
        except (Absent, Refused):
            self.end()  # the client comes back, and is told then how it stands
        finally:
            self._fetching = None
            self.wake()

    async def _fetch(self) -> bool:
        wanted = _Wanted(
            event=self.event_id(self.last),
            owner=self.owner,
            holder=self._connection,
            begun=len(self._begun),
            first=self._first,
        )
        body = msgspec.msgpack.encode(wanted)
        answer = await self._bus.ask(self._process, _REST, body, once=False, patience=2 * _WAITS)
        self._first = False
        rest = msgspec.msgpack.decode(answer, type=_Rest)
        for place, (number, message) in enumerate(rest.messages):
            whole = self._begun + message if number == self.last + 1 else message
            self._begun = b""
            self.last = number - 1  # what was forgotten in between has numbers, too
            if rest.left and place == len(rest.messages) - 1:
                self._begun = whole
            else:
                self.push(whole)
        if rest.ended:
            self.end()
        return rest.known


class Resumption:
    """Finds streams that other processes keep, and gives others what this one keeps."""

    def __init__(self, bus: Bus, streams: Streams) -> None:
        self._bus = bus
        self._streams = streams
        bus.answers(_REST, self._give)

    async def find(self, event_id: str, owner: str) -> RemoteStream | None:
        """Return the stream of an event that another process gave out; None if it is gone.

        Raises Away.
        """
        process = elsewhere(self._bus, parted(event_id)[0])
        if process is None:
            return None
        stream = RemoteStream(self._bus, process, event_id, owner)
        return stream if await stream.begin() else None

    async def _give(self, body: bytes) -> bytes:
        wanted = msgspec.msgpack.decode(body, type=_Wanted)
        return msgspec.msgpack.encode(await self._rest(wanted))

    async def _rest(self, wanted: _Wanted) -> _Rest:
        found = self._streams.find(wanted.event, wanted.owner)
        if found is None:
            return _Rest(known=False)
        stream, number = found
        if wanted.first:
            stream.take(wanted.holder)
        elif stream.holder != wanted.holder:
            return _Rest(ended=True)  # another connection took it over
        elif not stream.after(number) and not stream.ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WAITS):
                    await stream.more()
        return _cut(stream, number, wanted.begun)


def _cut(stream: Stream, number: int, begun: int) -> _Rest:
    """Return what follows, as much as fits into one message of the bus."""
    messages, room = [], _PIECE
    for each, message in stream.after(number):
        piece = message[begun if each == number + 1 else 0 :]
        messages.append((each, piece[:room]))
        room -= len(piece)
        if room < 0:
            return _Rest(messages=tuple(messages), left=-room)
    return _Rest(messages=tuple(messages), ended=stream.ended)
