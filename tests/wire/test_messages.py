"""JSON-RPC as it is read and written: codes, statuses, ids, notifications."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.provider import Provider
from harness.running import Server
from harness.speaking import LEGACY, MODERN, REVISIONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.asyncio(loop_scope="session")
HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "t", "version": "0"},
}
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.requirement("mcp:jsonrpc:errors", "mcp:jsonrpc:ids")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b'{"jsonrpc":"2.0","id":1,"method":"ping"',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"} trailing',
        b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
        b"{'jsonrpc':'2.0'}",
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xff"}}',
        '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + DEEP + b"}",
        b"\x00",
    ],
    ids=lambda body: repr(body[:60]),
)
async def test_what_is_not_json_is_a_parse_error_without_an_id(server: Server, body: bytes) -> None:
    response = await server.post(body)
    assert (response.status, response.error["code"]) == (400, -32700)
    assert "id" not in response.json


@pytest.mark.requirement("mcp:jsonrpc:errors", "mcp:jsonrpc:ids")
@pytest.mark.parametrize(
    ("message", "id"),
    [
        ("text", None),
        (7, None),
        (None, None),
        ({}, None),
        ({"jsonrpc": "2.0", "id": 5}, 5),
        ({"id": 5, "method": "ping"}, 5),
        ({"jsonrpc": "1.0", "id": 5, "method": "ping"}, 5),
        ({"jsonrpc": 2.0, "id": 5, "method": "ping"}, 5),
        ({"jsonrpc": "2.0", "id": 5, "method": 3}, 5),
        ({"jsonrpc": "2.0", "id": 5, "method": ""}, 5),
        ({"jsonrpc": "2.0", "id": 5, "method": None}, 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "ping", "params": []}, 5),
        ({"jsonrpc": "2.0", "id": 5, "method": "ping", "params": "x"}, 5),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": [1], "method": "ping"}, None),
        ({"jsonrpc": "2.0", "id": {}, "method": "ping"}, None),
    ],
    ids=lambda value: json.dumps(value)[:70],
)
async def test_what_is_not_json_rpc_is_an_invalid_request(
    server: Server, message: Any, id: int | None
) -> None:
    response = await server.post(json.dumps(message).encode())
    assert (response.status, response.error["code"]) == (400, -32600)
    assert response.json.get("id") == id
    assert ("id" in response.json) == (id is not None)


@pytest.mark.requirement("mcp:jsonrpc:errors")
async def test_keys_count_in_their_exact_case(server: Server) -> None:
    response = await server.post(b'{"jsonrpc":"2.0","id":1,"Method":"ping","METHOD":"ping"}')
    assert response.error["code"] == -32600


@pytest.mark.requirement("mcp:jsonrpc:errors")
async def test_a_response_that_nobody_asked_for_is_refused(server: Server) -> None:
    for message in ({"result": {}}, {"error": {"code": 1, "message": "x"}}):
        body = json.dumps({"jsonrpc": "2.0", "id": 3, **message}).encode()
        response = await server.post(body)
        assert (response.status, response.error["code"]) == (400, -32600)


IDS = [
    0,
    -1,
    2**53 + 1,
    12345678901234567890123456789012345678901234567890,
    "",
    "a",
    "0",
    "null",
    "ü€𝄞",
    'quote " and \\ back',
    "line\nend",
    "x" * 5000,
]


@pytest.mark.requirement("mcp:jsonrpc:ids", "mcp:tools:call")
@pytest.mark.parametrize("revision", [MODERN, "2024-11-05"])
@pytest.mark.parametrize("id", IDS, ids=lambda one: repr(one)[:30])
async def test_an_answer_carries_its_requests_id_unchanged(
    server: Server, id: Any, revision: str
) -> None:
    listed = await server.send("tools/list", revision=revision, id=id)
    assert listed.json["id"] == id
    assert type(listed.json["id"]) is type(id)
    failed = await server.attempt("no_such_tool", revision=revision)
    assert failed.json["id"] == 1
    unknown = await server.send("no/such/method", revision=revision, id=id)
    assert unknown.json["id"] == id


@pytest.mark.requirement("mcp:jsonrpc:ids")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=st.one_of(st.text(max_size=40), st.integers(-(10**60), 10**60)))
async def test_any_string_or_integer_may_be_an_id(server: Server, id: str | int) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": id, "method": "ping"}).encode()
    response = await server.post(body)
    assert response.json == {"jsonrpc": "2.0", "id": id, "result": {}}


@pytest.mark.requirement("mcp:jsonrpc:ids")
async def test_the_spelling_of_an_id_survives(server: Server) -> None:
    body = b'{"jsonrpc":"2.0","id":"\\u0041\\/b","method":"ping"}'
    assert b'"id":"\\u0041\\/b"' in (await server.post(body)).body


@pytest.mark.requirement("mcp:jsonrpc:ids")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["jsonrpc", "id", "method", "params", "_meta", "name", "result"]
                    ),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
async def test_no_body_whatsoever_is_a_server_error_or_gets_a_null_id(
    server: Server, body: bytes
) -> None:
    response = await server.post(body)
    assert response.status in (200, 202, 400, 404)
    if response.body:
        assert response.json.get("id", "absent") is not None
    assert (await server.send("ping", revision="2025-11-25")).result == {}


@pytest.mark.requirement("mcp:notifications:accepted")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    "method", ["notifications/initialized", "notifications/cancelled", "notifications/odd", "x"]
)
async def test_a_notification_is_accepted_without_a_word(
    server: Server, revision: str, method: str
) -> None:
    response = await server.send(method, {"requestId": 99}, revision=revision, id=None)
    assert (response.status, response.body) == (202, b"")


@pytest.mark.requirement("mcp:notifications:accepted")
async def test_a_call_without_an_id_is_a_notification_and_runs_nothing(
    server: Server, upstream: Provider
) -> None:
    response = await server.send("tools/call", {"name": "acme_items_count"}, id=None)
    assert (response.status, response.body) == (202, b"")
    assert upstream.requests == []


@pytest.mark.requirement("mcp:ping:empty")
@pytest.mark.parametrize("revision", LEGACY)
async def test_ping_is_answered_with_exactly_nothing(server: Server, revision: str) -> None:
    response = await server.send("ping", revision=revision, id="p")
    assert response.body == b'{"jsonrpc":"2.0","id":"p","result":{}}'


# --- initialize and discover -----------------------------------------------------------------


@pytest.mark.requirement("mcp:jsonrpc:errors")
@pytest.mark.parametrize("meta", [[], "x", 7, None])
async def test_a_meta_that_is_no_object_is_an_invalid_parameter(server: Server, meta: Any) -> None:
    message = {"jsonrpc": "2.0", "id": 5, "method": "ping", "params": {"_meta": meta}}
    response = await server.post(json.dumps(message).encode())
    assert (response.status, response.error["code"], response.json["id"]) == (400, -32602, 5)


@pytest.mark.requirement("mcp:initialize:version-echoed", "mcp:initialize:honest")
@pytest.mark.parametrize("revision", LEGACY)
async def test_initialize_echoes_a_served_revision(server: Server, revision: str) -> None:
    params = {**HELLO, "protocolVersion": revision}
    result = (await server.send("initialize", params, revision=revision)).result
    assert result["protocolVersion"] == revision
    assert result["capabilities"] == {"tools": {"listChanged": True}, "logging": {}}
    assert result["serverInfo"]["name"] == "crossdock"
    assert ("title" in result["serverInfo"]) == (revision >= "2025-06-18")
    assert "Agent" in result["instructions"]


@pytest.mark.requirement("mcp:initialize:version-echoed")
@pytest.mark.parametrize("asked", ["2026-07-28", "2031-01-01", "1.0", ""])
async def test_initialize_offers_the_newest_older_revision_for_what_is_not_served(
    server: Server, asked: str
) -> None:
    params = {**HELLO, "protocolVersion": asked}
    result = (await server.send("initialize", params, revision="2025-11-25")).result
    assert result["protocolVersion"] == "2025-11-25"


@pytest.mark.requirement("mcp:initialize:version-echoed")
@pytest.mark.parametrize("name", [*HELLO])
@pytest.mark.parametrize("wrong", [None, 7, "MISSING", [], {"name": 1, "version": "0"}])
async def test_initialize_names_the_parameter_that_is_missing_or_mistyped(
    server: Server, name: str, wrong: Any
) -> None:
    if name == "protocolVersion" and wrong == "MISSING":
        wrong = {}
    if name == "capabilities" and isinstance(wrong, dict):
        wrong = 1.5
    params = {**HELLO, name: wrong}
    if wrong == "MISSING":
        del params[name]
    error = (await server.send("initialize", params, revision="2025-11-25")).error
    assert error["code"] == -32602
    assert f"params.{name}" in error["message"]


@pytest.mark.requirement("mcp:era:from-body", "mcp:initialize:version-echoed")
async def test_initialize_under_a_modern_header_names_the_revisions_it_belongs_to(
    server: Server,
) -> None:
    headers = {"MCP-Protocol-Version": MODERN}
    response = await server.send("initialize", {}, revision="2025-11-25", headers=headers)
    assert response.status == 400
    assert "2025-11-25" in response.error["message"]


@pytest.mark.requirement("mcp2026:discover:answers", "mcp2026:results:marked")
async def test_discover_says_what_is_served(server: Server) -> None:
    result = (await server.send("server/discover", id="d1")).result
    assert result["supportedVersions"] == list(REVISIONS)
    assert result["capabilities"] == {"tools": {"listChanged": True}, "logging": {}}
    assert result["resultType"] == "complete"
    assert isinstance(result["ttlMs"], int)
    assert result["ttlMs"] >= 0
    assert result["cacheScope"] == "private"
    assert "serverInfo" not in result
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "crossdock"
