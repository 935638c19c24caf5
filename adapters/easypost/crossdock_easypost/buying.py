"""Buying a label: once, at a price that was agreed to, and read back.

EasyPost's page: https://docs.easypost.com/docs/shipments. It documents no way to make `buy`
idempotent, so a shipment is read before, and one that has a label is not bought again.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Conflict,
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


async def buy(call: Call, context: Context) -> Outcome:
    """Buy one rate of a shipment, and answer with the shipment as it was read back."""
    path = f"/shipments/{one_segment(call.path['id'])}"
    rate_id = call.mapper["rate_id"]
    async with context.exclusive(path):
        _judge(await context.fetch(path), rate_id, Decimal(call.mapper["most"]))
        doubt = await _send(path, {"rate": {"id": rate_id}, **call.body}, context)
        try:
            seen = await context.send(UpstreamRequest(verb="GET", path=path))
        except UpstreamFailure as failure:
            raise WriteOutcomeUnknown(
                f"The label may be bought; reading the shipment back failed ({failure.kind}). "
                "Read the shipment before you try again."
            ) from None
    return _bought(seen, rate_id, doubt)


def _judge(shipment: Any, rate_id: str, most: Decimal) -> None:
    """Refuse to buy what was bought, what is not offered, and what costs more than agreed."""
    bought = _rate_bought(shipment)
    if bought is not None or shipment.get("postage_label"):
        raise Conflict(
            f"This shipment has a label already (rate {bought}); nothing was bought. "
            "easypost_shipments_label gives it; for a second parcel create another shipment.",
            rate=bought,
        )
    offered = {rate["id"]: rate for rate in shipment.get("rates") or []}
    if rate_id not in offered:
        raise InvalidArguments(
            "rate_id",
            f"the shipment does not offer {rate_id!r}; it offers {_told(offered) or 'none'}",
        )
    rate = offered[rate_id]
    try:
        price = Decimal(str(rate["rate"]))
    except (InvalidOperation, KeyError):
        raise Conflict(f"The rate {rate_id} has no price that can be read; not bought.") from None
    if price > most:
        raise Conflict(
            f"The rate costs {price} {rate.get('currency', '')}, more than {most}; not bought. "
            "Ask the human, and call again with a higher `most`.",
            price=str(price),
        )


def _told(offered: dict[str, Any]) -> str:
    return ", ".join(
        f"{id} ({rate.get('carrier')} {rate.get('service')}, {rate.get('rate')})"
        for id, rate in offered.items()
    )


async def _send(path: str, body: dict[str, Any], context: Context) -> UpstreamFailure | None:
    """Send once; return what leaves in doubt whether it was carried out."""
    try:
        await context.send(UpstreamRequest(verb="POST", path=f"{path}/buy", body=encode(body)))
    except UpstreamFailure as failure:
        if failure.rejected:
            raise
        return failure
    return None


def _bought(seen: UpstreamReply, rate_id: str, doubt: UpstreamFailure | None) -> Outcome:
    bought = _rate_bought(decode(seen.body))
    if bought == rate_id:
        return Outcome(data=msgspec.Raw(seen.body), rate=seen.rate)
    if doubt is not None:
        raise WriteOutcomeUnknown(
            f"The shipment shows no label yet ({doubt.kind}). Read it before you try again: "
            "buying twice costs twice."
        )
    raise WriteNotVerified(
        f"EasyPost said yes, but the shipment shows the rate {bought}; read it again.", rate=bought
    )


def _rate_bought(shipment: Any) -> str | None:
    selected = shipment.get("selected_rate") if isinstance(shipment, dict) else None
    return selected["id"] if isinstance(selected, dict) else None
