"""The caller's side of one tools/call: progress, log messages, questions, mirrored headers.

What a revision or a client does not have is left out in silence, or refused in words where the
call cannot go on without it. A call that uses none of this costs nothing here.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from crossdock.authoring import LogLevel, Question
from crossdock.errors import CannotAsk, Forbidden, InputRequired, InvalidArguments, ProtocolError
from crossdock.protocol import capabilities, param_headers
from crossdock.protocol.jsonrpc import (
    INVALID_PARAMS,
    Message,
    key_of,
    notification_bytes,
    request_bytes,
    text_of,
)
from crossdock.protocol.request_state import State, States
from crossdock.protocol.sessions import Session
from crossdock.protocol.versions import (
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    Headers,
    Revision,
)

_MOST_MESSAGES = 1_000  # of one call; a mapper that never stops talking must not fill a network
_ACTIONS = ("accept", "decline", "cancel")


class Line(Protocol):
    """The way back to the client while the answer is not finished."""

    @property
    def streams(self) -> bool:
        """Whether messages can be sent before the answer."""

    async def send(self, message: bytes) -> None:
        """Send a message now."""

    async def release(self) -> None:
        """End the connection, if the client can come back for what follows."""

    def resume_as(self, session: str, priming: bool) -> None:
        """Keep what is sent for this session, should the connection break."""


class Asked:
    """Questions that were put to older clients and wait for an answer, by session and id."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], asyncio.Future[Message]] = {}

    def expect(self, session: str) -> tuple[str, asyncio.Future[Message]]:
        """Return the id of a new question, and where its answer will be."""
        id = uuid.uuid4().hex
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[session, id] = future
        return id, future

    def settle(self, session: str, answer: Message) -> None:
        """Give an answer to who waits for it; one that nobody waits for is dropped."""
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


class Exchange:
    """Implements `Client` for one call."""

    __slots__ = (
        "_answers",
        "_asked",
        "_done",
        "_headers",
        "_level",
        "_line",
        "_message",
        "_patience",
        "_revision",
        "_sent",
        "_session",
        "_state",
        "_states",
        "request_id",
    )

    def __init__(
        self,
        request_id: str,
        message: Message,
        revision: Revision,
        headers: Headers,
        line: Line,
        session: Session | None,
        level: LogLevel | None,
        asked: Asked,
        states: States,
        patience: float,
    ) -> None:
        self.request_id = request_id
        self._message = message
        self._revision = revision
        self._headers = headers
        self._line = line
        self._session = session
        self._level = level
        self._asked = asked
        self._states = states
        self._patience = patience
        self._state: State | None = None
        self._answers: dict[str, Any] = {}
        self._done = float("-inf")
        self._sent = 0

    # --- headers -----------------------------------------------------------------------------

    def check_headers(
        self, headers: tuple[tuple[str, str], ...], arguments: msgspec.Raw | None
    ) -> None:
        """Compare arguments with the headers that repeat them. Raises ProtocolError."""
        if self._revision.modern:
            param_headers.check(headers, arguments, self._headers.values)

    # --- one way -----------------------------------------------------------------------------

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Send progress, if the request asked for it; only ever forwards."""
        token = self._message.meta.get("progressToken")
        if token is None or done <= self._done or key_of(token) is None or not self._may_send():
            return
        self._done = done
        params: dict[str, Any] = {"progressToken": token, "progress": done}
        if total is not None:
            params["total"] = total
        if message and self._revision.annotations:
            params["message"] = message
        await self._notify("notifications/progress", params)

    async def log(self, level: LogLevel, logger: str, data: Any) -> None:
        """Send a log message, if the client wants messages of this level."""
        wanted = self._wanted_level()
        if wanted is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(wanted):
            return
        if self._may_send():
            await self._notify(
                "notifications/message", {"level": level, "logger": logger, "data": data}
            )

    def _wanted_level(self) -> str | None:
        if not self._revision.modern:
            return self._level
        raw = self._message.meta.get(LOG_LEVEL_KEY)
        return None if raw is None else text_of(raw)

    def _may_send(self) -> bool:
        return self._line.streams and self._sent < _MOST_MESSAGES

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        self._sent += 1
        await self._line.send(notification_bytes(method, msgspec.json.encode(params)))

    async def release(self) -> None:
        """Let the client hang up, if it can come back for the answer."""
        await self._line.release()

    # --- there and back ----------------------------------------------------------------------

    def can_ask(self, method: str) -> bool:
        """Whether the client takes requests of this method, over this connection."""
        return self._can_ask(method, "form")

    def _can_ask(self, method: str, mode: str) -> bool:
        if self._revision.modern:
            declared = capabilities.essential(self._message.meta.get(CAPABILITIES_KEY))
            return capabilities.has(declared, method, mode)
        if self._session is None or not self._line.streams:
            return False
        if method == "elicitation/create" and not self._revision.elicitation:
            return False
        return capabilities.has(self._session.capabilities, method, mode)

    async def ask(
        self, questions: tuple[Question, ...], *, unasked: bool = False
    ) -> Mapping[str, Any]:
        """Return the client's results by key.

        Raises CannotAsk; in the newest revision InputRequired, unless the answers are there.
        """
        barred = tuple(
            question
            for question in questions
            if not self._can_ask(question.method, str(question.params.get("mode", "form")))
        )
        if barred:
            wanted = ", ".join(sorted({question.method for question in barred}))
            raise CannotAsk(
                f"This call has to ask first ({wanted}), and the client cannot be asked: it did "
                "not declare the capability. Nothing was sent.",
                capabilities.needed(barred),
            )
        if self._revision.modern:
            return self._answered(questions, unasked)
        return {question.key: await self._request(question) for question in questions}

    # The newest revision: the question is the answer to the call, which comes again with answers.

    def resume(self, bound: bytes) -> None:
        """Read the state that came with the call. Raises ProtocolError (-32602)."""
        self._state = self._states.open(text_of(self._message.params["requestState"]), bound)
        self._answers = dict(self._state.answers)

    def state_of(self, required: InputRequired, bound: bytes) -> str:
        """Return the state that leads back to where the answers are needed."""
        asked = tuple(question.key for question in required.questions)
        return self._states.close(bound, asked, required.answers)

    def _answered(self, questions: tuple[Question, ...], unasked: bool) -> Mapping[str, Any]:
        state, given = self._state, self._given()
        for question in questions:
            key = question.key
            asked = unasked if state is None else key in state.asked
            if asked and key not in self._answers and _fits(question, given.get(key)):
                self._answers[key] = given[key]
        missing = tuple(question for question in questions if question.key not in self._answers)
        if missing:
            raise InputRequired(missing, self._answers)
        if state is not None:
            self._states.use_up(state)
        return {question.key: self._answers[question.key] for question in questions}

    def _given(self) -> dict[str, Any]:
        """Return the answers that came with this request."""
        raw = self._message.params.get("inputResponses")
        if raw is None:
            return {}
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError(INVALID_PARAMS, "inputResponses must be an object") from None

    # Older revisions: a request of ours on the stream of the call.

    async def _request(self, question: Question) -> Any:
        session = "" if self._session is None else self._session.nonce
        id, future = self._asked.expect(session)
        try:
            params = msgspec.json.encode(question.params)
            await self._line.send(request_bytes(id, question.method, params))
            async with asyncio.timeout(self._patience):
                answer = await future
        except TimeoutError:
            raise Forbidden(
                f"Nobody answered the question within {self._patience:g} s; nothing was sent."
            ) from None
        except asyncio.CancelledError:
            if not future.cancelled() or _cancelling():
                raise
            raise Forbidden("The client went away before it answered; nothing was sent.") from None
        finally:
            self._asked.give_up(session, id)
        return _result_of(question, answer)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and bool(task.cancelling())


def _fits(question: Question, answer: Any) -> bool:
    """Whether an answer has the shape that its question asks for; if not it is asked again."""
    if not isinstance(answer, dict):
        return False
    if question.method != "elicitation/create":
        return True
    action = answer.get("action")
    return action in _ACTIONS and (
        action != "accept" or isinstance(answer.get("content", {}), dict)
    )


def _result_of(question: Question, answer: Message) -> Any:
    if answer.result is None:
        raise Forbidden(
            f"The client refused the question {question.key!r} ({question.method}); "
            "nothing was sent."
        )
    try:
        result = msgspec.json.decode(answer.result)
    except (msgspec.DecodeError, RecursionError):
        result = None
    if not _fits(question, result):
        raise InvalidArguments("", f"the client's answer to {question.key!r} has the wrong shape")
    return result
