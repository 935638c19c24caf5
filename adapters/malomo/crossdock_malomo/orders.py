"""orders.update and orders.create: nothing is lost that was not named, nothing empty is made.

The update reads the order, merges shipments, customer and meta into it, writes the complete values
once, and reads back, all under the order's lock.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from crossdock.adapter import Call, Context, InvalidArguments, Outcome
from crossdock_malomo.creates import create
from crossdock_malomo.fields import Given, patched, without_own
from crossdock_malomo.given import cleared, filled, left_out
from crossdock_malomo.shipments import (
    Merged,
    Shipment,
    given,
    keys,
    listed,
    merge,
    odd_carriers,
    refuse_both,
)
from crossdock_malomo.updates import (
    NOTHING,
    Reading,
    Target,
    lost,
    read,
    read_back,
    shown,
    target_of,
    unusable,
    write,
)

FRESH_SECONDS = 1.0
"""A read older than this is made again right before the write."""

_OBJECTS = ("customer", "meta")
_NEEDED = (
    "an order needs something to be found by: give number, alternate_id, email or shipments, "
    'e.g. {"number": "1042", "email": "ann@example.com", '
    '"shipments": [{"carrier": "usps", "tracking_code": "9400111899223100012345"}]}'
)


class _Shipments(msgspec.Struct, frozen=True):
    shipments: list[Shipment]


class OrderReading(Reading, frozen=True, kw_only=True):
    """An order as it was read, with the pairs of its shipments."""

    shipments: list[Shipment]


class OrderPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one update writes, and what has to be seen afterwards."""

    before: OrderReading
    merged: Merged
    given: Given

    def shown_by(self, seen: OrderReading) -> bool:
        """Whether the order holds what an accepted write should have made of it.

        Shipments that others added meanwhile are theirs, and a field in other words than given is
        the provider's spelling; one that shows what it showed before was not taken.
        """
        there = keys(seen.shipments)
        return (
            self.merged.keys <= there
            and there.isdisjoint(keys(self.merged.removed))
            and not self.given.ignored(self.before.fields, seen.fields)
        )

    def proved_by(self, seen: OrderReading) -> bool:
        """Whether the order shows exactly what was to be written.

        It then differs from the order as it was before, unless there was nothing to change; either
        way nothing is left to be done.
        """
        return keys(seen.shipments) == self.merged.keys and not self.given.untaken(seen.fields)

    def details(self, seen: OrderReading | None) -> dict[str, Any]:
        """Return what should be seen and what is, for the one who has to find out."""
        found = None
        if seen is not None:
            names = self.given.fields
            found = _pairs(seen.shipments, {name: seen.fields.get(name) for name in names})
        return {"expected": _pairs(self.merged.complete, self.given.fields), "seen": found}

    def body(self) -> dict[str, Any]:
        """Return what is written: every object and the list of shipments complete."""
        body: dict[str, Any] = dict(self.given.fields)
        stored = msgspec.json.decode(self.before.reply.body, type=dict[str, msgspec.Raw])
        for name in _OBJECTS:
            if self.given.fields.get(name):
                body[name] = patched(stored.get(name), self.given.fields[name])
        if body.get("customer"):
            body["customer"] = without_own(body["customer"])
        if "meta" in body and body["meta"] is None:
            body["meta"] = {}
        return {**body, "shipments": self.merged.complete}

    def told(self, first: OrderReading, seen: OrderReading) -> list[str]:
        """Say what this update did, and what others did meanwhile as far as the reads show it."""
        told = self.merged.told()
        came = [one for one in self.before.shipments if one.key not in keys(first.shipments)]
        came += [one for one in seen.shipments if one.key not in self.merged.keys]
        if came:
            told.append(f"Someone else added {listed(came)} meanwhile; it was kept.")
        stayed = keys(self.before.shipments)
        if went := [one for one in first.shipments if one.key not in stayed]:
            told.append(f"Someone else removed {listed(went)} meanwhile.")
        return told + self.given.told(first.fields, seen.fields)


async def create_order(call: Call, context: Context) -> Outcome:
    """Create an order that can be found again, and compare the answer with what was given."""
    fields, empty = filled(call.body)
    parcels = given("shipments", fields.get("shipments"))
    if fields.keys() <= {"meta"}:
        raise InvalidArguments("number", _NEEDED)
    if parcels:
        fields["shipments"] = parcels
    notes = [*left_out(empty), *odd_carriers(parcels)]
    return await create(call, context, "order", fields, notes)


async def update_order(call: Call, context: Context) -> Outcome:
    """Merge what was given into the stored order; remove only what is named for removal."""
    add = given("shipments", call.body.get("shipments"))
    remove = given("remove_shipments", call.mapper.get("remove_shipments"))
    refuse_both(add, remove)
    fields, empty = _fields(call)
    notes = left_out(empty, " Emptying a field has arguments of its own: detach_customer, clear.")
    target = target_of(call, "order")
    # Over-cautious on purpose: an id in another case may be the same order.
    async with context.exclusive(target.path.casefold()):
        started = time.monotonic()
        first = reading = await _read(context, target)
        if not (fields.fields or add or remove):
            return shown(reading, [NOTHING, *notes])
        plan = _plan(reading, add, remove, fields)
        if time.monotonic() - started > FRESH_SECONDS:
            reading = await _read(context, target)
            plan = _plan(reading, add, remove, fields)
        doubt = await write(context, target, plan.body())
        seen = await read_back(lambda: _read(context, target), target, plan, doubt)
    return shown(seen, [*lost(doubt), *plan.told(first, seen), *notes])


def _fields(call: Call) -> tuple[Given, list[str]]:
    """Return the fields to change and those left empty. Raises InvalidArguments."""
    fields, empty = filled(call.body)
    fields.pop("shipments", None)
    if call.mapper.get("detach_customer"):
        if "customer" in fields:
            raise InvalidArguments(
                "detach_customer", "customer is given as well; leave one of them out"
            )
        fields["customer"] = None
    fields = cleared(call, fields)
    return Given(fields), [name for name in empty if name not in ("shipments", *fields)]


async def _read(context: Context, target: Target) -> OrderReading:
    """Read the order. An answer that may hide a shipment is a failure, never an empty list."""
    reading = await read(context, target)
    try:
        order = msgspec.convert(reading.fields, _Shipments)
    except msgspec.ValidationError as error:
        why = f"it is not an order with its shipments: {error}"
        raise unusable(target, why, reading.reply) from None
    return OrderReading(fields=reading.fields, reply=reading.reply, shipments=order.shipments)


def _plan(
    reading: OrderReading, add: list[Shipment], remove: list[Shipment], fields: Given
) -> OrderPlan:
    merged = merge(reading.shipments, add, remove)
    return OrderPlan(before=reading, merged=merged, given=fields)


def _pairs(shipments: list[Shipment], fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "shipments": msgspec.to_builtins(shipments)}
