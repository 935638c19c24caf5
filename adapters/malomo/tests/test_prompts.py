"""The article's prompts, played as the calls an agent makes; the answers are judged by value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

ORDERS = "list_all_malomo_orders"
EVENTS = "list_all_malomo_order_events"
UPDATE = "update_a_malomo_order_by_id"
HOOK = "create_a_malomo_webhook"


async def found(tools: Any, name: str, **arguments: Any) -> Any:
    data = (await tools.call(name, **arguments)).data
    if isinstance(data, list):
        return [msgspec.json.decode(record) for record in data]
    return msgspec.json.decode(data)


async def test_all_orders_of_an_address_with_their_ids_and_tracking_codes(
    provider: Any, tools: Any
) -> None:
    """Find all Malomo orders associated with the customer email help@example.com."""
    orders = await found(tools, ORDERS, customer_email="help@example.com")
    codes = {one["id"]: [parcel["tracking_code"] for parcel in one["shipments"]] for one in orders}
    assert list(codes.values()) == [
        ["9400100000000000001045"],
        ["9400100000000000001031"],
        ["9400100000000000000999", "9400100000000000001000"],
    ]
    assert codes.keys() <= provider.shop.orders.keys()


async def test_a_shipment_joins_the_one_that_is_there(provider: Any, tools: Any) -> None:
    """Update Malomo order ID 89123: keep the existing USPS shipment, add FedEx 123456789044."""
    fedex = {"carrier": "fedex", "tracking_code": "123456789044"}
    outcome = await tools.call(UPDATE, id="89123", shipments=[fedex])
    assert provider.pairs() == {("usps", "9400111899223100012345"), ("fedex", "123456789044")}
    assert outcome.notes[:2] == ("Kept 1 stored shipment.", "Added fedex 123456789044.")


async def test_the_delivery_status_behind_a_tracking_code(tools: Any) -> None:
    """Look up the order linked to the tracking code 1Z9999999999999999: its delivery status?"""
    code = "1Z9999999999999999"
    order = await found(tools, "get_single_malomo_orders_by_tracking_code_by_id", id=code)
    (parcel,) = [one for one in order["shipments"] if one["tracking_code"] == code]
    assert (order["number"], parcel["status"]) == ("#1040", "out_for_delivery")


async def test_the_timeline_of_an_order_and_where_it_was_delayed(tools: Any) -> None:
    """Pull all the tracking events for order ID 89123. Was it delayed at a sorting facility?"""
    events = await found(tools, EVENTS, order_id="89123")
    timeline = [one["label"] for one in sorted(events, key=lambda one: one["timestamp"])]
    assert timeline == [
        "Order placed",
        "Shipping label created",
        "Arrived at sorting facility",
        "Delayed at sorting facility: severe weather",
        "Departed sorting facility",
    ]
    (delay,) = [one for one in events if one["label"].startswith("Delayed")]
    assert delay["properties"]["location"]["city"] == "Memphis"


async def test_a_webhook_for_exceptions_and_what_is_not_known_of_it(
    provider: Any, tools: Any
) -> None:
    """Create a new active webhook for shipment.exception at api.mycompany.com."""
    url = "https://api.mycompany.com/webhooks/malomo-alerts"
    outcome = await tools.call(HOOK, topic="shipment.exception", url=url, active=True)
    made = provider.shop.webhooks[msgspec.json.decode(outcome.data)["id"]]
    assert (made["topic"], made["url"], made["active"]) == ("shipment.exception", url, True)
    assert "whether it ever posts shipment.exception is unconfirmed" in outcome.notes[0]


async def test_a_lost_parcel_is_traced_from_an_address_to_its_last_scan(tools: Any) -> None:
    """A customer emailed us from sarah.smith@example.com: where was it last scanned?"""
    orders = await found(tools, ORDERS, customer_email="sarah.smith@example.com")
    latest = max(orders, key=lambda order: order["created_at"])
    assert latest["number"] == "#1042"
    events = await found(tools, EVENTS, order_id=latest["id"])
    scans = [e for e in events if e["type"] == "ShipmentUpdateReceived"]
    *_, local, last = sorted(scans, key=lambda event: event["timestamp"])
    assert "local distribution center" in local["label"]
    assert datetime.fromtimestamp(local["timestamp"], UTC).strftime("%A") == "Tuesday"
    assert last["label"] == "Address Undeliverable"
    assert last["properties"]["scanned_at"] == "2026-11-19T08:14:00"
    assert last["properties"]["location"]["city"] == "Boise"


@pytest.mark.requirement("malomo:workflow:webhook-audit")
async def test_a_missing_webhook_is_found_missing_and_made_once(provider: Any, tools: Any) -> None:
    """List all of our active webhooks; if there is none for shipment.exception, create one."""
    webhooks = await found(tools, "list_all_malomo_webhooks")
    assert [one["active"] for one in webhooks] == [True, True]
    assert "shipment.exception" not in {one["topic"] for one in webhooks}
    url = "https://alerts.internal.com/malomo"
    made = await found(tools, HOOK, topic="shipment.exception", url=url)
    again = await found(tools, "list_all_malomo_webhooks")
    (listed,) = [one for one in again if one["topic"] == "shipment.exception"]
    assert listed == made == provider.shop.webhooks[made["id"]]
