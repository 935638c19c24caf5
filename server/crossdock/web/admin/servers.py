"""/integrated-account/{id}/mcp: MCP servers. The second prefix is one that an article prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock.control import (
    AcceptTools,
    Issued,
    NewServer,
    Rotate,
    ServerChange,
    issued_server,
)
from crossdock.control.responses import IssuedServer, Listed, ShownServer
from crossdock.web.admin.routes import PAGING, AdminRequest, Route

if TYPE_CHECKING:
    from crossdock.store import StoredServer

_PREFIXES = ("/integrated-account/{id}/mcp", "/admin/integrated-accounts/{id}/mcp")
_ALL = _PREFIXES
_ONE = tuple(f"{prefix}/{{server_id}}" for prefix in _PREFIXES)


async def create(asked: AdminRequest) -> IssuedServer:
    """Make an MCP server."""
    return _issued(asked, await asked.control.servers.create(asked.id, asked.body, asked.caller))


async def listed(asked: AdminRequest) -> Listed[ShownServer]:
    """List an account's servers."""
    servers, following = await asked.control.servers.page(asked.id, *asked.page())
    shown = [asked.control.servers.show(server) for server in servers]
    return Listed(result=shown, next_cursor=following)


async def show(asked: AdminRequest) -> ShownServer:
    """Show one server."""
    return asked.control.servers.show(await _server(asked))


async def change(asked: AdminRequest) -> ShownServer:
    """Merge a change into a server."""
    server = await _server(asked)
    changed = await asked.control.servers.change(server, asked.body, asked.caller)
    return asked.control.servers.show(changed)


async def rotate(asked: AdminRequest) -> IssuedServer:
    """Give a server a new URL."""
    server = await _server(asked)
    return _issued(asked, await asked.control.servers.rotate(server, asked.body, asked.caller))


async def accept(asked: AdminRequest) -> ShownServer:
    """Accept pending tools."""
    server = await _server(asked)
    accepted = await asked.control.servers.accept_tools(server, asked.body, asked.caller)
    return asked.control.servers.show(accepted)


async def revoke(asked: AdminRequest) -> None:
    """Delete a server."""
    await asked.control.servers.revoke(await _server(asked), asked.caller)


async def _server(asked: AdminRequest) -> StoredServer:
    return await asked.control.servers.get(asked.server_id, asked.id)


def _issued(asked: AdminRequest, issued: Issued) -> IssuedServer:
    return issued_server(asked.control.servers.show(issued.server), issued, asked.origin)


ROUTES = (
    Route(
        verb="POST",
        paths=_ALL,
        role="operator",
        action="server.create",
        about="Make an MCP server. `token` and `url` are in this answer and nowhere else.",
        handler=create,
        body=NewServer,
        answer=IssuedServer,
        status=201,
        errors=(409,),
    ),
    Route(
        verb="GET",
        paths=_ALL,
        role="viewer",
        action="server.list",
        about="List an account's MCP servers, newest first.",
        handler=listed,
        answer=Listed[ShownServer],
        query=PAGING,
    ),
    Route(
        verb="GET",
        paths=_ONE,
        role="viewer",
        action="server.show",
        about="Show an MCP server.",
        handler=show,
        answer=ShownServer,
    ),
    Route(
        verb="PATCH",
        paths=_ONE,
        role="operator",
        action="server.change",
        about="Change an MCP server: config key by key, expires_at null for never.",
        handler=change,
        body=ServerChange,
        answer=ShownServer,
        errors=(409,),
    ),
    Route(
        verb="DELETE",
        paths=_ONE,
        role="operator",
        action="server.revoke",
        about="Revoke an MCP server: its URL stops working with the next request.",
        handler=revoke,
        status=204,
    ),
    Route(
        verb="POST",
        paths=tuple(f"{path}/rotate" for path in _ONE),
        role="operator",
        action="server.rotate",
        about="Give an MCP server a new URL; the old one stays good for overlap_seconds.",
        handler=rotate,
        body=Rotate,
        may_be_empty=True,
        answer=IssuedServer,
    ),
    Route(
        verb="POST",
        paths=tuple(f"{path}/accept-tools" for path in _ONE),
        role="operator",
        action="server.accept_tools",
        about="Let an MCP server offer the tools that came with an upgrade of its adapter.",
        handler=accept,
        body=AcceptTools,
        may_be_empty=True,
        answer=ShownServer,
        errors=(409,),
    ),
)
