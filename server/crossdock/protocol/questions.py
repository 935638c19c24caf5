"""What clients are asked, and where their answers belong, whichever process gets them."""

from __future__ import annotations

import asyncio

import msgspec

from crossdock.bus import Absent, Bus, elsewhere, new_id
from crossdock.errors import Refused
from crossdock.model import Struct
from crossdock.protocol.jsonrpc import Message, key_of
from crossdock.protocol.request_state import States

_ANSWERED = "question answered"


class _Answered(Struct, frozen=True, array_like=True):
    """The answer to a question of another process."""

    session: str
    id: bytes
    result: bytes | None
    error: bytes | None


class Questions:
    """What clients are asked: the states of the newest revision, and, by session and id, the
    questions that were put to older clients and wait for an answer, `patience` seconds at most."""

    def __init__(self, states: States, patience: float, bus: Bus) -> None:
        self.states = states
        self.patience = patience
        self._bus = bus
        self._waiting: dict[tuple[str, str], asyncio.Future[Message]] = {}
        bus.answers(_ANSWERED, self._take)

    def expect(self, session: str) -> tuple[str, asyncio.Future[Message]]:
        """Return the id of a new question, and where its answer will be."""
        id = new_id(self._bus)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[session, id] = future
        return id, future

    async def settle(self, session: str, answer: Message) -> None:
        """Give an answer to who waits for it; one that nobody waits for is dropped.

        Raises Refused: 404 where the process that asked is gone, 503 where it cannot be reached.
        """
        id = key_of(answer.id or b"null")
        process = elsewhere(self._bus, id) if isinstance(id, str) else None
        if process is None:
            self._settle(session, answer)
            return
        result, error = (
            None if raw is None else bytes(raw) for raw in (answer.result, answer.error)
        )
        body = _Answered(session, answer.id or b"null", result, error)
        try:
            await self._bus.ask(process, _ANSWERED, msgspec.msgpack.encode(body))
        except Absent:
            raise Refused(404, "Who asked this is gone. Send the call again.") from None

    async def _take(self, body: bytes) -> bytes:
        """Take an answer that came to another process."""
        came = msgspec.msgpack.decode(body, type=_Answered)
        result, error = (
            None if raw is None else msgspec.Raw(raw) for raw in (came.result, came.error)
        )
        self._settle(came.session, Message(id=came.id, result=result, error=error))
        return b""

    def _settle(self, session: str, answer: Message) -> None:
        id = key_of(answer.id or b"null")
        future = self._waiting.get((session, id)) if isinstance(id, str) else None
        if future is not None and not future.done():
            future.set_result(answer)

    def give_up(self, session: str, id: str) -> None:
        """Expect this answer no longer."""
        self._waiting.pop((session, id), None)

    def leave(self, session: str) -> None:
        """A session is gone: nobody there will answer."""
        for key, future in self._waiting.items():
            if key[0] == session and not future.done():
                future.cancel()
