"""/integrated-account: accounts, their verification, and the tools a server would have."""

from __future__ import annotations

from crossdock.control import AccountChange, NewAccount, invalid
from crossdock.control.responses import (
    Listed,
    ShownAccount,
    ShownConnecting,
    ShownVerification,
    ToolPreview,
)
from crossdock.model import Scope
from crossdock.web.admin.routes import PAGING, AdminRequest, Route

_ALL, _ONE = "/integrated-account", "/integrated-account/{id}"


async def create(asked: AdminRequest) -> ShownAccount:
    """Store an account."""
    return await asked.control.accounts.create(asked.body, asked.caller)


async def listed(asked: AdminRequest) -> Listed[ShownAccount]:
    """List accounts."""
    result, following = await asked.control.accounts.page(*asked.page())
    return Listed(result=result, next_cursor=following)


async def show(asked: AdminRequest) -> ShownAccount:
    """Show one account."""
    return await asked.control.accounts.show(asked.id)


async def change(asked: AdminRequest) -> ShownAccount:
    """Merge a change into an account."""
    return await asked.control.accounts.change(asked.id, asked.body, asked.caller)


async def remove(asked: AdminRequest) -> None:
    """Delete an account."""
    word = asked.request.query.get("cascade", "false")
    if word not in ("true", "false"):
        raise invalid("cascade", "must be true or false")
    await asked.control.accounts.remove(asked.id, asked.caller, cascade=word == "true")


async def verify(asked: AdminRequest) -> ShownVerification:
    """Make the adapter's verification call."""
    return await asked.control.accounts.verify(asked.id, asked.caller)


async def tools(asked: AdminRequest) -> ToolPreview:
    """Preview tools under filters."""
    query = asked.request.query
    scope = Scope(methods=_words(query.get("methods")), tags=_words(query.get("tags")))
    return asked.control.accounts.preview(asked.id, scope)


async def connect(asked: AdminRequest) -> ShownConnecting:
    """Start to connect an account."""
    return await asked.control.connecting.start(asked.id, asked.origin, asked.caller)


def _words(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return tuple(word.strip() for word in text.split(",") if word.strip())


ROUTES = (
    Route(
        verb="POST",
        paths=(_ALL,),
        role="operator",
        action="account.create",
        about="Make an integrated account. Credentials are sealed and never shown again.",
        handler=create,
        body=NewAccount,
        answer=ShownAccount,
        status=201,
    ),
    Route(
        verb="GET",
        paths=(_ALL,),
        role="viewer",
        action="account.list",
        about="List integrated accounts: those of config.toml first, then the newest.",
        handler=listed,
        answer=Listed[ShownAccount],
        query=PAGING,
    ),
    Route(
        verb="GET",
        paths=(_ONE,),
        role="viewer",
        action="account.show",
        about="Show an integrated account.",
        handler=show,
        answer=ShownAccount,
    ),
    Route(
        verb="PATCH",
        paths=(_ONE,),
        role="operator",
        action="account.change",
        about="Change an integrated account: settings key by key, credentials field by field.",
        handler=change,
        body=AccountChange,
        answer=ShownAccount,
        errors=(409,),
    ),
    Route(
        verb="DELETE",
        paths=(_ONE,),
        role="operator",
        action="account.remove",
        about="Delete an integrated account; cascade=true revokes its MCP servers with it.",
        handler=remove,
        status=204,
        query=("cascade",),
        errors=(409,),
    ),
    Route(
        verb="POST",
        paths=(f"{_ONE}/test",),
        role="operator",
        action="account.test",
        about="Ask the provider whether the account's credentials are good.",
        handler=verify,
        answer=ShownVerification,
        errors=(409,),
    ),
    Route(
        verb="POST",
        paths=(f"{_ONE}/connect",),
        role="operator",
        action="account.connect.start",
        about="Give the URL at which a person lets this account in at the provider.",
        handler=connect,
        answer=ShownConnecting,
        errors=(409,),
    ),
    Route(
        verb="GET",
        paths=(f"{_ONE}/tools",),
        role="viewer",
        action="account.tools",
        about="Show the tools that an MCP server with these filters would have.",
        handler=tools,
        answer=ToolPreview,
        query=("methods", "tags"),
        errors=(409,),
    ),
)
