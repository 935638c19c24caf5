"""Writes: merged with what is stored, told field by field, and never taken for granted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crossdock.adapter import InvalidArguments, UpstreamFailure, WriteNotVerified
from crossdock_roserocket.sandbox import GROUP_FIELD, known_id

GET = "get_single_roserocket_object_by_id"
CREATE = "create_a_roserocket_object"
UPDATE = "update_a_roserocket_object_by_id"
UPSERT = "roserocket_objects_upsert"
LOG = "create_a_roserocket_event"
ORDER = known_id("order:PO-88912")
TASK = known_id("task:1")
ATLAS = known_id("customer:Atlas Ceramics")
NIGHT = known_id("group:Night Shift Dispatchers")
AMIR, JOANNA, LUIS = (known_id(f"user:usr_{one}") for one in (102, 105, 110))


async def people(tools: Any, record: str = ORDER) -> list[str]:
    return [one["id"] for one in (await tools.found(GET, id=record, paths="csrs")).get("csrs", [])]


def links(*ids: str) -> list[dict[str, str]]:
    return [{"id": one} for one in ids]


# --- lists of connected records --------------------------------------------------------------


async def test_a_list_is_added_to_and_what_was_there_stays(provider: Any, tools: Any) -> None:
    await tools.call(UPDATE, id=ORDER, json={"csrs": links(AMIR)})
    outcome = await tools.call(UPDATE, id=ORDER, json={"csrs": links(JOANNA, AMIR)})
    assert await people(tools) == [AMIR, JOANNA]
    assert (await provider.bodies("PUT"))[-1]["json"] == {"csrs": links(AMIR, JOANNA)}
    assert any("1 stored before stay" in note for note in outcome.notes)
    assert f"csrs: {AMIR} → {AMIR}, {JOANNA}." in outcome.notes


async def test_leaving_a_list_is_explicit_and_so_is_emptying_it(tools: Any) -> None:
    await tools.call(UPDATE, id=ORDER, json={"csrs": links(AMIR, JOANNA)})
    outcome = await tools.call(UPDATE, id=ORDER, remove={"csrs": [AMIR, LUIS]})
    assert await people(tools) == [JOANNA]
    assert f"Not in csrs, so not removed: {LUIS}." in outcome.notes
    await tools.call(UPDATE, id=ORDER, json={"csrs": []}, clear=["refNum"])
    assert await people(tools) == [JOANNA]
    await tools.call(UPDATE, id=ORDER, json={"csrs": links(LUIS)}, clear=["csrs"])
    assert await people(tools) == [LUIS]
    await tools.call(UPDATE, id=ORDER, clear=["csrs"])
    assert await people(tools) == []


async def test_an_upsert_adds_to_a_list_too(provider: Any, tools: Any) -> None:
    first = await tools.call(
        UPSERT, object_key="order", json={"externalId": "ERP-7", "csrs": links(AMIR)}
    )
    record = tools.plain(first)["id"]
    assert "created" in first.notes[0]
    second = await tools.call(
        UPSERT, object_key="order", json={"externalId": "ERP-7", "csrs": links(JOANNA)}
    )
    assert "updated" in second.notes[0]
    assert await people(tools, record) == [AMIR, JOANNA]
    tool = "update_a_roserocket_objects_external_by_id"
    await tools.call(tool, id="ERP-7", object_key="order", json={"csrs": links(LUIS)})
    await tools.call(
        tool, id="ERP-7", object_key="order", json={"poNum": "7"}, remove={"csrs": [AMIR]}
    )
    assert await people(tools, record) == [JOANNA, LUIS]


async def test_agents_that_add_at_once_lose_nobody(tools: Any) -> None:
    await asyncio.gather(
        *(tools.call(UPDATE, id=ORDER, json={"csrs": links(one)}) for one in (AMIR, JOANNA, LUIS))
    )
    assert set(await people(tools)) == {AMIR, JOANNA, LUIS}


async def test_nothing_is_written_if_what_is_stored_cannot_be_read(
    provider: Any, tools: Any
) -> None:
    await provider.switch(fault="500", fault_on=f"GET /objects/{ORDER}")
    with pytest.raises(UpstreamFailure):
        await tools.call(UPDATE, id=ORDER, object_key="order", json={"csrs": links(AMIR)})
    assert await provider.requests("PUT") == []


# --- null and empty --------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [None, {}])
async def test_a_null_detaches_nothing_and_clear_does(tools: Any, empty: Any) -> None:
    outcome = await tools.call(UPDATE, id=ORDER, json={"customer": empty, "poNum": "9"})
    assert any("customer was" in note and "what is stored stays" in note for note in outcome.notes)
    assert (await tools.found(GET, id=ORDER, paths="customer"))["customer"]["id"] == ATLAS
    cleared = await tools.call(UPDATE, id=ORDER, clear=["Customer", "poNum"])
    assert f"customer: {ATLAS} → empty." in cleared.notes
    record = await tools.found(GET, id=ORDER, paths="customer")
    assert record.get("customer") is None
    assert record["poNum"] is None


async def test_an_empty_record_is_never_made(provider: Any, tools: Any) -> None:
    for json in ({}, {"customer": {}}, {"tags": [{}]}, {"customer": {"name": None}}):
        with pytest.raises(InvalidArguments, match="json"):
            await tools.call(CREATE, object_key="order", json=json)
    assert await provider.requests("POST") == []


# --- what took, and what did not -------------------------------------------------------------


async def test_an_update_tells_each_field_before_and_after(tools: Any) -> None:
    outcome = await tools.call(
        UPDATE, id=ORDER, json={"status": "booked", "refNum": "SAP-88912", "poNum": "P-1"}
    )
    assert outcome.notes[1:] == (
        "status: new → booked.",
        "refNum: is SAP-88912, as before.",
        "poNum: empty → P-1.",
    )


@pytest.mark.parametrize("dropped", ["drop", "refuse"])
async def test_a_custom_field_is_sent_named_and_read_back(
    provider: Any, tools: Any, dropped: str
) -> None:
    outcome = await tools.call(UPDATE, id=ORDER, json={"lane__c": "I-80", "poNum": "1"})
    assert any("No known field of order has the name 'lane__c'" in one for one in outcome.notes)
    assert "lane__c: empty → I-80." in outcome.notes
    await provider.switch(custom_field=dropped)
    if dropped == "refuse":
        with pytest.raises(UpstreamFailure, match="gate__c"):
            await tools.call(UPDATE, id=ORDER, json={"gate__c": "4", "poNum": "2"})
        return
    partly = await tools.call(UPDATE, id=ORDER, json={"gate__c": "4", "poNum": "2"})
    assert any("does not show: gate__c (it is empty)" in note for note in partly.notes)
    with pytest.raises(WriteNotVerified, match="gate__c is empty") as nothing:
        await tools.call(UPDATE, id=ORDER, json={"gate__c": "4"})
    assert nothing.value.details() == {"expected": {"gate__c": "4"}, "seen": {"gate__c": None}}
    with pytest.raises(WriteNotVerified, match="gate__c is empty"):
        await tools.call(CREATE, object_key="order", json={"gate__c": "4"})


async def test_a_read_back_that_fails_is_said(provider: Any, tools: Any) -> None:
    await provider.switch(fault="500", fault_on="GET /objects")
    outcome = await tools.call(CREATE, object_key="order", json={"poNum": "1"})
    assert any("reading back failed" in note for note in outcome.notes)


# --- one spelling for a group ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["user_group", "userGroup", "group", GROUP_FIELD])
@pytest.mark.parametrize("value", [NIGHT, {"id": NIGHT}, "night shift dispatchers"])
async def test_a_task_moves_to_another_group_however_it_is_spelled(
    tools: Any, name: str, value: Any
) -> None:
    outcome = await tools.call(UPDATE, id=TASK, json={name: value})
    assert (await tools.found(GET, id=TASK, paths="user_group"))[GROUP_FIELD]["id"] == NIGHT
    assert any(f"→ {NIGHT}." in note for note in outcome.notes)
    listed = await tools.found(
        "list_all_roserocket_objects", object_key="task", filters={name: "Night Shift Dispatchers"}
    )
    assert TASK in [task["id"] for task in listed]


async def test_a_group_that_is_no_connection_is_written_as_text(
    provider: Any, account: Any
) -> None:
    tools = account(settings={"task_group_field": "team__c:TextField"})
    await tools.call(UPDATE, id=TASK, json={"user_group": "Night Shift"})
    assert (await provider.bodies("PUT"))[-1]["json"] == {"team__c": "Night Shift"}


# --- word for word ---------------------------------------------------------------------------


async def test_a_text_of_the_agents_own_is_stored_unchanged(provider: Any, tools: Any) -> None:
    text = "  Reefer unit down.\nTemp 9 °C  "
    json = {"logMessage": text, "message": "kept", "delayHours": 2}
    await tools.call(LOG, record_id=ORDER, type="Delay", severity="critical", json=json)
    (sent,) = await provider.bodies("POST /events")
    assert sent["json"] == {**json, "status": "Delay", "severity": "critical"}
