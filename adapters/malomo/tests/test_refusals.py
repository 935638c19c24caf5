"""Every refusal names the argument, the rule, and one next step that works: the step is tried.

The wrong calls are those that an agent plausibly makes with the arguments' names and the articles.
"""

from __future__ import annotations

import ast
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import crossdock_malomo
from crossdock.adapter import InvalidArguments, ToolFailure

PACKAGE = Path(crossdock_malomo.__file__).parent
ORDER = "get_single_malomo_order_by_id"
ORDERS = "list_all_malomo_orders"
EVENTS = "list_all_malomo_order_events"
EVENT = "create_a_malomo_order_event"
UPDATE = "update_a_malomo_order_by_id"
CREATE = "create_a_malomo_order"
DELETE = "delete_a_malomo_order_by_id"
BY_NUMBER = "get_single_malomo_orders_by_number_by_id"
BY_CODE = "get_single_malomo_orders_by_tracking_code_by_id"
BY_ALTERNATE = "get_single_malomo_orders_by_alternate_id_by_id"
CUSTOMER = "get_single_malomo_customer_by_id"
CUSTOMERS = "list_all_malomo_customers"
NEW_CUSTOMER = "create_a_malomo_customer"
CHANGE_CUSTOMER = "update_a_malomo_customer_by_id"
HISTORY = "list_all_malomo_customer_events"
HOOK = "create_a_malomo_webhook"
HOOKS = "list_all_malomo_webhooks"
ONE_HOOK = "get_single_malomo_webhook_by_id"
CHANGE_HOOK = "update_a_malomo_webhook_by_id"

SARAH = {"customer_email": "sarah.smith@example.com"}
NUMBERED = {"id": "1042", **SARAH}
USPS = {"carrier": "usps", "tracking_code": "9400111899223100012345"}
FEDEX = {"carrier": "fedex", "tracking_code": "123456789044"}
URL = "https://hooks.example.com/malomo"
NEW_HOOK = {"topic": "events:created", "url": URL}


class Wrong(NamedTuple):
    """A call, what its refusal says, and the call that the refusal leads to.

    `@order`, `@customer` and `@webhook` stand for ids of the sandbox. An empty argument is one of
    Malomo's own refusals.
    """

    tool: str
    given: dict[str, Any]
    argument: str
    says: tuple[str, ...]
    then: tuple[str, dict[str, Any]]


WRONG = [
    # ids of the wrong kind
    Wrong(ORDER, {"id": "1042"}, "", ("No order", BY_NUMBER), (BY_NUMBER, NUMBERED)),
    Wrong(ORDER, {"id": "#1042"}, "id", ("not an id", BY_NUMBER), (BY_NUMBER, NUMBERED)),
    Wrong(ORDER, {"id": "ord_1042"}, "", ("No order", ORDERS), (ORDERS, SARAH)),
    Wrong(
        ORDER,
        {"id": "1Z9999999999999999"},
        "",
        ("No order", BY_CODE),
        (BY_CODE, {"id": "1Z9999999999999999"}),
    ),
    Wrong(
        ORDER,
        {"id": "gid://shopify/Order/5000000000003"},
        "id",
        ("not an id", BY_ALTERNATE),
        (BY_ALTERNATE, {"id": "gid://shopify/Order/5000000000003"}),
    ),
    Wrong(
        ORDER, {"id": "sarah.smith@example.com"}, "", ("an address with", ORDERS), (ORDERS, SARAH)
    ),
    Wrong(ORDER, {"id": ""}, "id", ("is empty", BY_NUMBER), (BY_NUMBER, NUMBERED)),
    Wrong(
        UPDATE,
        {"id": "#1042", "email": "a@example.com"},
        "id",
        ("not an id", BY_NUMBER, "holds the `id`"),
        (UPDATE, {"id": "@order", "email": "a@example.com"}),
    ),
    Wrong(
        UPDATE,
        {"id": "1042", "shipments": [FEDEX]},
        "",
        ("No order", BY_NUMBER),
        (BY_NUMBER, NUMBERED),
    ),
    Wrong(DELETE, {"id": "1042"}, "", ("No order", BY_NUMBER), (BY_NUMBER, NUMBERED)),
    Wrong(EVENTS, {"order_id": "#1042"}, "order_id", (BY_NUMBER,), (BY_NUMBER, NUMBERED)),
    Wrong(EVENTS, {"order_id": "1042"}, "", ("No order", BY_NUMBER), (BY_NUMBER, NUMBERED)),
    Wrong(
        EVENT,
        {"order_id": "1042", "type": "NoteAdded"},
        "",
        ("No order", BY_NUMBER),
        (BY_NUMBER, NUMBERED),
    ),
    Wrong(CUSTOMER, {"id": "Sarah"}, "", ("No customer", CUSTOMERS), (CUSTOMERS, {})),
    Wrong(CUSTOMER, {"id": "Sarah Smith"}, "id", ("blank", CUSTOMERS), (CUSTOMERS, {})),
    Wrong(
        CHANGE_CUSTOMER,
        {"id": "sarah.smith@example.com", "last_name": "Smyth"},
        "",
        ("No customer", CUSTOMERS),
        (CHANGE_CUSTOMER, {"id": "@customer", "last_name": "Smyth"}),
    ),
    Wrong(
        HISTORY, {"customer_id": "sarah.smith@example.com"}, "", (ORDERS, "customer_email"),
        (ORDERS, SARAH),
    ),
    Wrong(ONE_HOOK, {"id": "events:created"}, "", ("No webhook", HOOKS), (HOOKS, {})),
    Wrong(
        CHANGE_HOOK,
        {"id": "shipment.exception", "active": False},
        "",
        ("No webhook", HOOKS),
        (CHANGE_HOOK, {"id": "@webhook", "active": False}),
    ),
    # look-ups that find nothing
    Wrong(
        BY_CODE, {"id": "1Z0000000000000009"}, "", ("No order", ORDERS, "customer_email"),
        (ORDERS, SARAH),
    ),
    Wrong(BY_ALTERNATE, {"id": "1042"}, "", ("No order", ORDERS), (ORDERS, SARAH)),
    Wrong(
        BY_NUMBER,
        {"id": "1042", "customer_email": "sara@example.com"},
        "",
        ("Check number and address", ORDERS),
        (ORDERS, SARAH),
    ),
    Wrong(
        BY_NUMBER, {"id": "1042"}, "customer_email", ("is required", BY_NUMBER),
        (BY_NUMBER, NUMBERED),
    ),
    # lists
    Wrong(
        ORDERS, {"number": "1042"}, "", ("only together with customer_email", "give both"),
        (ORDERS, {"number": "1042", **SARAH}),
    ),
    Wrong(ORDERS, {"status": "delayed"}, "status", ("is unknown", "customer_email"),
          (ORDERS, SARAH)),
    Wrong(ORDERS, {"customer": "Sarah Smith"}, "customer", ("is unknown", "customer_email"),
          (ORDERS, SARAH)),
    Wrong(ORDERS, {"limit": 100}, "limit", ("maximum of 50",), (ORDERS, {"limit": 50})),
    Wrong(ORDERS, {"limit": "25"}, "limit", ("integer",), (ORDERS, {"limit": 25})),
    Wrong(ORDERS, {"customer_email": ""}, "customer_email", ("leave it out",), (ORDERS, {})),
    Wrong(CUSTOMERS, {"email": "a@example.com"}, "email", ("is unknown", "limit"),
          (CUSTOMERS, {"limit": 50})),
    # creates
    Wrong(CREATE, {}, "number", ("to be found by", "alternate_id"), (CREATE, {"number": "#7"})),
    Wrong(
        CREATE, {"meta": {"gift": True}}, "number", ("give number, alternate_id, email or shipm",),
        (CREATE, {"meta": {"gift": True}, "email": "a@example.com"}),
    ),
    Wrong(
        CREATE,
        {"number": "#7", "customer": {"name": "Ann"}},
        "customer.name",
        ("is unknown here", "first_name"),
        (CREATE, {"number": "#7", "customer": {"first_name": "Ann"}}),
    ),
    Wrong(
        CREATE, {"number": "#7", "shipments": FEDEX}, "shipments", ("array",),
        (CREATE, {"number": "#7", "shipments": [FEDEX]}),
    ),
    Wrong(
        CREATE,
        {"number": "#7", "shipments": [{"tracking_code": "123456789044"}]},
        "shipments.0.carrier",
        ("is required",),
        (CREATE, {"number": "#7", "shipments": [FEDEX]}),
    ),
    Wrong(CREATE, {"number": 1042}, "number", ("string",), (CREATE, {"number": "1042"})),
    Wrong(NEW_CUSTOMER, {}, "email", ("to be known by", "phone_number"),
          (NEW_CUSTOMER, {"email": "ann@example.com"})),
    Wrong(NEW_CUSTOMER, {"name": "Ann"}, "name", ("is unknown", "first_name"),
          (NEW_CUSTOMER, {"first_name": "Ann"})),
    Wrong(EVENT, {"order_id": "89123"}, "type", ("is required", "OrderIssueCreated"),
          (EVENT, {"order_id": "89123", "type": "OrderIssueCreated"})),
    Wrong(EVENT, {"order_id": "89123", "type": ""}, "type", ("is empty", "OrderIssueCreated"),
          (EVENT, {"order_id": "89123", "type": "OrderIssueCreated"})),
    Wrong(
        EVENT,
        {"order_id": "89123", "type": "NoteAdded", "timestamp": "2026-11-21T08:14:00Z"},
        "timestamp",
        ("integer", "Give Unix seconds"),
        (EVENT, {"order_id": "89123", "type": "NoteAdded", "timestamp": 1795248840}),
    ),
    # updates
    Wrong(UPDATE, {"id": "89123", "status": "delivered"}, "status", ("is unknown", "shipments"),
          (UPDATE, {"id": "89123", "shipments": [FEDEX]})),
    Wrong(UPDATE, {"id": "89123", "meta": "gift"}, "meta", ("object",),
          (UPDATE, {"id": "89123", "meta": {"gift": True}})),
    Wrong(
        UPDATE, {"id": "89123", "tracking_code": "123456789044"}, "tracking_code",
        ("is unknown", "shipments"), (UPDATE, {"id": "89123", "shipments": [FEDEX]}),
    ),
    Wrong(
        UPDATE,
        {"id": "89123", "shipments": [{"carrier": " ", "tracking_code": "123456789044"}]},
        "shipments.0.carrier",
        ("is empty", "usps"),
        (UPDATE, {"id": "89123", "shipments": [FEDEX]}),
    ),
    Wrong(
        UPDATE,
        {"id": "89123", "shipments": [{**FEDEX, "status": "delivered"}]},
        "shipments.0.status",
        ("is unknown here", "carrier, tracking_code"),
        (UPDATE, {"id": "89123", "shipments": [FEDEX]}),
    ),
    Wrong(
        UPDATE, {"id": "89123", "remove_shipments": [FEDEX]}, "remove_shipments",
        ("is not on this order", USPS["tracking_code"]),
        (UPDATE, {"id": "89123", "remove_shipments": [USPS]}),
    ),
    Wrong(
        UPDATE, {"id": "89123", "shipments": [FEDEX], "remove_shipments": [FEDEX]},
        "remove_shipments", ("choose one",), (UPDATE, {"id": "89123", "shipments": [FEDEX]}),
    ),
    Wrong(
        UPDATE, {"id": "89123", "detach_customer": True, "customer": {"first_name": "Di"}},
        "detach_customer", ("customer is given as well", "leave one"),
        (UPDATE, {"id": "89123", "detach_customer": True}),
    ),
    Wrong(
        UPDATE, {"id": "89123", "clear": ["email"], "email": "a@example.com"}, "clear",
        ("email is given as well", "leave one"), (UPDATE, {"id": "89123", "clear": ["email"]}),
    ),
    Wrong(UPDATE, {"id": "89123", "clear": ["shipments"]}, "clear.0", ("email, meta",),
          (UPDATE, {"id": "89123", "clear": ["email"]})),
    Wrong(
        CHANGE_CUSTOMER, {"id": "@customer", "clear": ["email"], "email": "a@example.com"},
        "clear", ("email is given as well",),
        (CHANGE_CUSTOMER, {"id": "@customer", "email": "a@example.com"}),
    ),
    # webhooks
    Wrong(HOOK, {}, "topic", ("is required", "events:created", URL), (HOOK, NEW_HOOK)),
    Wrong(HOOK, {"topic": "events:created"}, "url", ("is required", URL), (HOOK, NEW_HOOK)),
    Wrong(HOOK, {**NEW_HOOK, "topic": ""}, "topic", ("is empty", "events:created"),
          (HOOK, NEW_HOOK)),
    Wrong(HOOK, {**NEW_HOOK, "url": " "}, "url", ("is empty", URL), (HOOK, NEW_HOOK)),
    Wrong(HOOK, {**NEW_HOOK, "url": "http://hooks.example.com"}, "url", ("https://", URL),
          (HOOK, NEW_HOOK)),
    Wrong(HOOK, {**NEW_HOOK, "url": "https://10.0.0.8/x"}, "url", ("no IP address", URL),
          (HOOK, NEW_HOOK)),
    Wrong(HOOK, {**NEW_HOOK, "url": "hooks.example.com"}, "url", ("plain https address", URL),
          (HOOK, NEW_HOOK)),
    Wrong(
        HOOK, {**NEW_HOOK, "topics": ["events:created"]}, "topics", ("did you mean topic",),
        (HOOK, NEW_HOOK),
    ),
    Wrong(
        HOOK, {**NEW_HOOK, "topic": "orders:created"}, "", ("already", HOOKS, CHANGE_HOOK),
        (CHANGE_HOOK, {"id": "@webhook", "url": URL}),
    ),
    Wrong(HOOK, {**NEW_HOOK, "active": "true"}, "active", ("boolean",),
          (HOOK, {**NEW_HOOK, "active": True})),
    Wrong(CHANGE_HOOK, {"id": "@webhook", "topic": "a:b"}, "topic", ("is unknown", "url, active"),
          (CHANGE_HOOK, {"id": "@webhook", "active": False})),
    Wrong(CHANGE_HOOK, {"id": "@webhook", "url": "https://localhost/x"}, "url", ("loopback", URL),
          (CHANGE_HOOK, {"id": "@webhook", "url": URL})),
]  # fmt: skip


def filled(given: dict[str, Any], shop: Any) -> dict[str, Any]:
    """Return the arguments with ids of the sandbox in place of their names."""
    (sarahs,) = [one["id"] for one in shop.orders.values() if one["number"] == "#1042"]
    ids = {
        "@order": sarahs,
        "@customer": next(iter(shop.customers)),
        "@webhook": next(iter(shop.webhooks)),
    }
    return {name: ids.get(str(value), value) for name, value in given.items()}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.tool}-{wrong.given}")
async def test_a_refusal_leads_to_a_call_that_works(
    provider: Any, tools: Any, wrong: Wrong
) -> None:
    before = provider.state()
    with pytest.raises(ToolFailure) as caught:
        await tools.call(wrong.tool, **filled(wrong.given, provider.shop))
    message = str(caught.value)
    assert [words for words in wrong.says if words not in message] == [], message
    if wrong.argument:
        assert isinstance(caught.value, InvalidArguments)
        assert caught.value.argument == wrong.argument
    assert provider.state() == before
    tool, given = wrong.then
    # The message, or the tool's own list of arguments, names what the next call gives anew.
    anew = {name for name in given if given.get(name) != wrong.given.get(name)}
    known = tools.adapter.toolset(tools.adapter.defaults()).bindings[tool].places
    assert tool == wrong.tool or tool in message
    assert anew <= {*known, "limit"}
    await tools.call(tool, **filled(given, provider.shop))


async def test_every_refusal_of_the_adapter_is_in_the_table(provider: Any, tools: Any) -> None:
    reached: set[tuple[str, int]] = set()
    tools.connection.settings = {**tools.connection.settings, "webhook_hosts": ["a.example.com"]}
    elsewhere = Wrong(HOOK, NEW_HOOK, "url", (), (HOOK, NEW_HOOK))  # of an account that narrows
    for wrong in (*WRONG, elsewhere):
        with pytest.raises(ToolFailure) as caught:
            await tools.call(wrong.tool, **filled(wrong.given, provider.shop))
        frames = traceback.extract_tb(caught.value.__traceback__)
        reached |= {(frame.filename, frame.lineno or 0) for frame in frames}
    raising = {
        (str(path), node.lineno)
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        and node.exc is not None
        and "InvalidArguments" in ast.unparse(node.exc)
    }
    assert len(raising) >= 10
    assert raising - reached == set()
