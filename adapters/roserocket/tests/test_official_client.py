"""The five workflows of the articles, through the demo and the official MCP client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession

from crossdock_roserocket.sandbox import known_id

environments = pytest.importorskip("clients.environments")
pytestmark = pytest.mark.e2e

OBJECTS = "list_all_roserocket_objects"
EVENTS = "list_all_roserocket_events"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
GROUPS = "roserocket_user_groups_search"
CHANGE = "update_a_roserocket_user_group_member_by_id"
CLIENTS = ["mcp2", "mcp1"]


class Demo(NamedTuple):
    """A running `crossdock demo`: the URL of its Rose Rocket server, and the sandbox behind."""

    url: str
    sandbox: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Start the demo once for all clients."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crossdock", "demo", "--json", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path_factory.mktemp("demo"),
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read().decode()
        ready = json.loads(line)
        (url,) = [s["url"] for s in ready["servers"] if s["integration"] == "roserocket"]
        (sandbox,) = [s["base_url"] for s in ready["sandboxes"] if s["integration"] == "roserocket"]
        yield Demo(url, sandbox)
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
async def url(demo: Demo) -> str:
    """The server's URL, with the seed restored and without lags."""
    async with ClientSession() as http:
        async with http.post(f"{demo.sandbox}/_sandbox/reset") as reply:
            assert reply.status == 204
        lags = {"event_lag": 0, "search_lag": 0}
        async with http.post(f"{demo.sandbox}/_sandbox/switches", json=lags) as reply:
            assert reply.status == 200
    return demo.url


async def run(client: str, url: str, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    """Run calls one after the other; return each answer's data and notes."""
    steps = [{"op": "call", "name": name, "arguments": given} for name, given in calls]
    _, *answers = await environments.drive(client, url, steps)
    results = []
    for answer in answers:
        assert "error" not in answer, answer
        first, *more = [json.loads(text) for text in answer["texts"]]
        assert not answer["isError"], first
        results.append((first, more[0]["notes"] if more else []))
    return results


@pytest.mark.requirement("roserocket:workflow:delay-resolution")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_freight_delay_is_resolved(url: str, client: str) -> None:
    order = known_id("order:ERP-9921")
    note = f"Truck broke down, wrote the driver to {client}."  # an equal note is not logged twice
    (found, _), (history, _), (logged, notes), (after, _) = await run(
        client,
        url,
        (EXTERNAL, {"id": "ERP-9921", "object_key": "Order"}),
        (EVENTS, {"record_id": order, "object_key": "Order"}),
        (
            "create_a_roserocket_event",
            {"recordId": order, "type": "Delay", "message": note, "severity": "critical"},
        ),
        (EVENTS, {"record_id": order, "object_key": "Order", "limit": 1}),
    )
    assert found["id"] == order
    assert not any(note in json.dumps(event) for event in history["result"])
    assert logged["type"] == "internal"
    assert any("Board: Active Dispatch" in one for one in notes)
    assert after["result"][0]["json"]["logMessage"] == f"Delay (critical): {note}"


@pytest.mark.requirement("roserocket:workflow:reassignment")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_groups_tasks_are_listed_for_reassignment(url: str, client: str) -> None:
    group = known_id("group:LTL Dispatchers")
    (groups, _), (tasks, _) = await run(
        client,
        url,
        (GROUPS, {"name": "LTL Dispatchers"}),
        (
            OBJECTS,
            {
                "objectKey": "Task",
                "filters": {"user_group": group, "status": ["new", "assigned", "inprogress"]},
            },
        ),
    )
    assert groups["result"][0]["id"] == group
    assert tasks["result_count"] == 3
    assert tasks["next_cursor"] is None


@pytest.mark.requirement("roserocket:workflow:delay-investigation")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_delay_is_investigated(url: str, client: str) -> None:
    order = known_id("order:PO-5561")
    (found, notes), (current, _), (history, _) = await run(
        client,
        url,
        (EXTERNAL, {"id": "PO-5561"}),
        ("get_single_roserocket_object_by_id", {"id": order}),
        (EVENTS, {"record_id": order}),
    )
    assert (found["id"], current["status"]) == (order, "in transit")
    assert "order was assumed" in notes[0]
    why = next(event for event in history["result"] if event["type"] == "internal")
    assert why["user"]["firstName"] == "Sarah"
    assert "I-80" in why["json"]["logMessage"]


@pytest.mark.requirement("roserocket:workflow:shift-change")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_shift_changes(url: str, client: str) -> None:
    day, night = known_id("group:Day Shift Ops"), known_id("group:Night Shift Ops")
    people = ["usr_102", "usr_105"]
    groups, _, (removed, _), (added, _), (members, _) = await run(
        client,
        url,
        (GROUPS, {"name": "Day Shift Ops"}),
        (GROUPS, {"name": "Night Shift Ops"}),
        (CHANGE, {"id": day, "remove": people}),
        (CHANGE, {"id": night, "add": people}),
        ("list_all_roserocket_user_group_members", {"group_id": night}),
    )
    assert groups[0]["result"][0]["id"] == day
    assert (removed["removed"], added["added"]) == (2, 2)
    assert known_id("user:usr_102") in [one["id"] for one in members["result"]]


@pytest.mark.requirement("roserocket:boards:by-object-key")
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_board_is_discovered(url: str, client: str) -> None:
    ((boards, _),) = await run(client, url, ("list_all_roserocket_boards", {"object_key": "Order"}))
    assert {board["objectKey"] for board in boards["result"]} == {"order"}
    assert "Active Dispatch" in [board["name"] for board in boards["result"]]
