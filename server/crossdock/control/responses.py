"""What operators are shown: no hash, no credential, and a token only at the moment it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec

from crossdock.authoring import Effect, Tool
from crossdock.model import Confirm, ResultFormat, Role, Scope, Secret, Struct, ToolExposure
from crossdock.store import ApiToken, StoredServer

T = TypeVar("T")
_ENOUGH = 12  # of a shorter credential four characters would tell too much


class Listed(Struct, Generic[T], frozen=True, kw_only=True):
    """One page; `next_cursor` is null at the end."""

    result: list[T]
    next_cursor: str | None


class ShownCredential(Struct, frozen=True, kw_only=True):
    """All that is ever shown of a credential."""

    set: bool
    last4: str | None = None


class ShownAccount(Struct, frozen=True, kw_only=True):
    """An integrated account. Those of config.toml are read-only and have no dates."""

    id: str
    integration: str
    name: str
    settings: dict[str, Any]
    credentials: dict[str, ShownCredential]
    status: Literal["active", "needs_reauth", "unconnected"]
    source: Literal["config", "store"]
    problem: str | None
    created_at: datetime | None
    updated_at: datetime | None


class ShownVerification(Struct, frozen=True, kw_only=True):
    """How the adapter's verification call ended."""

    ok: bool
    kind: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET


class ShownTool(Struct, frozen=True, kw_only=True):
    """A tool as a server could have it."""

    name: str
    title: str
    description: str
    resource: str
    method: str
    effect: Effect
    tags: tuple[str, ...]
    endpoint: str
    input_schema: dict[str, Any]


class ShownWithheld(Struct, frozen=True, kw_only=True):
    """An endpoint that is not a tool, and why."""

    name: str
    reason: str


class ToolPreview(Struct, frozen=True, kw_only=True):
    """What a server with these filters would have; `hidden` counts the tools they keep back."""

    result: list[ShownTool]
    next_cursor: None = None
    hidden: int
    withheld: list[ShownWithheld]


class ShownScope(Struct, frozen=True, kw_only=True):
    """A server's `config` as it is in force; a filter that is not there restricts nothing."""

    methods: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    objects: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    tool_exposure: ToolExposure
    require_api_token_auth: bool
    result_format: ResultFormat
    confirm: Confirm
    allowed_ips: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    accept_new_tools: bool
    answer_tokens: int | msgspec.UnsetType = msgspec.UNSET
    second_factors: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class ShownServer(Struct, frozen=True, kw_only=True):
    """An MCP server. `pending_tools` came with an upgrade of the adapter and wait for a yes."""

    id: str
    name: str
    integrated_account_id: str
    config: ShownScope
    pending_tools: tuple[str, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    old_url_until: datetime | None


class IssuedServer(ShownServer, frozen=True, kw_only=True):
    """An MCP server at the only moment at which its URL is known: how many tools it has, and how
    many tokens their list takes in a model's context."""

    token: str
    url: str
    tools: int
    tokens: int


class Issued(Struct, frozen=True, kw_only=True):
    """A server with its token: the only moment at which the token is known.

    `tools` can be called, and what is listed of them takes `tokens` in a model's context.
    """

    server: StoredServer
    token: str
    tools: int
    tokens: int


class ShownToken(Struct, frozen=True, kw_only=True):
    """An API token."""

    id: str
    name: str
    role: Role
    last4: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class IssuedToken(ShownToken, frozen=True, kw_only=True):
    """An API token at the only moment at which it is known."""

    token: str


class ShownConnecting(Struct, frozen=True, kw_only=True):
    """Where a person connects an account, until when, and what the provider has to know of it."""

    url: str
    redirect_uri: str
    expires_at: datetime


class AdminError(Struct, frozen=True, kw_only=True, rename={"status": "statusCode"}):
    """Why the admin API said no."""

    status: int
    error: str
    message: str
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


def shown_credential(secret: Secret | None, *, present: bool) -> ShownCredential:
    """Return what may be shown of a credential."""
    value = "" if secret is None else secret.reveal()
    return ShownCredential(set=present, last4=value[-4:] if len(value) >= _ENOUGH else None)


def shown_scope(scope: Scope) -> ShownScope:
    """Return what is in force; an absent filter restricts nothing."""
    values = {field: getattr(scope, field) for field in ShownScope.__struct_fields__}
    return ShownScope(**{name: value for name, value in values.items() if value is not None})


def shown_server(server: StoredServer, pending: tuple[str, ...] = ()) -> ShownServer:
    """Return a server as the admin API and `--json` show it."""
    return ShownServer(
        id=server.id,
        name=server.name,
        integrated_account_id=server.account_id,
        config=shown_scope(server.scope),
        pending_tools=pending,
        created_by=server.created_by,
        created_at=server.created_at,
        updated_at=server.updated_at,
        expires_at=server.expires_at,
        last_used_at=server.last_used_at,
        old_url_until=server.previous_expires_at,
    )


def issued_server(shown: ShownServer, issued: Issued, origin: str) -> IssuedServer:
    """Return a server with its URL."""
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return IssuedServer(
        **fields,
        token=issued.token,
        url=f"{origin}/mcp/{issued.token}",
        tools=issued.tools,
        tokens=issued.tokens,
    )


def shown_token(token: ApiToken) -> ShownToken:
    """Return an API token as the admin API and `--json` show it."""
    return ShownToken(**{name: getattr(token, name) for name in ShownToken.__struct_fields__})


def issued_token(token: ApiToken, text: str) -> IssuedToken:
    """Return an API token with its text."""
    shown = shown_token(token)
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return IssuedToken(**fields, token=text)


def shown_tool(tool: Tool) -> ShownTool:
    """Return a tool for the preview."""
    return ShownTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        resource=tool.resource,
        method=tool.method,
        effect=tool.effect,
        tags=tool.tags,
        endpoint=f"{tool.endpoint.verb} {tool.endpoint.path}",
        input_schema=tool.input_schema,
    )
