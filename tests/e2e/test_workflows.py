"""The articles' workflows and prompts, by the official clients, against `crossdock demo`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientSession
from harness import demo
from harness.demo import Demo

pytestmark = pytest.mark.e2e
CLIENTS = pytest.mark.parametrize(
    ("client", "protocol"), [("mcp2", "2026-07-28"), ("mcp1", "2025-11-25")]
)


def _call(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"op": "call", "name": name, "arguments": arguments}


def _data(answer: dict[str, Any]) -> Any:
    assert "error" not in answer, answer
    assert answer["isError"] is False, answer["texts"]
    return json.loads(answer["texts"][0])


async def _switch(up: Demo, **switches: Any) -> None:
    async with (
        ClientSession() as http,
        http.post(f"{up.sandbox()}/_sandbox/switches", json=switches) as reply,
    ):
        assert reply.status == 200


async def _requests(up: Demo) -> list[dict[str, Any]]:
    async with ClientSession() as http, http.get(f"{up.sandbox()}/_sandbox/requests") as reply:
        received: list[dict[str, Any]] = await reply.json()
    return received


def _pairs(order: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["carrier"], one["tracking_code"]) for one in order["shipments"]}


@CLIENTS
@pytest.mark.requirement("clients:one-url:both-eras", "malomo:tools:complete")
async def test_both_majors_of_the_official_client_list_the_tools_at_one_url(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        hello, listed, hidden = await clients.drive(
            client, up.server(), [{"op": "list"}, _call("no_such_tool")]
        )
        assert hello["protocol"] == protocol
        assert hello["server"]["name"] == "crossdock"
        assert len(listed["tools"]) == 21
        assert hidden["error"]["code"] == -32602
        assert "Unknown tool: no_such_tool" in hidden["error"]["message"]


@CLIENTS
@pytest.mark.requirement("malomo:workflow:lost-shipment", "malomo:events:history")
async def test_an_agent_finds_a_lost_shipment_from_an_email_address(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        _, orders = await clients.drive(
            client,
            up.server(),
            [_call("list_all_malomo_orders", customer_email="sarah.smith@example.com")],
        )
        found = _data(orders)["result"]
        assert {order["customer"]["email"] for order in found} == {"sarah.smith@example.com"}
        (latest,) = [order for order in found if order["number"] == "#1042"]
        _, listed, by_number = await clients.drive(
            client,
            up.server(),
            [
                _call("list_all_malomo_order_events", order_id=latest["id"], limit=50),
                _call(
                    "get_single_malomo_orders_by_number_by_id",
                    id="1042",
                    customer_email="sarah.smith@example.com",
                ),
            ],
        )
        assert _data(by_number)["id"] == latest["id"]
        events = _data(listed)["result"]
        assert "Address Undeliverable" in json.dumps(events)
        assert "local distribution center" in json.dumps(events)


@CLIENTS
@pytest.mark.requirement("malomo:workflow:add-shipment", "malomo:shipments:kept")
async def test_an_agent_adds_a_shipment_and_the_stored_one_stays(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        added = {"carrier": "fedex", "tracking_code": "123456789044"}
        _, before, updated, after = await clients.drive(
            client,
            up.server(),
            [
                _call("get_single_malomo_order_by_id", id="89123"),
                _call("update_a_malomo_order_by_id", id="89123", shipments=[added]),
                _call("get_single_malomo_order_by_id", id="89123"),
            ],
        )
        stored = _pairs(_data(before))
        assert ("usps", "9400111899223100012345") in stored
        assert _pairs(_data(updated)) == stored | {("fedex", "123456789044")}
        assert _pairs(_data(after)) == stored | {("fedex", "123456789044")}


@CLIENTS
@pytest.mark.requirement("malomo:workflow:webhook-audit", "malomo:webhooks:created")
async def test_an_agent_audits_the_webhooks_and_creates_the_missing_one(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        topic, url = "shipment.exception", "https://alerts.internal.com/malomo"
        _, before, made, after = await clients.drive(
            client,
            up.server(),
            [
                _call("list_all_malomo_webhooks"),
                _call("create_a_malomo_webhook", topic=topic, url=url),
                _call("list_all_malomo_webhooks"),
            ],
        )
        active = _data(before)["result"]
        assert len(active) == 2
        assert topic not in {hook["topic"] for hook in active}
        hook = _data(made)
        assert (hook["topic"], hook["url"]) == (topic, url)
        assert hook["id"] in {one["id"] for one in _data(after)["result"]}


@pytest.mark.requirement("malomo:shipments:parallel")
@pytest.mark.parametrize("client", ["mcp2", "mcp1"])
async def test_twenty_parallel_additions_from_parallel_clients_all_stay(
    tmp_path: Path, clients: ModuleType, client: str
) -> None:
    async with demo.running(tmp_path) as up:
        added = [("fedex", f"parallel-{number:02}") for number in range(20)]
        calls = [
            _call(
                "update_a_malomo_order_by_id",
                id="89123",
                shipments=[{"carrier": carrier, "tracking_code": code}],
            )
            for carrier, code in added
        ]
        _, parallel, after = await clients.drive(
            client,
            up.server(),
            [
                {"op": "parallel", "calls": calls, "connections": 5},
                _call("get_single_malomo_order_by_id", id="89123"),
            ],
        )
        for result in parallel["results"]:
            _data(result)
        assert _pairs(_data(after)) >= {*added, ("usps", "9400111899223100012345")}


@CLIENTS
@pytest.mark.requirement("malomo:shipments:omitted", "malomo:shipments:failed-read")
async def test_an_update_of_the_email_alone_loses_nothing_and_a_failed_read_writes_nothing(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        await _switch(up, omitted_shipments_are_dropped=True)
        change = _call("update_a_malomo_order_by_id", id="89123", email="dana@example.com")
        _, updated = await clients.drive(client, up.server(), [change])
        assert ("usps", "9400111899223100012345") in _pairs(_data(updated))
        await _switch(up, fail_reads=True)
        written = len([one for one in await _requests(up) if one["method"] == "PUT"])
        _, failed = await clients.drive(client, up.server(), [change])
        assert failed["isError"] is True
        assert "upstream_error" in failed["texts"][0]
        assert len([one for one in await _requests(up) if one["method"] == "PUT"]) == written


@CLIENTS
@pytest.mark.requirement("ratelimit:429:not-retried", "ratelimit:429:in-result")
async def test_a_429_reaches_the_official_clients_after_one_request(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        await _switch(up, faults=[{"kind": "rate_limited", "seconds": 30, "profile": "ratelimit"}])
        _, limited = await clients.drive(
            client, up.server(), [_call("get_single_malomo_order_by_id", id="89123")]
        )
        assert limited["isError"] is True
        error = json.loads(limited["texts"][0])["error"]
        assert (error["kind"], error["retry_after_seconds"]) == ("rate_limited", 30)
        assert limited["structured"] == {"error": error}
        assert len(await _requests(up)) == 1


# --- the articles' prompts -------------------------------------------------------------------

Judge = Callable[[Any], Any]
MALOMO: list[tuple[str, dict[str, Any], Judge, Any]] = [
    (
        "list_all_malomo_orders",
        {"customer_email": "help@example.com"},
        lambda data: [[p["tracking_code"] for p in one["shipments"]] for one in data["result"]],
        [
            ["9400100000000000001045"],
            ["9400100000000000001031"],
            ["9400100000000000000999", "9400100000000000001000"],
        ],
    ),
    (
        "get_single_malomo_orders_by_tracking_code_by_id",
        {"id": "1Z9999999999999999", "fields": ["number", "shipments.status"]},
        lambda data: (data["number"], data["shipments"]),
        ("#1040", [{"status": "out_for_delivery"}]),
    ),
    (
        "list_all_malomo_order_events",
        {"order_id": "89123"},
        lambda data: [
            one["properties"]["location"]["city"]
            for one in data["result"]
            if one["label"].startswith("Delayed at sorting facility")
        ],
        ["Memphis"],
    ),
    (
        "update_a_malomo_order_by_id",
        {"id": "89123", "shipments": [{"carrier": "fedex", "tracking_code": "123456789044"}]},
        lambda data: sorted(one["tracking_code"] for one in data["shipments"]),
        ["123456789044", "9400111899223100012345"],
    ),
    (
        "create_a_malomo_webhook",
        {"topic": "shipment.exception", "url": "https://api.mycompany.com/webhooks/malomo-alerts"},
        lambda data: (data["topic"], data["active"]),
        ("shipment.exception", True),
    ),
]
ROSEROCKET: list[tuple[str, dict[str, Any], Judge, Any]] = [
    (
        "list_all_roserocket_objects",
        {"objectKey": "Order", "filters": {"createdAt": "today"}},
        lambda data: {(one["externalId"], one["status"]) for one in data["result"]},
        {(number, "new") for number in ("PO-9942", "WEB-6", "WEB-7", "WEB-8")},
    ),
    (
        "list_all_roserocket_objects",
        {"objectKey": "Order", "filters": {"createdAt": "today", "status": ["new", "booked"]}},
        lambda data: data["result_count"],
        4,
    ),
    (
        "get_single_roserocket_objects_external_by_id",
        {"id": "PO-88912", "objectKey": "Order"},
        lambda data: data["refNum"],
        "SAP-88912",
    ),
    (
        "list_all_roserocket_events",
        {"recordId": "5519", "objectKey": "Order"},
        lambda data: [
            one["user"]["firstName"]
            for one in data["result"]
            if "checked in" in one["json"].get("logMessage", "")
        ],
        ["Dale"],
    ),
    (
        "create_a_roserocket_event",
        {"recordId": "5519", "type": "Delay", "message": "Delayed by 2 hours by heavy traffic."},
        lambda data: data["type"],
        "internal",
    ),
    (
        "list_all_roserocket_boards",
        {"objectKey": "Order"},
        lambda data: [one["name"] for one in data["result"] if not one["isExternal"]],
        ["Active Dispatch", "Billing Review"],
    ),
    (
        "roserocket_user_groups_search",
        {"name": "West Coast Fleet Operations"},
        lambda data: [one["name"] for one in data["result"]],
        ["West Coast Fleet Operations"],
    ),
    (
        "update_a_roserocket_object_by_id",
        {"id": "ord_12345", "objectKey": "Order", "json": {"status": "delivered"}},
        lambda data: data["status"],
        "delivered",
    ),
]


@CLIENTS
@pytest.mark.requirement("malomo:tools:complete", "roserocket:tools:complete")
async def test_the_articles_prompts_are_answered_truly(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        for integration, prompts in (("malomo", MALOMO), ("roserocket", ROSEROCKET)):
            steps = [_call(tool, **arguments) for tool, arguments, _, _ in prompts]
            hello, *answers = await clients.drive(client, up.server(integration), steps)
            assert hello["protocol"] == protocol
            for (tool, _, judge, expected), answer in zip(prompts, answers, strict=True):
                assert judge(_data(answer)) == expected, tool


# Each wrong call, a word of its refusal, and the call that the refusal leads to.
WRONG: list[tuple[str, str, dict[str, Any], str, tuple[str, dict[str, Any]]]] = [
    (
        "malomo",
        "list_all_malomo_orders",
        {"limit": 500},
        "maximum of 50",
        ("list_all_malomo_orders", {"limit": 50}),
    ),
    (
        "malomo",
        "list_all_malomo_orders",
        {"customer_emial": "help@example.com"},
        "did you mean customer_email?",
        ("list_all_malomo_orders", {"customer_email": "help@example.com"}),
    ),
    (
        "malomo",
        "get_single_malomo_order_by_id",
        {},
        "id: is required, as in get_single_malomo_order_by_id",
        ("get_single_malomo_order_by_id", {"id": "89123"}),
    ),
    (
        "roserocket",
        "list_all_roserocket_objects",
        {"objectKey": "Order", "filters": {"stattus": "new"}},
        "Did you mean status",
        ("list_all_roserocket_objects", {"objectKey": "Order", "filters": {"status": "new"}}),
    ),
    (
        "roserocket",
        "list_all_roserocket_objects",
        {"objectKey": "Order", "filtersOperator": "nor"},
        "allowed are and, or",
        ("list_all_roserocket_objects", {"objectKey": "Order", "filtersOperator": "or"}),
    ),
    (
        "roserocket",
        "update_a_roserocket_object_by_id",
        {"id": "ord_12345", "objectKey": "Order", "json": {"status": "Completed"}},
        "delivered",
        (
            "update_a_roserocket_object_by_id",
            {"id": "ord_12345", "objectKey": "Order", "json": {"status": "delivered"}},
        ),
    ),
]


@CLIENTS
@pytest.mark.requirement("tools:arguments:repairable")
async def test_a_refusal_is_repaired_by_the_call_that_it_names(
    tmp_path: Path, clients: ModuleType, client: str, protocol: str
) -> None:
    async with demo.running(tmp_path) as up:
        for integration in ("malomo", "roserocket"):
            table = [row for row in WRONG if row[0] == integration]
            steps = []
            for _, tool, given, _, (then, repaired) in table:
                steps += [_call(tool, **given), _call(then, **repaired)]
            hello, *answers = await clients.drive(client, up.server(integration), steps)
            assert hello["protocol"] == protocol
            for index, (_, tool, _, says, _) in enumerate(table):
                refused, repaired = answers[2 * index : 2 * index + 2]
                assert refused["isError"] is True, tool
                assert says in json.loads(refused["texts"][0])["error"]["message"]
                _data(repaired)
