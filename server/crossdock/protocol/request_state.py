"""Request states: what a client carries between a question and its answer, signed.

A state belongs to one server, one tool and one set of arguments, ends by itself, and lets a write
go on only once: the same answer cannot be made to count twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from crossdock.errors import Busy, ProtocolError, StoreError
from crossdock.model import Struct
from crossdock.protocol.jsonrpc import INVALID_PARAMS
from crossdock.signing import Seal

_LONGEST = 256 * 1024


class State(Struct, frozen=True, array_like=True, kw_only=True):
    """The answers of earlier rounds, and what was asked in this one."""

    nonce: bytes
    ends: int
    asked: tuple[str, ...]
    answers: Mapping[str, Any]


Use = Callable[[bytes, datetime], Awaitable[bool]]


class States:
    """Seals request states, opens them, and lets each count once.

    `use` writes down that a nonce was used, and says whether that was the first time.
    """

    def __init__(
        self,
        key: bytes,
        clock: Callable[[], datetime],
        seconds: float,
        *,
        use: Use,
        mint: Callable[[], None] = lambda: None,
    ) -> None:
        self._mint = mint
        self._seal = Seal(key, "request state", _LONGEST)
        self._clock = clock
        self._seconds = seconds
        self._use = use

    def close(self, bound: bytes, asked: tuple[str, ...], answers: Mapping[str, Any]) -> str:
        """Return the state to give to the client. Raises what `mint` does."""
        self._mint()
        state = State(
            nonce=os.urandom(12),
            ends=int(self._now() + self._seconds),
            asked=asked,
            answers=answers,
        )
        return self._seal.close(msgspec.msgpack.encode(state), bound)

    def open(self, text: str | None, bound: bytes) -> State:
        """Read a state that came back. Raises ProtocolError (-32602)."""
        value = None if text is None else self._seal.open(text, bound)
        if value is None:
            raise _refused("is not the one that was given for this call; send the call anew")
        state = msgspec.msgpack.decode(value, type=State)
        if self._now() >= state.ends:
            raise _refused("is too old; send the call anew")
        return state

    async def use(self, state: State) -> None:
        """Act on a state, once: of many that come at the same moment one passes.

        Raises ProtocolError (-32602) for all others, and Busy while that cannot be written down.
        """
        try:
            first = await self._use(state.nonce, datetime.fromtimestamp(state.ends, UTC))
        except StoreError:
            raise Busy(
                "The store cannot write down just now that this approval is used; nothing was "
                "sent. Send the call again shortly."
            ) from None
        if not first:
            raise _refused("has been used; send the call anew")

    def _now(self) -> float:
        return self._clock().timestamp()


def bound_to(server_id: str, tool: str, arguments: msgspec.Raw | None) -> bytes:
    """Return what a state of this call is bound to; the spelling of the arguments is free."""
    try:
        plain = msgspec.json.decode(arguments or b"{}") or {}  # null stands for none
    except (msgspec.DecodeError, RecursionError):
        plain = bytes(arguments or b"").decode("utf-8", "replace")
    text = msgspec.json.encode([server_id, "tools/call", tool, plain], order="sorted")
    return hashlib.sha256(text).digest()


def _refused(why: str) -> ProtocolError:
    return ProtocolError(INVALID_PARAMS, f"requestState {why}")
