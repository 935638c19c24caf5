"""Every type that crosses a module boundary. Imports nothing of crossdock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

Effect = Literal["read", "write", "destructive"]
Where = Literal["path", "query", "body", "mapper", "limit", "cursor"]
ToolExposure = Literal["all", "discovery"]
ResultFormat = Literal["text", "structured", "both"]
Confirm = Literal["none", "destructive"]
LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


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


# --- tools -----------------------------------------------------------------------------------


class Argument(Struct, frozen=True, kw_only=True):
    """One argument of a tool: what the model sees, and where its value goes.

    `name` is the provider's spelling, `key` the model's. `style="comma"` joins an array into one
    query value. `free` marks values that people make up: any visible character or blank passes.
    `match` names record fields (`a.b`, arrays are walked) that must hold a query value, so that
    records of a provider that ignored the filter are dropped.
    """

    key: str
    where: Where
    name: str
    schema: dict[str, Any]
    required: bool = False
    style: Literal["", "comma"] = ""
    free: bool = False
    match: tuple[str, ...] = ()


class Endpoint(Struct, frozen=True, kw_only=True):
    """The provider's HTTP call behind a tool.

    `path` and `query` are templates: `{name}` stands for a path argument. `one` says that the
    answer is one record even when the provider wraps it into a list.
    """

    verb: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    one: bool = False


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a list tool's `limit` argument."""

    default: int = 25
    max: int = 50


class Paging(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a provider pages a list.

    `items` is a JSON Pointer to the records, `ask` names the provider's query parameters
    (`cursor` for style link; `offset` and `limit` for style offset), `id` the record field by
    which a place is found again when the page shifted.
    """

    style: Literal["link", "offset", "none"] = "none"
    items: str = ""
    ask: dict[str, str] = {}
    limit: Limits = Limits()
    id: str = "id"


class Tool(Struct, frozen=True, kw_only=True):
    """A documented endpoint: what `tools/list` shows and `tools/call` runs.

    `confirm` says when a server with `config.confirm` asks a human first: None never, () always,
    else when one of these arguments is given. `headers` are the arguments that clients of the
    newest revision repeat as `Mcp-Param-…`: the header's name and the path to the value.
    """

    name: str
    title: str
    description: str
    adapter: str
    resource: str
    method: str
    effect: Effect
    tags: tuple[str, ...]
    endpoint: Endpoint
    arguments: tuple[Argument, ...]
    input_schema: dict[str, Any]
    idempotent: bool
    source: str
    paging: Paging = Paging()
    partial: str = ""
    confirm: tuple[str, ...] | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """`resource.method`, the name mappers are registered under."""
        return f"{self.resource}.{self.method}"


class Withheld(Struct, frozen=True, kw_only=True):
    """A declared endpoint that is not a tool, and why."""

    name: str
    source: str
    reason: str


# --- upstream --------------------------------------------------------------------------------


class RateLimit(Struct, frozen=True, kw_only=True):
    """A provider's limits; `reset` and `retry_after` in whole seconds from now, None if unsaid."""

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    retry_after: int | None = None

    def __bool__(self) -> bool:
        return self != NO_RATE_LIMIT


NO_RATE_LIMIT = RateLimit()


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """A request relative to the account's base URL; `path` is already percent-encoded.

    `body` is JSON bytes. `headers` add to the adapter's own; credentials are added on sending.
    """

    verb: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


class UpstreamReply(Struct, frozen=True, kw_only=True):
    """A 2xx answer of the provider: header names in lower case, body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    rate: RateLimit = NO_RATE_LIMIT


# --- one call --------------------------------------------------------------------------------


class Page(Struct, frozen=True, array_like=True, omit_defaults=True, kw_only=True):
    """Where a list goes on: the provider's cursor, how many records of that page were examined,
    and the id of the last one (a page that shifted in between is picked up behind it)."""

    cursor: str | int | None = None
    skip: int = 0
    anchor: str | None = None


class Call(Struct, frozen=True, kw_only=True):
    """Validated arguments, placed. Values in `path` are plain text, encoded on sending.

    `limit`, `page` and `filters` (what a cursor is bound to) are for list tools only.
    """

    tool: Tool
    path: dict[str, str] = {}
    query: dict[str, Any] = {}
    body: dict[str, Any] = {}
    mapper: dict[str, Any] = {}
    limit: int | None = None
    page: Page = Page()
    filters: dict[str, Any] = {}

    def with_body(self, **changes: Any) -> Call:
        """Return the same call with these body fields set."""
        return msgspec.structs.replace(self, body={**self.body, **changes})

    def without_body(self, *names: str) -> Call:
        """Return the same call without these body fields."""
        kept = {name: value for name, value in self.body.items() if name not in names}
        return msgspec.structs.replace(self, body=kept)

    def with_query(self, **changes: Any) -> Call:
        """Return the same call with these query values set."""
        return msgspec.structs.replace(self, query={**self.query, **changes})


class Outcome(Struct, frozen=True, kw_only=True):
    """What a tool gives back.

    `data` is the provider's bytes or plain JSON values; None for an empty answer. For a list
    tool it is the list of records, and `next_page` says where the list goes on (None: at its end).
    `content` are MCP content blocks (text, image, audio, resource, resource_link) that stand in
    place of the data.
    """

    data: msgspec.Raw | list[msgspec.Raw] | Any = None
    next_page: Page | None = None
    rate: RateLimit = NO_RATE_LIMIT
    notes: tuple[str, ...] = ()
    content: tuple[Mapping[str, Any], ...] = ()


class Question(Struct, frozen=True, kw_only=True):
    """Something to ask the client. `key` is unique within the call.

    `method` is `elicitation/create` (a human answers), `sampling/createMessage` or `roots/list`;
    `params` are the method's own.
    """

    key: str
    method: str
    params: Mapping[str, Any] = {}


class HumanReply(Struct, frozen=True, kw_only=True):
    """What a human made of a question: `content` is filled for `accept` alone."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, Any] = {}


class Context(Protocol):
    """What a mapper may do: speak to its account's provider, and nothing else."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The account's settings, defaults of adapter.toml included."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once, never again. Raises UpstreamFailure for everything but a 2xx answer."""

    async def fetch(self, path: str, **query: str) -> Any:
        """GET `path` (already encoded) and decode the JSON answer."""

    def exclusive(self, key: str) -> AbstractAsyncContextManager[None]:
        """Serialise a read-modify-write: one holder per provider account (base URL and
        credential) and key. Raises Busy when the wait exceeds `[limits] lock_wait_seconds`."""

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Keep ids and names (never records) of this account for `ttl` seconds."""

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell the client how far the call is; `done` grows. Without a listener it is nothing."""

    async def log(self, level: LogLevel, data: Any) -> None:
        """Send the client a log message, if it wants that level. Never a secret, never a record."""

    def can_ask(self, method: str = "elicitation/create") -> bool:
        """Whether the client can be asked this way."""

    async def ask(self, key: str, message: str, schema: Mapping[str, Any]) -> HumanReply:
        """Ask the human for a flat object of this JSON Schema.

        The mapper may be run again from its start once there is an answer, so ask before the first
        write. Raises CannotAsk when the client has no way to ask.
        """

    async def ask_all(self, *questions: Question) -> Mapping[str, Any]:
        """Ask several things at once, of any kind; return the client's results by key."""

    async def release(self) -> None:
        """Let a client that can come back for its answer hang up: before a long wait."""


class Mapper(Protocol):
    """Turns a call into an outcome."""

    async def __call__(self, call: Call, context: Context) -> Outcome: ...


class Renewal(Struct, frozen=True, kw_only=True):
    """Fresh credentials. `changed` holds what must be kept (a rotated refresh token), `token`
    the access token, `expires_in` its life in seconds (None: unsaid)."""

    token: str
    expires_in: float | None = None
    changed: Mapping[str, str] = {}


class TokenHttp(Protocol):
    """The only way an auth scheme reaches its token endpoint."""

    async def post(
        self, url: str, *, form: Mapping[str, str] | None = None, json: Any = None
    ) -> UpstreamReply:
        """POST once. Raises UpstreamFailure for everything but a 2xx answer."""


class Auth(Protocol):
    """How requests of one adapter are signed."""

    @property
    def renews(self) -> bool:
        """Whether `renew` can give a token; if so it is called before the first request."""

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Return the headers and the query pairs that every request carries.

        Called once per credential or token, not per request."""

    async def renew(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], http: TokenHttp
    ) -> Renewal:
        """Fetch a token. Raises UpstreamFailure."""


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


class Scope(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """What a server may do: `config` of the admin API. None means no restriction."""

    methods: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    tool_exposure: ToolExposure = "all"
    require_api_token_auth: bool = False
    result_format: ResultFormat = "text"
    confirm: Confirm = "none"
    allowed_ips: tuple[str, ...] | None = None
    accept_new_tools: bool = False


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


class Grant(Struct, frozen=True, kw_only=True):
    """What a request that passed the door may do.

    `accepted_tools` bind as soon as the adapter is of another version than `accepted_version`.
    """

    server_id: str
    name: str
    account_id: str
    scope: Scope
    expires_at: datetime | None = None
    accepted_tools: frozenset[str] | None = None
    accepted_version: str = ""


class Listing(Struct, frozen=True, kw_only=True):
    """The tools of a grant. `rendered` keeps the bytes made of them, one entry per revision."""

    tools: tuple[Tool, ...]
    rendered: dict[str, bytes]


class Client(Protocol):
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
        self, questions: tuple[Question, ...], *, unasked: bool = False
    ) -> Mapping[str, Any]:
        """Return the client's results by key. Raises CannotAsk or InputRequired.

        `unasked` takes answers that came before the question was put, too.
        """

    async def release(self) -> None:
        """Let the client hang up, if it can come back for the answer."""


class Tools(Protocol):
    """All that the protocol layer knows of tools."""

    def list(self, grant: Grant) -> Listing:
        """Return the grant's tools."""

    async def call(
        self, grant: Grant, name: str, arguments: msgspec.Raw | None, client: Client
    ) -> Outcome:
        """Run a tool; `data` is then bytes of compact JSON, empty where content replaces them.

        Raises UnknownTool, ToolFailure, or what the client raises.
        """


class Vault(Protocol):
    """Keeps renewed credentials, so that a kill between rotation and use loses no account."""

    async def current(
        self, account_id: str, configured: Mapping[str, Secret]
    ) -> Mapping[str, Secret]:
        """Return the configured credentials with the renewed ones in their place."""

    async def keep(
        self, account_id: str, configured: Mapping[str, Secret], changed: Mapping[str, str]
    ) -> None:
        """Store renewed values. Use them only after this returned."""


class CallEvent(Struct, frozen=True, kw_only=True):
    """A finished call: names, kinds and durations. Never arguments, never data."""

    request_id: str
    server_id: str
    account_id: str
    adapter: str
    tool: str
    effect: Effect
    outcome: str
    upstream_status: int | None
    upstream_requests: int
    seconds: float
    upstream_seconds: float
