"""The exception tree. Each class knows its `kind`; none knows the wire."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec

from crossdock.authoring import NO_RATE_LIMIT, Question, RateLimit


class CrossdockError(Exception):
    """Root of everything that crossdock raises on purpose. `str()` is fit to be shown."""

    kind = "internal"


# --- start-up --------------------------------------------------------------------------------


class ConfigError(CrossdockError):
    """The configuration cannot be used; the text names the file or key and the remedy."""

    kind = "config"


class AdapterError(CrossdockError):
    """An adapter's files are wrong; the text begins with file:line.

    `adapter` is what Python gave for them, for those who look for more mistakes.
    """

    kind = "adapter"
    adapter: object = None


class PluginError(CrossdockError):
    """A plugin cannot be loaded; the text names it."""

    kind = "plugin"


class StoreError(CrossdockError):
    """The store cannot be used; the text names the remedy."""

    kind = "store"


def code_of(status: int) -> int:
    """Return the number of an error that is only known by its HTTP status."""
    return status * 100 + 1


# --- at the door -----------------------------------------------------------------------------


class Refused(CrossdockError):
    """A request that may not pass. `status` is the HTTP status, `error` the word for scripts.

    `retry_after` says after how many seconds it may be tried again, if that is known.
    """

    kind = "refused"
    error = "refused"
    details: dict[str, Any] | None = None
    challenge = ""
    retry_after: int | None = None
    noted = False  # whether the call log has it

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def code(self) -> int:
        """The error's number where it is told in JSON-RPC, which has none for refusals."""
        return code_of(self.status)


class Denied(Refused):
    """Somebody who may not pass the door. `reason` is the word for it in logs.

    `challenge` is what was wrong with the API token: `missing`, `invalid`, or nothing. `about` are
    the ids of the MCP server and its account, where the URL's token was good.
    """

    kind = "denied"

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        challenge: Literal["", "missing", "invalid"] = "",
        about: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(status, message)
        self.reason = reason
        self.challenge = challenge
        self.about = about
        if status == 401:
            self.error = "unauthorized"


class TooManyFailures(Refused):
    """Another wrong token from where too many came from; told in place of what was wrong."""

    kind = "denied"
    error = "too_many_failures"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            429,
            f"Too many wrong API tokens came from your address: wait {retry_after} seconds, then "
            "send a valid one.",
        )
        self.retry_after = retry_after


class Rejected(Refused):
    """A request that names what is wrong with it: `error`, and with `details` which field."""

    kind = "rejected"

    def __init__(
        self, status: int, error: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(status, message)
        self.error = error
        self.details = details


class ProtocolError(CrossdockError):
    """A message that MCP does not allow, with its JSON-RPC code and HTTP status."""

    kind = "protocol"

    def __init__(
        self, code: int, message: str, *, status: int = 200, data: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.data = data


class InputRequired(CrossdockError):
    """The call can go on only with the client's answers; it is run again with them.

    `questions` are still open, `state` leads the client's answers back to the call.
    """

    kind = "input_required"

    def __init__(self, questions: tuple[Question, ...], state: str) -> None:
        super().__init__("waiting for the client's answers")
        self.questions = questions
        self.state = state


class UnknownTool(CrossdockError):
    """No such tool for this grant: unknown, hidden and withheld look alike."""

    kind = "unknown_tool"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unknown tool: {name}")


# --- tools -----------------------------------------------------------------------------------


class ToolFailure(CrossdockError):
    """A call that failed in a way its caller can act on: becomes a result with `isError`."""

    kind = "internal"
    retryable = False

    def details(self) -> dict[str, Any]:
        """Return what stands beside kind, message and retryable in the error object."""
        return {}


class InvalidArguments(ToolFailure):
    """An argument is wrong; nothing was sent. `argument` is its name as the model wrote it."""

    kind = "invalid_arguments"

    def __init__(self, argument: str, why: str) -> None:
        super().__init__(f"{argument}: {why}" if argument else why)
        self.argument = argument
        self.why = why

    def details(self) -> dict[str, Any]:
        return {"argument": self.argument} if self.argument else {}


class Busy(ToolFailure):
    """Others hold what this call needs; nothing was sent."""

    kind = "busy"
    retryable = True


class StoreAway(Busy):
    """The store cannot be reached, so nobody knows what others hold; nothing was sent."""


def store_away() -> StoreAway:
    """Return what to say to who has to change a record while nobody can tell who else does."""
    return StoreAway(
        "The gateway's store does not answer, so this record cannot be locked just now; nothing "
        "was sent. Try again shortly."
    )


def may_arrive(seconds: float) -> Busy:
    """Return what to say to who found a record whose last writer was cut off on its way."""
    return Busy(
        "A change of this order was cut off and may still arrive; try again in "
        f"{max(1, math.ceil(seconds))} s. Nothing was sent."
    )


def kept_waiting(seconds: float) -> Busy:
    """Return what to say to who waited so long for a record that others change."""
    return Busy(
        f"Others have been changing this record for {round(seconds, 1):g} s; nothing was written. "
        "Try again."
    )


class Forbidden(ToolFailure):
    """A human or a rule of this gateway says no; nothing was sent."""

    kind = "forbidden"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self._details = details

    def details(self) -> dict[str, Any]:
        return self._details


class CannotAsk(Forbidden):
    """The client has no way to ask; `required` are the capabilities it would have to declare."""

    def __init__(self, message: str, required: dict[str, Any]) -> None:
        super().__init__(message, required_capabilities=required)
        self.required = required


class Conflict(ToolFailure):
    """The record is not as the caller believed; nothing was written unless the text says so."""

    kind = "conflict"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self._details = details

    def details(self) -> dict[str, Any]:
        return self._details


def words_of(error: BaseException) -> str:
    """Return what a stranger's exception says; even that may fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return type(error).__name__


def in_doubt(words: object, remedy: str = "") -> str:
    """Return words about a write that may have been carried out; `remedy` is a sentence."""
    advice = f". {remedy}" if remedy else ": read the record before you try again."
    return f"{words} It may have been carried out{advice}"


class WriteOutcomeUnknown(Conflict):
    """A write was sent and nobody can say whether it was carried out."""

    kind = "write_outcome_unknown"

    @classmethod
    def after(cls, failure: UpstreamFailure, remedy: str = "") -> WriteOutcomeUnknown:
        """Return what to raise for a write that `failure` left in doubt."""
        return cls(in_doubt(failure, remedy), cause=failure.kind)


class WriteNotVerified(Conflict):
    """The provider accepted a write, but reading back does not show it."""

    kind = "write_not_verified"


class BadToolOutput(ToolFailure):
    """A mapper returned what cannot be sent."""

    kind = "bad_tool_output"


class UpstreamFailure(ToolFailure):
    """The provider said no, or nothing that can be used.

    `kind` is one of upstream_rejected, not_found, forbidden, unauthenticated, rate_limited,
    conflict, upstream_error, upstream_timeout, upstream_unreachable, upstream_malformed,
    upstream_too_large, upstream_redirect. `status` is the provider's, None if there was none.
    `sent` says whether the request may have reached the provider.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        rate: RateLimit = NO_RATE_LIMIT,
        retryable: bool = False,
        sent: bool = True,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.rate = rate
        self.retryable = retryable
        self.sent = sent

    @property
    def rejected(self) -> bool:
        """Whether the provider certainly did not carry the request out."""
        return not self.sent or (self.status is not None and 400 <= self.status < 500)


# --- values that do not fit ------------------------------------------------------------------


class Misfit:
    """What msgspec says of a value that does not fit its Struct, taken apart.

    `reason` is the sentence without its place; `steps` leads to the guilty value, from outside in,
    `[0]` for an item and `[...]` for a key that msgspec does not tell. `unknown` and `absent` are
    the name of a field that nobody knows, or that had to be there.
    """

    def __init__(self, error: msgspec.ValidationError) -> None:
        self.reason, _, place = str(error).partition(" - at `$")
        self.steps = tuple(re.findall(r"\[[^\]]*\]|[^.\[\]]+", place.removesuffix("`")))
        name = re.search(r"`([^`]+)`", self.reason)
        self.unknown = name[1] if name and "unknown field" in self.reason else None
        self.absent = name[1] if name and "missing required field" in self.reason else None

    @property
    def path(self) -> str:
        """The steps as people write them: `config.methods[0]`."""
        return "".join(s if s.startswith("[") else f".{s}" for s in self.steps).lstrip(".")
