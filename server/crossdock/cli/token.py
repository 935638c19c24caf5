"""`crossdock token`: API tokens for the admin API, and as second factors of MCP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from crossdock.cli.opening import every, operator, with_gateway
from crossdock.cli.options import moment
from crossdock.cli.output import Config, Json, print_json, print_table
from crossdock.model import Role

if TYPE_CHECKING:
    from crossdock.control.responses import ShownToken
    from crossdock.gateway import Gateway

token = App(name="token", help="API tokens: for the admin API, and as second factors.")


@token.command
def create(
    *,
    name: Annotated[str, Parameter(help="Who or what will hold it.")],
    role: Annotated[
        Role,
        Parameter(
            help="owner: everything; operator: accounts and servers; viewer: reads only; "
            "client: a second factor of MCP servers, and nothing else."
        ),
    ],
    expires_at: Annotated[
        str, Parameter(help="A moment as 2027-01-31T00:00:00Z, or a span as 90d.")
    ] = "",
    config: Config = None,
    json: Json = False,
) -> int:
    """Make an API token and print it. It is shown this once.

    Example: `crossdock token create --name "Anna's laptop" --role operator --expires-at 90d`
    """
    from crossdock.control import NewToken, convert

    new = convert(
        {"name": name, "role": role, "expires_at": moment(expires_at, "--expires-at")}, NewToken
    )

    async def work(gateway: Gateway) -> int:
        issued = await gateway.control.tokens.create(new, operator())
        if json:
            print_json(issued)
        else:
            print(f"{issued.id}  {issued.name} ({issued.role})\n{issued.token}")
            print("Keep it like a password; it is not shown again.")
        return 0

    return with_gateway(config, work)


@token.command(name="list")
def list_tokens(*, config: Config = None, json: Json = False) -> int:
    """List API tokens, newest first.

    Example: `crossdock token list`
    """

    async def work(gateway: Gateway) -> int:
        found: list[ShownToken] = await every(gateway.control.tokens.page)
        if json:
            print_json(found)
            return 0
        rows = [
            (
                one.id,
                one.name,
                one.role,
                f"…{one.last4}",
                one.expires_at or "never",
                one.last_used_at or "never",
            )
            for one in found
        ]
        print_table(("id", "name", "role", "ends with", "expires", "last used"), rows)
        return 0

    return with_gateway(config, work)


@token.command
def revoke(token_id: str, *, config: Config = None) -> int:
    """Revoke an API token: it opens nothing within a second.

    Example: `crossdock token revoke tok_0123456789abcdef01234567`
    """

    async def work(gateway: Gateway) -> int:
        await gateway.control.tokens.revoke(token_id, operator())
        print(f"{token_id} is revoked")
        return 0

    return with_gateway(config, work)
