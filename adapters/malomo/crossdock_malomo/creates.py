"""Creating a record: nothing without its least fields, and no answer believed that shows none."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import Call, Context, Outcome, WriteNotVerified, decode, rest
from crossdock_malomo.fields import Given, dotted


async def create(
    call: Call, context: Context, noun: str, fields: dict[str, Any], notes: list[str]
) -> Outcome:
    """Send the fields once and say which of them the answer does not show.

    Raises WriteNotVerified for an answer that is no record.
    """
    outcome = await rest(msgspec.structs.replace(call, body=fields), context)
    made = decode(outcome.data) if isinstance(outcome.data, msgspec.Raw) else None
    if not isinstance(made, dict) or made.get("id") is None:
        raise WriteNotVerified(
            f"Malomo accepted the new {noun}, but its answer shows none. Look for it before you "
            "try again, so that it is not made twice.",
            expected=msgspec.to_builtins(_open(fields)),
            seen=made,
        )
    untaken = [dotted(path) for path in Given(_open(fields, "shipments")).untaken(made)]
    if untaken:
        notes = [*notes, f"Malomo's answer does not show as given: {', '.join(untaken)}."]
    return msgspec.structs.replace(outcome, notes=(*outcome.notes, *notes))


def _open(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the fields without the secret, which is never shown, and without the named ones."""
    return {name: value for name, value in fields.items() if name not in ("secret", *names)}
