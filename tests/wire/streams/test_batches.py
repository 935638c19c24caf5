"""Batches: of 2025-03-26, and of no other revision."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.running import Server
from harness.speaking import META, MODERN

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
LIST = {"jsonrpc": "2.0", "id": "two", "method": "tools/list"}
NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}
ANSWER = {"jsonrpc": "2.0", "id": 5, "result": {}}


async def _post(server: Server, batch: Any, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await server.post(json.dumps(batch).encode(), named)


@pytest.mark.requirement("mcp:batches:2025-03-26")
@pytest.mark.parametrize("named", [{}, {"MCP_Protocol_Version": "2025-03-26"}])
async def test_a_batch_is_answered_with_all_its_answers(
    server: Server, named: dict[str, str]
) -> None:
    response = await _post(server, [PING, NOTE, LIST], **named)
    answers = {answer["id"]: answer["result"] for answer in response.json}
    assert answers[1] == {}
    assert answers["two"]["tools"]
    assert len(answers) == 2


@pytest.mark.requirement("mcp:batches:2025-03-26")
async def test_a_batch_within_a_session_of_its_revision_is_answered(
    talk: Callable[..., Any], server: Server
) -> None:
    client = await talk("2025-03-26")
    response = await _post(server, [PING, LIST, ANSWER], Mcp_Session_Id=client.session)
    assert {answer["id"] for answer in response.json} == {1, "two"}


@pytest.mark.requirement("mcp:batches:2025-03-26")
async def test_errors_within_a_batch_have_their_own_places(server: Server) -> None:
    unknown = {"jsonrpc": "2.0", "id": 3, "method": "no/such"}
    response = await _post(server, [PING, unknown])
    assert response.status == 200
    assert {answer["id"]: "error" in answer for answer in response.json} == {1: False, 3: True}


@pytest.mark.requirement("mcp:batches:2025-03-26")
async def test_a_batch_that_asks_nothing_is_accepted_without_a_word(
    talk: Callable[..., Any], server: Server
) -> None:
    response = await _post(server, [NOTE, NOTE])
    assert (response.status, response.body) == (202, b"")
    client = await talk("2025-03-26")
    response = await _post(server, [ANSWER, ANSWER], Mcp_Session_Id=client.session)
    assert (response.status, response.body) == (202, b"")


@pytest.mark.requirement("mcp:batches:2025-03-26")
async def test_a_batch_for_a_client_of_streams_comes_on_one(server: Server) -> None:
    response = await _post(server, [PING, LIST], Accept="text/event-stream")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    data = response.body.decode().partition("data: ")[2].partition("\n")[0]
    assert len(json.loads(data)) == 2


@pytest.mark.requirement("mcp:batches:2025-03-26")
@pytest.mark.parametrize(
    "batch",
    [
        [],
        [PING, 3],
        [PING, []],
        [PING, {"jsonrpc": "2.0"}],
        [PING] * 51,
        [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}],
        [PING, {"jsonrpc": "2.0", "id": 2, "method": "initialize"}],
        [{**LIST, "params": {"_meta": {META + "protocolVersion": MODERN}}}],
        [PING, ANSWER],
    ],
    ids=lambda batch: json.dumps(batch)[:60],
)
async def test_what_is_no_proper_batch_is_refused_as_a_whole(server: Server, batch: Any) -> None:
    response = await _post(server, batch)
    assert (response.status, response.error["code"]) == (400, -32600)
    assert "id" not in response.json


@pytest.mark.requirement("mcp:batches:2025-03-26")
@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25", MODERN])
async def test_other_revisions_have_no_batches(
    talk: Callable[..., Any], server: Server, revision: str
) -> None:
    response = await _post(server, [PING], MCP_Protocol_Version=revision)
    assert (response.status, response.error["code"]) == (400, -32600)
    if revision != MODERN:
        client = await talk(revision)
        response = await _post(server, [PING], Mcp_Session_Id=client.session)
        assert (response.status, response.error["code"]) == (400, -32600)


@pytest.mark.requirement("mcp:batches:2025-03-26")
async def test_half_a_batch_is_not_json(server: Server) -> None:
    response = await server.post(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}')
    assert (response.status, response.error["code"]) == (400, -32700)
