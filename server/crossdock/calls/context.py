"""What a mapper sees of its call: its account's provider, the client, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec

from crossdock.adapter.bodies import decode
from crossdock.adapter.schema import compile_schema
from crossdock.authoring import (
    HumanReply,
    LogLevel,
    Question,
    UpstreamReply,
    UpstreamRequest,
)
from crossdock.calls.connection import Connection, Measured
from crossdock.calls.deadlines import Deadline
from crossdock.errors import BadToolOutput, InvalidArguments
from crossdock.model import Lent, OrderLock, Peer
from crossdock.redaction import redactor


class CallContext:
    """The Context of one call. `deadline` ends the mapper, but not while a human is asked.

    `reads` says that the call changes nothing, so answers may come before their question. `lent` is
    entered while a human is waited for. `sending` counts the requests under way.
    """

    def __init__(
        self,
        connection: Connection,
        measured: Measured,
        client: Peer,
        *,
        objects: tuple[str, ...] | None = None,
        lent: Lent = nullcontext,
    ) -> None:
        self.objects = objects
        self._lent = lent
        self._connection = connection
        self._client = client
        self._tells = False
        self._held: list[OrderLock] = []
        self.measured = measured
        self.deadline: Deadline | None = None
        self.reads = False
        self.sending = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        """The account's settings, defaults included."""
        return self._connection.settings

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once. Raises UpstreamFailure for everything but a 2xx answer."""
        measured = self.measured
        if measured.requests and not self._tells:
            done = measured.requests
            await self._client.progress(done, None, f"requests made so far: {done}")
        before = measured.seconds
        self.sending += 1
        try:
            announce = self._announce if self._held else None
            return await self._connection.send(request, measured, announce)
        finally:
            told = {
                "request": measured.requests,
                "method": request.verb,
                "status": measured.status,
                "ms": round((measured.seconds - before) * 1000, 1),
            }
            await self._client.log("debug", self._connection.adapter.name, told)

    async def fetch(self, path: str, **query: str) -> Any:
        """GET `path` and decode the JSON answer."""
        request = UpstreamRequest(verb="GET", path=path, query=tuple(query.items()))
        return decode((await self.send(request)).body)

    @asynccontextmanager
    async def exclusive(self, key: str) -> AsyncIterator[None]:
        """Serialise a read-modify-write on this tenant."""
        beside = self._held[0] if self._held else None
        async with self._connection.tenant.exclusive(key, beside) as lock:
            self._held.append(lock)
            try:
                yield
            finally:
                self._held.remove(lock)

    async def _announce(self) -> None:
        for lock in self._held:
            await lock.announce()

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Keep ids and names of this account for `ttl` seconds."""
        return await self._connection.tenant.remember(key, ttl, make)

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell the client how far the call is."""
        self._tells = True
        await self._client.progress(done, total, redactor.clean(message))

    async def log(self, level: LogLevel, data: Any) -> None:
        """Send the client a log message, if it wants that level."""
        try:
            text = redactor.clean(msgspec.json.encode(data).decode())
        except (TypeError, ValueError, RecursionError) as error:
            raise BadToolOutput(f"The adapter's mapper logs what is not JSON: {error}") from None
        await self._client.log(level, self._connection.adapter.name, msgspec.Raw(text.encode()))

    def can_ask(self, method: str = "elicitation/create") -> bool:
        """Whether the client can be asked this way."""
        return self._client.can_ask(method)

    async def ask(self, key: str, message: str, schema: Mapping[str, Any]) -> HumanReply:
        """Ask the human for a flat object of this JSON Schema."""
        fits = compile_schema(dict(schema), f"{self._connection.adapter.name}: {key}")
        params = {"message": message, "requestedSchema": schema}
        question = Question(key=key, method="elicitation/create", params=params)
        answer = (await self.ask_all(question))[key]
        if answer["action"] != "accept":
            return HumanReply(action=answer["action"])
        content = answer.get("content", {})
        try:
            fits(content)
        except InvalidArguments as error:
            raise InvalidArguments(key, f"the human's answer does not fit: {error}") from None
        return HumanReply(action="accept", content=content)

    async def ask_all(self, *questions: Question) -> Mapping[str, Any]:
        """Ask several things at once; return the client's results by key."""
        if self.measured.wrote:  # the mapper runs again with the answers, and would write again
            raise BadToolOutput("The adapter's mapper asks after it wrote; it must ask before.")
        with nullcontext() if self.deadline is None else self.deadline.paused():
            return await self._asked(questions)

    async def _asked(self, questions: tuple[Question, ...]) -> Mapping[str, Any]:
        return await self._client.ask(questions, lent=self._lent, unasked=self.reads)

    async def release(self) -> None:
        """Let a client that can come back for its answer hang up."""
        await self._client.release()
