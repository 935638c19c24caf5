"""The bus on Redis or Valkey: publish and subscribe, and one sorted set for who starts later.

Redis may be away, come back empty, or be somebody else's: nothing here is needed to serve a call,
no command is waited for longer than a second, and what does not open is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from crossdock.bus import Absent, Answer, Away, Hear, end
from crossdock.bus.letters import FORMAT, Letter, Letters
from crossdock.errors import Refused
from crossdock.log import logger
from crossdock.model import Struct

log = logger(__name__)

_COMMAND = 1.0
_BEAT = 1.0
_SOONEST, _LATEST = 0.1, 5.0
_CONNECTIONS = 4
_KEPT = 10_000
_SLICE = 500
_WANTED, _GIVEN, _REFUSED = "wanted", "given", "refused"
_BROKEN = (RedisError, OSError, TimeoutError)


class Link(Struct, frozen=True, kw_only=True):
    """Where the bus is: `[bus] url` without a secret in it, and the password."""

    url: str
    password: str = ""


class _Asked(Struct, frozen=True):
    """An answer that is waited for."""

    answer: asyncio.Future[bytes]
    end: asyncio.Timeout
    patience: float


class RedisBus:
    """Implements `Bus` for one of several processes. `store` is the name of what they share."""

    def __init__(self, process: str, store: str, letters: Letters, link: Link) -> None:
        self.process = process
        self.trouble = "it is not connected yet"
        self.dropped = 0
        self._letters = letters
        self._all = f"crossdock:{store}:all"
        self._kept = f"crossdock:{store}:ended"
        self._inbox = f"crossdock:{store}:process:{{}}"
        self._pool = BlockingConnectionPool.from_url(
            link.url,
            password=link.password or None,
            max_connections=_CONNECTIONS,
            timeout=_COMMAND,
            socket_timeout=_COMMAND,
            socket_connect_timeout=_COMMAND,
            retry=Retry(NoBackoff(), 0, supported_errors=()),  # who waits cannot wait for another
            protocol=2,
            client_name="crossdock",
        )
        self._redis: Redis = Redis(connection_pool=self._pool)
        self._ears: defaultdict[str, list[Hear]] = defaultdict(list)
        self._answers: dict[str, Answer] = {_WANTED: self._wanted}
        self._asked: dict[int, _Asked] = {}
        self._numbers = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._gathering = 0.0  # until then others may not be back yet

    # --- the connection ----------------------------------------------------------------------

    def run(self) -> None:
        """Connect, and stay connected."""
        self._start(self._stay())

    async def close(self) -> None:
        """Leave."""
        await end(*self._tasks)
        await self._pool.disconnect()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("bus.failed", exc_info=error)

    async def _stay(self) -> None:
        pause = _SOONEST
        while True:
            try:
                async with self._joined() as hearing:
                    pause = _SOONEST
                    await self._listen(hearing)
            except Exception as error:
                self._lost(error)
            await asyncio.sleep(random.uniform(_SOONEST, pause))  # noqa: S311 - spreads, hides nothing
            pause = min(2 * pause, _LATEST)

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[PubSub]:
        await self._pool.disconnect(inuse_connections=False)  # they may be of a server that is gone
        async with self._redis.pubsub() as hearing:
            async with asyncio.timeout(_COMMAND):
                await hearing.subscribe(self._all, self._inbox.format(self.process))
                for _ in range(2):
                    await hearing.parse_response()
            await self._load()
            if self._gathering:
                self._gathering = asyncio.get_running_loop().time() + _LATEST + _COMMAND
            log.info("bus.connected")
            self.trouble = ""
            yield hearing

    async def _listen(self, hearing: PubSub) -> None:
        silent = False
        while True:
            came = await hearing.parse_response(block=False, timeout=_BEAT)
            if came is not None:
                silent = False
                if came[0] == b"message":
                    self._take(came[1].decode(), came[2])
            elif silent:
                raise TimeoutError("it does not answer")
            else:
                silent = True
                await hearing.ping()

    def _lost(self, error: Exception) -> None:
        words = _words(error)
        if words != self.trouble:
            log.warning("bus.away", reason=words, exc_info=not isinstance(error, _BROKEN) and error)
        self.trouble = words
        self._gathering = 1.0
        for asked in [*self._asked.values()]:  # the answers may have been lost
            if not asked.answer.done():
                asked.answer.set_exception(Away())

    async def _command(self, *words: str | bytes | float) -> Any:
        """Raises Away."""
        try:
            return await self._execute(*words)
        except _BROKEN as error:
            log.warning("bus.refused", command=words[0], reason=_words(error))
            raise Away from None

    async def _execute(self, *words: str | bytes | float) -> Any:
        async with asyncio.timeout(_COMMAND):
            return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]

    # --- what comes --------------------------------------------------------------------------

    def hears(self, kind: str, hear: Hear) -> None:
        """Have this called with what others tell."""
        self._ears[kind].append(hear)

    def answers(self, kind: str, answer: Answer) -> None:
        """Have this called with what others ask."""
        self._answers[kind] = answer

    def _take(self, channel: str, sealed: bytes) -> None:
        letter = self._letters.open(channel, sealed)
        if letter is None:
            self.dropped += 1
        elif letter.sender == self.process:
            pass  # what was told to all comes back
        elif letter.kind in (_GIVEN, _REFUSED):
            self._settle(letter)
        elif letter.number:
            self._start(self._answer(letter))
        else:
            self._hear(letter)

    def _hear(self, letter: Letter) -> None:
        for hear in self._ears.get(letter.kind, ()):
            try:
                hear(letter.body)
            except Exception as error:
                log.error("bus.unheard", kind=letter.kind, exc_info=error)

    def _settle(self, letter: Letter) -> None:
        asked = self._asked.get(letter.number)
        if asked is None or asked.answer.done():
            return
        if letter.kind == _GIVEN:
            asked.answer.set_result(letter.body)
        else:
            asked.answer.set_exception(_refusal(letter.body))

    async def _answer(self, letter: Letter) -> None:
        kind, body = _GIVEN, b""
        try:
            body = await self._answered(letter)
        except Absent:
            return  # who asked is gone, or does not wait any more
        except Refused as refused:
            kind = _REFUSED
            body = msgspec.msgpack.encode((refused.status, str(refused), refused.retry_after))
        except Exception as error:
            log.error("bus.unanswered", kind=letter.kind, exc_info=error)
            kind, body = _REFUSED, msgspec.msgpack.encode((500, "Internal error", None))
        with contextlib.suppress(Away):
            await self._send(letter.sender, kind, body, number=letter.number)

    async def _answered(self, letter: Letter) -> bytes:
        answer = self._answers.get(letter.kind)
        if answer is None or not self._letters.is_known(letter):
            raise Away  # an older or newer release: it has to be sent again when both are one
        if letter.once:
            await self._still_wanted(letter)
        return await answer(letter.body)

    async def _still_wanted(self, letter: Letter) -> None:
        """Raise Absent unless the asker waits: the letter may have lain somewhere for long."""
        number = msgspec.msgpack.encode(letter.number)
        try:
            await self.ask(letter.sender, _WANTED, number, once=False)
        except Refused:
            raise Absent from None

    async def _wanted(self, body: bytes) -> bytes:
        asked = self._asked.get(msgspec.msgpack.decode(body, type=int))
        if asked is None or asked.answer.done() or asked.end.expired():
            raise Refused(404, "Nobody waits for this any more.")
        asked.end.reschedule(asyncio.get_running_loop().time() + asked.patience)
        return b""

    # --- what goes ---------------------------------------------------------------------------

    async def tell(self, kind: str, body: bytes, until: float | None = None) -> None:
        """Tell all others, if they can be reached."""
        if self.trouble:
            return
        with contextlib.suppress(Away):
            await self._publish(self._all, self._letter(kind, body))
            if until is not None:
                await self._keep(self._letter(kind, body), until)

    async def ask(
        self, process: str, kind: str, body: bytes, *, once: bool = True, patience: float = _COMMAND
    ) -> bytes:
        """Ask one other process, and return what it answers."""
        if self.trouble:
            raise Away
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_COMMAND + patience) as end:
                self._asked[number] = _Asked(answer, end, patience)
                if not await self._send(process, kind, body, number=number, once=once):
                    raise self._nobody()
                return await answer
        except TimeoutError:
            raise Away from None
        finally:
            del self._asked[number]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # looked at, so that asyncio does not call it forgotten

    async def absent(self, processes: Collection[str]) -> list[str]:
        """Return which of these are not on the bus. Raises Away."""
        if self.trouble:
            raise Away
        inboxes = {self._inbox.format(one): one for one in processes}
        counts = await self._command("PUBSUB", "NUMSUB", *inboxes)
        names, numbers = counts[::2], counts[1::2]
        return [inboxes[n.decode()] for n, count in zip(names, numbers, strict=True) if not count]

    def _nobody(self) -> Exception:
        """Return what it means that nobody listens at a process's channel."""
        back = asyncio.get_running_loop().time() >= self._gathering
        return Absent() if back else Away()

    async def _send(self, process: str, kind: str, body: bytes, **more: Any) -> int:
        return await self._publish(self._inbox.format(process), self._letter(kind, body, **more))

    def _letter(self, kind: str, body: bytes, *, number: int = 0, once: bool = False) -> Letter:
        return Letter(
            format=FORMAT,
            sent=0.0,
            sender=self.process,
            number=number,
            kind=kind,
            body=body,
            once=once,
        )

    async def _publish(self, channel: str, letter: Letter) -> int:
        """Return how many received it. Raises Away."""
        received = await self._command("PUBLISH", channel, self._letters.close(channel, letter))
        return int(received)

    # --- what is kept for who starts later ---------------------------------------------------

    async def _keep(self, letter: Letter, until: float) -> None:
        """Raises Away."""
        seconds = max(1, int(until - self._letters.now()))
        await self._command("ZADD", self._kept, until, self._letters.close(self._kept, letter))
        await self._command("ZREMRANGEBYSCORE", self._kept, "-inf", self._letters.now())
        await self._command("ZREMRANGEBYRANK", self._kept, 0, -_KEPT - 1)
        await self._command("EXPIRE", self._kept, seconds)

    async def _load(self) -> None:
        now = self._letters.now()
        sealed = await self._execute("ZRANGEBYSCORE", self._kept, now, "+inf", "LIMIT", 0, _KEPT)
        letters: list[Letter] = []
        for number, each in enumerate(sealed):
            letter = self._letters.kept(self._kept, each)
            if letter is not None and letter.sender != self.process:
                letters.append(letter)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        for letter in sorted(letters, key=lambda one: one.sent):
            self._hear(letter)


def _refusal(body: bytes) -> Refused:
    status, message, retry_after = msgspec.msgpack.decode(body, type=tuple[int, str, int | None])
    if status == 503:
        return Away()
    refused = Refused(status, message)
    refused.retry_after = retry_after
    return refused


def _words(error: Exception) -> str:
    """Return why the bus cannot be reached, with the remedy where there is one."""
    if isinstance(error, AuthenticationError):
        return "it refuses the user or password; mend [bus] password"
    if isinstance(error, NoPermissionError):
        return "its user may not use crossdock's channels; server/deploy has the rule"
    if isinstance(error, ResponseError):
        return f"it answers with an error: {error}"
    return "it cannot be reached; is it running where [bus] url says?"
