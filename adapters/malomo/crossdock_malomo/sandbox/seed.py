"""The shop that the sandbox starts with: the stories of the demo, and enough orders to page."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from crossdock_malomo.sandbox.shop import Shop

_NAMES = (
    "Ada Moreno", "Ben Okafor", "Chloe Martin", "Dario Rossi", "Elif Kaya", "Femi Adeyemi",
    "Grace Liu", "Hugo Silva", "Ines Costa", "Jonas Weber", "Kira Novak", "Liam Byrne",
    "Mina Park", "Noah Fischer", "Olga Petrova", "Paul Dubois", "Quinn Reid", "Rosa Vega",
    "Sven Lund", "Tara Singh",
)  # fmt: skip
_CITIES = (
    ("Portland", "OR", "97201"),
    ("Denver", "CO", "80202"),
    ("Memphis", "TN", "38101"),
    ("Chicago", "IL", "60601"),
    ("Boise", "ID", "83702"),
)
_WAYS = ("pre_transit", "in_transit", "out_for_delivery", "delivered", "return_to_sender")
_MESSAGES = {
    "pre_transit": ("label_created", "Shipping label created"),
    "in_transit": ("departed_facility", "Departed sorting facility"),
    "out_for_delivery": ("out_for_delivery", "Out for delivery"),
    "delivered": ("delivered", "Delivered, front door"),
    "return_to_sender": ("return", "Returned to sender"),
}
_MANY = 120
_MOST_SCANS = 30

# when, status, status_detail, message, city
Scan = tuple[datetime, str, str, str, int]


def seeded(now: datetime | None = None) -> Shop:
    """Return a shop with the seed in it; with a fixed `now` the same one, byte for byte."""
    return Shop(now, plant)


def plant(shop: Shop, now: datetime) -> None:
    """Fill an empty shop. The stories are told relative to the day of `now`."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    _webhooks(shop, midnight)
    _sarah(shop, midnight)
    _delayed(shop, midnight)
    _on_the_van(shop, midnight)
    _help(shop, midnight)
    _awkward(shop, midnight)
    _many(shop, midnight)


def at(midnight: datetime, days: int, clock: str) -> datetime:
    """Return a time of day so many days from today."""
    hours, minutes = clock.split(":")
    return midnight + timedelta(days=days, hours=int(hours), minutes=int(minutes))


def _webhooks(shop: Shop, midnight: datetime) -> None:
    # Malomo documents `events:created` alone, in this style; that one is left for the visitor.
    for days, topic in ((-200, "orders:created"), (-90, "returns:created")):
        shop.add_webhook(
            {"topic": topic, "url": f"https://hooks.example.com/malomo/{topic.split(':')[0]}"},
            at(midnight, days, "09:00"),
        )


def _sarah(shop: Shop, midnight: datetime) -> None:
    """The latest order of sarah.smith@example.com ends in an exception today at 8:14."""
    tuesday = -((midnight.weekday() - 1) % 7 or 7)
    scans: list[Scan] = [
        (at(midnight, tuesday - 4, "09:12"), *_step("pre_transit"), 0),
        (at(midnight, tuesday - 3, "18:40"), "in_transit", "received_at_origin_facility",
         "Accepted at origin facility", 0),
        (at(midnight, tuesday - 1, "03:05"), "in_transit", "arrived_at_facility",
         "Arrived at regional sorting facility", 1),
        (at(midnight, tuesday, "17:42"), "in_transit", "arrived_at_facility",
         "Arrived at local distribution center", 4),
        (at(midnight, 0, "08:14"), "failure", "address_incorrect", "Address Undeliverable", 4),
    ]  # fmt: skip
    for days, number, code in (
        (-95, "#0877", "9400100000000000000877"),
        (-40, "#0981", "9400100000000000000981"),
    ):
        done: list[Scan] = [(at(midnight, days + 5, "13:20"), *_step("delivered"), 4)]
        _order(shop, "Sarah Smith", number, at(midnight, days, "12:00"), [("usps", code, done)])
    created = at(midnight, tuesday - 5, "14:26")
    order = _order(
        shop, "Sarah Smith", "#1042", created, [("usps", "9400111899561042000001", scans)]
    )
    # In the same second as the scan: a client that sorts by time alone must cope with ties.
    issue = {"type": "OrderIssueCreated", "label": "Address Undeliverable"}
    shop.add_event(order["id"], issue, scans[-1][0])


def _delayed(shop: Shop, midnight: datetime) -> None:
    """Order 89123 has one USPS shipment, which was held up at a sorting facility."""
    scans: list[Scan] = [
        (at(midnight, -8, "16:05"), *_step("pre_transit"), 0),
        (at(midnight, -6, "02:31"), "in_transit", "arrived_at_facility",
         "Arrived at sorting facility", 2),
        (at(midnight, -5, "06:00"), "in_transit", "delayed",
         "Delayed at sorting facility: severe weather", 2),
        (at(midnight, -2, "22:47"), "in_transit", "departed_facility",
         "Departed sorting facility", 2),
    ]  # fmt: skip
    _order(
        shop,
        "Dana Whitfield",
        "#1037",
        at(midnight, -9, "10:11"),
        [("usps", "9400111899223100012345", scans)],
        id="89123",
    )


def _on_the_van(shop: Shop, midnight: datetime) -> None:
    scans: list[Scan] = [
        (at(midnight, -4, "11:00"), *_step("pre_transit"), 3),
        (at(midnight, -2, "20:15"), *_step("in_transit"), 3),
        (at(midnight, 0, "07:31"), *_step("out_for_delivery"), 1),
    ]
    parcels = [("ups", "1Z9999999999999999", scans)]
    _order(shop, "Marcus Bell", "#1040", at(midnight, -5, "08:30"), parcels)


def _help(shop: Shop, midnight: datetime) -> None:
    """Three orders of help@example.com, the oldest with two parcels."""
    for days, number, codes in (
        (-30, "#0999", ["9400100000000000000999", "9400100000000000001000"]),
        (-12, "#1031", ["9400100000000000001031"]),
        (-3, "#1045", ["9400100000000000001045"]),
    ):
        parcels = [
            ("usps", code, [(at(midnight, days + 1, "15:00"), *_step("in_transit"), 1)])
            for code in codes
        ]
        created = at(midnight, days, "09:45")
        _order(shop, "Help Desk", number, created, parcels, email="help@example.com")


def _awkward(shop: Shop, midnight: datetime) -> None:
    """Made-up ids with every character that a careless URL loses."""
    order = _order(
        shop,
        "Nora O'Neill-Łukasz",
        "EU 12/7+é",
        at(midnight, -20, "19:00"),
        [("dhl_express", "00 12/34+ab?x=1&y#z%20", [])],
    )
    order["alternate_id"] = "PO 55/61#2?x=%20&+"


def _many(shop: Shop, midnight: datetime) -> None:
    chance = random.Random(7)  # noqa: S311 -- the same shop every time, no secret
    for number in range(_MANY):
        days = -21 - number // 2
        way = _WAYS[: chance.randint(1, len(_WAYS))]
        scans: list[Scan] = [
            (at(midnight, days + step, "12:30"), *_step(status), chance.randrange(len(_CITIES)))
            for step, status in enumerate(way)
        ]
        if number % 10 == 0:
            scans = _long_way(at(midnight, days, "12:30"), scans)
        parcels = [(chance.choice(("usps", "ups", "fedex")), f"7{number:011d}", scans)]
        if number % 9 == 0:
            parcels.append(("fedex", f"8{number:011d}", scans[:1]))
        created = at(midnight, days, f"{number % 24:02d}:{number % 60:02d}")
        _order(shop, _NAMES[number % len(_NAMES)], f"#{800 - number:04d}", created, parcels)


def _long_way(start: datetime, scans: list[Scan]) -> list[Scan]:
    """Return a parcel's scans with as many stops on the way as carriers show at most."""
    between = [
        (start + timedelta(minutes=40 * stop), *_step("in_transit"), stop % len(_CITIES))
        for stop in range(1, _MOST_SCANS - len(scans) + 1)
    ]
    return [scans[0], *between, *scans[1:]]


def _step(status: str) -> tuple[str, str, str]:
    return (status, *_MESSAGES[status])


def _order(
    shop: Shop,
    name: str,
    number: str,
    created: datetime,
    parcels: list[tuple[str, str, list[Scan]]],
    *,
    email: str = "",
    id: str = "",
) -> dict[str, Any]:
    """Store an order with the events that made it."""
    first, last = name.split(" ", 1)
    email = email or f"{first}.{last}@example.com".lower().replace("'", "").replace("ł", "l")
    customer = {"email": email, "first_name": first, "last_name": last}
    if email not in {known["email"] for known in shop.customers.values()}:
        shop.add_customer(customer, created)
    shop_id = str(5_000_000_000_000 + len(shop.orders))
    body = {
        "alternate_id": f"gid://shopify/Order/{shop_id}",
        "number": number,
        "email": email,
        "customer": customer,
        "meta": {"shopify_order": {"order_id": shop_id}},
        "shipments": [{"carrier": carrier, "tracking_code": code} for carrier, code, _ in parcels],
    }
    order = shop.add_order(body, id=id, created=created)
    shop.add_event(order["id"], {"type": "ShopifyOrderCreated", "label": "Order placed"}, created)
    for shipment, (_, _, scans) in zip(order["shipments"], parcels, strict=True):
        _track(shop, order["id"], shipment, scans)
    return order


def _track(shop: Shop, order_id: str, shipment: dict[str, Any], scans: list[Scan]) -> None:
    pair = {name: shipment[name] for name in ("carrier", "tracking_code")}
    shipment["status"] = scans[-1][1] if scans else "pre_transit"
    if scans:
        _fill(shipment, scans)
    for moment, status, detail, message, place in scans:
        location, naive = _place(place), _naive(moment)
        scan = {
            "carrier_code": None,
            "description": message,
            "message": message,
            "location": location,
            "scanned_at": naive,
            "source": shipment["carrier_name"],
            "status": status,
            "status_detail": detail,
        }
        shipment["scan_events"].append(scan)
        if status == "delivered":
            shipment["delivered_at"] = naive
        created = status == "pre_transit"
        said = ("message", "location", "scanned_at", "status", "status_detail")
        event = {
            "type": "ShipmentCreated" if created else "ShipmentUpdateReceived",
            "label": message,
            "properties": {**pair, **{name: scan[name] for name in said}},
        }
        shop.add_event(order_id, event, moment)


def _fill(shipment: dict[str, Any], scans: list[Scan]) -> None:
    """Give a tracked parcel what carriers tell besides scans."""
    first, promised = scans[0], scans[0][0] + timedelta(days=5)
    attempts = [scan for scan in scans if scan[1] in ("delivered", "failure")]
    expected = promised + timedelta(days=1) if len(scans) > len(_WAYS) else promised
    shipment.update(
        alternative_carrier_identifier=f"ACI-{shipment['tracking_code'][-6:]}",
        carrier_service="Ground",
        container_type="parcel",
        destination=_place(scans[-1][4]),
        origin=_place(first[4]),
        estimated_delivered_at=_naive(expected),
        estimated_local_delivered_at=_naive(expected),
        estimated_local_delivered_on=expected.strftime("%Y-%m-%d"),
        guaranteed_delivered_at=None,
        initial_delivery_attempted_at=_naive(attempts[0][0]) if attempts else None,
        original_estimated_delivered_at=_naive(promised),
    )


def _place(number: int) -> dict[str, str]:
    city, state, postal_code = _CITIES[number]
    return {"city": city, "state": state, "postal_code": postal_code, "country": "US"}


def _naive(moment: datetime) -> str:
    """Return a carrier's time, which carries no zone, unlike created_at."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
