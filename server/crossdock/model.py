"""What crosses the gateway's own modules, beside the authors' types. Imports only those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec

from crossdock.authoring import LogLevel, Outcome, Question, Tool

ToolExposure = Literal["all", "discovery"]
ResultFormat = Literal["text", "structured", "both"]
Confirm = Literal["none", "destructive"]


class Struct(msgspec.Struct, frozen=True):
    """Base of all records. Subclasses say `frozen=True, kw_only=True` again, for type checkers."""


class Secret:
    """A credential that refuses to be shown, copied into text or serialised by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the plain value. Call it only where the value goes on the wire or is sealed."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret cannot be serialised")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


# --- accounts, servers, grants ---------------------------------------------------------------


class Account(Struct, frozen=True, kw_only=True):
    """One customer's connection to a provider, opened: secrets resolved."""

    id: str
    integration: str
    name: str
    settings: Mapping[str, Any]
    credentials: Mapping[str, Secret]
    source: Literal["config", "store"] = "config"
    version: int = 1
    overlay: Path | None = None


class Code(Struct, frozen=True, kw_only=True):
    """What a provider gave for a person's consent, and what proves that it was given to us."""

    code: str
    verifier: str
    redirect: str


Role = Literal["owner", "operator", "viewer", "client"]
"""What the holder of an API token may do; a client's is good only as a second factor."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The hosts that lead to the machine itself."""


class Scope(
    Struct,
    frozen=True,
    cache_hash=True,  # a key of what every call looks up
    omit_defaults=True,
    forbid_unknown_fields=True,
    kw_only=True,
):
    """What a server may do: `config` of the admin API. None means no restriction.

    `objects` are kinds of records, as the provider spells them; `second_factors` ids of the API
    tokens that count where one is required.
    """

    methods: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    objects: tuple[str, ...] | None = None
    tool_exposure: ToolExposure = "all"
    require_api_token_auth: bool = False
    result_format: ResultFormat = "text"
    confirm: Confirm = "none"
    allowed_ips: tuple[str, ...] | None = None
    accept_new_tools: bool = False
    answer_tokens: Annotated[int, msgspec.Meta(ge=500, le=1_000_000)] | None = None
    second_factors: tuple[str, ...] | None = None


class ServerRecord(Struct, frozen=True, kw_only=True):
    """An MCP server as it is stored. `token_hash` is the keyed hash, never the token."""

    id: str
    name: str
    account_id: str
    scope: Scope
    token_hash: bytes
    created_by: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None


Change = tuple[str, str]
"""What was changed: a kind, `account`, `server` or `token`, and an id."""


class Grant(Struct, frozen=True, kw_only=True):
    """What a request that passed the door may do, and the id of the API token it showed, if one
    was required.

    `accepted_tools` bind as soon as the adapter is of another version than `accepted_version`.
    """

    server_id: str
    name: str
    account_id: str
    scope: Scope
    expires_at: datetime | None = None
    accepted_tools: frozenset[str] | None = None
    accepted_version: str = ""
    second_factor: str | None = None


ACCESS_TOKEN = ":access"
"""The name under which an access token is kept among renewed credentials; no field has it."""


class Renewed(Protocol):
    """Keeps renewed credentials, so that a kill between rotation and use loses no account."""

    async def current(
        self, account_id: str, configured: Mapping[str, Secret]
    ) -> Mapping[str, Secret]:
        """Return the configured credentials with the renewed ones in their place."""

    async def keep(
        self, account_id: str, configured: Mapping[str, Secret], changed: Mapping[str, str]
    ) -> None:
        """Store renewed values. Use them only after this returned."""


class OrderLock(Protocol):
    """A held lock on one record of a customer, for as long as a read-modify-write takes."""

    async def announce(self) -> None:
        """Write down that a write may arrive from now on, and prove that the lock is still held.

        Right before each write. Raises Busy where it cannot; then nothing may be sent.
        """


class OrderLocks(Protocol):
    """Locks that hold between all processes that serve from one store; `shared` says whether there
    may be others than this one."""

    shared: bool

    def hold(
        self, *key: str, wait: float, beside: OrderLock | None = None
    ) -> AbstractAsyncContextManager[OrderLock]:
        """Hold the lock of `key`. Raises Busy after `wait` seconds, StoreAway where nobody knows.

        Who holds one already says so by `beside`. Within a process the caller sees to it that a key
        is asked for once at a time.
        """


# --- tools, as the protocol knows them -------------------------------------------------------


class SentRequest(Struct, frozen=True, kw_only=True):
    """A request as it went to a provider, and how it was answered; credentials are `***`.

    `status` is None where no answer came. `reply` is the beginning of a good answer's body.
    """

    verb: str
    url: str
    headers: Mapping[str, str]
    body: str
    status: int | None
    ms: float
    reply: str = ""


class Watcher(Protocol):
    """Wants to know what goes to the provider."""

    def append(self, sent: SentRequest, /) -> None:
        """Take note of a request that was answered, or failed."""


watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
"""Who watches the requests of the call that is under way; nothing is kept for nobody."""


class Withheld(Struct, frozen=True, kw_only=True):
    """A declared endpoint that is not a tool, and why."""

    name: str
    source: str
    reason: str


class ToolList(Struct, frozen=True, kw_only=True):
    """The tools of a grant. `rendered` keeps the bytes made of them, one entry per revision."""

    tools: tuple[Tool, ...]
    rendered: dict[str, bytes]


Lent = Callable[[], AbstractContextManager[None]]


class Peer(Protocol):
    """The caller's side of one call, as far as a tool may use it."""

    @property
    def request_id(self) -> str:
        """The id under which the call is logged."""

    def check_headers(
        self, headers: tuple[tuple[str, str], ...], arguments: msgspec.Raw | None
    ) -> None:
        """Compare arguments with the headers that repeat them. Raises ProtocolError."""

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Tell how far the call is, if that was asked for."""

    async def log(self, level: LogLevel, logger: str, data: Any) -> None:
        """Send a log message, if its level is wanted."""

    def can_ask(self, method: str) -> bool:
        """Whether the client takes requests of this method."""

    async def ask(
        self, questions: tuple[Question, ...], *, lent: Lent, unasked: bool = False
    ) -> Mapping[str, Any]:
        """Return the client's results by key. Raises CannotAsk, InputRequired or what `lent` does.

        `lent` is entered while an answer is waited for: what the call holds is others' meanwhile.
        `unasked` takes answers that came before the question was put, too.
        """

    async def release(self) -> None:
        """Let the client hang up, if it can come back for the answer."""

    def afterwards(self, done: Callable[[], None]) -> None:
        """Have this called when the answer was written, or nobody can take it any more."""


class Tools(Protocol):
    """All that the protocol layer knows of tools."""

    def list(self, grant: Grant) -> ToolList:
        """Return the grant's tools."""

    async def call(
        self, grant: Grant, name: str, arguments: msgspec.Raw | None, client: Peer
    ) -> Outcome:
        """Run a tool; `data` is then bytes of compact JSON, empty where content replaces them.

        Raises UnknownTool, ToolFailure, or what the client raises.
        """
