"""What the tools cost a model: the table in README.md, held against code and sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crossdock_roserocket.sandbox import known_id

ORDER = known_id("order:PO-5561")
LATE = known_id("order:ERP-9921")
DAY = known_id("group:Day Shift Ops")
TYPICAL: dict[str, dict[str, Any]] = {
    "list_all_roserocket_boards": {},
    "list_all_roserocket_events": {"record_id": ORDER},
    "create_a_roserocket_event": {"record_id": LATE, "message": "Broke down on I-80."},
    "list_all_roserocket_objects": {"object_key": "order"},
    "get_single_roserocket_object_by_id": {"id": ORDER, "paths": "customer"},
    "create_a_roserocket_object": {"object_key": "order", "json": {"poNum": "44-100"}},
    "update_a_roserocket_object_by_id": {
        "id": ORDER,
        "object_key": "order",
        "json": {"status": "delivered"},
    },
    "delete_a_roserocket_object_by_id": {"id": known_id("order:WEB-6")},
    "roserocket_objects_upsert": {"object_key": "order", "json": {"externalId": "ERP-7"}},
    "roserocket_objects_bulk_delete": {"object_key": "order", "ids": [known_id("order:WEB-7")]},
    "roserocket_objects_autocomplete": {"object_key": "customer", "search_term": "Harbor"},
    "get_single_roserocket_objects_external_by_id": {"id": "PO-5561"},
    "update_a_roserocket_objects_external_by_id": {
        "id": "PO-5561",
        "object_key": "order",
        "json": {"refNum": "R-1"},
    },
    "delete_a_roserocket_objects_external_by_id": {"id": "WEB-8", "object_key": "order"},
    "list_all_roserocket_user_group_members": {"group_id": DAY},
    "update_a_roserocket_user_group_member_by_id": {"id": DAY, "add": ["usr_110"]},
    "list_all_roserocket_user_groups": {},
    "create_a_roserocket_user_group": {"name": "Yard Crew"},
    "roserocket_user_groups_search": {"name": "LTL Dispatchers"},
}
README = Path(__file__).parents[1] / "README.md"


def rows() -> dict[str, list[int]]:
    """Return the table's figures: definition before and now, answer before and now."""
    found = re.findall(r"^\| `?(\w+)`? \|((?: [\d,]+ \|){4})$", README.read_text(), re.MULTILINE)
    return {
        name: [int(figure.replace(",", "")) for figure in figures.split("|")[:4]]
        for name, figures in found
    }


def test_the_whole_list_fits_into_4500_tokens(tools: Any) -> None:
    costs = tools.tokens()
    table = rows()
    assert sum(costs.values()) <= 4500
    assert {name: table[name][1] for name in costs} == costs
    assert table["together"][1] == sum(costs.values())
    assert list(table) == [*tools.bindings, "together"]


@pytest.mark.parametrize("tool", TYPICAL)
async def test_a_typical_answer_is_as_large_as_the_table_says(tools: Any, tool: str) -> None:
    *_, size = await tools.answer(tool, **TYPICAL[tool])
    assert size // 4 == pytest.approx(rows()[tool][3], rel=0.05, abs=5)


async def test_a_list_of_fat_orders_fits_and_loses_none(tools: Any) -> None:
    fat = {"description__c": "x" * 2000, "poNum": "fat", "tags": []}
    for number in range(25):
        json = {**fat, "externalId": f"FAT-{number:02}"}
        await tools.call("roserocket_objects_upsert", object_key="order", json=json)
    asked: dict[str, Any] = {"object_key": "order", "filters": {"poNum": "fat"}, "limit": 25}
    answer, _, following, size = await tools.answer("list_all_roserocket_objects", **asked)
    assert (answer["result_count"], following) == (25, None)
    assert size <= 24_000
    assert "description__c" not in answer["result"][0]
    seen: list[str] = []
    page = None
    for _ in range(10):
        answer, notes, page, size = await tools.answer(
            "list_all_roserocket_objects", page, **asked, fields=["*"]
        )
        seen += [order["externalId"] for order in answer["result"]]
        assert size <= 24_000
        if page is None:
            break
        assert any("call again with next_cursor" in note for note in notes)
    assert sorted(seen) == [f"FAT-{number:02}" for number in range(25)]


async def test_a_list_shows_what_it_was_filtered_by(tools: Any) -> None:
    asked = {"object_key": "order", "filters": {"estimatedDelivery__c": {"notEmpty": True}}}
    answer, *_ = await tools.answer("list_all_roserocket_objects", **asked)
    (order,) = answer["result"]
    assert {"id", "status", "estimatedDelivery__c"} <= set(order)
    assert "orgId" not in order
