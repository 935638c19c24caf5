"""The articles' workflows, each as its reader would type it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

OBJECTS = "list_all_roserocket_objects"
EVENTS = "list_all_roserocket_events"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
GROUPS = "roserocket_user_groups_search"
MEMBERS = "list_all_roserocket_user_group_members"


@pytest.mark.requirement("roserocket:workflow:delay-resolution")
async def test_a_breakdown_is_looked_up_and_logged_once(provider: Any, tools: Any) -> None:
    order = await tools.found(EXTERNAL, id="ERP-9921", object_key="Order")
    history = await tools.found(EVENTS, record_id=order["id"], object_key="Order")
    assert not any("broke" in str(event["json"]) for event in history)
    outcome = await tools.call(
        "create_a_roserocket_event",
        recordId=order["id"],
        type="Delay",
        message="The truck broke down; the driver wrote in.",
        severity="critical",
    )
    (written,) = await provider.bodies("POST /events")
    assert written["type"] == "internal"
    text = "Delay (critical): The truck broke down; the driver wrote in."
    assert written["json"]["logMessage"] == text
    assert any("internal note" in note for note in outcome.notes)
    latest, *_ = await tools.found(EVENTS, record_id=order["id"])
    assert latest["json"]["logMessage"] == text


@pytest.mark.requirement("roserocket:workflow:reassignment")
async def test_the_open_tasks_of_a_group_are_listed(tools: Any) -> None:
    (group,) = await tools.found(GROUPS, name="LTL Dispatchers")
    tasks = await tools.found(
        OBJECTS,
        objectKey="Task",
        filters={"user_group": group["id"], "status": ["new", "assigned", "inprogress"]},
    )
    assert [task["status"] for task in tasks] == ["new", "inprogress", "assigned"]
    every = await tools.found(OBJECTS, objectKey="Task", filters={"userGroupId": group["id"]})
    assert len(every) == 4


@pytest.mark.requirement("roserocket:workflow:delay-investigation")
async def test_a_late_order_is_explained_by_its_history(tools: Any) -> None:
    found = await tools.found(EXTERNAL, id="PO-5561")
    order = await tools.found("get_single_roserocket_object_by_id", id=found["id"])
    assert order["status"] == "in transit"
    history = await tools.found(EVENTS, record_id=found["id"])
    note = next(event for event in history if event["type"] == "internal")
    assert note["user"]["firstName"] == "Sarah"
    assert "I-80" in note["json"]["logMessage"]
    assert note["createdAt"].endswith("15:15:00.000Z")
    last, before, *_ = [event for event in history if event["type"] == "mutate"]
    assert before["json"]["changedFields"][0]["value"] == "in transit"
    # Who made the last update has one answer, and it says by how much the delivery moves.
    assert (last["user"]["firstName"], last["createdAt"]) == ("Sarah", note["createdAt"])
    assert (order["updatedBy"], order["updatedAt"]) == ("Sarah", note["createdAt"])
    (moved,) = last["json"]["changedFields"]
    planned, now = (date.fromisoformat(moved[name]) for name in ("prevValue", "value"))
    assert (moved["field"], now - planned) == ("estimatedDelivery__c", timedelta(days=1))


@pytest.mark.requirement("roserocket:workflow:shift-change")
async def test_two_people_move_from_the_day_to_the_night_shift(tools: Any) -> None:
    ids = {}
    for name in ("Day Shift Ops", "Night Shift Ops"):
        (group,) = await tools.found(GROUPS, name=name)
        ids[name] = group["id"]
    people = ["usr_102", "usr_105"]
    change = "update_a_roserocket_user_group_member_by_id"
    assert await tools.found(change, id=ids["Day Shift Ops"], remove=people) == {
        "added": 0,
        "removed": 2,
    }
    assert (await tools.found(change, id=ids["Night Shift Ops"], add=people))["added"] == 2
    assert len(await tools.found(MEMBERS, group_id=ids["Day Shift Ops"])) == 1
    assert len(await tools.found(MEMBERS, group_id=ids["Night Shift Ops"])) == 3


@pytest.mark.requirement("roserocket:boards:by-object-key")
async def test_the_dispatch_board_is_found(tools: Any) -> None:
    boards = await tools.found("list_all_roserocket_boards", objectKey="Order")
    assert {board["objectKey"] for board in boards} == {"order"}
    dispatch = next(board for board in boards if board["name"] == "Active Dispatch")
    assert not dispatch["isExternal"]
    assert len(await tools.found("list_all_roserocket_boards")) > len(boards)


# --- the articles' single prompts ------------------------------------------------------------


async def test_orders_created_today_are_found_though_dates_cannot_be_filtered(tools: Any) -> None:
    outcome = await tools.call(OBJECTS, objectKey="Order", filters={"createdAt": "today"})
    statuses = [
        order["status"]
        for order in await tools.found(OBJECTS, objectKey="Order", filters={"createdAt": "today"})
    ]
    assert len(statuses) == 4
    assert any("cannot filter by createdAt" in note for note in outcome.notes)
    assert any("no more match" in note for note in outcome.notes)


@pytest.mark.parametrize("external", ["PO-88912", "PO-9942"])
async def test_the_articles_numbers_are_found(tools: Any, external: str) -> None:
    order = await tools.found(EXTERNAL, id=external)
    assert order["externalId"] == external


async def test_a_status_that_does_not_exist_is_refused_with_the_way_out(
    provider: Any, tools: Any
) -> None:
    with pytest.raises(Exception, match=r"'Completed' is not a status of order") as refused:
        await tools.call(
            "update_a_roserocket_object_by_id",
            id="ord_12345",
            objectKey="Order",
            json={"status": "Completed"},
        )
    assert "delivered" in str(refused.value)
    assert "create_a_roserocket_event" in str(refused.value)
    assert await provider.requests("PUT") == []


async def test_a_short_id_in_a_prompt_is_an_external_id(tools: Any) -> None:
    history = await tools.found(EVENTS, record_id="ord_12345")
    assert history[-1]["type"] == "create"
    outcome = await tools.call(
        "create_a_roserocket_event",
        recordId="5519",
        message="Delayed by 2 hours due to heavy traffic",
    )
    assert any("external id" in note for note in outcome.notes)


async def test_a_group_is_found_by_its_name(tools: Any) -> None:
    assert len(await tools.found(GROUPS, name="west coast fleet operations")) == 1
    groups = await tools.found("list_all_roserocket_user_groups")
    assert "Night Shift Dispatchers" in [group["name"] for group in groups]
