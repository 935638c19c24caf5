"""What writes answer: what they changed, what does not show, and nothing lost to an empty value."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crossdock.adapter import (
    InvalidArguments,
    Outcome,
    WriteNotVerified,
    WriteOutcomeUnknown,
)
from crossdock_malomo import updates

UPDATE = "update_a_malomo_order_by_id"
CUSTOMER = "update_a_malomo_customer_by_id"
WEBHOOK = "update_a_malomo_webhook_by_id"
ORDER = "89123"
STORED_META = {"shopify_order": {"order_id": "5000000000003"}}


async def update(tools: Any, **arguments: Any) -> Outcome:
    outcome: Outcome = await tools.call(UPDATE, id=ORDER, **arguments)
    return outcome


def order(provider: Any) -> Any:
    return provider.shop.orders[ORDER]


# --- objects that Malomo replaces as a whole --------------------------------------------------


async def test_a_key_added_to_meta_leaves_the_others(provider: Any, tools: Any) -> None:
    outcome = await update(tools, meta={"gift": True})
    assert order(provider)["meta"] == {**STORED_META, "gift": True}
    assert "Set meta.gift to true; it had no value." in outcome.notes


async def test_meta_is_merged_at_every_depth_and_null_removes_a_key(
    provider: Any, tools: Any
) -> None:
    order(provider)["meta"] = {"a": {"x": 1, "y": 2}, "b": 1, "c": {"d": 1}}
    outcome = await update(tools, meta={"a": {"x": None, "z": 3}, "b": None, "c": {}})
    assert order(provider)["meta"] == {"a": {"y": 2, "z": 3}, "c": {"d": 1}}
    assert "Removed meta.a.x; it was 1." in outcome.notes
    assert "Set meta.a.z to 3; it had no value." in outcome.notes
    assert "Removed meta.b; it was 1." in outcome.notes


async def test_what_stays_in_meta_is_sent_back_value_for_value(provider: Any, tools: Any) -> None:
    order(provider)["meta"] = {"big": 2**63 + 1, "exact": 0.1}
    await update(tools, meta={"gift": True})
    (sent,) = await provider.requests("PUT")
    assert '"big":9223372036854775809' in sent["body"]
    assert order(provider)["meta"]["gift"] is True


async def test_a_customers_field_leaves_the_others(provider: Any, tools: Any) -> None:
    outcome = await update(tools, customer={"first_name": "Diana"})
    assert order(provider)["customer"] == {
        "email": "dana.whitfield@example.com",
        "first_name": "Diana",
        "last_name": "Whitfield",
    }
    assert 'Changed customer.first_name from "Dana" to "Diana".' in outcome.notes


async def test_a_key_that_another_writer_took_away_is_told(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"id": ORDER, "email": "new@example.com", "meta": {}, "shipments": []}
    before = {**body, "email": "old@example.com", "meta": {"a": 1}}
    await provider.switch(
        faults=[
            {
                "kind": "status",
                "status": 200,
                "body": msgspec.json.encode(before).decode(),
                "times": 1,
            },
            {"kind": "status", "status": 200, "body": msgspec.json.encode(body).decode()},
        ]
    )
    outcome = await update(tools, email="new@example.com")
    assert 'Changed email from "old@example.com" to "new@example.com".' in outcome.notes
    assert any("meta.a went from 1 to nothing" in note for note in outcome.notes)


# --- empty values ----------------------------------------------------------------------------

EMPTY: dict[str, Any] = {
    "email": "",
    "customer": {},
    "meta": {},
    "shipments": [],
    "remove_shipments": [],
    "detach_customer": False,
    "clear": [],
}


async def test_a_form_full_of_nothing_changes_nothing(provider: Any, tools: Any) -> None:
    before = msgspec.json.encode(order(provider))
    nulls = dict.fromkeys(EMPTY)
    half = {"email": " ", "customer": {"email": "", "first_name": None, "last_name": " "}}
    for given in (EMPTY, nulls, half):
        outcome = await update(tools, **given)
        assert "nothing was written" in outcome.notes[0]
    assert msgspec.json.encode(order(provider)) == before
    assert await provider.written() == []


async def test_what_was_left_out_as_empty_is_told_with_the_remedy(
    provider: Any, tools: Any
) -> None:
    given = {**EMPTY, "customer": {"email": "", "first_name": "Di"}, "meta": {"a": 1}}
    outcome = await update(tools, **given)
    assert order(provider)["email"] == "dana.whitfield@example.com"
    assert order(provider)["customer"]["email"] == "dana.whitfield@example.com"
    assert outcome.notes[-1].startswith("Left out, since empty: email, customer.email.")
    assert "detach_customer, clear" in outcome.notes[-1]


async def test_fields_are_emptied_by_an_argument_that_says_so(provider: Any, tools: Any) -> None:
    outcome = await update(tools, clear=["email", "meta"])
    assert (order(provider)["email"], order(provider)["meta"]) == (None, {})
    assert 'Removed email; it was "dana.whitfield@example.com".' in outcome.notes
    assert any(note.startswith("Removed meta; it was {") for note in outcome.notes)


@pytest.mark.parametrize(
    "given",
    [
        {"clear": ["email"], "email": "x@example.com"},
        {"clear": ["meta"], "meta": {"a": 1}},
        {"detach_customer": True, "customer": {"first_name": "Di"}},
        {"clear": ["shipments"]},
    ],
)
async def test_emptying_and_giving_at_once_is_refused(
    provider: Any, tools: Any, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArguments):
        await update(tools, **given)
    assert await provider.requests() == []


async def test_a_customer_keeps_what_is_given_empty(provider: Any, tools: Any) -> None:
    id, before = next(iter(provider.shop.customers.items()))
    before = dict(before)
    outcome = await tools.call(CUSTOMER, id=id, email="", phone_number=None)
    assert "nothing was written" in outcome.notes[0]
    outcome = await tools.call(CUSTOMER, id=id, first_name="Zoe", last_name=" ")
    after = provider.shop.customers[id]
    assert (after["first_name"], after["last_name"]) == ("Zoe", before["last_name"])
    assert f'Changed first_name from "{before["first_name"]}" to "Zoe".' in outcome.notes
    outcome = await tools.call(CUSTOMER, id=id, clear=["last_name"])
    assert provider.shop.customers[id]["last_name"] is None


# --- creates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("create_a_malomo_order", {}),
        ("create_a_malomo_order", {"meta": {"a": 1}}),
        ("create_a_malomo_order", {"number": "", "customer": {}, "shipments": [], "email": None}),
        ("create_a_malomo_customer", {}),
        ("create_a_malomo_customer", {"email": " ", "first_name": None}),
        ("create_a_malomo_order_event", {"order_id": ORDER}),
        ("create_a_malomo_order_event", {"order_id": ORDER, "type": " "}),
        ("create_a_malomo_webhook", {}),
        ("create_a_malomo_webhook", {"topic": "events:created"}),
        ("create_a_malomo_webhook", {"topic": "", "url": "https://hooks.example.com/x"}),
        ("create_a_malomo_webhook", {"topic": "events:created", "url": ""}),
    ],
)
async def test_an_empty_create_is_refused_before_anything_is_sent(
    provider: Any, tools: Any, tool: str, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArguments):
        await tools.call(tool, **given)
    assert await provider.requests() == []


async def test_a_create_leaves_out_what_is_empty(provider: Any, tools: Any) -> None:
    outcome = await tools.call(
        "create_a_malomo_order", number="#7", email="", customer={}, meta={}, shipments=[]
    )
    (sent,) = await provider.requests("POST")
    assert msgspec.json.decode(sent["body"]) == {"number": "#7"}
    assert outcome.notes == ("Left out, since empty: email, customer, meta, shipments.",)


async def test_a_create_whose_answer_shows_no_record_is_not_believed(
    provider: Any, tools: Any
) -> None:
    for fault in (
        {"kind": "lie"},
        {"kind": "empty"},
        {"kind": "status", "status": 200, "body": "[]"},
    ):
        await provider.switch(faults=[{**fault, "method": "POST"}])
        with pytest.raises(WriteNotVerified, match="Look for it before you try again"):
            await tools.call("create_a_malomo_customer", email="a@example.com")


async def test_a_create_says_what_the_answer_does_not_show(provider: Any, tools: Any) -> None:
    await provider.switch(
        faults=[{"kind": "status", "status": 200, "body": '{"id": "1", "email": "b@example.com"}'}]
    )
    outcome = await tools.call("create_a_malomo_customer", email="a@example.com", first_name="A")
    assert outcome.notes == ("Malomo's answer does not show as given: email, first_name.",)


async def test_a_carrier_that_is_no_slug_is_told(provider: Any, tools: Any) -> None:
    parcel = {"carrier": "FedEx", "tracking_code": "123456789044"}
    for outcome in (
        await update(tools, shipments=[parcel]),
        await tools.call("create_a_malomo_order", number="#8", shipments=[parcel]),
    ):
        assert any("'FedEx' is none" in note for note in outcome.notes)


# --- customers and webhooks are proved as orders are ------------------------------------------


@pytest.mark.parametrize(("tool", "given"), [(CUSTOMER, {"first_name": "Zoe"}), (WEBHOOK, {})])
async def test_an_update_that_only_seems_to_take_is_not_believed(
    provider: Any,
    tools: Any,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    given: dict[str, Any],
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0))
    records = provider.shop.customers if tool == CUSTOMER else provider.shop.webhooks
    id = next(iter(records))
    given = given or {"active": False}
    await provider.switch(faults=[{"kind": "lie", "method": "PUT"}])
    with pytest.raises(WriteNotVerified, match="get_single_malomo") as caught:
        await tools.call(tool, id=id, **given)
    assert caught.value.details()["expected"] == given
    await provider.switch(faults=[{"kind": "drop", "method": "PUT"}])
    with pytest.raises(WriteOutcomeUnknown):
        await tools.call(tool, id=id, **given)
    await provider.switch(faults=[{"kind": "drop", "method": "PUT", "commit": True}])
    outcome = await tools.call(tool, id=id, **given)
    assert "answer to the write was lost" in outcome.notes[0]
    assert len(await provider.requests("PUT")) == 3


async def test_a_webhook_tells_what_it_was(provider: Any, tools: Any) -> None:
    id, webhook = next(iter(provider.shop.webhooks.items()))
    old = webhook["url"]
    outcome = await tools.call(WEBHOOK, id=id, url="https://new.example.com/x", active=True)
    assert f'Changed url from "{old}" to "https://new.example.com/x".' in outcome.notes
    assert "Already as given: active." in outcome.notes
