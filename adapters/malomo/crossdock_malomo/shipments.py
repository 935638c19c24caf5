"""Shipments of an order. Malomo drops every one that an update leaves out, so none is left out.

Only the pair (carrier, tracking code) is what Malomo knows a shipment by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from crossdock.adapter import InvalidArguments

Key = tuple[str, str]
_SLUG = re.compile(r"[a-z0-9_]+")


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


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The complete list that one update writes, and how it came about."""

    complete: list[Shipment]
    added: list[Shipment]
    present: list[Shipment]
    removed: list[Shipment]

    @property
    def keys(self) -> set[Key]:
        """The shipments that the order has after the write."""
        return keys(self.complete)

    def told(self) -> list[str]:
        """Say what this update did to the shipments."""
        kept = len(self.complete) - len(self.added)
        told = [f"Kept {kept} stored shipment{'' if kept == 1 else 's'}."]
        if self.added:
            told.append(f"Added {listed(self.added)}.")
        if self.present:
            told.append(f"Already on the order: {listed(self.present)}.")
        if self.removed:
            told.append(f"Removed {listed(self.removed)}.")
        return told + odd_carriers(self.added)


def keys(shipments: Iterable[Shipment]) -> set[Key]:
    """Return what makes these shipments themselves."""
    return {shipment.key for shipment in shipments}


def given(argument: str, value: Any) -> list[Shipment]:
    """Return an argument's shipments, trimmed, each once. Raises InvalidArguments."""
    found: dict[Key, Shipment] = {}
    for index, item in enumerate(value or ()):
        one = Shipment(item["carrier"].strip(), item["tracking_code"].strip())
        if not one.carrier or not one.tracking_code:
            empty = "tracking_code" if one.carrier else "carrier"
            raise InvalidArguments(
                f"{argument}.{index}.{empty}",
                'is empty; a shipment has both, e.g. {"carrier": "usps", '
                '"tracking_code": "9400111899223100012345"}',
            )
        found.setdefault(one.key, one)
    return list(found.values())


def refuse_both(add: list[Shipment], remove: list[Shipment]) -> None:
    """Refuse to add and remove one shipment in one call. Raises InvalidArguments."""
    if both := keys(add) & keys(remove):
        named = listed(one for one in add if one.key in both)
        raise InvalidArguments(
            "remove_shipments",
            f"{named} is to be added as well; choose one, and leave it out of the other argument",
        )


def merge(stored: list[Shipment], add: list[Shipment], remove: list[Shipment]) -> Merged:
    """Plan the complete list. Raises InvalidArguments for a removal of what is not there."""
    there = keys(stored)
    if absent := [one for one in remove if one.key not in there]:
        has = listed(stored) or "none"
        raise InvalidArguments(
            "remove_shipments",
            f"{listed(absent)} is not on this order, so nothing was changed; it has: {has}. "
            "Name one of these, or leave remove_shipments out",
        )
    gone = keys(remove)
    added = [one for one in add if one.key not in there]
    return Merged(
        complete=[*(one for one in stored if one.key not in gone), *added],
        added=added,
        present=[one for one in add if one.key in there],
        removed=[one for one in stored if one.key in gone],
    )


def odd_carriers(shipments: Iterable[Shipment]) -> list[str]:
    """Say of carriers that are not spelled as Malomo's slugs that they may not be tracked."""
    odd = sorted({one.carrier for one in shipments if not _SLUG.fullmatch(one.carrier)})
    return [
        f"Malomo names carriers by slugs such as usps, fedex or dhl_express; {carrier!r} is none, "
        "so it may not be tracked. If its status becomes error, remove it and add it by its slug."
        for carrier in odd
    ]


def listed(shipments: Iterable[Shipment]) -> str:
    """Return shipments as people read them."""
    return ", ".join(str(one) for one in shipments)
