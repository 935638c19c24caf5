"""`crossdock server`: MCP servers on the configured store, with or without a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from crossdock.cli.opening import every, operator, with_gateway
from crossdock.cli.options import UsageError, moment, span, words
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.control import Issued
    from crossdock.control.responses import ShownServer
    from crossdock.gateway import Gateway
    from crossdock.store import StoredServer

server = App(name="server", help="MCP servers: token URLs scoped to one account.")
_Methods = Annotated[
    str,
    Parameter(help="Comma-separated: read, write, custom or method names. Absent or `all`: all."),
]
_Tags = Annotated[str, Parameter(help="Comma-separated. Absent or `all`: all.")]
_Addresses = Annotated[
    str, Parameter(help="Networks that may call, as 10.0.0.0/8,203.0.113.7. Absent or `all`: all.")
]
_Objects = Annotated[str, Parameter(help="Kinds of records, as order,task. Absent or `all`: all.")]
_Expires = Annotated[
    str, Parameter(help="A moment as 2027-01-31T00:00:00Z, a span as 30d, or `never`.")
]
_Exposure = Annotated[
    Literal["all", "discovery"] | None,
    Parameter(help="discovery: three tools to search, read and call the others with."),
]
_Format = Annotated[
    Literal["text", "structured", "both"] | None, Parameter(help="How results are given.")
]
_Confirm = Annotated[
    Literal["none", "destructive"] | None, Parameter(help="Which calls a human must confirm.")
]
_Second = Annotated[
    bool | None, Parameter(help="Whether an API token is asked for besides the URL.")
]
_Factors = Annotated[
    list[str] | None,
    Parameter(
        name="--second-factor",
        consume_multiple=True,
        help="Ids of the API tokens that count where one is asked for. Absent or `all`: all.",
    ),
]
_AcceptNew = Annotated[
    bool | None, Parameter(help="Whether tools of an adapter's upgrade appear by themselves.")
]


@server.command
def create(
    account: str,
    *,
    name: Annotated[str, Parameter(help="For people, and for the model's instructions.")],
    methods: _Methods = "",
    tags: _Tags = "",
    expires_at: _Expires = "",
    require_api_token_auth: _Second = None,
    tool_exposure: _Exposure = None,
    result_format: _Format = None,
    confirm: _Confirm = None,
    objects: _Objects = "",
    allowed_ips: _Addresses = "",
    second_factor: _Factors = None,
    accept_new_tools: _AcceptNew = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Make an MCP server and print its URL. It is shown this once.

    Example: `crossdock server create shop --name "Support agent" --methods read --tags orders`
    """
    from crossdock.control import NewServer, convert

    scope = _scope(
        methods=methods,
        tags=tags,
        objects=objects,
        allowed_ips=allowed_ips,
        second_factors=",".join(second_factor or ()),
        require_api_token_auth=require_api_token_auth,
        tool_exposure=tool_exposure,
        result_format=result_format,
        confirm=confirm,
        accept_new_tools=accept_new_tools,
    )
    until = None if expires_at == "never" else moment(expires_at, "--expires-at")
    given = {key: value for key, value in scope.items() if value is not None}
    new = convert({"name": name, "config": given, "expires_at": until}, NewServer)

    async def work(gateway: Gateway) -> int:
        issued = await gateway.control.servers.create(account, new, operator())
        _print_issued(gateway, issued, as_json=json)
        return 0

    return with_gateway(config, work)


@server.command(name="list")
def list_servers(account: str | None = None, *, config: Config = None, json: Json = False) -> int:
    """List MCP servers, of one account or of all.

    Example: `crossdock server list shop`
    """

    async def work(gateway: Gateway) -> int:
        async def page(limit: int, cursor: str | None) -> tuple[Any, str | None]:
            return await gateway.control.servers.page(account, limit, cursor)

        stored: list[StoredServer] = await every(page)
        found = [gateway.control.servers.show(one) for one in stored]
        if json:
            print_json(found)
            return 0
        headings = ("id", "name", "account", "methods", "tags", "expires", "last used")
        print_table(headings, [_row(one) for one in found])
        return 0

    return with_gateway(config, work)


@server.command
def show(server_id: str, *, config: Config = None, json: Json = False) -> int:
    """Show an MCP server: its scope, and tools of an upgrade that wait to be accepted.

    Example: `crossdock server show mcp_srv_0123456789abcdef01234567`
    """

    async def work(gateway: Gateway) -> int:
        found = gateway.control.servers.show(await gateway.control.servers.get(server_id))
        _print(found, as_json=json)
        return 0

    return with_gateway(config, work)


@server.command
def update(
    server_id: str,
    *,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    methods: _Methods = "",
    tags: _Tags = "",
    expires_at: _Expires = "",
    require_api_token_auth: _Second = None,
    tool_exposure: _Exposure = None,
    result_format: _Format = None,
    confirm: _Confirm = None,
    objects: _Objects = "",
    allowed_ips: _Addresses = "",
    second_factor: _Factors = None,
    accept_new_tools: _AcceptNew = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Change an MCP server; its URL stays. What is not named stays.

    Example: `crossdock server update mcp_srv_0123… --methods read --expires-at never`
    """
    from crossdock.control import ServerChange

    scope = _scope(
        methods=methods,
        tags=tags,
        objects=objects,
        allowed_ips=allowed_ips,
        second_factors=",".join(second_factor or ()),
        require_api_token_auth=require_api_token_auth,
        tool_exposure=tool_exposure,
        result_format=result_format,
        confirm=confirm,
        accept_new_tools=accept_new_tools,
    )
    until = None if expires_at == "never" else moment(expires_at, "--expires-at")
    change = ServerChange(
        name=msgspec.UNSET if name is None else name,
        config=scope or msgspec.UNSET,
        expires_at=until if expires_at else msgspec.UNSET,
    )

    async def work(gateway: Gateway) -> int:
        found = await gateway.control.servers.get(server_id)
        changed = await gateway.control.servers.change(found, change, operator())
        _print(gateway.control.servers.show(changed), as_json=json)
        return 0

    return with_gateway(config, work)


@server.command
def rotate(
    server_id: str,
    *,
    overlap: Annotated[
        str, Parameter(help="How long the old URL stays good, as 1h; 0s: not at all.")
    ] = "0s",
    config: Config = None,
    json: Json = False,
) -> int:
    """Give an MCP server a new URL and print it. It is shown this once.

    Example: `crossdock server rotate mcp_srv_0123456789abcdef01234567 --overlap 1h`
    """
    from crossdock.control import Rotate, convert

    length = span(overlap)
    if length is None:
        raise UsageError(f"--overlap {overlap!r} is no span; write 0s, 30m, 1h or up to 7d")
    how = convert({"overlap_seconds": int(length.total_seconds())}, Rotate)

    async def work(gateway: Gateway) -> int:
        found = await gateway.control.servers.get(server_id)
        issued = await gateway.control.servers.rotate(found, how, operator())
        _print_issued(gateway, issued, as_json=json)
        return 0

    return with_gateway(config, work)


@server.command
def accept_tools(
    server_id: str,
    *tools: str,
    config: Config = None,
    json: Json = False,
) -> int:
    """Let an MCP server offer tools that came with an upgrade of its adapter: all, or those named.

    Example: `crossdock server accept-tools mcp_srv_0123456789abcdef01234567`
    """
    from crossdock.control import AcceptTools

    which = AcceptTools(tools=list(tools) or None)

    async def work(gateway: Gateway) -> int:
        found = await gateway.control.servers.get(server_id)
        changed = await gateway.control.servers.accept_tools(found, which, operator())
        _print(gateway.control.servers.show(changed), as_json=json)
        return 0

    return with_gateway(config, work)


@server.command
def revoke(server_id: str, *, config: Config = None) -> int:
    """Revoke an MCP server: its URL stops working within a second.

    Example: `crossdock server revoke mcp_srv_0123456789abcdef01234567`
    """

    async def work(gateway: Gateway) -> int:
        found = await gateway.control.servers.get(server_id)
        await gateway.control.servers.revoke(found, operator())
        print(f"{server_id} is revoked")
        return 0

    return with_gateway(config, work)


def origin(gateway: Gateway) -> str:
    """Return the origin for URLs that are handed out without a request to go by."""
    settings = gateway.settings.server
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    return settings.public_url.rstrip("/") or f"http://{host}:{settings.port}"


def _scope(
    *,
    methods: str,
    tags: str,
    objects: str,
    allowed_ips: str,
    second_factors: str,
    **others: Any,
) -> dict[str, Any]:
    """Return the keys of `config` that were named; None takes a filter away."""
    scope: dict[str, Any] = {key: value for key, value in others.items() if value is not None}
    filters = {
        "methods": methods,
        "tags": tags,
        "objects": objects,
        "allowed_ips": allowed_ips,
        "second_factors": second_factors,
    }
    for key, text in filters.items():
        if text:
            scope[key] = None if text == "all" else list(words(text))
    return scope


def _print_issued(gateway: Gateway, issued: Issued, *, as_json: bool) -> None:
    from crossdock.control import issued_server

    shown = issued_server(gateway.control.servers.show(issued.server), issued, origin(gateway))
    if as_json:
        print_json(shown)
    else:
        print(f"{shown.id}  {shown.name}\n{shown.url}")
        print(f"{shown.tools} tools, about {shown.tokens:,} tokens in a model's context.")
        print("Keep this URL like a password; it is not shown again.")


def _print(shown: ShownServer, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    config = msgspec.to_builtins(shown.config)
    rows = [
        ("id", shown.id),
        ("name", shown.name),
        ("account", shown.integrated_account_id),
        *((f"config.{key}", _text(value)) for key, value in config.items()),
        ("expires", shown.expires_at or "never"),
        ("old URL good until", shown.old_url_until or "-"),
        ("last used", shown.last_used_at or "never"),
        ("created", shown.created_at),
        ("created by", shown.created_by),
        ("pending tools", ", ".join(shown.pending_tools) or "none"),
    ]
    print_table(("field", "value"), rows)


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, (list, tuple)) else str(value)


def _row(shown: ShownServer) -> tuple[object, ...]:
    config = msgspec.to_builtins(shown.config)
    return (
        shown.id,
        shown.name,
        shown.integrated_account_id,
        ",".join(config.get("methods", ["all"])),
        ",".join(config.get("tags", ["all"])),
        shown.expires_at or "never",
        shown.last_used_at or "never",
    )
