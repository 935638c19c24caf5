"""customers.create and customers.update: no empty customer, and no field emptied by accident."""

from __future__ import annotations

from crossdock.adapter import Call, Context, InvalidArguments, Outcome
from crossdock_malomo.creates import create
from crossdock_malomo.fields import Given
from crossdock_malomo.given import cleared, filled, left_out
from crossdock_malomo.updates import update_fields

_NEEDED = (
    "a customer needs something to be known by: give email, phone_number or a name, "
    'e.g. {"email": "ann@example.com", "first_name": "Ann"}'
)


async def create_customer(call: Call, context: Context) -> Outcome:
    """Create a customer who can be told from others."""
    fields, empty = filled(call.body)
    if not fields:
        raise InvalidArguments("email", _NEEDED)
    return await create(call, context, "customer", fields, left_out(empty))


async def update_customer(call: Call, context: Context) -> Outcome:
    """Change what is given, empty only what `clear` names."""
    given, empty = filled(call.body)
    fields = cleared(call, given)
    notes = left_out(
        (name for name in empty if name not in fields), " To empty a field name it in clear."
    )
    return await update_fields(call, context, "customer", Given(fields), notes)
