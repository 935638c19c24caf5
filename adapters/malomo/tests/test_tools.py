"""The other tools against the sandbox: the articles' workflows, look-ups, lists and odd ids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crossdock.adapter import InvalidArguments, Outcome, UpstreamFailure
from crossdock_malomo.sandbox import create_app

ORDERS = "list_all_malomo_orders"
AWKWARD_CODE = "00 12/34+ab?x=1&y#z%20"
AWKWARD_ID = "PO 55/61#2?x=%20&+"


def value(outcome: Outcome) -> Any:
    if isinstance(outcome.data, list):
        return [msgspec.json.decode(record) for record in outcome.data]
    return None if outcome.data is None else msgspec.json.decode(outcome.data)


async def found(tools: Any, name: str, **arguments: Any) -> Any:
    return value(await tools.call(name, **arguments))


async def everything(tools: Any, name: str, limit: int, **arguments: Any) -> list[Any]:
    records: list[Any] = []
    page = None
    for _ in range(200):
        outcome = await tools.call(name, page, limit=limit, **arguments)
        assert len(outcome.data) <= limit
        records += value(outcome)
        page = outcome.next_page
        if page is None:
            return records
    raise AssertionError("the list has no end")


# --- lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 25, 50])
async def test_a_list_gives_every_record_once_whatever_the_limit(
    provider: Any, tools: Any, limit: int
) -> None:
    await provider.switch(page_size=20)
    if limit == 1:
        customers = await everything(tools, "list_all_malomo_customers", 1)
        assert {one["id"] for one in customers} == set(provider.shop.customers)
        assert len(customers) == len(provider.shop.customers)
        return
    orders = await everything(tools, ORDERS, limit)
    assert [one["id"] for one in orders] == list(dict.fromkeys(one["id"] for one in orders))
    assert {one["id"] for one in orders} == set(provider.shop.orders)


async def test_no_page_size_is_sent_and_one_page_is_one_request(provider: Any, tools: Any) -> None:
    outcome = await tools.call(ORDERS)
    assert len(outcome.data) == 25
    assert outcome.next_page is not None
    (one,) = await provider.requests()
    assert one["path_qs"] == "/orders"
    assert one["headers"]["accept"] == "application/vnd.malomo+json; version=2"
    assert one["headers"]["authorization"] == "Bearer sk_sandbox"


async def test_the_filter_stays_on_the_pages_that_follow(provider: Any, tools: Any) -> None:
    await provider.switch(page_size=2)
    orders = await everything(tools, ORDERS, 1, customer_email="help@example.com")
    assert [one["number"] for one in orders] == ["#1045", "#1031", "#0999"]


async def test_an_ignored_filter_shows_no_strangers(provider: Any, tools: Any) -> None:
    await provider.switch(ignore_filters=True)
    outcome = await tools.call(ORDERS, customer_email="HELP@example.com", limit=50)
    assert {one["email"] for one in value(outcome)} == {"help@example.com"}
    assert "dropped" in outcome.notes[0]
    for filters in ({"tracking_code": "none"}, {"alternate_id": "none"}):
        assert await found(tools, ORDERS, **filters) == []
    lookups = {
        "get_single_malomo_orders_by_tracking_code_by_id": {"id": "none"},
        "get_single_malomo_orders_by_alternate_id_by_id": {"id": "none"},
        "get_single_malomo_orders_by_number_by_id": {"id": "1042", "customer_email": "x@y.z"},
    }
    for as_list in (False, True):
        await provider.switch(lookup_as_list=as_list)
        for name, arguments in lookups.items():
            with pytest.raises(UpstreamFailure) as caught:
                await tools.call(name, **arguments)
            assert caught.value.kind == "not_found"


@pytest.mark.parametrize("as_list", [True, False])
async def test_a_filter_that_malomo_takes_for_a_lookup_still_gives_a_list(
    provider: Any, tools: Any, as_list: bool
) -> None:
    await provider.switch(lookup_as_list=as_list)
    for filters in (
        {"tracking_code": "1Z9999999999999999"},
        {"number": "1040", "customer_email": "marcus.bell@example.com"},
    ):
        outcome = await tools.call(ORDERS, **filters)
        assert [one["number"] for one in value(outcome)] == ["#1040"]
        assert outcome.next_page is None
    (awkward,) = await found(tools, ORDERS, alternate_id=AWKWARD_ID)
    assert awkward["number"] == "EU 12/7+é"


async def test_a_filter_that_finds_nothing_gives_an_empty_list_and_malomos_words(
    tools: Any,
) -> None:
    outcome = await tools.call(ORDERS, tracking_code="none")
    assert (outcome.data, outcome.next_page) == ([], None)
    assert "No order was found" in outcome.notes[0]
    assert await found(tools, ORDERS, customer_email="nobody@example.com") == []


async def test_other_refusals_of_a_lookup_pass_as_they_are(provider: Any, tools: Any) -> None:
    with pytest.raises(UpstreamFailure, match="customer_email is required") as caught:
        await tools.call(ORDERS, number="1042")
    assert caught.value.kind == "upstream_rejected"
    await provider.switch(faults=[{"kind": "rate_limited"}])
    with pytest.raises(UpstreamFailure) as caught:
        await tools.call(ORDERS, tracking_code="1Z9999999999999999")
    assert (caught.value.kind, caught.value.rate.retry_after) == ("rate_limited", 30)


async def test_a_plain_list_that_is_no_list_is_malformed(provider: Any, tools: Any) -> None:
    await provider.switch(faults=[{"kind": "status", "status": 200, "body": "{}"}])
    with pytest.raises(UpstreamFailure) as caught:
        await tools.call(ORDERS, customer_email="help@example.com")
    assert caught.value.kind == "upstream_malformed"


# --- single records --------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [True, False])
@pytest.mark.requirement(
    "malomo:lookups:tracking-code", "malomo:lookups:alternate-id", "malomo:lookups:number"
)
async def test_made_up_ids_reach_malomo_as_one_value(
    provider: Any, tools: Any, as_list: bool
) -> None:
    await provider.switch(lookup_as_list=as_list)
    for name, arguments in (
        ("get_single_malomo_orders_by_tracking_code_by_id", {"id": AWKWARD_CODE}),
        ("get_single_malomo_orders_by_alternate_id_by_id", {"id": AWKWARD_ID}),
        (
            "get_single_malomo_orders_by_number_by_id",
            {"id": "EU 12/7+é", "customer_email": "nora.oneill-lukasz@example.com"},
        ),
    ):
        assert (await found(tools, name, **arguments))["alternate_id"] == AWKWARD_ID
    first, *_ = await provider.requests()
    assert first["path_qs"] == ("/orders/?tracking_code=00%2012%2F34%2Bab%3Fx%3D1%26y%23z%2520")


async def test_an_id_of_malomo_with_a_slash_is_refused_before_any_request(
    provider: Any, tools: Any
) -> None:
    for id in ("a/b", "..", "a b", "a?b", "89123\n", ""):
        for name in ("get_single_malomo_order_by_id", "delete_a_malomo_order_by_id"):
            with pytest.raises(InvalidArguments):
                await tools.call(name, id=id)
    assert await provider.requests() == []


async def test_records_pass_value_for_value(provider: Any, tools: Any) -> None:
    provider.shop.orders["89123"]["meta"] = {"big": 2**63 + 1}
    outcome = await tools.call("get_single_malomo_order_by_id", id="89123")
    assert b'"big":9223372036854775809' in bytes(outcome.data)


async def test_every_write_does_what_it_says(provider: Any, tools: Any) -> None:
    shop = provider.shop
    order = await found(
        tools,
        "create_a_malomo_order",
        number="#2000",
        email="new@example.com",
        customer={"email": "new@example.com", "first_name": "New"},
        shipments=[{"carrier": "ups", "tracking_code": "1Z2000"}],
    )
    assert shop.orders[order["id"]]["shipments"][0]["tracking_code"] == "1Z2000"
    event = await found(
        tools, "create_a_malomo_order_event", order_id=order["id"], type="NoteAdded", timestamp=7
    )
    assert shop.events[order["id"]][-1] == event
    (customer,) = [c for c in shop.customers.values() if c["email"] == "new@example.com"]
    events = await found(tools, "list_all_malomo_customer_events", customer_id=customer["id"])
    assert event in events
    assert await found(tools, "delete_a_malomo_order_by_id", id=order["id"]) is None
    assert order["id"] not in shop.orders


async def test_customers_can_be_made_read_changed_and_deleted(provider: Any, tools: Any) -> None:
    made = await found(tools, "create_a_malomo_customer", email="c@example.com")
    id = made["id"]
    changed = await found(tools, "update_a_malomo_customer_by_id", id=id, phone_number="+1555")
    assert await found(tools, "get_single_malomo_customer_by_id", id=id) == changed
    assert changed["phone_number"] == "+1555"
    await tools.call("delete_a_malomo_customer_by_id", id=id)
    assert id not in provider.shop.customers


async def test_a_webhook_can_be_paused_read_and_deleted(provider: Any, tools: Any) -> None:
    first = next(iter(provider.shop.webhooks))
    await tools.call("update_a_malomo_webhook_by_id", id=first, active=False)
    assert (await found(tools, "get_single_malomo_webhook_by_id", id=first))["active"] is False
    await tools.call("delete_a_malomo_webhook_by_id", id=first)
    assert first not in provider.shop.webhooks


async def test_a_key_that_malomo_refuses_is_unauthenticated(
    provider: Any, upstream: Any, tools: Any
) -> None:
    wrong = type(tools)(provider.url, upstream, key="sk_wrong")
    with pytest.raises(UpstreamFailure) as caught:
        await wrong.call("list_all_malomo_webhooks")
    assert caught.value.kind == "unauthenticated"
    assert "sk_wrong" not in str(caught.value)
    assert len(await provider.requests()) == 1


async def test_the_sandbox_offers_an_account_that_the_adapter_can_use(tools: Any) -> None:
    assert tools.adapter.sandbox.create_app is create_app
    (account,) = tools.adapter.sandbox.accounts("http://127.0.0.1:1")
    assert set(account) == {"name", "settings", "credentials"}
    assert set(account["credentials"]) == set(tools.adapter.manifest.credentials)
