"""orders.update: Malomo drops every shipment that an update leaves out, so none is ever left out.

Reads the order, merges, writes the complete list once, and reads back, all under the order's lock.
Removes only what is named for removal. Never writes after a failed read, never writes twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    WriteNotVerified,
    WriteOutcomeUnknown,
    decode,
    encode,
    one_segment,
)

FRESH_SECONDS = 1.0
"""A read older than this is made again right before the write."""

READ_BACK_PAUSES = (0.0, 0.5, 1.5)
"""Pauses before each reading back: at once, after half a second, after two."""

_CHECK = (
    "Do not repeat the update as it is: read the order with get_single_malomo_order_by_id and "
    "compare it with `expected`."
)

Key = tuple[str, str]


class Shipment(msgspec.Struct, frozen=True):
    """The pair by which Malomo knows a shipment, as it is spelled."""

    carrier: str
    tracking_code: str

    @property
    def key(self) -> Key:
        """What makes two spellings the same shipment."""
        return self.carrier.strip().casefold(), self.tracking_code.strip()

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking_code}"


class _Order(msgspec.Struct, frozen=True):
    shipments: list[Shipment]
    id: Any = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it was read: its shipments for us, all of it for comparison and the answer."""

    shipments: list[Shipment]
    fields: dict[str, Any]
    reply: UpstreamReply

    @property
    def keys(self) -> set[Key]:
        """The shipments on the order."""
        return {shipment.key for shipment in self.shipments}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one update writes, and what has to be seen afterwards."""

    before: Reading
    complete: list[Shipment]
    added: list[Shipment]
    present: list[Shipment]
    removed: list[Shipment]
    fields: dict[str, Any]

    @property
    def keys(self) -> set[Key]:
        """The shipments that the order has after the write."""
        return {shipment.key for shipment in self.complete}

    def untaken(self, seen: Reading) -> list[str]:
        """Return the given fields that do not show what was given."""
        return [name for name, value in self.fields.items() if not _took(value, seen.fields, name)]

    def shown_by(self, seen: Reading) -> bool:
        """Whether the order holds what an accepted write should have made of it.

        Shipments that others added meanwhile are theirs, and a field in other words than given is
        the provider's spelling; one that shows what it showed before was not taken.
        """
        before, after = self.before.fields, seen.fields
        return (
            self.keys <= seen.keys
            and not any(one.key in seen.keys for one in self.removed)
            and not any(
                name in after and after[name] == before.get(name) for name in self.untaken(seen)
            )
        )

    def proved_by(self, seen: Reading) -> bool:
        """Whether the order shows exactly what was to be written.

        It then differs from the order as it was before, unless there was nothing to change; either
        way nothing is left to be done.
        """
        return seen.keys == self.keys and not self.untaken(seen)

    def details(self, seen: Reading | None) -> dict[str, Any]:
        """Return what should be seen and what is, for the one who has to find out."""
        found = None
        if seen is not None:
            found = _shown(seen.shipments, {name: seen.fields.get(name) for name in self.fields})
        return {"expected": _shown(self.complete, self.fields), "seen": found}


async def update_order(call: Call, context: Context) -> Outcome:
    """Merge the given shipments into the stored ones; remove only what is named for removal."""
    add = _given("shipments", call.body.get("shipments"))
    remove = _given("remove_shipments", call.mapper.get("remove_shipments"))
    if both := {one.key for one in add} & {one.key for one in remove}:
        named = _list(one for one in add if one.key in both)
        raise InvalidArguments("remove_shipments", f"{named} is to be added as well; choose one")
    fields = {name: value for name, value in call.body.items() if name != "shipments"}
    order_id = call.path["id"]
    path = f"/orders/{one_segment(order_id)}"
    # Over-cautious on purpose: an id in another case may be the same order.
    async with context.exclusive(path.casefold()):
        started = time.monotonic()
        first = reading = await _read(context, path, order_id)
        if not call.body and not remove:
            note = "Nothing to change was given, so nothing was written."
            return Outcome(
                data=msgspec.Raw(reading.reply.body), rate=reading.reply.rate, notes=(note,)
            )
        plan = _merge(reading, add, remove, fields)
        if time.monotonic() - started > FRESH_SECONDS:
            reading = await _read(context, path, order_id)
            plan = _merge(reading, add, remove, fields)
        doubt = await _write(context, path, plan)
        seen = await _read_back(context, path, order_id, plan, doubt)
    notes = [*_told(plan), *_others(plan, first, seen)]
    if doubt is not None:
        notes.insert(0, f"The answer to the write was lost ({doubt}), but the order shows it.")
    return Outcome(data=msgspec.Raw(seen.reply.body), rate=seen.reply.rate, notes=tuple(notes))


def _given(argument: str, value: list[dict[str, str]] | None) -> list[Shipment]:
    """Return an argument's shipments, trimmed, each once. Raises InvalidArguments."""
    found: dict[Key, Shipment] = {}
    for index, item in enumerate(value or ()):
        one = Shipment(item["carrier"].strip(), item["tracking_code"].strip())
        if not one.carrier or not one.tracking_code:
            empty = "tracking_code" if one.carrier else "carrier"
            raise InvalidArguments(f"{argument}.{index}.{empty}", "is empty")
        found.setdefault(one.key, one)
    return list(found.values())


async def _read(context: Context, path: str, order_id: str) -> Reading:
    """Read the order. An answer that may hide a shipment is a failure, never an empty list."""
    reply = await context.send(UpstreamRequest(verb="GET", path=path))
    fields = decode(reply.body)
    try:
        order = msgspec.convert(fields, _Order)
    except msgspec.ValidationError as error:
        raise _unusable(f"it is not an order with its shipments: {error}", reply) from None
    if order.id is not None and str(order.id).casefold() != order_id.casefold():
        raise _unusable(f"it is order {order.id}, not {order_id}", reply)
    return Reading(shipments=order.shipments, fields=fields, reply=reply)


def _unusable(why: str, reply: UpstreamReply) -> UpstreamFailure:
    return UpstreamFailure(
        "upstream_malformed",
        f"Malomo's answer to reading the order cannot be used: {why}",
        status=reply.status,
        rate=reply.rate,
    )


def _merge(
    reading: Reading, add: list[Shipment], remove: list[Shipment], fields: dict[str, Any]
) -> Plan:
    """Plan the complete list. Raises InvalidArguments for a removal of what is not there."""
    if absent := [one for one in remove if one.key not in reading.keys]:
        there = _list(reading.shipments) or "none"
        raise InvalidArguments(
            "remove_shipments",
            f"{_list(absent)} is not on this order, so nothing was changed; it has: {there}",
        )
    gone = {one.key for one in remove}
    added = [one for one in add if one.key not in reading.keys]
    return Plan(
        before=reading,
        complete=[*(one for one in reading.shipments if one.key not in gone), *added],
        added=added,
        present=[one for one in add if one.key in reading.keys],
        removed=[one for one in reading.shipments if one.key in gone],
        fields=fields,
    )


async def _write(context: Context, path: str, plan: Plan) -> UpstreamFailure | None:
    """Write once. Return the failure that leaves the outcome open; raise one that does not."""
    body = encode({**plan.fields, "shipments": plan.complete})
    try:
        await context.send(UpstreamRequest(verb="PUT", path=path, body=body))
    except UpstreamFailure as failure:
        if failure.rejected:
            raise
        return failure
    return None


async def _read_back(
    context: Context, path: str, order_id: str, plan: Plan, doubt: UpstreamFailure | None
) -> Reading:
    """Read until the write shows. Raises WriteNotVerified, in doubt WriteOutcomeUnknown."""
    seen: Reading | None = None
    failed = ""
    for pause in READ_BACK_PAUSES:
        await asyncio.sleep(pause)
        try:
            seen = await _read(context, path, order_id)
            if plan.shown_by(seen) if doubt is None else plan.proved_by(seen):
                return seen
        except UpstreamFailure as failure:
            failed = f" Reading it back failed ({failure.kind}: {failure})."
            break
        except RecursionError:
            failed = " A field is nested too deeply to be compared."
            break
    if doubt is None:
        raise WriteNotVerified(
            "Malomo accepted the update, but the order was not seen to show it: it was not carried "
            "out in full, shows late, or someone else changed the order meanwhile."
            f"{failed} {_CHECK}",
            **plan.details(seen),
        )
    raise WriteOutcomeUnknown(
        f"Malomo may or may not have carried out the update ({doubt.kind}: {doubt}), and reading "
        f"the order did not settle it; it may still show later.{failed} {_CHECK}",
        **plan.details(seen),
    ) from doubt


def _took(given: Any, fields: dict[str, Any], name: str) -> bool:
    """Judge loosely: case and outer blanks of text, and fields the provider adds, are its own."""
    stored = fields.get(name)
    if isinstance(given, dict):
        return isinstance(stored, dict) and all(_took(given[key], stored, key) for key in given)
    if isinstance(given, str) and isinstance(stored, str):
        return given.strip().casefold() == stored.strip().casefold()
    return bool(given == stored)


def _shown(shipments: list[Shipment], fields: dict[str, Any]) -> dict[str, Any]:
    plain = msgspec.to_builtins(shipments)
    return {**fields, "shipments": plain}


def _list(shipments: Iterable[Shipment]) -> str:
    return ", ".join(str(one) for one in shipments)


def _told(plan: Plan) -> list[str]:
    """Say what this update did to the shipments."""
    kept = len(plan.complete) - len(plan.added)
    told = [f"Kept {kept} stored shipment{'' if kept == 1 else 's'}."]
    if plan.added:
        told.append(f"Added {_list(plan.added)}.")
    if plan.present:
        told.append(f"Already on the order: {_list(plan.present)}.")
    if plan.removed:
        told.append(f"Removed {_list(plan.removed)}.")
    return told


def _others(plan: Plan, first: Reading, seen: Reading) -> list[str]:
    """Say what others did meanwhile, as far as the reads show it."""
    told = []
    came = [one for one in plan.before.shipments if one.key not in first.keys]
    came += [one for one in seen.shipments if one.key not in plan.keys]
    if came:
        told.append(f"Someone else added {_list(came)} meanwhile; it was kept.")
    if went := [one for one in first.shipments if one.key not in plan.before.keys]:
        told.append(f"Someone else removed {_list(went)} meanwhile.")
    for name in plan.untaken(seen):
        shows = "otherwise than given" if name in seen.fields else "nowhere, so it is unconfirmed"
        told.append(f"Malomo shows {name} {shows}.")
    return told
