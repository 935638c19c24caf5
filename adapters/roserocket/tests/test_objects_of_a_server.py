"""A server's `objects`: other kinds are answered like unknown ones, through every tool."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter import InvalidArguments, ToolFailure
from crossdock_roserocket.sandbox import known_id

GET = "get_single_roserocket_object_by_id"
EVENTS = "list_all_roserocket_events"
LOG = "create_a_roserocket_event"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
ORDER = known_id("order:PO-5561")
INVOICE = known_id("invoice:PO-5561")
NOBODY = "00000000-0000-4000-8000-000000000000"
PO = {"poNum": "1"}

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("list_all_roserocket_objects", {"object_key": "{}"}),
    (GET, {"id": "PO-5561", "object_key": "{}"}),
    ("create_a_roserocket_object", {"object_key": "{}", "json": {"externalId": "x"}}),
    ("update_a_roserocket_object_by_id", {"id": "PO-5561", "object_key": "{}", "json": PO}),
    ("delete_a_roserocket_object_by_id", {"id": "PO-5561", "object_key": "{}"}),
    ("roserocket_objects_upsert", {"object_key": "{}", "json": {"externalId": "x"}}),
    ("roserocket_objects_bulk_delete", {"object_key": "{}", "ids": [INVOICE]}),
    ("roserocket_objects_autocomplete", {"object_key": "{}", "search_term": "a"}),
    (EXTERNAL, {"id": "PO-5561", "object_key": "{}"}),
    ("update_a_roserocket_objects_external_by_id", {"id": "x", "object_key": "{}", "json": PO}),
    ("delete_a_roserocket_objects_external_by_id", {"id": "PO-5561", "object_key": "{}"}),
    (EVENTS, {"record_id": "PO-5561", "object_key": "{}"}),
    (LOG, {"record_id": "PO-5561", "object_key": "{}", "message": "x"}),
    ("list_all_roserocket_boards", {"object_key": "{}"}),
]
RECORDS: list[tuple[str, dict[str, Any]]] = [
    (GET, {"id": "{}"}),
    (GET, {"id": "{}", "object_key": "order"}),
    (GET, {"id": "{}", "paths": "customer"}),
    ("update_a_roserocket_object_by_id", {"id": "{}", "json": PO}),
    ("update_a_roserocket_object_by_id", {"id": "{}", "object_key": "order", "json": PO}),
    ("delete_a_roserocket_object_by_id", {"id": "{}"}),
    ("delete_a_roserocket_object_by_id", {"id": "{}", "object_key": "order"}),
    ("roserocket_objects_bulk_delete", {"object_key": "order", "ids": ["{}"]}),
    (EVENTS, {"record_id": "{}"}),
    (EVENTS, {"record_id": "{}", "object_key": "order"}),
    (LOG, {"record_id": "{}", "message": "x"}),
    (LOG, {"record_id": "{}", "object_key": "order", "message": "x"}),
    ("list_all_roserocket_objects", {"object_key": "order", "board_id": "{}"}),
    ("list_all_roserocket_objects", {"board_id": "{}"}),
    (LOG, {"record_id": ORDER, "board_id": "{}", "message": "x"}),
    (EVENTS, {"record_id": ORDER, "board_id": "{}"}),
]


def filled(given: Any, word: str) -> Any:
    if isinstance(given, dict):
        return {name: filled(value, word) for name, value in given.items()}
    if isinstance(given, list):
        return [filled(value, word) for value in given]
    return word if given == "{}" else given


async def refusal(tools: Any, tool: str, given: dict[str, Any], word: str) -> tuple[Any, ...]:
    with pytest.raises(ToolFailure) as refused:
        await tools.call(tool, **filled(given, word))
    words = str(refused.value).replace(repr(word), "…").replace(word, "…")
    return type(refused.value), refused.value.kind, words


@pytest.fixture
def tools(account: Any) -> Any:
    return account(objects=("Order", "task"), settings={"object_tools": ["order", "invoice"]})


@pytest.mark.parametrize(("tool", "given"), KINDS)
async def test_a_kind_out_of_sight_is_answered_like_one_that_does_not_exist(
    provider: Any, tools: Any, tool: str, given: dict[str, Any]
) -> None:
    assert await refusal(tools, tool, given, "invoice") == await refusal(
        tools, tool, given, "gadget"
    )
    assert await refusal(tools, tool, given, "yardMove__c") == await refusal(
        tools, tool, given, "gadget"
    )
    assert await provider.requests() == []


@pytest.mark.parametrize(("tool", "given"), RECORDS)
async def test_a_record_out_of_sight_is_answered_like_one_that_does_not_exist(
    provider: Any, tools: Any, tool: str, given: dict[str, Any]
) -> None:
    board = given.get("board_id") == "{}"
    hidden = known_id("board:Invoices") if board else INVOICE
    assert await refusal(tools, tool, given, hidden) == await refusal(tools, tool, given, NOBODY)
    sent = [f"{one['method']} {one['path']}" for one in await provider.requests()]
    assert all(one.startswith("GET ") for one in sent)


@pytest.mark.parametrize("name", ["board_id", "boardId"])
async def test_a_board_out_of_sight_is_found_by_no_name(tools: Any, name: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        await tools.call("list_all_roserocket_objects", object_key="order", **{name: "Nowhere"})
    assert "Invoices" not in str(refused.value)
    with pytest.raises(InvalidArguments, match="there is no board 'Invoices'"):
        await tools.call("list_all_roserocket_objects", object_key="order", **{name: "Invoices"})
    boards = await tools.found("list_all_roserocket_boards")
    assert {board["objectKey"] for board in boards} == {"order", "task"}


async def test_a_board_outside_the_navigation_is_no_way_round(provider: Any, account: Any) -> None:
    tools = account(objects=("order",))
    with pytest.raises(InvalidArguments, match="there is no board"):
        await tools.call(
            "list_all_roserocket_objects",
            object_key="order",
            board_id=known_id("board:Yard Archive"),
        )
    assert await provider.requests("POST") == []


async def test_connected_records_out_of_sight_are_not_shown(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="customer is no connected record of order"):
        await tools.call(GET, id=ORDER, paths="customer")
    with pytest.raises(InvalidArguments, match="Connected are: order, tasks"):
        await tools.call(GET, id="PO-5561", paths="customer,tasks")
    # A write answers with what it connected, and a kind out of sight may be connected by its id.
    harbor = known_id("customer:Harbor Foods")
    outcome = await tools.call(
        "update_a_roserocket_object_by_id", id=ORDER, json={"customer": {"id": harbor}}
    )
    assert "Harbor" not in str(tools.plain(outcome))
    with pytest.raises(InvalidArguments, match="connects a customer"):
        await tools.call(
            "create_a_roserocket_object", object_key="order", json={"customer": {"name": "New"}}
        )


async def test_an_exact_tool_of_a_kind_out_of_sight_finds_nothing(
    provider: Any, tools: Any
) -> None:
    for tool, given in (
        ("list_all_roserocket_invoices", {}),
        ("get_single_roserocket_invoice_by_id", {"id": INVOICE}),
        ("get_single_roserocket_invoice_by_id", {"id": "PO-5561"}),
        ("create_a_roserocket_invoice", {"notes": "x"}),
        ("update_a_roserocket_invoice_by_id", {"id": INVOICE, "notes": "x"}),
        ("delete_a_roserocket_invoice_by_id", {"id": INVOICE}),
        ("roserocket_invoices_upsert", {"externalId": "PO-5561", "notes": "x"}),
    ):
        with pytest.raises(ToolFailure) as refused:
            await tools.call(tool, **given)
        assert "net30" not in str(refused.value)
    sent = [f"{one['method']} {one['path']}" for one in await provider.requests()]
    assert all(one.startswith("GET ") for one in sent)


async def test_users_out_of_sight_are_named_by_uuid_only(provider: Any, tools: Any) -> None:
    change = "update_a_roserocket_user_group_member_by_id"
    with pytest.raises(InvalidArguments, match=r"add\[0\]: 'usr_102' is no uuid"):
        await tools.call(change, id=known_id("group:Weekend Operations"), add=["usr_102"])


async def test_what_is_in_sight_works_as_ever(account: Any) -> None:
    tools = account(objects=("task",))
    task = known_id("task:1")
    assert (await tools.found(GET, id=task))["objectKey"] == "task"
    outcome = await tools.call(GET, id="TSK-01")
    assert outcome.notes[0] == "object_key was not given; task was assumed."
    assert await tools.found(EVENTS, record_id=task)
    two = account(objects=("task", "customer"))
    with pytest.raises(InvalidArguments, match="object_key: is required: one of customer, task"):
        await two.call(EXTERNAL, id="PO-5561")
