"""What crosses the bus, sealed: whoever can publish there, or listen, can do nothing with it.

A letter is bound to its channel and id, and counts once, while it is young. What is inside has a
format of a number: an older or newer process refuses what it does not know instead of guessing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from crossdock.errors import CrossdockError
from crossdock.model import Struct

FORMAT = 1
_ID_BYTES = 16
_YOUNG = 60.0


class Letter(Struct, frozen=True, array_like=True, kw_only=True):
    """One message. The first four fields stay as they are in every format.

    `sent` is Unix time. `number` is the asker's: 0 where no answer is due. `once` asks to make sure
    that the asker still waits. `kind` says what `body` is.
    """

    format: int
    sent: float
    sender: str
    number: int
    kind: str = ""
    body: bytes = b""
    once: bool = False


class _Head(Struct, frozen=True, array_like=True, kw_only=True):
    format: int
    sent: float
    sender: str
    number: int


class Sealer(Protocol):
    """What seals bytes for a place and an id."""

    def close(self, place: str, id: bytes, plain: bytes) -> bytes:
        """Seal."""

    def open(self, place: str, id: bytes, sealed: bytes) -> bytes:
        """Open. Raises CrossdockError."""


class Letters:
    """Seals letters of this process, and opens those of others. `most` is the size of one."""

    def __init__(
        self, seal: Sealer, clock: Callable[[], float], most: int, *, format: int = FORMAT
    ) -> None:
        self._seal = seal
        self._clock = clock
        self._most = most
        self._format = format
        self._seen: set[bytes] = set()
        self._seen_before: set[bytes] = set()
        self._turned = clock()

    def now(self) -> float:
        """Return the time by which letters are young or old."""
        return self._clock()

    def close(self, channel: str, letter: Letter) -> bytes:
        """Return what is published."""
        letter = msgspec.structs.replace(letter, format=self._format, sent=self._clock())
        id = os.urandom(_ID_BYTES)
        return id + self._seal.close(channel, id, msgspec.msgpack.encode(letter))

    def open(self, channel: str, sealed: bytes) -> Letter | None:
        """Return what came by a channel; None unless it is authentic, young, and new.

        Of another format it has no kind and no body.
        """
        letter = self.kept(channel, sealed)
        if letter is None or abs(self._clock() - letter.sent) > _YOUNG:
            return None
        return letter if self._is_new(sealed[:_ID_BYTES]) else None

    def kept(self, channel: str, sealed: bytes) -> Letter | None:
        """Return what was kept under a name, however old it is."""
        if not _ID_BYTES < len(sealed) <= self._most:
            return None
        try:
            plain = self._seal.open(channel, sealed[:_ID_BYTES], sealed[_ID_BYTES:])
            head = msgspec.msgpack.decode(plain, type=_Head)
            if head.format == self._format:
                return msgspec.msgpack.decode(plain, type=Letter)
        except (CrossdockError, msgspec.MsgspecError):
            return None
        return Letter(format=head.format, sent=head.sent, sender=head.sender, number=head.number)

    def is_known(self, letter: Letter) -> bool:
        """Whether this process speaks the letter's format."""
        return letter.format == self._format

    def _is_new(self, id: bytes) -> bool:
        """Whether an id was not seen for as long as its letter can be young."""
        now = self._clock()
        if abs(now - self._turned) > 2 * _YOUNG:
            self._seen_before, self._seen, self._turned = self._seen, set(), now
        if id in self._seen or id in self._seen_before:
            return False
        self._seen.add(id)
        return True
