"""Exact tools per object key, for accounts that ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter import InvalidArguments
from crossdock_roserocket.sandbox import known_id

ORDER = known_id("order:PO-88912")
TASK = known_id("task:2")


@pytest.fixture
def tools(account: Any) -> Any:
    return account(settings={"object_tools": ["order", "Task", "financialLineItem"]})


def test_a_key_brings_its_tools_and_the_generic_ones_stay(tools: Any) -> None:
    assert len(tools.bindings) == 19 + 3 * 6
    for name in (
        "list_all_roserocket_orders",
        "get_single_roserocket_order_by_id",
        "create_a_roserocket_order",
        "update_a_roserocket_order_by_id",
        "delete_a_roserocket_order_by_id",
        "roserocket_orders_upsert",
        "create_a_roserocket_financial_line_item",
    ):
        assert tools.bindings[name].tool.tags == ("logistics",)


@pytest.mark.requirement("roserocket:objects:typed")
def test_an_exact_tool_shows_the_fields_and_options_of_its_key(tools: Any) -> None:
    properties = tools.bindings["create_a_roserocket_task"].tool.input_schema["properties"]
    assert properties["status"]["enum"][0] == "new"
    assert "dropTrailer" in properties["taskType"]["enum"]
    assert "poNum" not in properties
    order = tools.bindings["update_a_roserocket_order_by_id"].tool.input_schema["properties"]
    assert "tendered" in order["status"]["enum"]


async def test_a_wrong_status_is_refused_before_the_network(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="status"):
        await tools.call("update_a_roserocket_order_by_id", id=ORDER, status="Delayed")
    with pytest.raises(InvalidArguments, match="status"):
        await tools.call("list_all_roserocket_orders", status=["Delayed"])
    with pytest.raises(InvalidArguments, match="give at least one field"):
        await tools.call("update_a_roserocket_order_by_id", id="PO-88912")
    assert await provider.requests() == []


async def test_exact_tools_use_the_same_endpoints(provider: Any, tools: Any) -> None:
    made = await tools.found(
        "roserocket_orders_upsert",
        externalId="ERP-7100",
        status="booked",
        customer=known_id("customer:Harbor Foods"),
        tasks=[TASK],
        other_fields={"lane__c": "I-80"},
    )
    (sent,) = await provider.bodies("PATCH /objects")
    assert sent == {
        "objectKey": "order",
        "json": {
            "externalId": "ERP-7100",
            "status": "booked",
            "customer": {"id": known_id("customer:Harbor Foods")},
            "tasks": [{"id": TASK}],
            "lane__c": "I-80",
        },
    }
    changed = await tools.found(
        "update_a_roserocket_order_by_id", id="ERP-7100", status="in transit"
    )
    assert (changed["id"], changed["status"]) == (made["id"], "in transit")
    read = await tools.found("get_single_roserocket_order_by_id", id=made["id"], paths="tasks")
    assert read["tasks"][0]["id"] == TASK
    found = await tools.found("list_all_roserocket_orders", filters={"externalId": "ERP-7100"})
    assert [order["id"] for order in found] == [made["id"]]
    assert (await tools.found("delete_a_roserocket_order_by_id", id="ERP-7100"))["id"] == made["id"]


async def test_an_exact_list_filters_by_its_own_fields(provider: Any, tools: Any) -> None:
    found = await tools.found(
        "list_all_roserocket_tasks",
        status=["inprogress", "assigned"],
        user_group=known_id("group:LTL Dispatchers"),
    )
    assert {task["status"] for task in found} == {"inprogress", "assigned"}
    today = await tools.found("list_all_roserocket_orders", created_from="today")
    assert len(today) == 4
    none = await tools.found(
        "list_all_roserocket_orders", created_from="2001-01-01", created_to="2001-12-31"
    )
    assert none == []


@pytest.mark.parametrize(
    "name",
    [
        "get_single_roserocket_order_by_id",
        "update_a_roserocket_order_by_id",
        "delete_a_roserocket_order_by_id",
    ],
)
async def test_a_record_of_another_kind_is_not_touched(
    provider: Any, tools: Any, name: str
) -> None:
    more = {"status": "new"} if name.startswith("update") else {}
    with pytest.raises(InvalidArguments, match="is the id of a record of kind task, not order"):
        await tools.call(name, id=TASK, **more)
    assert {one["method"] for one in await provider.requests()} == {"GET"}


async def test_a_local_time_is_plain_text_in_an_exact_tool(provider: Any, tools: Any) -> None:
    await tools.call("create_a_roserocket_task", appointmentTime="2026-11-21T10:00:00")
    (sent,) = await provider.bodies("POST /objects")
    assert sent["json"]["appointmentTime"]["dateTimeInLocation"] == "2026-11-21T10:00:00"
    with pytest.raises(InvalidArguments, match="given twice|argument of its own"):
        await tools.call(
            "create_a_roserocket_task", description="a", other_fields={"description": "b"}
        )


@pytest.mark.parametrize("key", ["Ordr", "yard__c"])
def test_a_key_without_a_page_is_refused_by_name(account: Any, key: str) -> None:
    with pytest.raises(InvalidArguments, match=r"settings\.object_tools"):
        account(settings={"object_tools": [key]})


async def test_an_exact_update_adds_to_lists_and_takes_out_of_them(tools: Any) -> None:
    update = "update_a_roserocket_order_by_id"
    other = known_id("task:3")
    await tools.call(update, id=ORDER, tasks=[TASK])
    outcome = await tools.call(update, id=ORDER, tasks=[other], status="booked")
    assert f"tasks: {TASK} → {TASK}, {other}." in outcome.notes
    await tools.call(update, id=ORDER, remove={"tasks": [TASK]}, clear=["refNum"])
    record = await tools.found("get_single_roserocket_order_by_id", id=ORDER, paths="tasks")
    assert [task["id"] for task in record["tasks"]] == [other]
    assert record["refNum"] is None


async def test_an_exact_tool_names_its_arguments_in_refusals(provider: Any, tools: Any) -> None:
    for tool, given, argument in (
        ("update_a_roserocket_order_by_id", {"id": ORDER, "customer": "Harbor"}, "customer"),
        ("create_a_roserocket_task", {"appointmentTime": "soon"}, "appointmentTime"),
        ("create_a_roserocket_task", {}, "arguments"),
        ("list_all_roserocket_orders", {"customer": "Harbor"}, "customer"),
        ("list_all_roserocket_orders", {"created_from": "soon"}, "created_from"),
        ("list_all_roserocket_orders", {"filters": {"stattus": "new"}}, "filters.stattus"),
    ):
        with pytest.raises(InvalidArguments) as refused:
            await tools.call(tool, **given)
        assert refused.value.argument == argument


async def test_a_task_moves_between_groups_by_its_exact_tool(tools: Any) -> None:
    night = known_id("group:Night Shift Dispatchers")
    update = "update_a_roserocket_task_by_id"
    outcome = await tools.call(update, id=TASK, user_group="Night Shift Dispatchers")
    assert any(f"→ {night}" in note for note in outcome.notes)
