"""Objects one at a time: keys, ids, external ids, and what is written into records."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crossdock.adapter import (
    InvalidArguments,
    UpstreamFailure,
    WriteNotVerified,
    WriteOutcomeUnknown,
)
from crossdock_roserocket.sandbox import known_id

GET = "get_single_roserocket_object_by_id"
CREATE = "create_a_roserocket_object"
UPDATE = "update_a_roserocket_object_by_id"
DELETE = "delete_a_roserocket_object_by_id"
UPSERT = "roserocket_objects_upsert"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
ORDER = known_id("order:PO-88912")
HARBOR = known_id("customer:Harbor Foods")
SARAH = known_id("user:usr_sjenkins")
ODD = ["PO 55/61", "A%2FB", "é#?", " padded ", "po-5561"]


# --- keys and ids ----------------------------------------------------------------------------


@pytest.mark.requirement("roserocket:objects:any-case")
@pytest.mark.parametrize("arguments", [{"object_key": "Order"}, {"objectKey": "ORDER"}])
async def test_either_spelling_of_the_key_and_any_case_will_do(
    tools: Any, arguments: dict[str, str]
) -> None:
    assert (await tools.found(EXTERNAL, id="PO-88912", **arguments))["id"] == ORDER


async def test_both_spellings_at_once_are_refused(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="another spelling"):
        await tools.call(EXTERNAL, id="PO-88912", object_key="order", objectKey="task")
    assert await provider.requests() == []


async def test_an_id_alone_means_an_order_and_that_is_said(tools: Any) -> None:
    outcome = await tools.call(EXTERNAL, id="PO-5561")
    assert outcome.notes == ("object_key was not given; order was assumed.",)


@pytest.mark.requirement("roserocket:external:found")
@pytest.mark.parametrize("external", ODD)
async def test_an_external_id_is_one_encoded_segment_whatever_it_holds(
    provider: Any, tools: Any, external: str
) -> None:
    found = await tools.found(EXTERNAL, id=external, object_key="order")
    assert found["externalId"] == external
    (sent,) = await provider.requests("GET /objects")
    assert len(sent["path"].split("/")) == 5


async def test_one_number_under_two_keys_is_two_records(tools: Any) -> None:
    order = await tools.found(EXTERNAL, id="PO-5561", object_key="order")
    invoice = await tools.found(EXTERNAL, id="PO-5561", object_key="invoice")
    assert (order["objectKey"], invoice["objectKey"]) == ("order", "invoice")
    assert order["id"] != invoice["id"]


@pytest.mark.parametrize("bad", ["", " ", ".", "..", "a\nb", "a\x00b"])
async def test_an_id_that_cannot_be_sent_is_refused_before_sending(
    provider: Any, tools: Any, bad: str
) -> None:
    with pytest.raises(InvalidArguments):
        await tools.call(EXTERNAL, id=bad, object_key="order")
    assert await provider.requests() == []


async def test_a_missing_external_id_is_answered_with_what_to_try(tools: Any) -> None:
    with pytest.raises(UpstreamFailure, match="No order has the external id 'ERP-1'") as failed:
        await tools.call(EXTERNAL, id="ERP-1")
    assert failed.value.kind == "not_found"
    assert "poNum" in str(failed.value)


async def test_a_gateway_that_refuses_an_encoded_slash_is_got_around(
    provider: Any, tools: Any
) -> None:
    await provider.switch(encoded_slash="reject")
    found = await tools.found(EXTERNAL, id="PO 55/61", object_key="order")
    assert found["externalId"] == "PO 55/61"
    change = "update_a_roserocket_objects_external_by_id"
    changed = await tools.found(change, id="PO 55/61", object_key="order", json={"refNum": "R-1"})
    assert (changed["id"], changed["refNum"]) == (found["id"], "R-1")


async def test_a_record_is_read_with_what_it_is_connected_to(tools: Any) -> None:
    bare = await tools.found(GET, id=ORDER)
    assert "customer" not in bare
    full = await tools.found(GET, id=ORDER, paths="customer")
    assert full["customer"]["name"] == "Atlas Ceramics"
    by_number = await tools.found(GET, id="PO-88912", paths="customer")
    assert by_number["customer"] == full["customer"]


async def test_an_id_of_another_shape_goes_no_further_than_a_look_up(
    provider: Any, tools: Any
) -> None:
    with pytest.raises(UpstreamFailure, match="No task has the external id"):
        await tools.call(GET, id="ord_12345", object_key="task")
    with pytest.raises(InvalidArguments, match="is not an id of the provider"):
        await tools.call(GET, id="PO 55/61")


# --- writing ---------------------------------------------------------------------------------


@pytest.mark.requirement("roserocket:objects:partial-update")
async def test_an_update_changes_what_is_given_and_nothing_else(provider: Any, tools: Any) -> None:
    before = await tools.found(GET, id=ORDER)
    after = await tools.found(UPDATE, id=ORDER, objectKey="Order", json={"status": "Booked"})
    assert after["status"] == "booked"
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == {"status", "version", "updatedAt", "updatedBy"}
    (sent,) = await provider.bodies("PUT /objects")
    assert sent == {"objectKey": "order", "json": {"status": "booked"}}


async def test_the_key_of_an_update_is_read_from_the_record(provider: Any, tools: Any) -> None:
    task = known_id("task:1")
    outcome = await tools.call(UPDATE, id=task, json={"status": "complete"})
    assert outcome.notes[0] == "object_key was not given; the record says it is task."
    await provider.forget()
    with pytest.raises(InvalidArguments, match="'delivered' is not a status of task"):
        await tools.call(UPDATE, id=task, json={"status": "delivered"})
    assert await provider.requests() == []  # the key is remembered


@pytest.mark.parametrize(
    ("json", "sent"),
    [
        ({"customer": HARBOR}, {"customer": {"id": HARBOR}}),
        ({"CSRS": [SARAH]}, {"csrs": [{"id": SARAH}]}),
        ({"customer": {"name": "New Co"}}, {"customer": {"name": "New Co"}}),
        ({"poNum": "  x ", "mine__c": {"a": 1}}, {"poNum": "  x ", "mine__c": {"a": 1}}),
        ({"customer": None, "tags": [], "poNum": "1", "partner": {}}, {"poNum": "1"}),
    ],
)
async def test_fields_are_forgiven_where_their_meaning_is_plain(
    provider: Any, tools: Any, json: dict[str, Any], sent: dict[str, Any]
) -> None:
    await tools.call(UPDATE, id=ORDER, objectKey="order", json=json)
    assert [body["json"] for body in await provider.bodies("PUT")] == [sent]


@pytest.mark.parametrize(
    ("key", "json", "words"),
    [
        ("order", {"status": "Delayed"}, "allowed: new, booked, in transit"),
        ("order", {"customer": "Harbor Foods"}, "roserocket_objects_autocomplete"),
        ("order", {"id": "x"}, "json.id: is set by Rose Rocket"),
        ("order", {"Status": "new", "status": "new"}, "another spelling of status"),
        ("invoice", {"subTotal": 5}, "json.subTotal: is set by Rose Rocket"),
        ("invoice", {"dueDate": "2026-11-21T00:00:00Z"}, "must be a date"),
        ("task", {"appointmentTime": "2026-11-21T10:00:00Z"}, "without Z or offset"),
        ("task", {"ordinal": "3"}, "must be a number"),
        ("contact", {"isPrimary": "yes"}, "must be true or false"),
        ("order", {"externalId": "a\nb"}, "control character"),
        ("order", {"externalId": " "}, "must be text, and not empty"),
    ],
)
async def test_what_the_provider_would_refuse_is_refused_before_sending(
    provider: Any, tools: Any, key: str, json: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments) as refused:
        await tools.call(CREATE, objectKey=key, json=json)
    assert words in str(refused.value)
    assert await provider.requests() == []


async def test_a_local_time_is_written_as_the_provider_takes_it(provider: Any, tools: Any) -> None:
    outcome = await tools.call(
        CREATE, objectKey="task", json={"appointmentTime": "2026-11-21 10:00"}
    )
    (sent,) = await provider.bodies("POST /objects")
    assert sent["json"]["appointmentTime"] == {
        "dateTimeInLocation": "2026-11-21T10:00:00",
        "dateTimeInLocationEnd": None,
    }
    assert "appointmentTime was sent as" in outcome.notes[0]


async def test_a_field_beside_json_is_an_unknown_argument(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="status: is unknown"):
        await tools.call(CREATE, objectKey="order", status="new")
    assert await provider.requests() == []


@pytest.mark.requirement("roserocket:objects:partial-success")
async def test_what_the_provider_left_out_is_told_beside_the_record(
    provider: Any, tools: Any
) -> None:
    await provider.switch(refused_field="refNum")
    outcome = await tools.call(
        UPDATE, id=ORDER, objectKey="order", json={"poNum": "P-2", "refNum": "R-2"}
    )
    assert tools.plain(outcome)["poNum"] == "P-2"
    changed, missing, partly = outcome.notes
    assert changed == "poNum: empty → P-2."
    assert "does not show: refNum (it is SAP-88912)" in missing
    assert "in part only" in partly
    assert "You may not edit this field" in partly
    with pytest.raises(WriteNotVerified, match="You may not edit this field"):
        await tools.call(UPDATE, id=ORDER, objectKey="order", json={"refNum": "R-2"})


async def test_upsert_is_safe_to_repeat(provider: Any, tools: Any) -> None:
    fields = {"externalId": "ERP-7000", "poNum": "7"}
    answers = await asyncio.gather(
        *(tools.found(UPSERT, objectKey="order", json=fields) for _ in range(5))
    )
    assert len({answer["id"] for answer in answers}) == 1
    with pytest.raises(InvalidArguments, match="externalId"):
        await tools.call(UPSERT, objectKey="order", json={"poNum": "7"})


async def test_a_second_create_with_the_number_is_refused_by_the_provider(tools: Any) -> None:
    with pytest.raises(UpstreamFailure, match="already in use") as failed:
        await tools.call(CREATE, objectKey="order", json={"externalId": "PO-88912"})
    assert failed.value.kind == "upstream_rejected"


async def test_a_lost_answer_to_a_create_is_told_and_not_repeated(
    provider: Any, tools: Any
) -> None:
    await provider.switch(fault="drop_after_commit", fault_on="POST /objects")
    with pytest.raises(WriteOutcomeUnknown, match="Look for the record"):
        await tools.call(CREATE, objectKey="order", json={"poNum": "1"})
    assert len(await provider.requests("POST /objects")) == 1


# --- deleting --------------------------------------------------------------------------------


async def test_a_deleted_record_is_answered_and_gone(tools: Any) -> None:
    gone = await tools.found(DELETE, id=ORDER)
    assert gone["externalId"] == "PO-88912"
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(DELETE, id=ORDER)
    assert failed.value.kind == "not_found"


async def test_no_key_is_assumed_for_a_deletion(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="object_key: is needed"):
        await tools.call(DELETE, id="PO-5561")
    assert await provider.requests() == []
    assert (await tools.found(DELETE, id="PO-5561", object_key="invoice"))["objectKey"] == "invoice"
    assert (await tools.found(EXTERNAL, id="PO-5561"))["objectKey"] == "order"


async def test_deleting_by_external_id_takes_the_key(tools: Any) -> None:
    tool = "delete_a_roserocket_objects_external_by_id"
    assert (await tools.found(tool, id="é#?", object_key="Order"))["externalId"] == "é#?"


async def test_several_are_deleted_by_uuid_only(provider: Any, tools: Any) -> None:
    tool = "roserocket_objects_bulk_delete"
    with pytest.raises(InvalidArguments, match=r"ids\[1\]: 'ord_1' is no uuid"):
        await tools.call(tool, objectKey="order", ids=[ORDER, "ord_1"])
    assert await provider.requests() == []
    outcome = await tools.call(tool, objectKey="Order", ids=[ORDER, ORDER])
    assert outcome.data is None
    assert outcome.notes == ("1 records were deleted, and none of them can be read any more.",)


async def test_a_deletion_of_several_says_what_was_not_there_and_what_stays(
    provider: Any, tools: Any
) -> None:
    tool = "roserocket_objects_bulk_delete"
    nobody, other = known_id("nobody"), known_id("order:WEB-6")
    with pytest.raises(InvalidArguments, match="is of kind task; pass task"):
        await tools.call(tool, objectKey="order", ids=[ORDER, known_id("task:1")])
    with pytest.raises(UpstreamFailure, match="No record has the id"):
        await tools.call(tool, objectKey="order", ids=[nobody])
    assert await provider.requests("POST") == []
    outcome = await tools.call(tool, objectKey="order", ids=[ORDER, nobody])
    assert outcome.notes[1] == f"No record had the id {nobody}."
    await provider.switch(bulk_delete_keeps=True)
    with pytest.raises(WriteNotVerified, match="1 of 1 can still be read"):
        await tools.call(tool, objectKey="order", ids=[other])


# --- autocomplete ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["array", "results", "record"])
async def test_autocomplete_answers_a_list_however_it_is_wrapped(
    provider: Any, tools: Any, shape: str
) -> None:
    await provider.switch(autocomplete_shape=shape)
    found = await tools.found(
        "roserocket_objects_autocomplete", object_key="Customer", search_term="harbor"
    )
    assert [record["name"] for record in found] == ["Harbor Foods"]
