"""The articles' prompts, played as the calls an agent makes; the answers are judged by value."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from crossdock.adapter import Conflict, InvalidArguments, UpstreamFailure
from crossdock_roserocket.sandbox import known_id

OBJECTS = "list_all_roserocket_objects"
GET = "get_single_roserocket_object_by_id"
UPDATE = "update_a_roserocket_object_by_id"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
EVENTS = "list_all_roserocket_events"
LOG = "create_a_roserocket_event"
GROUPS = "roserocket_user_groups_search"
MEMBERS = "list_all_roserocket_user_group_members"
MOVE = "update_a_roserocket_user_group_member_by_id"


def status_changes(history: list[dict[str, Any]]) -> list[tuple[str | None, str]]:
    """Return what a history says of the status, oldest first."""
    return [
        (changed["prevValue"], changed["value"])
        for event in reversed(history)
        for changed in event["json"].get("changedFields", [])
        if changed["field"] == "status"
    ]


# --- the single prompts ----------------------------------------------------------------------


async def test_orders_created_today_and_their_statuses(tools: Any) -> None:
    """Query for all records with the objectKey 'Order' that were created today."""
    today = await tools.found(OBJECTS, objectKey="Order", filters={"createdAt": "today"})
    assert {order["externalId"] for order in today} == {"PO-9942", "WEB-6", "WEB-7", "WEB-8"}
    assert {order["status"] for order in today} == {"new"}


async def test_orders_of_today_that_wait_for_dispatch(tools: Any) -> None:
    """Find all Order objects created today that have a status of pending dispatch."""
    asked = {"createdAt": "today", "status": "pending dispatch"}
    with pytest.raises(InvalidArguments, match="Filter by one or several of these"):
        await tools.call(OBJECTS, objectKey="Order", filters=asked)
    asked = {"createdAt": "today", "status": ["new", "booked"]}
    found = await tools.found(OBJECTS, objectKey="Order", filters=asked)
    assert {order["id"] for order in found} == {
        known_id(f"order:{one}") for one in ("PO-9942", "WEB-6", "WEB-7", "WEB-8")
    }


@pytest.mark.parametrize(("number", "ref"), [("PO-88912", "SAP-88912"), ("PO-9942", None)])
async def test_the_order_behind_another_systems_number(tools: Any, number: str, ref: Any) -> None:
    """Look up the Order associated with the external reference number, and its platform id."""
    order = await tools.found(EXTERNAL, id=number, object_key="Order")
    assert (order["id"], order.get("refNum")) == (known_id(f"order:{number}"), ref)


async def test_when_the_driver_checked_in(tools: Any) -> None:
    """Retrieve all tracking events for Order ID 5519: when did the driver check in?"""
    history = await tools.found(EVENTS, record_id="5519", object_key="Order")
    (note,) = [e for e in history if "checked in" in e["json"].get("logMessage", "")]
    assert note["user"]["firstName"] == "Dale"
    assert datetime.fromisoformat(note["createdAt"]).date() == datetime.now(UTC).date()


async def test_a_delay_by_traffic_is_noted(provider: Any, tools: Any) -> None:
    """Create a new status event on Order ID 5519: delayed by 2 hours due to heavy traffic."""
    text = "Delayed by 2 hours due to heavy traffic."
    await tools.call(LOG, recordId="5519", type="Delay", message=text)
    latest, *_ = await tools.found(EVENTS, record_id="5519", object_key="order")
    assert (latest["type"], latest["json"]["logMessage"]) == ("internal", text)
    assert latest["refId"] == known_id("order:5519")


async def test_the_primary_dispatch_view(tools: Any) -> None:
    """List all available boards related to the 'Order' object key: the primary dispatch view?"""
    boards = await tools.found("list_all_roserocket_boards", objectKey="Order")
    inside = [board["name"] for board in boards if not board["isExternal"]]
    assert inside == ["Active Dispatch", "Billing Review"]


@pytest.mark.parametrize("name", ["West Coast Fleet Operations", "Night Shift Dispatchers"])
async def test_the_id_of_a_group(tools: Any, name: str) -> None:
    """Search for a user group named '…' and retrieve its group ID."""
    (group,) = await tools.found(GROUPS, name=name)
    assert (group["id"], group["name"]) == (known_id(f"group:{name}"), name)
    listed = await tools.found("list_all_roserocket_user_groups")
    assert [one["id"] for one in listed if one["name"] == name] == [group["id"]]


async def test_an_order_is_completed_and_says_when(tools: Any) -> None:
    """Mark Order ord_12345 'Completed' and add a timestamp to the completion field."""
    with pytest.raises(InvalidArguments, match="allowed: new, booked, in transit, delivered"):
        await tools.call(UPDATE, id="ord_12345", objectKey="Order", json={"status": "Completed"})
    with pytest.raises(InvalidArguments, match="order has no field 'completedAt'"):
        await tools.call(UPDATE, id="ord_12345", objectKey="Order", json={"completedAt": "x"})
    done = {"status": "delivered", "completedAt__c": "2026-11-21T15:00:00"}
    outcome = await tools.call(UPDATE, id="ord_12345", objectKey="Order", json=done)
    assert "status: in transit → delivered." in outcome.notes
    order = await tools.found(GET, id="ord_12345")
    assert {name: order[name] for name in done} == done


async def test_the_status_changes_of_the_last_48_hours(tools: Any) -> None:
    """Retrieve the complete event history for ord_12345: all status changes of 48 hours."""
    history = await tools.found(EVENTS, record_id="ord_12345")
    since = datetime.now(UTC) - timedelta(hours=48)
    recent = [e for e in history if datetime.fromisoformat(e["createdAt"]) > since]
    assert status_changes(recent) == [("new", "in transit")]
    assert history[-1]["type"] == "create"


async def test_somebody_changes_from_one_group_to_another(tools: Any) -> None:
    """Remove usr_77889 from 'Night Shift Dispatchers', add them to 'Weekend Operations'."""
    priya = known_id("user:usr_77889")
    groups = ("Night Shift Dispatchers", "Weekend Operations")
    left, joined = [(await tools.found(GROUPS, name=name))[0]["id"] for name in groups]
    removed = await tools.found(MOVE, id=left, remove=["usr_77889"])
    added = await tools.found(MOVE, id=joined, add=["usr_77889"])
    assert (removed["removed"], added["added"]) == (1, 1)
    assert priya not in [one["id"] for one in await tools.found(MEMBERS, group_id=left)]
    assert [one["id"] for one in await tools.found(MEMBERS, group_id=joined)] == [priya]


# --- the workflows ---------------------------------------------------------------------------


async def test_why_a_shipment_was_late_and_who_said_so(tools: Any) -> None:
    """Check the shipment of PO-5561: why was it delayed, and who made the last update?"""
    found = await tools.found(EXTERNAL, id="PO-5561")
    order = await tools.found(GET, id=found["id"])
    history = await tools.found(EVENTS, record_id=found["id"])
    (note,) = [event for event in history if event["type"] == "internal"]
    assert "the carrier broke down on I-80" in note["json"]["logMessage"]
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    assert note["createdAt"] == f"{yesterday}T15:15:00.000Z"
    assert order["status"] == "in transit"
    assert (order["updatedBy"], order["updatedAt"]) == ("Sarah", note["createdAt"])
    latest, *_ = [event for event in history if event["type"] == "mutate"]
    (moved,) = latest["json"]["changedFields"]
    pushed = date.fromisoformat(moved["value"]) - date.fromisoformat(moved["prevValue"])
    assert pushed == timedelta(hours=24)


async def test_a_breakdown_is_logged_only_if_nobody_did(provider: Any, tools: Any) -> None:
    """Find ERP-9921, check whether a delay was already logged, and if not log a critical one."""
    order = await tools.found(EXTERNAL, id="ERP-9921", object_key="Order")
    history = await tools.found(EVENTS, record_id=order["id"], object_key="Order")
    assert not [event for event in history if event["type"] == "internal"]
    text = "Truck broke down, driver wrote in."
    delay = {"type": "Delay", "message": text, "severity": "critical"}
    await tools.call(LOG, recordId=order["id"], **delay)
    with pytest.raises(Conflict, match="An equal event was logged"):
        await tools.call(LOG, recordId=order["id"], **delay)
    notes = await tools.found(EVENTS, record_id=order["id"], type="internal")
    assert [one["json"]["logMessage"] for one in notes] == [f"Delay (critical): {text}"]
    assert notes[0]["json"]["severity"] == "critical"


async def test_the_active_tasks_of_a_group(tools: Any) -> None:
    """Find the user group ID for 'LTL Dispatchers'; list all active Tasks of that group."""
    (group,) = await tools.found(GROUPS, name="LTL Dispatchers")
    active = {"user_group": group["id"], "status": ["new", "assigned", "inprogress"]}
    tasks = await tools.found(OBJECTS, objectKey="Task", filters=active)
    assert {task["externalId"]: task["status"] for task in tasks} == {
        "TSK-01": "assigned",
        "TSK-02": "inprogress",
        "TSK-04": "new",
    }
    (other,) = await tools.found(GROUPS, name="West Coast Fleet Operations")
    await tools.call(UPDATE, id="TSK-01", objectKey="Task", json={"user_group": other["id"]})
    assert len(await tools.found(OBJECTS, objectKey="Task", filters=active)) == 2


async def test_two_people_change_from_day_to_night(tools: Any) -> None:
    """Remove usr_102 and usr_105 from 'Day Shift Ops', and add them to 'Night Shift Ops'."""
    people = ["usr_102", "usr_105"]
    await tools.call(MOVE, id="Day Shift Ops", remove=people)
    await tools.call(MOVE, id="Night Shift Ops", add=people)
    members = {
        name: {one["id"] for one in await tools.found(MEMBERS, group_id=name)}
        for name in ("Day Shift Ops", "Night Shift Ops")
    }
    moved = {known_id(f"user:{one}") for one in people}
    assert members["Day Shift Ops"] == {known_id("user:usr_sjenkins")}
    assert members["Night Shift Ops"] == moved | {known_id("user:usr_110")}


@pytest.mark.parametrize("internal", ["ord_8821", "4410"])
async def test_an_id_that_an_article_made_up_is_refused_with_the_way_to_the_record(
    tools: Any, internal: str
) -> None:
    with pytest.raises(UpstreamFailure, match="Ids of Rose Rocket are uuids") as refused:
        await tools.call(EVENTS, record_id=internal, object_key="Order")
    assert "poNum" in str(refused.value)
