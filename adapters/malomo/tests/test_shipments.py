"""The guard of orders.update: no shipment is lost that nobody named for removal."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from crossdock.adapter import (
    Busy,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    WriteNotVerified,
    WriteOutcomeUnknown,
)
from crossdock_malomo import orders, updates

UPDATE = "update_a_malomo_order_by_id"
ORDER = "89123"
CODE = "9400111899223100012345"
USPS = {"carrier": "usps", "tracking_code": CODE}
FEDEX = {"carrier": "fedex", "tracking_code": "123456789044"}
UPS = {"carrier": "ups", "tracking_code": "1Z0000000000000001"}
WRITES = {"method": "PUT"}
READS = {"method": "GET"}


def pair(shipment: dict[str, str]) -> tuple[str, str]:
    return shipment["carrier"], shipment["tracking_code"]


STORED, ADDED, OTHER = pair(USPS), pair(FEDEX), pair(UPS)


async def update(tools: Any, **arguments: Any) -> Outcome:
    outcome: Outcome = await tools.call(UPDATE, id=ORDER, **arguments)
    return outcome


def record(outcome: Outcome) -> Any:
    assert isinstance(outcome.data, msgspec.Raw)
    return msgspec.json.decode(outcome.data)


def shown(outcome: Outcome) -> set[tuple[str, str]]:
    return {pair(one) for one in record(outcome)["shipments"]}


async def verbs(provider: Any) -> list[str]:
    return [one["method"] for one in await provider.requests()]


def other_writer(after: str = "read", **more: Any) -> dict[str, Any]:
    return {"order_id": ORDER, "after": after, **UPS, **more}


# --- what is sent ----------------------------------------------------------------------------


async def test_an_addition_alone_keeps_what_is_stored(provider: Any, tools: Any) -> None:
    outcome = await update(tools, shipments=[FEDEX])
    assert shown(outcome) == provider.pairs() == {STORED, ADDED}
    assert await provider.written() == [{"shipments": [USPS, FEDEX]}]
    assert outcome.notes == ("Kept 1 stored shipment.", "Added fedex 123456789044.")


async def test_the_answer_is_the_order_as_it_was_read_back(provider: Any, tools: Any) -> None:
    outcome = await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET", "PUT", "GET"]
    _, order, _ = await provider.http("GET", f"/orders/{ORDER}")
    assert record(outcome)["shipments"][0] == order["shipments"][0]
    assert record(outcome)["shipments"][0]["scan_events"]


async def test_the_complete_list_may_be_given_as_well(provider: Any, tools: Any) -> None:
    outcome = await update(tools, shipments=[USPS, FEDEX])
    assert provider.pairs() == {STORED, ADDED}
    assert f"Already on the order: usps {CODE}." in outcome.notes


@pytest.mark.parametrize("dropped", [True, False])
async def test_an_update_without_shipments_sends_them_all(
    provider: Any, tools: Any, dropped: bool
) -> None:
    await provider.switch(omitted_shipments_are_dropped=dropped)
    await update(tools, email="new@example.com", meta={"a": 1})
    assert provider.pairs() == {STORED}
    meta = {"shopify_order": {"order_id": "5000000000003"}, "a": 1}
    body = {"email": "new@example.com", "meta": meta, "shipments": [USPS]}
    assert await provider.written() == [body]


@pytest.mark.requirement("malomo:shipments:empty")
async def test_an_empty_list_removes_nothing(provider: Any, tools: Any) -> None:
    outcome = await update(tools, shipments=[], remove_shipments=[])
    assert provider.pairs() == {STORED}
    assert await provider.written() == []
    assert "nothing was written" in outcome.notes[0]
    await update(tools, shipments=[], email="new@example.com")
    assert provider.pairs() == {STORED}
    assert await provider.written() == [{"email": "new@example.com", "shipments": [USPS]}]


async def test_only_the_pair_of_a_stored_shipment_is_sent_back_as_it_is_spelled(
    provider: Any, tools: Any
) -> None:
    stored = provider.shop.orders[ORDER]["shipments"][0]
    stored.update(carrier="USPS", tracking_code=f" {CODE} ")
    await update(tools, shipments=[{"carrier": "Usps", "tracking_code": f"{CODE}  "}])
    assert await provider.written() == [
        {"shipments": [{"carrier": "USPS", "tracking_code": f" {CODE} "}]}
    ]
    assert provider.shop.orders[ORDER]["shipments"] == [stored]


async def test_case_counts_in_a_code_but_not_in_a_carrier(provider: Any, tools: Any) -> None:
    await update(tools, shipments=[UPS])
    lower = {"carrier": "UPS", "tracking_code": UPS["tracking_code"].lower()}
    await update(tools, shipments=[lower])
    assert provider.pairs() == {STORED, OTHER, pair(lower)}


async def test_a_shipment_given_twice_is_sent_once(provider: Any, tools: Any) -> None:
    twice = {"carrier": "FedEx", "tracking_code": " 123456789044"}
    await update(tools, shipments=[FEDEX, twice])
    assert await provider.written() == [{"shipments": [USPS, FEDEX]}]


async def test_codes_with_odd_characters_survive(provider: Any, tools: Any) -> None:
    odd = {"carrier": "dhl_express", "tracking_code": '0012 34/5+6?"\\é'}
    await update(tools, shipments=[odd])
    await update(tools, shipments=[FEDEX])
    assert provider.pairs() == {STORED, pair(odd), ADDED}


async def test_a_customer_of_null_is_left_out(provider: Any, tools: Any) -> None:
    before = provider.shop.orders[ORDER]["customer"]
    outcome = await update(tools, customer=None)
    assert record(outcome)["customer"] == before
    assert await provider.written() == []


async def test_a_customer_is_detached_by_an_argument_that_says_so(
    provider: Any, tools: Any
) -> None:
    outcome = await update(tools, detach_customer=True)
    assert record(outcome)["customer"] is None
    assert await provider.written() == [{"customer": None, "shipments": [USPS]}]
    assert any(note.startswith("Removed customer; it was {") for note in outcome.notes)


async def test_an_update_of_nothing_writes_nothing(provider: Any, tools: Any) -> None:
    outcome = await update(tools)
    assert await verbs(provider) == ["GET"]
    assert shown(outcome) == {STORED}
    assert "nothing was written" in outcome.notes[0]


# --- removal ---------------------------------------------------------------------------------


async def test_only_what_is_named_is_removed(provider: Any, tools: Any) -> None:
    await update(tools, shipments=[FEDEX, UPS])
    named = {"carrier": "FEDEX", "tracking_code": " 123456789044 "}
    outcome = await update(tools, remove_shipments=[named])
    assert shown(outcome) == provider.pairs() == {STORED, OTHER}
    assert "Removed fedex 123456789044." in outcome.notes


async def test_the_last_shipment_can_be_removed_by_name(provider: Any, tools: Any) -> None:
    await update(tools, remove_shipments=[USPS])
    assert provider.pairs() == set()
    assert await provider.written() == [{"shipments": []}]


async def test_adding_and_removing_in_one_update(provider: Any, tools: Any) -> None:
    outcome = await update(tools, shipments=[FEDEX], remove_shipments=[USPS])
    assert shown(outcome) == {ADDED}
    assert await provider.written() == [{"shipments": [FEDEX]}]


async def test_removing_what_is_not_there_is_refused_before_any_write(
    provider: Any, tools: Any
) -> None:
    with pytest.raises(InvalidArguments, match=f"fedex 123456789044.*it has: usps {CODE}"):
        await update(tools, email="x@example.com", remove_shipments=[USPS, FEDEX])
    assert await verbs(provider) == ["GET"]


async def test_a_shipment_cannot_be_added_and_removed(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="choose one"):
        await update(tools, shipments=[{**USPS, "carrier": "USPS"}], remove_shipments=[USPS])
    assert await verbs(provider) == []


@pytest.mark.parametrize("argument", ["shipments", "remove_shipments"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"carrier": "usps"},
        {"carrier": "", "tracking_code": "1"},
        {"carrier": " ", "tracking_code": "1"},
        {"carrier": "usps", "tracking_code": "\t"},
        {"carrier": "usps", "tracking_code": 1},
        {**USPS, "status": "delivered"},
        "usps",
    ],
)
async def test_a_malformed_shipment_is_refused_before_any_request(
    provider: Any, tools: Any, argument: str, wrong: Any
) -> None:
    with pytest.raises(InvalidArguments, match=argument):
        await update(tools, **{argument: [FEDEX, wrong]})
    assert await verbs(provider) == []


# --- reads that cannot be trusted ------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status"},
        {"kind": "status", "status": 401},
        {"kind": "rate_limited"},
        {"kind": "drop"},
        {"kind": "html"},
        {"kind": "truncated"},
        {"kind": "empty"},
        {"kind": "redirect"},
        {"kind": "huge"},
        {"kind": "slow"},
    ],
)
async def test_if_the_read_fails_nothing_is_written(
    provider: Any, tools: Any, fault: dict[str, Any]
) -> None:
    await provider.switch(faults=[{**fault, **READS}])
    with pytest.raises(UpstreamFailure):
        await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET"]


async def test_if_the_second_read_fails_nothing_is_written(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "FRESH_SECONDS", -1.0)
    await provider.switch(faults=[{"kind": "status", **READS, "skip": 1}])
    with pytest.raises(UpstreamFailure):
        await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET", "GET"]


async def test_a_missing_order_is_not_found_and_not_made(provider: Any, tools: Any) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        await tools.call(UPDATE, id="none", shipments=[FEDEX])
    assert caught.value.kind == "not_found"
    assert await verbs(provider) == ["GET"]


@pytest.mark.parametrize(
    "spoil",
    [
        {"shipments": None},
        {"shipments": {}},
        {"shipments": "usps"},
        {"shipments": [USPS, None]},
        {"shipments": [USPS, {"carrier": "ups"}]},
        {"shipments": [USPS, {"carrier": None, "tracking_code": "1"}]},
        {"shipments": [USPS, {"carrier": "ups", "tracking_code": 1}]},
        {"id": "89124"},
    ],
)
async def test_an_order_that_may_hide_a_shipment_is_not_written(
    provider: Any, tools: Any, spoil: dict[str, Any]
) -> None:
    body = msgspec.json.encode({"id": ORDER, "shipments": [USPS], **spoil}).decode()
    await provider.switch(faults=[{"kind": "status", "status": 200, "body": body, **READS}])
    with pytest.raises(UpstreamFailure) as caught:
        await update(tools, shipments=[FEDEX])
    assert caught.value.kind == "upstream_malformed"
    assert await verbs(provider) == ["GET"]


@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"id": "89123"}', "[" * 100_000, "\xff"])
async def test_an_answer_that_is_no_order_is_not_written_over(
    provider: Any, tools: Any, body: str
) -> None:
    await provider.switch(faults=[{"kind": "status", "status": 200, "body": body, **READS}])
    with pytest.raises(UpstreamFailure) as caught:
        await update(tools, shipments=[FEDEX])
    assert caught.value.kind == "upstream_malformed"
    assert await verbs(provider) == ["GET"]


async def test_an_id_as_a_number_is_the_same_id(provider: Any, tools: Any) -> None:
    provider.shop.orders[ORDER]["id"] = int(ORDER)
    await update(tools, shipments=[FEDEX])
    assert provider.pairs() == {STORED, ADDED}


# --- others ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "reads"), [(0.3, 2), (0.0, 1)])
async def test_a_read_that_grew_old_is_made_again(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, seconds: float, reads: int
) -> None:
    monkeypatch.setattr(orders, "FRESH_SECONDS", 0.2)
    slow = {"kind": "slow", "seconds": seconds, "times": 1, **READS}
    await provider.switch(faults=[slow])
    await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == [*["GET"] * reads, "PUT", "GET"]


async def test_what_another_writer_added_before_the_last_read_is_kept(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "FRESH_SECONDS", -1.0)
    await provider.switch(interferences=[other_writer()])
    outcome = await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET", "GET", "PUT", "GET"]
    assert shown(outcome) == provider.pairs() == {STORED, OTHER, ADDED}
    assert any("ups 1Z0000000000000001" in note and "kept" in note for note in outcome.notes)


async def test_what_another_writer_removed_is_not_brought_back(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "FRESH_SECONDS", -1.0)
    await provider.switch(interferences=[other_writer(action="remove", **USPS)])
    outcome = await update(tools, shipments=[FEDEX])
    assert provider.pairs() == {ADDED}
    assert f"Someone else removed usps {CODE} meanwhile." in outcome.notes


async def test_a_removal_that_another_writer_made_first_is_refused_at_the_last_read(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "FRESH_SECONDS", -1.0)
    await provider.switch(interferences=[other_writer(action="remove", **USPS)])
    with pytest.raises(InvalidArguments):
        await update(tools, remove_shipments=[USPS])
    assert await provider.written() == []


async def test_what_another_writer_adds_after_the_write_is_told(provider: Any, tools: Any) -> None:
    await provider.switch(interferences=[other_writer("write")])
    outcome = await update(tools, shipments=[FEDEX])
    assert shown(outcome) == {STORED, ADDED, OTHER}
    assert "Someone else added ups 1Z0000000000000001 meanwhile; it was kept." in outcome.notes


async def test_a_loss_by_another_writer_after_the_write_is_reported(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0, 0.0))
    await provider.switch(interferences=[other_writer("write", action="remove", **USPS)])
    with pytest.raises(WriteNotVerified) as caught:
        await update(tools, shipments=[FEDEX])
    details = caught.value.details()
    assert details["expected"] == {"shipments": [USPS, FEDEX]}
    assert details["seen"] == {"shipments": [FEDEX]}
    assert len(await provider.written()) == 1


async def test_twelve_agents_adding_at_once_all_keep_their_addition(
    provider: Any, tools: Any, upstream: Any
) -> None:
    second = type(tools)(provider.url, upstream, connections=tools.connections)
    parcels = [{"carrier": "ups", "tracking_code": f"1Z{n:016d}"} for n in range(12)]
    await asyncio.gather(
        *(
            update(tools if n % 2 else second, shipments=[parcel])
            for n, parcel in enumerate(parcels)
        )
    )
    assert provider.pairs() == {STORED, *map(pair, parcels)}
    assert await verbs(provider) == ["GET", "PUT", "GET"] * 12


async def test_ids_in_another_case_share_the_lock(provider: Any, tools: Any) -> None:
    order_id = next(id for id in provider.shop.orders if id != id.upper())
    order = provider.shop.orders.pop(order_id)
    provider.shop.orders[order_id] = provider.shop.orders[order_id.upper()] = order
    before = provider.pairs(order_id)
    await asyncio.gather(
        tools.call(UPDATE, id=order_id, shipments=[FEDEX]),
        tools.call(UPDATE, id=order_id.upper(), shipments=[UPS]),
    )
    assert provider.pairs(order_id) == {*before, ADDED, OTHER}


# --- verification ----------------------------------------------------------------------------


async def test_a_write_that_shows_late_is_waited_for(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0, 0.0))
    await provider.switch(stale_reads=2)
    outcome = await update(tools, shipments=[FEDEX])
    assert shown(outcome) == {STORED, ADDED}
    assert await verbs(provider) == ["GET", "PUT", "GET", "GET", "GET"]


def test_reading_back_takes_place_at_once_and_after_half_and_two_seconds() -> None:
    pauses = updates.READ_BACK_PAUSES
    assert [sum(pauses[: n + 1]) for n in range(3)] == [0.0, 0.5, 2.0]
    assert orders.FRESH_SECONDS == 1.0


@pytest.mark.requirement("malomo:shipments:verified")
async def test_a_write_that_never_shows_is_not_verified(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0, 0.0))
    await provider.switch(faults=[{"kind": "lie", **WRITES}])
    with pytest.raises(WriteNotVerified, match="get_single_malomo_order_by_id") as caught:
        await update(tools, shipments=[FEDEX], email="new@example.com")
    assert caught.value.details()["expected"] == {
        "email": "new@example.com",
        "shipments": [USPS, FEDEX],
    }
    assert caught.value.details()["seen"]["shipments"] == [USPS]
    assert await verbs(provider) == ["GET", "PUT", "GET", "GET", "GET"]


@pytest.mark.parametrize(
    "given", [{"email": "new@example.com"}, {"meta": {"a": [1]}}, {"detach_customer": True}]
)
async def test_a_field_that_does_not_take_is_not_verified(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0))
    await provider.switch(faults=[{"kind": "lie", **WRITES}])
    with pytest.raises(WriteNotVerified):
        await update(tools, **given)


async def test_a_removal_that_does_not_take_is_not_verified(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0))
    await provider.switch(faults=[{"kind": "lie", **WRITES}])
    with pytest.raises(WriteNotVerified):
        await update(tools, remove_shipments=[USPS])


async def test_a_field_that_shows_in_other_words_is_told(provider: Any, tools: Any) -> None:
    before = provider.shop.orders[ORDER]
    after = {**before, "email": "changed@example.com", "shipments": [USPS, FEDEX]}
    body = msgspec.json.encode(after).decode()
    await provider.switch(
        faults=[{"kind": "status", "status": 200, "body": body, **READS, "skip": 1}]
    )
    outcome = await update(tools, email="given@example.com", shipments=[FEDEX])
    assert "Malomo shows email otherwise than given." in outcome.notes


async def test_a_field_that_malomo_does_not_show_is_told(provider: Any, tools: Any) -> None:
    body = msgspec.json.encode({"id": ORDER, "shipments": [USPS]}).decode()
    await provider.switch(faults=[{"kind": "status", "status": 200, "body": body, **READS}])
    outcome = await update(tools, meta={"a": 1})
    assert "Malomo shows meta nowhere, so it is unconfirmed." in outcome.notes


async def test_a_field_nested_without_end_is_refused(provider: Any, tools: Any) -> None:
    deep: Any = 1
    for _ in range(600):
        deep = {"a": deep}
    with pytest.raises(InvalidArguments, match="meta: is nested deeper"):
        await update(tools, meta=deep, shipments=[FEDEX])
    assert provider.pairs() == {STORED}


async def test_malomos_own_spelling_of_a_field_is_no_failure(provider: Any, tools: Any) -> None:
    customer = {"email": "dana@example.com", "first_name": "Dana", "phone_number": None}
    order = {"id": ORDER, "email": "dana@example.com", "customer": customer, "shipments": [USPS]}
    body = msgspec.json.encode(order).decode()
    await provider.switch(faults=[{"kind": "status", "status": 200, "body": body, **READS}])
    outcome = await update(
        tools, email=" Dana@Example.com ", customer={"email": "DANA@example.com"}
    )
    assert outcome.notes == (
        "Kept 1 stored shipment.",
        "Already as given: email, customer.email.",
    )


async def test_an_accepted_write_that_cannot_be_read_back_is_not_verified(
    provider: Any, tools: Any
) -> None:
    for fault in ({"kind": "status"}, {"kind": "rate_limited"}, {"kind": "html"}):
        await provider.switch(faults=[{**fault, **READS, "skip": 1}])
        with pytest.raises(WriteNotVerified, match="Reading it back failed"):
            await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET", "PUT", "GET"] * 3
    assert provider.pairs() == {STORED, ADDED}


# --- writes without a clear answer -----------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429])
async def test_a_rejected_write_passes_as_it_is(provider: Any, tools: Any, status: int) -> None:
    await provider.switch(faults=[{"kind": "status", "status": status, **WRITES}])
    with pytest.raises(UpstreamFailure) as caught:
        await update(tools, shipments=[FEDEX])
    assert caught.value.status == status
    assert await verbs(provider) == ["GET", "PUT"]


LOST = [
    {"kind": "drop"},
    {"kind": "status"},
    {"kind": "status", "status": 504},
    {"kind": "html"},
    {"kind": "huge"},
    {"kind": "redirect", "status": 303},
]


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize(
    "given",
    [{"shipments": [FEDEX]}, {"remove_shipments": [USPS]}, {"email": "n@example.com"}],
)
@pytest.mark.requirement("malomo:shipments:unknown-outcome")
async def test_a_lost_answer_is_settled_by_reading(
    provider: Any, tools: Any, fault: dict[str, Any], given: dict[str, Any]
) -> None:
    await provider.switch(faults=[{**fault, **WRITES, "commit": True}])
    outcome = await update(tools, **given)
    assert shown(outcome) == provider.pairs()
    assert "answer to the write was lost" in outcome.notes[0]
    assert await verbs(provider) == ["GET", "PUT", "GET"]


@pytest.mark.parametrize("fault", [LOST[0], LOST[1], LOST[5], {"kind": "slow", "seconds": 30}])
@pytest.mark.requirement("malomo:shipments:unknown-outcome")
async def test_a_write_that_was_not_carried_out_stays_unknown_and_is_not_repeated(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0, 0.0))
    await provider.switch(faults=[{**fault, **WRITES}])
    with pytest.raises(WriteOutcomeUnknown, match="get_single_malomo_order_by_id") as caught:
        await update(tools, shipments=[FEDEX])
    assert caught.value.details() == {
        "expected": {"shipments": [USPS, FEDEX]},
        "seen": {"shipments": [USPS]},
    }
    assert await verbs(provider) == ["GET", "PUT", "GET", "GET", "GET"]


async def test_a_lost_write_is_not_proved_by_the_same_addition_and_anothers(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0))
    await provider.switch(
        faults=[{"kind": "drop", **WRITES}],
        interferences=[other_writer("read"), other_writer("read", **FEDEX)],
    )
    with pytest.raises(WriteOutcomeUnknown) as caught:
        await update(tools, shipments=[FEDEX])
    assert len(caught.value.details()["seen"]["shipments"]) == 3


async def test_half_a_write_stays_unknown(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0))
    await provider.switch(
        faults=[{"kind": "drop", **WRITES}], interferences=[other_writer("read", **FEDEX)]
    )
    with pytest.raises(WriteOutcomeUnknown):
        await update(tools, shipments=[FEDEX], email="new@example.com")


async def test_a_lost_write_of_nothing_new_is_a_success(provider: Any, tools: Any) -> None:
    await provider.switch(faults=[{"kind": "drop", **WRITES}])
    outcome = await update(tools, shipments=[USPS])
    assert shown(outcome) == {STORED}
    assert len(await provider.written()) == 1


async def test_an_unreadable_order_after_a_lost_write_stays_unknown(
    provider: Any, tools: Any
) -> None:
    await provider.switch(
        faults=[{"kind": "drop", **WRITES, "commit": True}, {"kind": "status", **READS, "skip": 1}]
    )
    with pytest.raises(WriteOutcomeUnknown) as caught:
        await update(tools, shipments=[FEDEX])
    assert caught.value.details()["seen"] is None
    assert await verbs(provider) == ["GET", "PUT", "GET"]


async def test_a_connection_that_drops_again_and_again_brings_one_write(
    provider: Any, tools: Any
) -> None:
    await provider.switch(faults=[{"kind": "drop", "skip": 1}])
    with pytest.raises(WriteOutcomeUnknown):
        await update(tools, shipments=[FEDEX])
    assert await verbs(provider) == ["GET", "PUT", "GET"]


async def test_a_lock_that_cannot_be_had_sends_nothing(
    provider: Any, tools: Any, upstream: Any
) -> None:
    hasty = type(tools)(provider.url, upstream, lock_wait=0.01)
    other = type(tools)(provider.url, upstream, connections=hasty.connections)
    async with other.connection.tenant.exclusive(f"/orders/{ORDER}"):
        with pytest.raises(Busy):
            await update(hasty, shipments=[FEDEX])
    assert await verbs(provider) == []
