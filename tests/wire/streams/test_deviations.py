"""Where the reference servers deviate from the protocol or from each other, and this one does not.

Each test is a probe that at least one of the official SDKs' servers answers worse.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.running import Running, Server
from harness.speaking import LEGACY, META, MODERN

pytestmark = pytest.mark.requirement("mcp:peers:deviations")


async def test_a_batch_of_its_revision_gets_both_answers(
    talk: Callable[..., Any], server: Server
) -> None:
    client = await talk("2025-03-26")
    batch = [{"jsonrpc": "2.0", "id": n, "method": m} for n, m in ((1, "ping"), (2, "tools/list"))]
    response = await server.post(json.dumps(batch).encode(), {"Mcp-Session-Id": client.session})
    assert [answer["id"] for answer in response.json] == [1, 2]


@pytest.mark.parametrize("revision", [MODERN, *LEGACY])
async def test_an_unknown_tool_is_a_protocol_error(server: Server, revision: str) -> None:
    response = await server.attempt("nope", {}, revision=revision)
    assert (response.status, response.error["code"]) == (200, -32602)


@pytest.mark.parametrize("revision", [MODERN, *LEGACY])
async def test_an_invalid_cursor_is_a_protocol_error(server: Server, revision: str) -> None:
    response = await server.send("tools/list", {"cursor": "made up"}, revision=revision)
    assert response.error["code"] == -32602


@pytest.mark.parametrize("body", [b"{", b"<html>", b'{"jsonrpc":"2.0","id":null,"method":"ping"}'])
async def test_an_unreadable_request_gets_json_without_an_id(server: Server, body: bytes) -> None:
    response = await server.post(body)
    assert response.status == 400
    assert "id" not in response.json


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("path", ["", "/sse", "/messages"])
async def test_a_foreign_origin_is_refused_whatever_the_host(
    server: Server, origin: str, verb: str, path: str
) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}' if verb == "POST" else None
    headers = {"Origin": origin, "Content-Type": "application/json"}
    response = await server.request(verb, server.url + path, body, headers)
    assert response.status == 403
    assert response.json["error"]["message"]


async def test_a_wrong_content_type_is_415_in_json(server: Server) -> None:
    response = await server.post(b"{}", {"Content-Type": "text/plain"})
    assert response.status == 415
    assert response.error["message"]


async def test_json_alone_is_an_acceptable_wish_in_the_newest_revision(server: Server) -> None:
    response = await server.send("tools/list", headers={"Accept": "application/json"})
    assert response.result["tools"]


async def test_anything_is_an_acceptable_wish_in_older_revisions(server: Server) -> None:
    headers = {"Accept": "*/*"}
    response = await server.send("tools/list", {}, revision="2025-11-25", headers=headers)
    assert response.result["tools"]


@pytest.mark.parametrize("named", [None, "2025-11-25", "2025-03-26"])
async def test_a_modern_body_under_no_or_an_older_header_is_a_mismatch(
    server: Server, named: str | None
) -> None:
    response = await server.send("tools/list", headers={"MCP-Protocol-Version": named})
    assert (response.status, response.error["code"]) == (400, -32020)


async def test_initialize_under_a_modern_header_is_told_where_it_belongs(server: Server) -> None:
    headers = {"MCP-Protocol-Version": MODERN}
    response = await server.send("initialize", {}, revision="2025-11-25", headers=headers)
    assert response.status == 400
    assert all(revision in response.error["message"] for revision in LEGACY)


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_the_newest_revision_has_post_alone(server: Server, verb: str) -> None:
    headers = {"MCP-Protocol-Version": MODERN}
    response = await server.request(verb, server.url, headers=headers)
    assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_no_refusal_carries_a_session(server: Server) -> None:
    for response in (
        await server.post(b"{"),
        await server.post(b"{}", {"Content-Type": "text/plain"}),
        await server.post(b"{}", {"Accept": "image/png"}),
        await server.request("PUT", server.url),
        await server.send("ping", {}, revision="2025-11-25", headers={"Mcp-Session-Id": "x"}),
        await server.send("initialize", {}, headers={"MCP-Protocol-Version": MODERN}),
    ):
        assert 400 <= response.status < 500
        assert "Mcp-Session-Id" not in response.headers


async def test_a_tool_that_asks_a_client_without_the_capability_is_stopped_centrally(
    server: Server,
) -> None:
    response = await server.send("tools/call", {"name": "talker_things_ask", "arguments": {}})
    assert (response.status, response.error["code"]) == (400, -32021)
    assert response.error["data"]["requiredCapabilities"] == {"elicitation": {"form": {}}}


async def test_a_tampered_state_is_a_protocol_error(talking: Running, server: Server) -> None:
    params: dict[str, Any] = {
        "name": "talker_things_ask",
        "arguments": {},
        "_meta": {META + "clientCapabilities": {"elicitation": {}}},
    }
    state = (await server.send("tools/call", params)).result["requestState"]
    changed = state[:-2] + ("AA" if state[-2:] != "AA" else "BB")
    response = await server.send("tools/call", {**params, "requestState": changed})
    assert response.error["code"] == -32602
