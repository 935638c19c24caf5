"""What a model pays for: the table in the README is true, and within the budget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

README = Path(__file__).parents[1] / "README.md"
_ROW = re.compile(r"\| `(\w+)` \| ([\d,]+) → ([\d,]+) \| ([\d,]+) → ([\d,]+) \|")
MOST_TOKENS = 3500
MOST_BYTES = 24 * 1024
BYTES_PER_TOKEN = 4  # as the budget of an answer counts
FEDEX = {"carrier": "fedex", "tracking_code": "123456789044"}
ORDER = {"id": "89123"}
TYPICAL: dict[str, dict[str, Any]] = {
    "list_all_malomo_customer_events": {"customer_id": "@customer"},
    "list_all_malomo_customers": {},
    "get_single_malomo_customer_by_id": {"id": "@customer"},
    "create_a_malomo_customer": {"email": "ann@example.com"},
    "update_a_malomo_customer_by_id": {"id": "@customer", "last_name": "Smyth"},
    "list_all_malomo_order_events": {"order_id": "89123"},
    "create_a_malomo_order_event": {"order_id": "89123", "type": "NoteAdded", "label": "Called"},
    "list_all_malomo_orders": {},
    "get_single_malomo_order_by_id": ORDER,
    "create_a_malomo_order": {
        "number": "#7",
        "email": "ann@example.com",
        "shipments": [FEDEX],
    },
    "update_a_malomo_order_by_id": {**ORDER, "shipments": [FEDEX]},
    "get_single_malomo_orders_by_alternate_id_by_id": {"id": "gid://shopify/Order/5000000000003"},
    "get_single_malomo_orders_by_number_by_id": {
        "id": "1042",
        "customer_email": "sarah.smith@example.com",
    },
    "get_single_malomo_orders_by_tracking_code_by_id": {"id": "1Z9999999999999999"},
    "list_all_malomo_webhooks": {},
    "get_single_malomo_webhook_by_id": {"id": "@webhook"},
    "create_a_malomo_webhook": {
        "topic": "events:created",
        "url": "https://hooks.example.com/malomo",
    },
    "update_a_malomo_webhook_by_id": {"id": "@webhook", "active": False},
    "delete_a_malomo_webhook_by_id": {"id": "@webhook"},
    "delete_a_malomo_order_by_id": ORDER,
    "delete_a_malomo_customer_by_id": {"id": "@customer"},
}


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[int, int]]:
    """Return what the README says: tokens of the definition and of a typical answer, now."""
    rows = _ROW.findall(README.read_text(encoding="utf-8"))
    return {name: (_number(now), _number(answer)) for name, _, now, _, answer in rows}


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _near(told: int, true: int) -> bool:
    return abs(told - true) <= max(5, true / 10)  # as near as tokens can be estimated


async def test_the_readme_tells_what_each_definition_and_typical_answer_costs(
    provider: Any, tools: Any, table: dict[str, tuple[int, int]]
) -> None:
    (sarah,) = [id for id, one in provider.shop.customers.items() if one["first_name"] == "Sarah"]
    ids = {"@customer": sarah, "@webhook": next(iter(provider.shop.webhooks))}
    costs = tools.tokens()
    true: dict[str, tuple[int, int]] = {}
    for name, given in TYPICAL.items():
        arguments = {key: ids.get(str(value), value) for key, value in given.items()}
        answer = await tools.answer(name, **arguments)
        size = len(answer.data)
        if answer.notes:
            size += len(msgspec.json.encode({"notes": answer.notes}))
        true[name] = costs[name], round(size / BYTES_PER_TOKEN)
    assert table.keys() == true.keys() == costs.keys()
    off = {
        name: (table[name], both)
        for name, both in true.items()
        if not all(map(_near, table[name], both))
    }
    assert off == {}


def test_the_whole_list_of_tools_fits_into_its_budget(tools: Any) -> None:
    assert sum(tools.tokens().values()) <= MOST_TOKENS


async def test_the_default_answer_of_a_full_page_of_orders_fits(tools: Any) -> None:
    answer = await tools.answer("list_all_malomo_orders")
    assert msgspec.json.decode(answer.data)["result_count"] == 25
    assert len(answer.data) <= MOST_BYTES
