"""Unpacks compressed answers as they come, never more of them than somebody has room for."""

from __future__ import annotations

import zlib
from typing import Any

ENCODINGS = ("gzip", "x-gzip", "deflate")
ACCEPTED = "gzip, deflate"
_GZIP, _ZLIB, _BARE = 31, 15, -15  # zlib's numbers for the three wrappings
_MEMBERS = 16  # gzip allows any number in a row; each costs more than its bytes


class Unpacker:
    """Unpacks one body of one of the `ENCODINGS`."""

    def __init__(self, encoding: str) -> None:
        self._deflate = encoding == "deflate"
        self._members = 0
        self._member: Any = None  # zlib gives its type no name

    @property
    def finished(self) -> bool:
        """Whether the body ends here. An empty one, as of an answer that has none, does."""
        return self._member is None or bool(self._member.eof)

    def unpack(self, data: bytes, room: int) -> bytes:
        """Return what comes out; of what exceeds `room` only its first byte. Raises zlib.error."""
        parts: list[bytes] = []
        while data and room >= 0:
            if self.finished:
                self._open(data)
            part = self._member.decompress(data, room + 1)
            room -= len(part)
            parts.append(part)
            data = self._member.unused_data
        return b"".join(parts)

    def _open(self, data: bytes) -> None:
        """Begin with another member. Deflate was meant with zlib's wrapping, and is sent bare."""
        self._members += 1
        if self._members > (1 if self._deflate else _MEMBERS):
            raise zlib.error("more follows behind the end")
        wrapping = _GZIP if not self._deflate else _ZLIB if data[0] & 0x0F == 8 else _BARE
        self._member = zlib.decompressobj(wrapping)
