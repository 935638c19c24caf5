"""The sandbox's routes: Malomo's 21 operations, the key at the door, and the control routes."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from crossdock.testing.sandbox import Fault, Recorder, rate_headers
from crossdock_malomo.sandbox.paging import Place, page
from crossdock_malomo.sandbox.posts import Posts
from crossdock_malomo.sandbox.shop import Record, Refusal, Shop, refuse_unknown
from crossdock_malomo.sandbox.switches import Switches

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_BODY = 8 * 1024 * 1024
_REMAINING = 42


def build(shop: Shop, switches: Switches) -> web.Application:
    """Return the application of one shop."""
    sandbox = _Sandbox(shop, switches)
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[sandbox.middleware])
    app.add_routes(sandbox.routes())
    app.on_cleanup.append(sandbox.posts.close)
    return app


class _Sandbox:
    """One shop behind its API; what was received and what is to go wrong."""

    def __init__(self, shop: Shop, switches: Switches) -> None:
        self.shop = shop
        self.posts = Posts(shop, switches)
        self._default = switches
        self._recorder = Recorder()
        self._set(switches)

    def _set(self, switches: Switches) -> None:
        self.switches = self.posts.switches = switches
        self._recorder.faults.replace((*self._always(switches), *switches.faults))
        self._seen: Counter[tuple[str, str]] = Counter()

    def routes(self) -> list[web.RouteDef]:
        """Return all routes; `/orders/` is `/orders`, as Malomo's documents write both."""
        return [
            web.get("/orders", self.list_orders),
            web.get("/orders/", self.list_orders),
            web.post("/orders", self.create_order),
            web.get("/orders/{id}", self.get_order),
            web.put("/orders/{id}", self.put_order),
            web.delete("/orders/{id}", self.delete_order),
            web.get("/orders/{id}/events", self.list_order_events),
            web.post("/orders/{id}/events", self.create_order_event),
            web.get("/customers", self.list_customers),
            web.post("/customers", self.create_customer),
            web.get("/customers/{id}", self.get_customer),
            web.put("/customers/{id}", self.put_customer),
            web.delete("/customers/{id}", self.delete_customer),
            web.get("/customers/{id}/events", self.list_customer_events),
            web.get("/webhooks", self.list_webhooks),
            web.post("/webhooks", self.create_webhook),
            web.get("/webhooks/{id}", self.get_webhook),
            web.put("/webhooks/{id}", self.put_webhook),
            web.delete("/webhooks/{id}", self.delete_webhook),
            web.get("/_sandbox/switches", self.show_switches),
            web.post("/_sandbox/switches", self.change_switches),
            *self._recorder.routes(),
            web.get("/_sandbox/posts", self.show_posts),
            web.post("/_sandbox/reset", self.reset),
        ]

    # --- the door ----------------------------------------------------------------------------

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record, let go wrong what is to go wrong, refuse strangers, word the refusals."""
        if request.path.startswith("/_sandbox/"):
            return await handler(request)
        await self._recorder.note(request)

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
                return await handler(request)
            except Refusal as refusal:
                return _refused(refusal.status, refusal.code, str(refusal))
            except web.HTTPException as error:
                return _refused(error.status, "not_found", f"{error.reason}: {request.path}")

        reply = await self._recorder.faults.apply(request, answer)
        profile = self.switches.rate_headers
        if profile is not None and reply.status < 300 and not reply.prepared:
            reply.headers.update(rate_headers(profile, 30, _REMAINING))
        return reply

    @staticmethod
    def _always(switches: Switches) -> tuple[Fault, ...]:
        return (Fault(kind="status", method="GET"),) if switches.fail_reads else ()

    def _admit(self, request: web.Request) -> None:
        accept = request.headers.get("Accept", "").replace(" ", "").lower()
        if "vnd.malomo" in accept and "version=2" not in accept:
            raise Refusal(self.switches.wrong_version_status, "bad_version", "unknown version")
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key.startswith("sk_sandbox"):
            return
        if scheme.lower() != "bearer" or not key.startswith("pk_sandbox"):
            raise Refusal(401, "unauthorized", "No valid API key was given")
        route = request.match_info.route.resource
        order = route is not None and route.canonical == "/orders/{id}"
        lookup = request.path.rstrip("/") == "/orders" and _is_lookup(request)
        if request.method != "GET" or not (order or lookup):
            raise Refusal(
                self.switches.publishable_status, "forbidden", "A publishable key may not do this"
            )

    # --- orders ------------------------------------------------------------------------------

    async def list_orders(self, request: web.Request) -> web.Response:
        """List, or look one order up."""
        query = request.query
        if "number" in query and "customer_email" not in query:
            raise Refusal(
                self.switches.number_without_email_status,
                "bad_request",
                "customer_email is required with number",
            )
        records = list(self.shop.listed())
        if not self.switches.ignore_filters:
            records = [order for order in records if _fits(order, query)]
        if not _is_lookup(request):
            return page(request, self.switches, _newest(records), newest_first=True)
        if not records:
            raise Refusal(404, "not_found", "No order was found")
        found = max(records, key=lambda order: (order["created_at"], order["id"]))
        return _json([found] if self.switches.lookup_as_list else found)

    async def create_order(self, request: web.Request) -> web.Response:
        """Create an order: 200, as the documents show."""
        order = self.shop.add_order(await self._fields(request, "order"))
        self.shop.delay(order["id"], None, self.switches)
        self._tell_of_parcels(order["id"], order, [])
        return _json(order)

    async def get_order(self, request: web.Request) -> web.Response:
        """Read an order; right after that the other writer may come."""
        id = request.match_info["id"]
        answer = _json(self._visible(id, counts=True))
        self.shop.settle(id)
        self._interfere(id, "read")
        return answer

    async def put_order(self, request: web.Request) -> web.Response:
        """Change an order."""
        id = request.match_info["id"]
        body = await self._fields(request, "order")
        before = self.shop.find("order", self.shop.orders, id)["shipments"]
        order = self.shop.put_order(id, body, self.switches)
        self._tell_of_parcels(id, order, before)
        answer = _json(order)
        self._interfere(id, "write")
        return answer

    async def delete_order(self, request: web.Request) -> web.Response:
        """Delete an order."""
        self.shop.delete_order(request.match_info["id"])
        return self._deleted()

    def _tell_of_parcels(self, id: str, order: Record, before: list[Record]) -> None:
        for parcel in order["shipments"]:
            if parcel not in before:
                pair = {name: parcel[name] for name in ("carrier", "tracking_code")}
                event = {"type": "ShipmentCreated", "label": "Tracking started"}
                self._happen(id, {**event, "properties": pair})

    def _visible(self, id: str, *, counts: bool = False) -> Record:
        return self.shop.view(id, counts=counts)

    def _interfere(self, id: str, after: str) -> None:
        self._seen[id, after] += 1
        for one in self.switches.interferences:
            if (one.order_id, one.after, one.nth) == (id, after, self._seen[id, after]):
                self.shop.change_shipment(id, one.action, one.carrier, one.tracking_code)

    # --- events ------------------------------------------------------------------------------

    async def list_order_events(self, request: web.Request) -> web.Response:
        """List an order's events."""
        id = request.match_info["id"]
        self.shop.find("order", self.shop.orders, id)
        return self._events(request, self.shop.events[id])

    def _happen(self, order_id: str, body: Record) -> Record:
        event = self.shop.add_event(order_id, body)
        self.shop.event_shows[event["id"]] = time.monotonic() + self.switches.lag_seconds
        self.posts.announce("events:created", event)
        return event

    async def create_order_event(self, request: web.Request) -> web.Response:
        """Add an event to an order."""
        return _json(self._happen(request.match_info["id"], await self._fields(request, "event")))

    async def list_customer_events(self, request: web.Request) -> web.Response:
        """List the events of a customer's orders."""
        return self._events(request, self.shop.events_of_customer(request.match_info["id"]))

    def _events(self, request: web.Request, events: Any) -> web.Response:
        placed: list[tuple[Place, Record]] = [
            ([event["timestamp"], number, event["id"]], event)
            for number, event in enumerate(events)
            if self.shop.event_shows.get(event["id"], 0.0) <= time.monotonic()
        ]
        newest_first = self.switches.events_order == "newest"
        return page(request, self.switches, placed, newest_first=newest_first)

    # --- customers ---------------------------------------------------------------------------

    async def list_customers(self, request: web.Request) -> web.Response:
        """List customers."""
        records = self.shop.customers.values()
        return page(request, self.switches, _newest(records), newest_first=True)

    async def create_customer(self, request: web.Request) -> web.Response:
        """Create a customer."""
        return _json(self.shop.add_customer(await self._fields(request, "customer")))

    async def get_customer(self, request: web.Request) -> web.Response:
        """Read a customer."""
        id = request.match_info["id"]
        return _json(self.shop.find("customer", self.shop.customers, id))

    async def put_customer(self, request: web.Request) -> web.Response:
        """Change a customer."""
        body = await self._fields(request, "customer")
        return _json(self.shop.put_customer(request.match_info["id"], body))

    async def delete_customer(self, request: web.Request) -> web.Response:
        """Delete a customer; orders keep their copy."""
        id = request.match_info["id"]
        self.shop.find("customer", self.shop.customers, id)
        del self.shop.customers[id]
        return self._deleted()

    # --- webhooks ----------------------------------------------------------------------------

    async def list_webhooks(self, request: web.Request) -> web.Response:
        """List webhooks."""
        records = self.shop.webhooks.values()
        return page(request, self.switches, _newest(records), newest_first=False)

    async def create_webhook(self, request: web.Request) -> web.Response:
        """Create a webhook; its secret is not told again."""
        body = await self._fields(request, "webhook")
        return _json(self.shop.add_webhook(body, loopback=self.switches.loopback_webhooks))

    async def get_webhook(self, request: web.Request) -> web.Response:
        """Read a webhook."""
        id = request.match_info["id"]
        return _json(self.shop.find("webhook", self.shop.webhooks, id))

    async def put_webhook(self, request: web.Request) -> web.Response:
        """Change a webhook."""
        body, id = await self._fields(request, "webhook"), request.match_info["id"]
        return _json(self.shop.put_webhook(id, body, loopback=self.switches.loopback_webhooks))

    async def delete_webhook(self, request: web.Request) -> web.Response:
        """Delete a webhook."""
        id = request.match_info["id"]
        self.shop.find("webhook", self.shop.webhooks, id)
        del self.shop.webhooks[id]
        return self._deleted()

    async def _fields(self, request: web.Request, noun: str) -> Record:
        body = await _body(request)
        if self.switches.unknown_fields == "refused":
            refuse_unknown(noun, body)
        return body

    def _deleted(self) -> web.Response:
        return web.Response(status=204) if self.switches.delete_status == 204 else _json({})

    # --- control -----------------------------------------------------------------------------

    async def show_switches(self, request: web.Request) -> web.Response:
        """Show the switches."""
        return _json(msgspec.to_builtins(self.switches))

    async def change_switches(self, request: web.Request) -> web.Response:
        """Merge the given switches into those in force; counters of faults begin anew."""
        given = {**msgspec.to_builtins(self.switches), **await _body(request)}
        try:
            self._set(msgspec.convert(given, Switches))
        except msgspec.ValidationError as error:
            return _refused(422, "bad_switch", str(error))
        return await self.show_switches(request)

    async def show_posts(self, request: web.Request) -> web.Response:
        """Show what was posted to webhooks, oldest first, and what became of it."""
        return _json(list(self.posts.made))

    async def reset(self, request: web.Request) -> web.Response:
        """Restore the seed and the switches the application was made with."""
        self.shop.reset()
        self.posts.forget()
        self._recorder.forget()
        self._set(self._default)
        return web.Response(status=204)


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _refused(status: int, code: str, message: str) -> web.Response:
    answer = {"code": code, "message": message, "request_id": str(uuid.uuid4()), "status": status}
    return web.json_response(answer, status=status)


async def _body(request: web.Request) -> Record:
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    if request.content_type != "application/json" or not isinstance(body, dict):
        raise Refusal(400, "bad_request", "the body must be a JSON object")
    return body


def _newest(records: Any) -> list[tuple[Place, Record]]:
    return [([record["created_at"], record["id"]], record) for record in records]


def _is_lookup(request: web.Request) -> bool:
    return not {"alternate_id", "tracking_code", "number"}.isdisjoint(request.query)


def _fits(order: Record, query: Any) -> bool:
    for name, wanted in query.items():
        values = [_folded(name, value) for value in _values(order, name)]
        if name not in ("next", "prev", "limit") and values and _folded(name, wanted) not in values:
            return False
    return True


def _values(order: Record, name: str) -> Iterator[Any]:
    if name == "tracking_code":
        yield None  # an order without shipments has no such code
        yield from (shipment["tracking_code"] for shipment in order["shipments"])
    elif name == "customer_email":
        yield order["email"]
        yield (order["customer"] or {}).get("email")
    elif name in ("alternate_id", "number"):
        yield order[name]


def _folded(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "customer_email":
        return value.strip().lower()
    return value.removeprefix("#") if name == "number" else value
