"""The caller's side of one tools/call: progress, log messages, questions, mirrored headers.

What a revision or a client does not have is left out in silence, or refused in words where the
call cannot go on without it. A call that uses none of this costs nothing here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crossdock.authoring import LogLevel, Question
from crossdock.errors import CannotAsk, Forbidden, InputRequired, InvalidArguments, ProtocolError
from crossdock.model import Lent
from crossdock.protocol import capabilities, param_headers
from crossdock.protocol.jsonrpc import (
    INVALID_PARAMS,
    Message,
    key_of,
    notification_bytes,
    request_bytes,
    text_of,
)
from crossdock.protocol.messages import Request
from crossdock.protocol.questions import Questions
from crossdock.protocol.request_state import State, bound_to
from crossdock.protocol.sessions import Sessions
from crossdock.protocol.versions import (
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
)

_MOST_MESSAGES = 1_000  # of one call; a mapper that never stops talking must not fill a network
_ACTIONS = ("accept", "decline", "cancel")


class ClientPeer:
    """Implements `Peer` for one call: what its client wants to hear, and can be asked."""

    __slots__ = (
        "_answers",
        "_done",
        "_questions",
        "_request",
        "_sent",
        "_sessions",
        "_state",
        "_used",
        "request_id",
    )

    def __init__(self, request: Request, questions: Questions, sessions: Sessions) -> None:
        self.request_id = request.id
        self._request = request
        self._questions = questions
        self._sessions = sessions
        self._state: State | None = None
        self._answers: dict[str, Any] = {}
        self._used = False
        self._done = float("-inf")
        self._sent = 0

    # --- headers -----------------------------------------------------------------------------

    def check_headers(
        self, headers: tuple[tuple[str, str], ...], arguments: msgspec.Raw | None
    ) -> None:
        """Compare arguments with the headers that repeat them. Raises ProtocolError."""
        if self._request.revision.modern:
            param_headers.check(headers, arguments, self._request.headers.values)

    # --- one way -----------------------------------------------------------------------------

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Send progress, if the request asked for it; only ever forwards."""
        token = self._request.message.meta.get("progressToken")
        if token is None or done <= self._done or key_of(token) is None or not self._may_send():
            return
        self._done = done
        params: dict[str, Any] = {"progressToken": token, "progress": done}
        if total is not None:
            params["total"] = total
        if message and self._request.revision.annotations:
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
        if not self._request.revision.modern:
            session = self._request.session
            return None if session is None else self._sessions.level(session)
        raw = self._request.message.meta.get(LOG_LEVEL_KEY)
        return None if raw is None else text_of(raw)

    def _may_send(self) -> bool:
        return self._request.channel.streams and self._sent < _MOST_MESSAGES

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        self._sent += 1
        await self._request.channel.send(notification_bytes(method, msgspec.json.encode(params)))

    async def release(self) -> None:
        """Let the client hang up, if it can come back for the answer."""
        await self._request.channel.release()

    def afterwards(self, done: Callable[[], None]) -> None:
        """Have this called when the answer was written, or nobody can take it any more."""
        self._request.afterwards.append(done)

    # --- there and back ----------------------------------------------------------------------

    def can_ask(self, method: str) -> bool:
        """Whether the client takes requests of this method, over this connection."""
        return self._can_ask(method, "form")

    def _can_ask(self, method: str, mode: str) -> bool:
        if self._request.revision.modern:
            declared = capabilities.essential(self._request.message.meta.get(CAPABILITIES_KEY))
            return capabilities.has(declared, method, mode)
        session = self._request.session
        if session is None or not self._request.channel.streams:
            return False
        if method == "elicitation/create" and not self._request.revision.elicitation:
            return False
        return capabilities.has(session.capabilities, method, mode)

    async def ask(
        self, questions: tuple[Question, ...], *, lent: Lent, unasked: bool = False
    ) -> Mapping[str, Any]:
        """Return the client's results by key; `lent` is entered while an answer is waited for.

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
        if self._request.revision.modern:
            return await self._answered(questions, unasked)
        with lent():
            return {question.key: await self._put(question) for question in questions}

    # The newest revision: the question is the answer to the call, which comes again with answers.

    def resume(self) -> None:
        """Read the state that came with the call. Raises ProtocolError (-32602)."""
        text = text_of(self._request.message.params["requestState"])
        self._state = self._questions.states.open(text, self._bound())
        self._answers = dict(self._state.answers)

    def _bound(self) -> bytes:
        """Return what a state of this call is bound to."""
        params = self._request.message.params
        name = text_of(params["name"]) or ""
        return bound_to(self._request.grant.server_id, name, params.get("arguments"))

    async def _answered(self, questions: tuple[Question, ...], unasked: bool) -> Mapping[str, Any]:
        state, given = self._state, self._given()
        for question in questions:
            key = question.key
            asked = unasked if state is None else key in state.asked
            if asked and key not in self._answers and _fits(question, given.get(key)):
                self._answers[key] = given[key]
        missing = tuple(question for question in questions if question.key not in self._answers)
        if missing:
            keys = tuple(question.key for question in missing)
            state_text = self._questions.states.close(self._bound(), keys, self._answers)
            raise InputRequired(missing, state_text)
        if state is not None and not self._used:
            self._used = True  # a mapper that asks again in this run goes on from the same state
            await self._questions.states.use(state)
        return {question.key: self._answers[question.key] for question in questions}

    def _given(self) -> dict[str, Any]:
        """Return the answers that came with this request."""
        raw = self._request.message.params.get("inputResponses")
        if raw is None:
            return {}
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError(INVALID_PARAMS, "inputResponses must be an object") from None

    # Older revisions: a request of ours on the stream of the call.

    async def _put(self, question: Question) -> Any:
        session = self._request.session
        owner = "" if session is None else session.nonce
        id, future = self._questions.expect(owner)
        try:
            params = msgspec.json.encode(question.params)
            await self._request.channel.send(request_bytes(id, question.method, params))
            async with asyncio.timeout(self._questions.patience):
                answer = await future
        except TimeoutError:
            raise Forbidden(
                f"Nobody answered the question within {self._questions.patience:g} s; "
                "nothing was sent."
            ) from None
        except asyncio.CancelledError:
            if not future.cancelled() or _cancelling():
                raise
            raise Forbidden("The client went away before it answered; nothing was sent.") from None
        finally:
            self._questions.give_up(owner, id)
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
