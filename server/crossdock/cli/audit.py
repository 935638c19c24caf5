"""`crossdock audit`: who did what, and how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.opening import with_gateway
from crossdock.cli.options import moment, span
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.gateway import Gateway
    from crossdock.store import AuditEntry

_HEADINGS = (
    *("time", "kind", "who", "did", "to", "outcome", "ms", "upstream", "request"),
    *("from", "second factor", "changed"),
)
_When = Annotated[str, Parameter(help="A moment as 2027-01-31T00:00:00Z, or 2h for two hours ago.")]


def audit(
    *,
    since: _When = "",
    until: _When = "",
    kind: Annotated[
        Literal["admin", "call", "door"] | None,
        Parameter(help="Verbs of operators, calls of tools, or who was denied at the door."),
    ] = None,
    actor: Annotated[
        str | None, Parameter(help="An API token's id, an MCP server's id, or cli.")
    ] = None,
    action: Annotated[str | None, Parameter(help="A tool, or a verb as server.rotate.")] = None,
    account: Annotated[str | None, Parameter(help="An account's id.")] = None,
    server: Annotated[str | None, Parameter(help="An MCP server's id.")] = None,
    outcome: Annotated[str | None, Parameter(help="ok, or a kind of failure.")] = None,
    request: Annotated[str | None, Parameter(help="The request id of an answer.")] = None,
    limit: Annotated[int, Parameter(help="Most lines to show.", validator=Number(gte=1))] = 50,
    config: Config = None,
    json: Json = False,
) -> int:
    """Read the call log: no arguments, no data. A killed gateway took its last half second along.

    Example: `crossdock audit --since 2h --kind call --outcome rate_limited`
    """
    from crossdock.store import AuditFilter

    which = AuditFilter(
        since=_when(since, "--since"),
        until=_when(until, "--until"),
        kind=kind,
        actor=actor,
        action=action,
        account_id=account,
        server_id=server,
        outcome=outcome,
        request_id=request,
    )

    async def work(gateway: Gateway) -> int:
        found: list[AuditEntry] = []
        cursor: str | None = None
        while len(found) < limit:
            page = await gateway.store.audit.list(
                which, limit=min(500, limit - len(found)), cursor=cursor
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        if json:
            for entry in found:
                print_json(entry)
            return 0
        print_table(
            _HEADINGS,
            [_row(entry) for entry in found],
        )
        return 0

    return with_gateway(config, work)


def _row(entry: AuditEntry) -> tuple[object, ...]:
    changes = entry.changes or {}
    return (
        entry.time,
        entry.kind,
        entry.actor,
        entry.action,
        entry.target or entry.server_id or entry.account_id or "",
        entry.outcome,
        "" if entry.seconds is None else round(entry.seconds * 1000),
        entry.upstream_status or "",
        entry.request_id or "",
        entry.address or "",
        entry.second_factor or "",
        "; ".join(f"{field}: {old!r} → {new!r}" for field, (old, new) in changes.items()),
    )


def _when(text: str, option: str) -> datetime | None:
    length = span(text)
    return moment(text, option) if length is None else datetime.now(UTC) - length
