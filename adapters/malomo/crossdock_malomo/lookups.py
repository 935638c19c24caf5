"""orders.list: a number, tracking code or alternate id makes Malomo answer one order, or 404.

A list tool answers a list whatever the filter: the one order becomes a list of one, the 404 an
empty list with Malomo's words as a note. Every other answer passes as it is.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    Outcome,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    rest,
)

_BOTH = "Malomo finds a number only together with customer_email: give both."
_LATE = "An order made or changed a moment ago may not show here yet."
_LOOKUPS = frozenset({"alternate_id", "number", "tracking_code"})


async def list_orders(call: Call, context: Context) -> Outcome:
    """List orders; a look-up by one of the filters gives a list of none or one."""
    if _LOOKUPS.isdisjoint(call.query):
        outcome = await rest(call, context)
        none = outcome.data == [] and outcome.next_page is None and bool(call.query)
        return msgspec.structs.replace(outcome, notes=(*outcome.notes, _LATE)) if none else outcome
    try:
        return await rest(call, cast("Context", _Listing(context)))
    except UpstreamFailure as failure:
        if failure.kind in ("forbidden", "upstream_rejected") and _number_alone(call):
            failure.args = (f"{str(failure).rstrip('.')}. {_BOTH}",)
        if failure.kind != "not_found":
            raise
        note = f"Malomo found no such order: {str(failure).rstrip('.')}."
        return Outcome(data=[], rate=failure.rate, notes=(note, _LATE))


def _number_alone(call: Call) -> bool:
    return "number" in call.query and "customer_email" not in call.query


class _Listing:
    """A context whose replies that are one object become a list of it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once, as the context does."""
        reply = await self._context.send(request)
        if not reply.body.lstrip().startswith(b"{"):
            return reply
        return msgspec.structs.replace(reply, body=b"[" + reply.body + b"]")
