"""Which revision a message speaks is decided from its body; each broken claim has its one answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.running import Server
from harness.speaking import LEGACY, META, MODERN, REVISIONS, envelope

pytestmark = pytest.mark.asyncio(loop_scope="session")
VERSION, CAPABILITIES, LOG_LEVEL = (
    META + "protocolVersion",
    META + "clientCapabilities",
    META + "logLevel",
)


@pytest.mark.requirement("clients:one-url:both-eras")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_revision_lists_tools_at_one_and_the_same_url(
    server: Server, revision: str
) -> None:
    listed = (await server.send("tools/list", revision=revision)).result
    assert len(listed["tools"]) == 10
    assert ("resultType" in listed) == (revision == MODERN)


@pytest.mark.requirement("mcp:era:from-body")
async def test_a_modern_body_is_modern_whatever_came_before_on_the_connection(
    server: Server,
) -> None:
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    }
    assert (await server.send("initialize", hello, revision="2025-06-18")).result
    for _ in range(2):
        assert "resultType" in (await server.send("tools/list")).result
        assert "resultType" not in (await server.send("tools/list", revision="2025-03-26")).result


@pytest.mark.requirement("mcp:era:from-body")
@pytest.mark.parametrize("revision", LEGACY)
async def test_a_claim_of_an_older_revision_in_meta_is_served_as_that_era(
    server: Server, revision: str
) -> None:
    params = {"_meta": {VERSION: revision}}
    response = await server.send("tools/list", params, revision=revision)
    assert "resultType" not in response.result


@pytest.mark.requirement("mcp:era:from-body")
@pytest.mark.parametrize("method", ["ping", "tools/list"])
async def test_older_traffic_may_carry_the_headers_of_the_newest(
    server: Server, method: str
) -> None:
    # mcp-remote sends Mcp-Method with older messages too, and it must not matter there.
    response = await server.send(
        method, revision="2025-11-25", headers={"Mcp-Method": "else", "Mcp-Name": "x"}
    )
    assert "resultType" not in response.result


# --- a broken claim --------------------------------------------------------------------------


def _meta(**changes: Any) -> dict[str, Any]:
    names = {"version": VERSION, "capabilities": CAPABILITIES, "level": LOG_LEVEL}
    meta = {VERSION: MODERN, CAPABILITIES: {}}
    meta |= {names[name]: value for name, value in changes.items()}
    return {name: value for name, value in meta.items() if value is not None}


@pytest.mark.requirement("mcp2026:meta:required", "mcp:era:from-body")
@pytest.mark.parametrize(
    ("meta", "code"),
    [
        pytest.param(_meta(capabilities=None), -32602, id="capabilities are missing"),
        pytest.param(_meta(capabilities=[]), -32602, id="capabilities are a list"),
        pytest.param(_meta(capabilities="{}"), -32602, id="capabilities are text"),
        pytest.param(_meta(level="loud"), -32602, id="no such level"),
        pytest.param(_meta(level=3), -32602, id="a level that is a number"),
        pytest.param(_meta(version=None), -32602, id="no version under a modern header"),
        pytest.param(None, -32602, id="no _meta under a modern header"),
        pytest.param({}, -32602, id="empty _meta under a modern header"),
        pytest.param(_meta(version=20260728), -32020, id="a version that is a number"),
        pytest.param(_meta(version="2099-01-01"), -32020, id="header and body differ"),
        pytest.param(_meta(version=""), -32020, id="an empty version"),
    ],
)
async def test_a_broken_claim_is_refused_and_never_taken_for_an_older_client(
    server: Server, meta: Any, code: int
) -> None:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": "m-1", "method": "tools/list"}
    if meta is not None:
        message["params"] = {"_meta": meta}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
    response = await server.post(json.dumps(message).encode(), headers)
    assert (response.status, response.error["code"]) == (400, code)
    assert response.json["id"] == "m-1"


@pytest.mark.requirement("mcp2026:meta:required")
async def test_client_info_is_not_required_and_unknown_metadata_is_tolerated(
    server: Server,
) -> None:
    params = {"_meta": {"com.example/odd": [1], "progressToken": 7, "traceparent": "nonsense"}}
    assert (await server.send("tools/list", params)).result["tools"]


@pytest.mark.requirement("mcp2026:meta:required")
@pytest.mark.parametrize("level", ["debug", "emergency"])
async def test_a_known_log_level_is_accepted(server: Server, level: str) -> None:
    assert (await server.send("tools/list", {"_meta": {LOG_LEVEL: level}})).result["tools"]


@pytest.mark.requirement("mcp2026:version:unsupported")
async def test_a_revision_that_is_not_served_is_answered_with_those_that_are(
    server: Server,
) -> None:
    params = {"_meta": _meta(version="2031-01-01")}
    headers = {"MCP-Protocol-Version": "2031-01-01"}
    response = await server.send("tools/list", params, headers=headers)
    assert (response.status, response.error["code"]) == (400, -32022)
    assert response.error["data"] == {"supported": list(REVISIONS), "requested": "2031-01-01"}
    discovered = (await server.send("server/discover")).result["supportedVersions"]
    assert set(response.error["data"]["supported"]) <= set(discovered)


# --- headers against the body ----------------------------------------------------------------


@pytest.mark.requirement("mcp2026:headers:match")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"MCP-Protocol-Version": None}, id="version missing"),
        pytest.param({"MCP-Protocol-Version": "2025-11-25"}, id="version of the other era"),
        pytest.param({"MCP-Protocol-Version": "2031-01-01"}, id="version unknown"),
        pytest.param({"MCP-Protocol-Version": ""}, id="version empty"),
        pytest.param({"Mcp-Method": None}, id="method missing"),
        pytest.param({"Mcp-Method": "tools/list"}, id="method wrong"),
        pytest.param({"Mcp-Method": "Tools/Call"}, id="method in another case"),
        pytest.param({"Mcp-Name": None}, id="name missing"),
        pytest.param({"Mcp-Name": "acme_items_count "[::-1]}, id="name wrong"),
        pytest.param({"Mcp-Name": "ACME_ITEMS_COUNT"}, id="name in another case"),
        pytest.param({"Mcp-Name": "=?base64?YWNtZQ==?="}, id="name encoded but wrong"),
        pytest.param({"Mcp-Name": "=?base64?YWNtZV9pdGVtc19jb3VudA?="}, id="padding missing"),
        pytest.param({"Mcp-Name": "=?base64?****?="}, id="not base64"),
        pytest.param({"Mcp-Name": "=?base64?/w==?="}, id="not UTF-8"),
    ],
)
async def test_headers_that_differ_from_the_body_are_refused(
    server: Server, headers: dict[str, str | None]
) -> None:
    response = await server.attempt("acme_items_count", {}, headers=headers)
    assert (response.status, response.error["code"]) == (400, -32020)
    assert response.json["id"] == 1


@pytest.mark.requirement("mcp2026:headers:match")
@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
async def test_a_header_that_is_given_twice_is_refused(server: Server, name: str) -> None:
    message, headers = envelope("tools/call", {"name": "acme_items_count"})
    pairs = [(key, value) for key, value in headers.items() if value is not None]
    twice = [*pairs, (name, dict(pairs)[name])]
    response = await server.post(json.dumps(message).encode(), twice)
    assert (response.status, response.error["code"]) == (400, -32020)


@pytest.mark.requirement("mcp2026:headers:match")
@pytest.mark.parametrize(
    "value", ["acme_items_count", " acme_items_count\t", "=?base64?YWNtZV9pdGVtc19jb3VudA==?="]
)
async def test_a_header_may_be_padded_or_encoded_as_long_as_it_says_the_same(
    server: Server, value: str
) -> None:
    assert not (await server.call("acme_items_count", headers={"Mcp-Name": value})).is_error


@pytest.mark.requirement("mcp2026:headers:match")
async def test_a_header_cannot_open_a_tool_that_the_body_does_not_name(server: Server) -> None:
    response = await server.attempt("no_such_tool", headers={"Mcp-Name": "acme_items_count"})
    assert response.error["code"] == -32020


@pytest.mark.requirement("mcp2026:headers:match")
async def test_a_structurally_bad_call_names_its_fault_and_not_a_header(server: Server) -> None:
    for params in ({}, {"name": None}, {"name": 7}, {"name": ""}):
        response = await server.send("tools/call", params)
        assert response.status in (200, 400)
        assert response.error["code"] in (-32602, -32020)


# --- what only one era has -------------------------------------------------------------------


@pytest.mark.requirement("mcp2026:methods:removed", "mcp:jsonrpc:errors")
@pytest.mark.parametrize(
    "method", ["ping", "initialize", "logging/setLevel", "resources/subscribe", "prompts/list", "x"]
)
async def test_a_method_that_the_newest_revision_has_not_is_404(
    server: Server, method: str
) -> None:
    response = await server.send(method, {})
    assert (response.status, response.error["code"]) == (404, -32601)
    assert response.json["id"] == 1


@pytest.mark.requirement("mcp:jsonrpc:errors")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("method", ["prompts/list", "resources/list", "completion/complete", "x"])
async def test_an_older_client_gets_an_unknown_method_in_band(
    server: Server, revision: str, method: str
) -> None:
    response = await server.send(method, {}, revision=revision)
    assert (response.status, response.error["code"]) == (200, -32601)


@pytest.mark.requirement("mcp:jsonrpc:errors")
async def test_server_discover_without_its_era_lets_a_client_fall_back(server: Server) -> None:
    response = await server.send("server/discover", revision="2025-11-25")
    assert (response.status, response.error["code"]) == (200, -32601)


@pytest.mark.requirement("mcp:http:version-header")
@pytest.mark.parametrize("method", ["tools/list", "ping", "notifications/initialized"])
@pytest.mark.parametrize("header", ["2031-01-01", "nonsense", "2025-06-18, 2025-11-25"])
async def test_an_older_client_may_not_name_an_unknown_revision(
    server: Server, method: str, header: str
) -> None:
    headers = {"MCP-Protocol-Version": header}
    response = await server.send(method, revision="2025-11-25", headers=headers)
    assert (response.status, response.error["code"]) == (400, -32600)


@pytest.mark.requirement("mcp:http:version-header")
async def test_an_older_client_may_leave_the_version_header_out(server: Server) -> None:
    headers = {"MCP-Protocol-Version": None}
    response = await server.send("tools/list", revision="2025-11-25", headers=headers)
    tool = response.result["tools"][0]
    assert "title" not in tool  # as in 2025-03-26, which is what must be assumed
    assert "annotations" in tool


@pytest.mark.requirement("mcp2026:stateless:always")
async def test_a_session_id_is_neither_needed_nor_given_nor_echoed(server: Server) -> None:
    headers = {"Mcp-Session-Id": "abc", "Last-Event-ID": "1"}
    response = await server.send("tools/list", headers=headers)
    assert response.status == 200
    assert "Mcp-Session-Id" not in response.headers


@pytest.mark.requirement("mcp2026:stateless:always")
async def test_no_session_id_stands_on_a_refusal(server: Server) -> None:
    for response in (
        await server.post(b"{"),
        await server.send("x"),
        await server.send("tools/list", headers={"MCP-Protocol-Version": None}),
        await server.request("DELETE", server.url, headers={"MCP-Protocol-Version": MODERN}),
    ):
        assert response.status >= 400
        assert "Mcp-Session-Id" not in response.headers


@pytest.mark.requirement("mcp2026:methods:removed")
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_the_newest_revision_knows_neither_get_nor_delete(server: Server, verb: str) -> None:
    response = await server.request(verb, server.url, headers={"MCP-Protocol-Version": MODERN})
    assert response.status == 405
    assert "POST" in response.headers["Allow"]


@pytest.mark.requirement("mcp:era:from-body")
async def test_a_modern_probe_never_meets_a_server_error_or_a_stream(server: Server) -> None:
    for params in ({"_meta": 3}, {"_meta": {VERSION: {}}}, [], "text", None):
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params}
        )
        response = await server.post(body.encode(), {"MCP-Protocol-Version": MODERN})
        assert response.status == 400
        assert response.error["code"] in (-32600, -32602, -32020)
