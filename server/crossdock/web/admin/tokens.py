"""/api-token: bearer tokens of the admin API, and second factors of MCP servers."""

from __future__ import annotations

from crossdock.control import NewToken
from crossdock.control.responses import IssuedToken, Listed, ShownToken
from crossdock.web.admin.routes import PAGING, AdminRequest, Route

_ALL, _ONE = "/api-token", "/api-token/{id}"


async def create(asked: AdminRequest) -> IssuedToken:
    """Make an API token."""
    return await asked.control.tokens.create(asked.body, asked.caller)


async def listed(asked: AdminRequest) -> Listed[ShownToken]:
    """List API tokens."""
    result, following = await asked.control.tokens.page(*asked.page())
    return Listed(result=result, next_cursor=following)


async def show(asked: AdminRequest) -> ShownToken:
    """Show one API token."""
    return await asked.control.tokens.show(asked.id)


async def revoke(asked: AdminRequest) -> None:
    """Delete an API token."""
    await asked.control.tokens.revoke(asked.id, asked.caller)


ROUTES = (
    Route(
        verb="POST",
        paths=(_ALL,),
        role="owner",
        action="token.create",
        about="Make an API token. `token` is in this answer and nowhere else.",
        handler=create,
        body=NewToken,
        answer=IssuedToken,
        status=201,
    ),
    Route(
        verb="GET",
        paths=(_ALL,),
        role="viewer",
        action="token.list",
        about="List API tokens, newest first.",
        handler=listed,
        answer=Listed[ShownToken],
        query=PAGING,
    ),
    Route(
        verb="GET",
        paths=(_ONE,),
        role="viewer",
        action="token.show",
        about="Show an API token.",
        handler=show,
        answer=ShownToken,
    ),
    Route(
        verb="DELETE",
        paths=(_ONE,),
        role="owner",
        action="token.revoke",
        about="Revoke an API token: it opens nothing from the next request on.",
        handler=revoke,
        status=204,
    ),
)
