"""Sessions of older clients: values, not records. The id carries what was agreed, and is signed.

A session authenticates nobody: the token does, with every request. It is never required, and all
that is kept of it are the ids that were ended and the log levels that were set. Each process keeps
them for itself and tells the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from cachetools import TTLCache

from crossdock.authoring import LogLevel
from crossdock.bus import Bus
from crossdock.errors import Refused
from crossdock.model import Struct
from crossdock.protocol.capabilities import essential
from crossdock.protocol.versions import REVISIONS, Revision
from crossdock.signing import Seal

ENDED = "session ended"
_LEVEL = "log level"
_REMEMBERED = 10_000
_LONGEST = 1_000
_GONE = "This session has ended or is not of this server. Initialize again."


class Session(Struct, frozen=True, array_like=True, kw_only=True):
    """What a client and this gateway agreed on. `nonce` tells it from every other one."""

    nonce: str
    server_id: str
    version: str
    capabilities: Mapping[str, Any]
    ends: int

    @property
    def revision(self) -> Revision:
        """The revision that was agreed on."""
        return REVISIONS[self.version]


class Sessions:
    """Makes and reads session ids."""

    def __init__(
        self,
        key: bytes,
        clock: Callable[[], datetime],
        seconds: float,
        bus: Bus,
        *,
        mint: Callable[[], None] = lambda: None,
    ) -> None:
        self._mint = mint
        self._seal = Seal(key, "session", _LONGEST)
        self._clock = clock
        self._seconds = seconds
        self._bus = bus
        # Kept for as long as a session can live from now; it ends by itself then.
        self._ended: TTLCache[str, None] = TTLCache(_REMEMBERED, seconds, self._now)
        self._levels: TTLCache[str, LogLevel] = TTLCache(_REMEMBERED, seconds, self._now)
        bus.hears(ENDED, lambda body: self._end(body.decode()))
        bus.hears(_LEVEL, self._hear_level)

    def begin(
        self,
        server_id: str,
        revision: Revision,
        capabilities: msgspec.Raw | None,
        nonce: str = "",
    ) -> Session:
        """Return a new session; it is known nowhere but in its id. Raises what `mint` does."""
        self._mint()
        return Session(
            nonce=nonce or os.urandom(16).hex(),
            server_id=server_id,
            version=revision.name,
            capabilities=essential(capabilities),
            ends=int(self._now() + self._seconds),
        )

    def id_of(self, session: Session) -> str:
        """Return the id that a client keeps."""
        return self._seal.close(msgspec.msgpack.encode(session))

    def open(self, id: str, server_id: str) -> Session:
        """Read an id. Raises Refused (404) when it is foreign, changed, over or ended."""
        value = self._seal.open(id)
        if value is None:
            raise Refused(404, _GONE)
        session = msgspec.msgpack.decode(value, type=Session)
        if session.server_id != server_id or session.version not in REVISIONS:
            raise Refused(404, _GONE)
        if session.nonce in self._ended or self._now() >= session.ends:
            raise Refused(404, _GONE)
        return session

    async def end(self, session: Session) -> None:
        """Refuse this session from now on, in every process that can be reached."""
        self._end(session.nonce)
        await self._bus.tell(ENDED, session.nonce.encode(), until=session.ends)

    def _end(self, nonce: str) -> None:
        self._ended[nonce] = None
        self._levels.pop(nonce, None)

    def level(self, session: Session) -> LogLevel:
        """Return the least log level that the client wants."""
        return self._levels.get(session.nonce, "info")

    async def set_level(self, session: Session, level: LogLevel) -> None:
        """Send nothing below this level from now on, in every process that can be reached."""
        if self._levels.get(session.nonce) != level:
            self._levels[session.nonce] = level
            body = msgspec.msgpack.encode((session.nonce, level))
            await self._bus.tell(_LEVEL, body, until=session.ends)

    def _hear_level(self, body: bytes) -> None:
        nonce, level = msgspec.msgpack.decode(body, type=tuple[str, LogLevel])
        self._levels[nonce] = level

    def _now(self) -> float:
        return self._clock().timestamp()
