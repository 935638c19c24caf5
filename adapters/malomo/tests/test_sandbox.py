"""The sandbox behaves as Malomo does, as far as that is known."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from harness.patience import until

from crossdock_malomo.sandbox import Switches, create_app
from crossdock_malomo.sandbox.seed import seeded
from crossdock_malomo.sandbox.shop import CARRIERS

V2 = {"Accept": "application/vnd.malomo+json; version=2"}


def link(headers: dict[str, str], relation: str) -> str:
    found = re.search(rf'<([^>]*)>; rel="{relation}"', headers.get("Link", ""))
    return found.group(1) if found else ""


async def walk(provider: Any, path: str, relation: str = "next") -> list[list[Any]]:
    pages = []
    while path:
        status, body, headers = await provider.http("GET", path)
        assert status == 200, body
        pages.append(body)
        path = link(headers, relation)
        assert len(pages) < 20
    return pages


# --- the door --------------------------------------------------------------------------------


async def test_without_a_key_the_answer_is_401_in_malomos_envelope(provider: Any) -> None:
    for key in (None, "sk_other", "sandbox"):
        status, body, _ = await provider.http("GET", "/orders", key=key)
        assert status == body["status"] == 401
        assert set(body) == {"code", "message", "request_id", "status"}


async def test_a_publishable_key_only_looks_up_orders(provider: Any) -> None:
    allowed = ("/orders/89123", "/orders/?tracking_code=1Z9999999999999999")
    for path in allowed:
        assert (await provider.http("GET", path, key="pk_sandbox"))[0] == 200
    for path in ("/orders", "/customers", "/webhooks", "/orders/89123/events"):
        assert (await provider.http("GET", path, key="pk_sandbox"))[0] == 403
    assert (await provider.http("DELETE", "/orders/89123", key="pk_sandbox"))[0] == 403
    await provider.switch(publishable_status=401)
    assert (await provider.http("GET", "/webhooks", key="pk_sandbox"))[0] == 401


async def test_another_version_is_refused_and_none_means_two(provider: Any) -> None:
    other = {"Accept": "application/vnd.malomo+json; version=1"}
    assert (await provider.http("GET", "/webhooks", headers=other))[0] == 406
    assert (await provider.http("GET", "/webhooks", headers=V2))[0] == 200
    assert (await provider.http("GET", "/webhooks"))[0] == 200


async def test_an_unknown_path_is_404_in_the_envelope(provider: Any) -> None:
    status, body, _ = await provider.http("GET", "/shipments")
    assert (status, body["code"]) == (404, "not_found")


# --- lists and cursors -----------------------------------------------------------------------


async def test_lists_are_bare_arrays_that_page_by_link_header(provider: Any) -> None:
    pages = await walk(provider, "/orders")
    assert [len(page) for page in pages] == [50, 50, 29]
    ids = [order["id"] for page in pages for order in page]
    assert len(set(ids)) == len(ids) == 129
    stamps = [order["created_at"] for page in pages for order in page]
    assert stamps == sorted(stamps, reverse=True)


async def test_prev_leads_back_the_same_way(provider: Any) -> None:
    await provider.switch(page_size=60)
    _, first, headers = await provider.http("GET", "/orders")
    _, second, headers = await provider.http("GET", link(headers, "next"))
    _, back, headers = await provider.http("GET", link(headers, "prev"))
    assert back == first != second
    assert link(headers, "prev") == ""


async def test_a_list_that_changes_while_it_is_paged_loses_nothing(provider: Any) -> None:
    _, first, headers = await provider.http("GET", "/orders")
    await provider.http("DELETE", f"/orders/{first[-1]['id']}")
    await provider.http("POST", "/orders", json={"number": "new"})
    _, second, _ = await provider.http("GET", link(headers, "next"))
    assert len(second) == 50
    assert not {one["id"] for one in first} & {one["id"] for one in second}


async def test_a_cursor_belongs_to_its_query_and_cannot_be_edited(provider: Any) -> None:
    _, _, headers = await provider.http("GET", "/orders")
    cursor = re.search(r"next=([^&>]+)", headers["Link"]).group(1)  # type: ignore[union-attr]
    for path in (
        f"/orders?customer_email=a@b.c&next={cursor}",
        f"/customers?next={cursor}",
        f"/orders?next={cursor[:-2]}",
        "/orders?next=nonsense",
        f"/orders?next={cursor}&prev={cursor}",
    ):
        assert (await provider.http("GET", path))[0] == 400, path
    await provider.switch(cursor_seconds=0)
    assert (await provider.http("GET", f"/orders?next={cursor}"))[0] == 400


async def test_cursors_can_be_moved_to_another_header(provider: Any) -> None:
    await provider.switch(cursor_header="x-next-cursor")
    _, _, headers = await provider.http("GET", "/orders")
    assert headers["X-Next-Cursor"]
    assert "Link" not in headers


# --- look-ups --------------------------------------------------------------------------------


async def test_a_lookup_answers_one_order_or_a_list_of_one_or_404(provider: Any) -> None:
    for slash in ("", "/"):
        path = f"/orders{slash}?tracking_code=1Z9999999999999999"
        status, order, _ = await provider.http("GET", path)
        assert (status, order["number"]) == (200, "#1040")
    await provider.switch(lookup_as_list=True)
    _, orders, _ = await provider.http("GET", "/orders/?tracking_code=1Z9999999999999999")
    assert [one["number"] for one in orders] == ["#1040"]
    assert (await provider.http("GET", "/orders/?tracking_code=none"))[0] == 404


async def test_a_number_needs_the_address_and_may_leave_out_the_hash(provider: Any) -> None:
    for number in ("1042", "%231042"):
        path = f"/orders/?number={number}&customer_email=SARAH.Smith@example.com"
        assert (await provider.http("GET", path))[0] == 200
    assert (await provider.http("GET", "/orders/?number=1042"))[0] == 400
    path = "/orders/?number=1042&customer_email=help@example.com"
    assert (await provider.http("GET", path))[0] == 404
    await provider.switch(number_without_email_status=403)
    assert (await provider.http("GET", "/orders/?number=1042"))[0] == 403


async def test_an_address_alone_gives_a_list(provider: Any) -> None:
    _, orders, _ = await provider.http("GET", "/orders?customer_email=help@example.com")
    assert [one["number"] for one in orders] == ["#1045", "#1031", "#0999"]
    await provider.switch(ignore_filters=True)
    _, orders, _ = await provider.http("GET", "/orders?customer_email=help@example.com")
    assert len(orders) == 50


# --- writing ---------------------------------------------------------------------------------


async def put(provider: Any, **body: Any) -> Any:
    status, order, _ = await provider.http("PUT", "/orders/89123", json=body)
    assert status == 200, order
    return order


USPS = {"carrier": "usps", "tracking_code": "9400111899223100012345"}
FEDEX = {"carrier": "fedex", "tracking_code": "123456789044"}


async def test_a_put_replaces_the_shipments_and_keeps_the_history_of_those_named(
    provider: Any,
) -> None:
    _, before, _ = await provider.http("GET", "/orders/89123")
    order = await put(provider, shipments=[FEDEX, USPS, FEDEX])
    assert [one["carrier"] for one in order["shipments"]] == ["fedex", "usps"]
    assert order["shipments"][1] == before["shipments"][0]
    order = await put(provider, shipments=[FEDEX])
    order = await put(provider, shipments=[FEDEX, USPS])
    assert order["shipments"][1]["scan_events"] == []


async def test_what_an_omitted_array_does_is_a_switch(provider: Any) -> None:
    assert (await put(provider, email="a@b.c"))["shipments"]
    await provider.switch(omitted_shipments_are_dropped=True)
    assert (await put(provider, email="a@b.c"))["shipments"] == []


async def test_null_detaches_the_customer_and_meta_is_replaced(provider: Any) -> None:
    order = await put(provider, customer=None, meta={"a": 1})
    assert (order["customer"], order["meta"]) == (None, {"a": 1})


async def test_a_malformed_shipment_is_refused_and_nothing_changes(provider: Any) -> None:
    for shipments in ([{"carrier": "usps"}], [1], "usps", [{**USPS, "tracking_code": ""}]):
        body = {"shipments": shipments, "email": "x@y.z"}
        status, _, _ = await provider.http("PUT", "/orders/89123", json=body)
        assert status == 400
    assert provider.pairs() == {("usps", USPS["tracking_code"])}
    assert provider.shop.orders["89123"]["email"] != "x@y.z"


async def test_creating_answers_200_and_deleting_204_or_200(provider: Any) -> None:
    status, order, _ = await provider.http("POST", "/orders", json={"shipments": [FEDEX]})
    assert status == 200
    assert (await provider.http("DELETE", f"/orders/{order['id']}"))[:2] == (204, None)
    assert (await provider.http("GET", f"/orders/{order['id']}"))[0] == 404
    await provider.switch(delete_status=200)
    assert (await provider.http("DELETE", "/orders/89123"))[0] == 200


async def test_an_unknown_carrier_is_taken_in_and_judged_later(provider: Any) -> None:
    odd = {"carrier": "pigeon", "tracking_code": "1234567890"}
    short = {"carrier": "ups", "tracking_code": "1"}
    order = await put(provider, shipments=[USPS, odd, short])
    assert [one["status"] for one in order["shipments"][1:]] == ["unknown", "unknown"]
    await provider.http("GET", "/orders/89123")
    _, order, _ = await provider.http("GET", "/orders/89123")
    details = [one["status_detail"] for one in order["shipments"][1:]]
    assert details == ["unsupported_carrier_error", "bad_tracking_code_error"]


async def test_a_body_that_is_no_json_object_is_refused(provider: Any) -> None:
    for kw in ({"data": b"{"}, {"json": [1]}, {"data": b"{}"}):
        assert (await provider.http("POST", "/orders", **kw))[0] == 400


# --- the rest of the shop --------------------------------------------------------------------


async def test_events_have_whole_seconds_and_either_order(provider: Any) -> None:
    _, newest, _ = await provider.http("GET", "/orders/89123/events")
    await provider.switch(events_order="oldest")
    _, oldest, _ = await provider.http("GET", "/orders/89123/events")
    assert oldest == newest[::-1]
    assert all(isinstance(event["timestamp"], int) for event in oldest)
    assert oldest[0]["type"] == "ShopifyOrderCreated"


async def test_an_event_of_an_order_is_one_of_its_customer(provider: Any) -> None:
    body = {"type": "NoteAdded", "label": "called", "timestamp": 1}
    assert (await provider.http("POST", "/orders/89123/events", json=body))[0] == 200
    assert (await provider.http("POST", "/orders/89123/events", json={}))[0] == 400
    email = provider.shop.orders["89123"]["customer"]["email"]
    (customer,) = [c for c in provider.shop.customers.values() if c["email"] == email]
    _, events, _ = await provider.http("GET", f"/customers/{customer['id']}/events")
    assert events[-1]["label"] == "called"


async def test_customers_are_created_changed_and_deleted(provider: Any) -> None:
    _, made, _ = await provider.http("POST", "/customers", json={"email": "n@example.com"})
    path = f"/customers/{made['id']}"
    _, changed, _ = await provider.http("PUT", path, json={"first_name": "N"})
    assert (changed["email"], changed["first_name"]) == ("n@example.com", "N")
    assert (await provider.http("DELETE", path))[0] == 204
    assert (await provider.http("GET", path))[0] == 404


# --- what comes late, and what is posted -------------------------------------------------------


async def test_lists_and_histories_are_late_and_a_read_by_id_is_not(provider: Any) -> None:
    await provider.switch(lag_seconds=0.3)
    _, made, _ = await provider.http("POST", "/orders", json={"number": "#7", "email": "n@a.b"})
    await put(provider, email="late@example.com")
    body = {"type": "NoteAdded"}
    _, event, _ = await provider.http("POST", "/orders/89123/events", json=body)
    assert (await provider.http("GET", f"/orders/{made['id']}"))[0] == 200
    _, order, _ = await provider.http("GET", "/orders/89123")
    assert order["email"] == "late@example.com"

    async def shown() -> list[int]:
        _, found, _ = await provider.http("GET", "/orders?customer_email=n@a.b")
        _, changed, _ = await provider.http("GET", "/orders?customer_email=late@example.com")
        _, events, _ = await provider.http("GET", "/orders/89123/events")
        return [len(found), len(changed), sum(one["id"] == event["id"] for one in events)]

    assert await shown() == [0, 0, 0]

    async def all_shown() -> bool:
        return await shown() == [1, 1, 1]

    await until(all_shown)


async def test_the_lag_is_on_by_default() -> None:
    assert 0 < Switches().lag_seconds < 1


async def test_a_topic_takes_one_webhook_and_no_plain_http(provider: Any) -> None:
    body = {"topic": "events:created", "url": "https://a.example/"}
    assert (await provider.http("POST", "/webhooks", json=body))[0] == 200
    status, refused, _ = await provider.http("POST", "/webhooks", json=body)
    assert (status, refused["code"]) == (400, "topic_taken")
    for url in ("http://a.example/", "http://127.0.0.1:1/"):
        other = {"topic": "a:b", "url": url}
        assert (await provider.http("POST", "/webhooks", json=other))[0] == 400


async def test_unknown_fields_are_dropped_or_refused(provider: Any) -> None:
    _, order, _ = await provider.http("POST", "/orders", json={"number": "#7", "stauts": "new"})
    assert "stauts" not in order
    await provider.switch(unknown_fields="refused")
    status, refused, _ = await provider.http("POST", "/orders", json={"stauts": "new"})
    assert (status, refused["message"]) == (400, "stauts is not taken: no field of order")


async def posts(provider: Any, enough: int) -> list[Any]:
    async def made() -> list[Any] | None:
        _, found, _ = await provider.http("GET", "/_sandbox/posts")
        return list(found) if len(found) >= enough else None

    found: list[Any] = await until(made)
    return found


async def test_a_post_that_would_leave_the_machine_is_kept_and_not_sent(provider: Any) -> None:
    hook = {"topic": "events:created", "url": "https://hooks.example.com/x", "secret": "s3cret"}
    _, made, _ = await provider.http("POST", "/webhooks", json=hook)
    await put(provider, shipments=[USPS, FEDEX])
    (post,) = await posts(provider, 1)
    assert (post["url"], post["answered"]) == (hook["url"], "not sent")
    mark = hmac.new(b"s3cret", post["body"].encode(), hashlib.sha256).hexdigest().upper()
    assert post["headers"] == {
        "Content-Type": "application/json",
        "Malomo-Topic": "events:created",
        "Malomo-Webhook-Id": made["id"],
        "Malomo-Attempt-Number": "1",
        "Malomo-Signature": mark,
    }
    event = msgspec.json.decode(post["body"])
    assert (event["type"], event["properties"]) == ("ShipmentCreated", FEDEX)


async def test_an_event_is_posted_to_this_machine_again_and_again_until_it_is_taken(
    provider: Any,
) -> None:
    received: list[tuple[str, bytes]] = []

    async def take(request: web.Request) -> web.Response:
        received.append((request.headers["Malomo-Attempt-Number"], await request.read()))
        return web.Response(status=500 if len(received) < 3 else 204)

    receiver = web.Application()
    receiver.router.add_post("/hook", take)
    async with TestServer(receiver) as server:
        await provider.switch(loopback_webhooks=True, webhook_retry_seconds=0.001)
        hook = {"topic": "events:created", "url": str(server.make_url("/hook"))}
        _, made, _ = await provider.http("POST", "/webhooks", json=hook)
        await provider.http("POST", "/orders/89123/events", json={"type": "NoteAdded"})
        answered = [post["answered"] for post in await posts(provider, 3)]
        assert answered == [500, 500, 204]
        assert [attempt for attempt, _ in received] == ["1", "2", "3"]
        assert len({body for _, body in received}) == 1
        await provider.http("PUT", f"/webhooks/{made['id']}", json={"active": False})
        await provider.http("POST", "/orders/89123/events", json={"type": "NoteAdded"})
        await provider.http("PUT", f"/webhooks/{made['id']}", json={"active": True})
        await provider.http("POST", "/orders/89123/events", json={"type": "Last"})
        assert msgspec.json.decode((await posts(provider, 4))[3]["body"])["type"] == "Last"


async def test_a_webhooks_secret_is_never_told(provider: Any) -> None:
    body = {"topic": "events:created", "url": "https://a.example/", "secret": "s3cret"}
    _, made, _ = await provider.http("POST", "/webhooks", json=body)
    assert made["active"] is True
    path = f"/webhooks/{made['id']}"
    _, changed, _ = await provider.http("PUT", path, json={"active": False, "topic": "x:y"})
    assert (changed["active"], changed["topic"]) == (False, "events:created")
    _, listed, _ = await provider.http("GET", "/webhooks")
    assert "s3cret" not in str([made, changed, listed])
    for wrong in ({"topic": "a:b"}, {"url": "https://a.example/"}, {**body, "url": "ftp://a"}):
        assert (await provider.http("POST", "/webhooks", json=wrong))[0] == 400
    assert (await provider.http("DELETE", path))[0] == 204


# --- the seed and the controls ---------------------------------------------------------------


def test_the_seed_is_the_same_at_the_same_moment() -> None:
    moment = datetime(2026, 3, 3, 6, 0, tzinfo=UTC)

    def everything() -> bytes:
        shop = seeded(moment)
        return msgspec.json.encode([shop.orders, shop.customers, shop.webhooks, shop.events])

    assert everything() == everything()


def test_sarahs_story_holds_on_every_day_of_the_week() -> None:
    for day in range(1, 15):
        shop = seeded(datetime(2026, 11, day, 12, 0, tzinfo=UTC))
        hers = [o for o in shop.orders.values() if o["email"] == "sarah.smith@example.com"]
        latest = max(hers, key=lambda order: order["created_at"])
        assert latest["number"] == "#1042"
        *_, local, last = latest["shipments"][0]["scan_events"]
        assert last["scanned_at"] == f"2026-11-{day:02d}T08:14:00"
        assert last["message"] == "Address Undeliverable"
        assert "local distribution center" in local["message"]
        assert datetime.fromisoformat(local["scanned_at"]).strftime("%A") == "Tuesday"
        assert local["scanned_at"] < last["scanned_at"]


def test_the_seed_holds_two_active_webhooks_and_none_for_exceptions() -> None:
    webhooks = list(seeded().webhooks.values())
    assert [one["active"] for one in webhooks] == [True, True]
    assert not any("exception" in one["topic"] for one in webhooks)


def test_the_seed_tells_what_carriers_tell() -> None:
    shop = seeded()
    parcels = [parcel for order in shop.orders.values() for parcel in order["shipments"]]
    assert {parcel["carrier"] for parcel in parcels} <= set(CARRIERS)
    assert max(len(parcel["scan_events"]) for parcel in parcels) == 30
    unset = {"guaranteed_delivered_at", "delivered_at", "initial_delivery_attempted_at"}
    for parcel in parcels:
        times = [scan["scanned_at"] for scan in parcel["scan_events"]]
        assert times == sorted(times)
        empty = {name for name, value in parcel.items() if value is None}
        assert empty <= unset or not times


def test_an_order_was_updated_when_its_last_event_happened() -> None:
    shop = seeded()
    for id, order in shop.orders.items():
        assert order["updated_at"] == max(event["created_at"] for event in shop.events[id])


async def test_the_controls_record_forget_and_reset(provider: Any) -> None:
    await provider.http("PUT", "/orders/89123?x=%2F", json={"email": "a@b.c"})
    (one,) = await provider.requests()
    assert (one["method"], one["path_qs"]) == ("PUT", "/orders/89123?x=%2F")
    assert one["headers"]["authorization"] == "Bearer sk_sandbox"
    assert msgspec.json.decode(one["body"]) == {"email": "a@b.c"}
    assert (await provider.http("DELETE", "/_sandbox/requests"))[0] == 204
    assert await provider.requests() == []
    await provider.switch(page_size=3)
    assert (await provider.http("POST", "/_sandbox/reset"))[0] == 204
    _, switches, _ = await provider.http("GET", "/_sandbox/switches")
    assert switches["page_size"] == 50
    assert provider.shop.orders["89123"]["email"] != "a@b.c"


async def test_an_unknown_switch_is_refused_by_name(provider: Any) -> None:
    status, body, _ = await provider.http("POST", "/_sandbox/switches", json={"pagesize": 1})
    assert status == 422
    assert "pagesize" in body["message"]


def test_an_application_can_be_made_without_any_argument() -> None:
    assert len(create_app().router.routes())
