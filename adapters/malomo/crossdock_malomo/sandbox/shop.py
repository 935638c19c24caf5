"""The sandbox's memory: one shop's records, and what Malomo does to them."""

from __future__ import annotations

import copy
import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from crossdock_malomo.sandbox.switches import Switches

Record = dict[str, Any]
CARRIERS = {
    "canada_post": ("Canada Post", "https://www.canadapost-postescanada.ca"),
    "dhl_express": ("DHL Express", "https://www.dhl.com"),
    "fedex": ("FedEx", "https://www.fedex.com"),
    "ups": ("UPS", "https://www.ups.com"),
    "usps": ("USPS", "https://www.usps.com"),
}
SHORTEST_CODE = 6
_CUSTOMER_FIELDS = ("email", "first_name", "last_name", "phone_number")
_ORDER_FIELDS = ("alternate_id", "email", "meta", "number")
_NESTED = ("email", "first_name", "last_name")
_WEBHOOK_FIELDS = ("active", "secret", "topic", "url")
_EVENT_FIELDS = ("label", "link_back_url", "properties", "timestamp", "type")


class Refusal(Exception):
    """What Malomo answers instead of doing it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Shop:
    """Orders, customers, webhooks and events of one shop."""

    def __init__(self, now: datetime | None, plant: Callable[[Shop, datetime], None]) -> None:
        self._fixed = now
        self._plant = plant
        self.reset()

    def reset(self) -> None:
        """Forget everything and plant the seed."""
        self._random = random.Random(1042)  # noqa: S311 -- the same ids, no secret
        self._order_of_events = 0
        self.orders: dict[str, Record] = {}
        self.customers: dict[str, Record] = {}
        self.webhooks: dict[str, Record] = {}
        self.secrets: dict[str, str] = {}
        self.events: dict[str, list[Record]] = {}
        self.event_shows: dict[str, float] = {}
        self.stale: dict[str, tuple[Record, int]] = {}
        self._late: dict[str, tuple[Record | None, float]] = {}
        self._plant(self, self.now())

    def now(self) -> datetime:
        """Return the fixed moment, or the present one."""
        return self._fixed or datetime.now(UTC)

    def stamp(self, moment: datetime | None = None) -> str:
        """Return a moment as records show it."""
        return (moment or self.now()).strftime("%Y-%m-%dT%H:%M:%SZ")

    def new_id(self) -> str:
        """Return a uuid; the same ones in the same order after each reset."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    # --- orders ------------------------------------------------------------------------------

    def add_order(self, body: Record, *, id: str = "", created: datetime | None = None) -> Record:
        """Store a new order; its customer becomes one of the shop's."""
        order: Record = {
            "id": id or self.new_id(),
            "alternate_id": None,
            "number": None,
            "email": None,
            "customer": None,
            "meta": {},
            "shipments": [],
            "created_at": self.stamp(created),
            "updated_at": self.stamp(created),
        }
        self._change_order(order, body)
        self.orders[order["id"]] = order
        self.events[order["id"]] = []
        return order

    def put_order(self, id: str, body: Record, switches: Switches) -> Record:
        """Change what is given. Shipments and `meta` are replaced as a whole."""
        order = self.find("order", self.orders, id)
        before = copy.deepcopy(order)
        if "shipments" not in body and switches.omitted_shipments_are_dropped:
            body = {**body, "shipments": []}
        self._change_order(order, body, replaced=switches.customer_is_replaced)
        order["updated_at"] = self.stamp()
        self.delay(id, before, switches)
        if switches.stale_reads:
            self.stale[id] = before, switches.stale_reads
        return order

    def _change_order(self, order: Record, body: Record, *, replaced: bool = True) -> None:
        shipments = self._shipments(order, body["shipments"]) if "shipments" in body else None
        if "customer" in body:
            order["customer"] = self._nested_customer(order, body["customer"], replaced=replaced)
        order.update({name: body[name] for name in _ORDER_FIELDS if name in body})
        if shipments is not None:
            order["shipments"] = shipments

    def _shipments(self, order: Record, given: Any) -> list[Record]:
        """Keep what is named with its history, add what is new, drop the rest."""
        if not isinstance(given, list):
            raise Refusal(400, "bad_request", "shipments must be a list")
        stored = {_pair(shipment): shipment for shipment in order["shipments"]}
        complete: dict[tuple[str, str], Record] = {}
        for item in given:
            pair = _pair(item) if isinstance(item, dict) else ("", "")
            if not all(isinstance(part, str) and part for part in pair):
                raise Refusal(400, "bad_request", "a shipment needs carrier and tracking_code")
            complete[pair] = stored.get(pair) or self.new_shipment(*pair)
        return list(complete.values())

    def new_shipment(self, carrier: str, code: str) -> Record:
        """Return a shipment that no carrier has said anything about yet."""
        name, site = CARRIERS.get(carrier, (None, None))
        return {
            "id": self.new_id(),
            "alternative_carrier_identifier": None,
            "carrier": carrier,
            "carrier_name": name,
            "carrier_service": None,
            "carrier_url": site,
            "container_type": None,
            "delivered_at": None,
            "destination": None,
            "estimated_delivered_at": None,
            "estimated_local_delivered_at": None,
            "estimated_local_delivered_on": None,
            "guaranteed_delivered_at": None,
            "initial_delivery_attempted_at": None,
            "is_return": False,
            "origin": None,
            "original_estimated_delivered_at": None,
            "scan_events": [],
            "status": "unknown",
            "tracking_code": code,
        }

    def _nested_customer(self, order: Record, given: Any, *, replaced: bool) -> Record | None:
        if given is None:
            return None
        if not isinstance(given, dict):
            raise Refusal(400, "bad_request", "customer must be an object or null")
        stored = {} if replaced else order["customer"] or {}
        nested = {name: stored.get(name) for name in _NESTED}
        nested.update({name: given[name] for name in _NESTED if name in given})
        known = {customer["email"] for customer in self.customers.values()}
        if nested["email"] and nested["email"] not in known:
            self.add_customer(nested)
        return nested

    def change_shipment(self, id: str, action: str, carrier: str, code: str) -> None:
        """Let another writer add or remove one shipment."""
        order = self.orders[id]
        others = [one for one in order["shipments"] if _pair(one) != (carrier, code)]
        added = [self.new_shipment(carrier, code)] if action == "add" else []
        order["shipments"] = [*others, *added]

    def view(self, id: str, *, counts: bool = False) -> Record:
        """Return an order as reads show it; one that counts uses up a stale read."""
        order = self.find("order", self.orders, id)
        if id not in self.stale:
            return order
        before, left = self.stale[id]
        if counts:
            self.stale[id] = before, left - 1
            if left <= 1:
                del self.stale[id]
        return before

    def settle(self, id: str) -> None:
        """Judge new shipments, as Malomo does some time after it took them in."""
        for shipment in self.orders[id]["shipments"]:
            if shipment["status"] == "unknown":
                known = shipment["carrier"] in CARRIERS
                if not known or len(shipment["tracking_code"]) < SHORTEST_CODE:
                    why = "bad_tracking_code_error" if known else "unsupported_carrier_error"
                    shipment.update(status="error", status_detail=why)

    def delay(self, id: str, before: Record | None, switches: Switches) -> None:
        """Let lists and look-ups show an order as it was before, for a while."""
        if switches.lag_seconds:
            earlier, ends = self._late.get(id, (before, 0.0))
            shown = earlier if ends > time.monotonic() else before
            self._late[id] = shown, time.monotonic() + switches.lag_seconds

    def listed(self) -> Iterator[Record]:
        """Go through the orders as lists and look-ups show them."""
        for id in self.orders:
            shown, ends = self._late.get(id, (None, 0.0))
            if ends <= time.monotonic():
                yield self.view(id)
            elif shown is not None:
                yield shown

    def delete_order(self, id: str) -> None:
        """Drop an order and its events."""
        self.find("order", self.orders, id)
        del self.orders[id]
        del self.events[id]
        self.stale.pop(id, None)
        self._late.pop(id, None)

    # --- events ------------------------------------------------------------------------------

    def add_event(self, order_id: str, body: Record, at: datetime | None = None) -> Record:
        """Store an event of an order. `timestamp` is in whole seconds, so ties are common."""
        self.find("order", self.orders, order_id)
        if not isinstance(body.get("type"), str):
            raise Refusal(400, "bad_request", "type is required")
        moment = at or self.now()
        self._order_of_events += 1
        event: Record = {
            "id": self.new_id(),
            "type": body["type"],
            "label": body.get("label"),
            "link_back_url": body.get("link_back_url"),
            "properties": body.get("properties") or {},
            "timestamp": body.get("timestamp", int(moment.timestamp())),
            "created_at": self.stamp(moment),
            "updated_at": self.stamp(moment),
        }
        self.events[order_id].append(event)
        order = self.orders[order_id]
        order["updated_at"] = max(order["updated_at"], event["created_at"])
        return event

    def events_of_customer(self, id: str) -> Iterator[Record]:
        """Go through the events of all orders of a customer."""
        email = self.find("customer", self.customers, id)["email"]
        for order in self.orders.values():
            if email and (order["customer"] or {}).get("email") == email:
                yield from self.events[order["id"]]

    # --- customers and webhooks --------------------------------------------------------------

    def add_customer(self, body: Record, created: datetime | None = None) -> Record:
        """Store a customer."""
        customer: Record = {"id": self.new_id()}
        customer.update({name: body.get(name) for name in _CUSTOMER_FIELDS})
        customer["created_at"] = customer["updated_at"] = self.stamp(created)
        self.customers[customer["id"]] = customer
        return customer

    def put_customer(self, id: str, body: Record) -> Record:
        """Change what is given."""
        customer = self.find("customer", self.customers, id)
        customer.update({name: body[name] for name in _CUSTOMER_FIELDS if name in body})
        customer["updated_at"] = self.stamp()
        return customer

    def add_webhook(
        self, body: Record, created: datetime | None = None, *, loopback: bool = False
    ) -> Record:
        """Store a webhook. Any topic is taken, once: Malomo documents one, and no list."""
        if not body.get("topic") or not isinstance(body["topic"], str):
            raise Refusal(400, "bad_request", "topic is required")
        if any(one["topic"] == body["topic"] for one in self.webhooks.values()):
            raise Refusal(400, "topic_taken", f"There is a webhook for {body['topic']} already")
        webhook: Record = {
            "id": self.new_id(),
            "active": bool(body.get("active", True)),
            "topic": body["topic"],
            "url": _web_address(body.get("url"), loopback=loopback),
            "created_at": self.stamp(created),
            "updated_at": self.stamp(created),
        }
        self.webhooks[webhook["id"]] = webhook
        self.secrets[webhook["id"]] = body.get("secret") or ""
        return webhook

    def put_webhook(self, id: str, body: Record, *, loopback: bool = False) -> Record:
        """Change URL, secret or activity; the topic stays."""
        webhook = self.find("webhook", self.webhooks, id)
        if "url" in body:
            webhook["url"] = _web_address(body["url"], loopback=loopback)
        if "active" in body:
            webhook["active"] = bool(body["active"])
        if "secret" in body:
            self.secrets[id] = body["secret"]
        webhook["updated_at"] = self.stamp()
        return webhook

    def find(self, noun: str, records: dict[str, Record], id: str) -> Record:
        """Return a record. Raises Refusal 404."""
        if id not in records:
            raise Refusal(404, "not_found", f"No {noun} with id {id}")
        return records[id]


def _pair(shipment: Record) -> tuple[Any, Any]:
    return shipment.get("carrier"), shipment.get("tracking_code")


def refuse_unknown(noun: str, body: Record) -> None:
    """Refuse a field that no record of this kind takes. Raises Refusal."""
    known = {
        "order": (*_ORDER_FIELDS, "customer", "shipments"),
        "event": _EVENT_FIELDS,
        "customer": _CUSTOMER_FIELDS,
        "webhook": _WEBHOOK_FIELDS,
    }[noun]
    if unknown := sorted(set(body).difference(known)):
        raise Refusal(400, "bad_request", f"{unknown[0]} is not taken: no field of {noun}")


def _web_address(value: Any, *, loopback: bool) -> str:
    if isinstance(value, str):
        here = loopback and urlsplit(value).hostname in ("127.0.0.1", "localhost")
        if value.startswith("https://") or (here and value.startswith("http://")):
            return value
    raise Refusal(400, "bad_request", "url must be an https address")
