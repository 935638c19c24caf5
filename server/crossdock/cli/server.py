"""`crossdock server`: MCP servers on the configured store, with or without a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.gateway import Gateway

server = App(name="server", help="MCP servers: token URLs scoped to one account.")
_Words = Annotated[str, Parameter(help="Comma-separated; absent: all.")]


def _with_gateway(config: Any, work: Callable[[Gateway], Awaitable[int]]) -> int:
    from crossdock import log
    from crossdock.config import load_settings
    from crossdock.gateway import Gateway

    settings = load_settings(config)
    log.configure("error", settings.log.format)

    async def run() -> int:
        gateway = await Gateway.open(settings)
        try:
            return await work(gateway)
        finally:
            await gateway.close()

    return asyncio.run(run())


@server.command
def create(
    account: str,
    *,
    name: Annotated[str, Parameter(help="For people, and for the model's instructions.")],
    methods: _Words = "",
    tags: _Words = "",
    expires_at: Annotated[
        str, Parameter(help="A moment with a zone, as 2027-01-31T00:00:00Z.")
    ] = "",
    require_api_token_auth: Annotated[
        bool, Parameter(negative="", help="Ask for an API token besides the URL.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Make an MCP server and print its URL. It is shown this once.

    Example: `crossdock server create shop --name "Support agent" --methods read --tags orders`
    """
    from crossdock.access.gate import Caller
    from crossdock.control import NewServer, shown_server
    from crossdock.model import Scope

    scope = Scope(
        methods=_split(methods), tags=_split(tags), require_api_token_auth=require_api_token_auth
    )
    new = NewServer(name=name, config=scope, expires_at=_moment(expires_at))

    async def work(gateway: Gateway) -> int:
        actor = Caller(id="cli", name="command line", role="owner")
        issued = await gateway.control.create_server(account, new, actor)
        url = f"{origin(gateway)}/mcp/{issued.token}"
        if json:
            print_json({**shown_server(issued.server), "token": issued.token, "url": url})
        else:
            print(f"{issued.server.id}  {issued.server.name}\n{url}")
            print("Keep this URL like a password; it is not shown again.")
        return 0

    return _with_gateway(config, work)


@server.command(name="list")
def list_servers(account: str | None = None, *, config: Config = None, json: Json = False) -> int:
    """List MCP servers, of one account or of all.

    Example: `crossdock server list shop`
    """
    from crossdock.control import shown_server

    async def work(gateway: Gateway) -> int:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page, cursor = await gateway.control.servers(account, 200, cursor)
            found += page
            if cursor is None:
                break
        if json:
            print_json([shown_server(one) for one in found])
            return 0
        rows = [
            (
                one.id,
                one.name,
                one.account_id,
                ",".join(one.scope.methods or ("all",)),
                ",".join(one.scope.tags or ("all",)),
                one.expires_at or "never",
            )
            for one in found
        ]
        print_table(("id", "name", "account", "methods", "tags", "expires"), rows)
        return 0

    return _with_gateway(config, work)


@server.command
def revoke(server_id: str, *, config: Config = None) -> int:
    """Revoke an MCP server: its URL stops working within a second.

    Example: `crossdock server revoke mcp_srv_0123456789abcdef01234567`
    """

    async def work(gateway: Gateway) -> int:
        await gateway.control.revoke_server(await gateway.control.server(server_id))
        print(f"{server_id} is revoked")
        return 0

    return _with_gateway(config, work)


def origin(gateway: Gateway) -> str:
    """Return the origin for URLs that are handed out without a request to go by."""
    settings = gateway.settings.server
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 -- compared, not bound
    return settings.public_url.rstrip("/") or f"http://{host}:{settings.port}"


def _split(text: str) -> tuple[str, ...] | None:
    return tuple(word.strip() for word in text.split(",") if word.strip()) or None


def _moment(text: str) -> datetime | None:
    from crossdock.errors import CrossdockError

    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise CrossdockError(f"--expires-at {text!r} is no moment; write 2027-01-31T00:00:00Z") from None
