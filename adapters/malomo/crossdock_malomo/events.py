"""order_events.create: an event says what kind it is, and the answer is compared."""

from __future__ import annotations

from crossdock.adapter import Call, Context, Outcome
from crossdock_malomo.creates import create
from crossdock_malomo.given import filled, left_out, required


async def create_event(call: Call, context: Context) -> Outcome:
    """Add an event to an order."""
    fields, empty = filled(call.body)
    required(fields, "type", '"OrderIssueCreated"')
    return await create(call, context, "event", fields, left_out(empty))
