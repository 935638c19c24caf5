"""The types that adapters are written against, under SemVer. (long: the whole promise stands here)

What authors import of it, `crossdock.adapter` names. Imports nothing of crossdock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from pluggy import HookimplMarker

hookimpl = HookimplMarker("crossdock")
"""Marks a function of a plugin as an implementation of a hook: see `crossdock.hookspecs`."""

Effect = Literal["read", "write", "destructive"]
Where = Literal["path", "query", "body", "mapper", "limit", "cursor", "fields"]
LogLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]

# --- tools -----------------------------------------------------------------------------------


class Argument(Struct, frozen=True, kw_only=True):
    """One argument of a tool: what the model sees, and where its value goes.

    `name` is the provider's spelling, `key` the model's. `style="comma"` joins an array into one
    query value. `free` marks values that people make up: any visible character or blank passes.
    `match` names record fields (`a.b`, arrays are walked) that must hold a query value, so that
    records of a provider that ignored the filter are dropped. `hint` follows a refusal of the
    value, and a provider's answer that it knows no such id: where to go instead. `file` makes a
    body argument a part of a multipart body: base64 text, sent as a file of that name.
    """

    key: str
    where: Where
    name: str
    schema: dict[str, Any]
    required: bool = False
    style: Literal["", "comma"] = ""
    free: bool = False
    match: tuple[str, ...] = ()
    hint: str = ""
    file: str = ""


class Send(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"as_": "as"}):
    """How the arguments of a body are written down: `methods.x.send`.

    `wrap` is a JSON Pointer to the place where they stand, `whole` the one that is the body by
    itself, `constants` what every body holds besides, from its top.
    """

    as_: Literal["json", "form", "multipart", "none"] = "json"
    wrap: str = ""
    constants: dict[str, Any] = {}
    whole: str = ""


class Poll(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the outcome of what was accepted (202) is waited for: `methods.x.receive.poll`.

    The `Location` is read every `every` seconds, for `seconds` at most, until the JSON Pointer
    `state` leads to a word of `done` or `failed`.
    """

    state: str
    done: tuple[str, ...]
    failed: tuple[str, ...] = ()
    every: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 20.0


class Receive(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"as_": "as"}):
    """What an answer is: `methods.x.receive`.

    `types` are the media types that are taken, () for all; `at` is a JSON Pointer to base64 text
    inside a JSON answer.
    """

    as_: Literal["json", "text", "binary", "auto"] = "json"
    types: tuple[str, ...] = ()
    at: str = ""
    poll: Poll | None = None


class Endpoint(Struct, frozen=True, kw_only=True):
    """The provider's HTTP call behind a tool.

    `path` and `query` are templates: `{name}` stands for a path argument. `one` says that the
    answer is one record even when the provider wraps it into a list. `host` is one of `[hosts]`, ""
    the account's base URL.
    """

    verb: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    query: tuple[tuple[str, str], ...] = ()
    one: bool = False
    host: str = ""
    send: Send = Send()
    receive: Receive = Receive()


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of a list tool's `limit` argument."""

    default: int = 25
    max: int = 50


class Paging(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a provider pages a list.

    `items` is a JSON Pointer to the records, `ask` names the provider's query parameters, `tell`
    has JSON Pointers to where an answer says how it goes on; which ones, `style` decides. `first`
    is the number of the first page (style page), `id` the record field by which a place is found
    again when the page shifted.
    """

    style: Literal["link", "offset", "page", "cursor", "next_url", "keyset", "none"] = "none"
    items: str = ""
    ask: dict[str, str] = {}
    tell: dict[str, str] = {}
    first: int = 1
    limit: Limits = Limits()
    id: str = "id"


class Tool(Struct, frozen=True, kw_only=True):
    """A documented endpoint: what `tools/list` shows and `tools/call` runs.

    `confirm` says when a server with `config.confirm` asks a human first: None never, () always,
    else when one of these arguments is given. `headers` are the arguments that clients of the
    newest revision repeat as `Mcp-Param-…`: the header's name and the path to the value. `object`
    is the one kind of record that the tool is for: a server whose `config.objects` lacks it does
    not have the tool. `lists` says that it answers a list, in pages; `view` are the fields of its
    records that are shown unless others are asked for, () for all. `hosts` are the names of its
    adapter's further hosts. `overlaid` says that an operator's page describes it.
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
    object: str = ""
    lists: bool = False
    view: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    overlaid: bool = False

    @property
    def hints(self) -> dict[str, bool]:
        """What clients are told that the tool does: MCP's annotations."""
        return {
            "readOnlyHint": self.effect == "read",
            "destructiveHint": self.effect == "destructive",
            "idempotentHint": self.idempotent,
            "openWorldHint": True,
        }

    @property
    def key(self) -> str:
        """`resource.method`, the name mappers are registered under."""
        return f"{self.resource}.{self.method}"


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
    `reads` says of a request that is no GET that it only looks something up, as a search by POST:
    what fails after it may still say that nothing was written. `host` is one of `[hosts]`, whose
    URL `path` is then relative to; `rooted` lets it count from the host's root.
    """

    verb: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reads: bool = False
    host: str = ""
    rooted: bool = False


class UpstreamReply(Struct, frozen=True, kw_only=True):
    """A 2xx answer of the provider: header names in lower case, body decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    rate: RateLimit = NO_RATE_LIMIT


# --- one call --------------------------------------------------------------------------------


class Page(Struct, frozen=True, array_like=True, omit_defaults=True, kw_only=True):
    """Where a list goes on: the provider's cursor, how many records of that page were examined,
    and the id of the last one (a page that shifted in between is picked up behind it).

    `shown` and `last` are the gateway's: how many records of the answer were shown before its
    budget was spent, and the ids of the last of them. Mappers do not see them. `size` is the page
    size that the list began with, `count` how many pages (style page: records) lie before this one,
    `past` tells places that were there before.
    """

    cursor: str | int | None = None
    skip: int = 0
    anchor: str | None = None
    shown: int = 0
    last: tuple[str, ...] = ()
    size: int = 0
    count: int = 0
    past: tuple[str, ...] = ()


class Call(Struct, frozen=True, kw_only=True):
    """Validated arguments, placed. Values in `path` are plain text, encoded on sending.

    `limit`, `page` and `filters` (what a cursor is bound to) are for list tools only. `fields` are
    those that the caller wants to see; the gateway cuts the answer.
    """

    tool: Tool
    path: dict[str, str] = {}
    query: dict[str, Any] = {}
    body: dict[str, Any] = {}
    mapper: dict[str, Any] = {}
    limit: int | None = None
    page: Page = Page()
    filters: dict[str, Any] = {}
    fields: tuple[str, ...] = ()

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
    `view` are the fields of these records that are shown by default, where that depends on the
    call. `content` are MCP content blocks (text, image, audio, resource, resource_link) that stand
    in place of the data.
    """

    data: msgspec.Raw | list[msgspec.Raw] | Any = None
    next_page: Page | None = None
    rate: RateLimit = NO_RATE_LIMIT
    notes: tuple[str, ...] = ()
    view: tuple[str, ...] = ()
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

    @property
    def objects(self) -> tuple[str, ...] | None:
        """The kinds of records that the server may see, as the provider spells them; None: all.
        Answer for every other kind, in every tool, as for one that does not exist."""

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


class CallEvent(Struct, frozen=True, kw_only=True):
    """A finished call: names, kinds and durations. Never arguments, never data.

    `second_factor` is the id of the API token that its server requires beside the URL.
    """

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
    second_factor: str | None = None


# --- authentication --------------------------------------------------------------------------


class Renewal(Struct, frozen=True, kw_only=True):
    """Fresh credentials. `changed` holds what must be kept (a rotated refresh token), `token`
    the access token ("": there was none, which fails the call after `changed` was kept),
    `expires_in` its life in seconds (None: unsaid)."""

    token: str
    expires_in: float | None = None
    changed: Mapping[str, str] = {}


class TokenHttp(Protocol):
    """The only way an auth scheme reaches its token endpoint."""

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
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


class Outgoing(Struct, frozen=True, kw_only=True):
    """A request as it will be sent, and the account's settings: what `sign_request` is given.

    `url` and `headers` are whole; `body` is b"" where there is none.
    """

    verb: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    settings: Mapping[str, Any]

    def with_headers(self, **values: str) -> Outgoing:
        """Return the same with these headers; `_` in a name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in values.items()}
        return msgspec.structs.replace(self, headers={**self.headers, **named})

    def with_query(self, **values: str) -> Outgoing:
        """Return the same with these query pairs behind its own."""
        mark = "&" if "?" in self.url else "?"
        return msgspec.structs.replace(self, url=f"{self.url}{mark}{urlencode(values)}")


class SignsRequests(Protocol):
    """What signs each request by itself, as HMAC or SigV4 do; `sign` and `renew` may stand beside.

    Pure and synchronous: called once for each request, right before it is sent.
    """

    def sign_request(self, request: Outgoing, credentials: Mapping[str, str]) -> Outgoing:
        """Return the request with more headers or query pairs, and nothing else changed."""
