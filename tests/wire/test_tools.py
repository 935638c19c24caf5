"""tools/list and tools/call as each revision has them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from harness import acme
from harness.provider import Provider, raw, reply
from harness.running import Server, Shared
from harness.speaking import LEGACY, MODERN, REVISIONS, STRUCTURED

pytestmark = pytest.mark.asyncio(loop_scope="session")
BIG = 123456789012345678901234567890


@pytest.mark.requirement("mcp:tools:list", "tools:names:grammar", "tools:schema:described")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_tool_has_a_name_words_and_an_object_schema(
    server: Server, revision: str
) -> None:
    for tool in await server.tools(revision):
        assert re.fullmatch(r"[a-z0-9_]{1,64}", tool["name"])
        assert len(tool["description"]) >= 20
        schema = tool["inputSchema"]
        assert schema["type"] == "object"
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )
        for argument in schema.get("properties", {}).values():
            assert argument["description"]


@pytest.mark.requirement("tools:order:stable", "mcp:tools:list", "tools:documented:only")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_order_is_that_of_the_documentation_every_time(
    server: Server, revision: str
) -> None:
    first = await server.send("tools/list", revision=revision)
    second = await server.send("tools/list", revision=revision)
    assert first.body == second.body
    assert [tool["name"] for tool in first.result["tools"]] == list(acme.TOOLS)


@pytest.mark.requirement("mcp:tools:list")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_tool_shows_only_what_its_revision_knows(server: Server, revision: str) -> None:
    known = {"name", "description", "inputSchema"}
    if revision >= "2025-03-26":
        known.add("annotations")
    if revision >= "2025-06-18":
        known.add("title")
    # Clients of the two oldest revisions do not say which they speak unless they hold a session.
    headers = {"MCP-Protocol-Version": revision}
    listed = await server.send("tools/list", revision=revision, headers=dict(headers))
    for tool in listed.result["tools"]:
        assert set(tool) == known


@pytest.mark.requirement("tools:effects:annotated")
async def test_annotations_say_what_a_tool_does(server: Server) -> None:
    hints = {
        tool["name"]: (
            tool["annotations"]["readOnlyHint"],
            tool["annotations"]["destructiveHint"],
            tool["annotations"]["idempotentHint"],
            tool["annotations"]["openWorldHint"],
        )
        for tool in await server.tools()
    }
    assert hints["list_all_acme_items"] == (True, False, True, True)
    assert hints["acme_items_count"][:2] == (True, False)
    assert hints["create_a_acme_item"] == (False, False, False, True)
    assert hints["update_a_acme_item_by_id"] == (False, False, True, True)
    assert hints["delete_a_acme_item_by_id"] == (False, True, True, True)
    assert hints["acme_items_archive"] == (False, False, False, True)


@pytest.mark.requirement("mcp2026:results:marked")
async def test_the_newest_revision_marks_its_lists(server: Server) -> None:
    result = (await server.send("tools/list")).result
    assert result["resultType"] == "complete"
    assert result["ttlMs"] >= 0
    assert result["cacheScope"] == "private"
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "crossdock"
    assert "nextCursor" not in result


@pytest.mark.requirement("mcp:tools:list")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("cursor", ["x", "", 7])
async def test_a_cursor_that_was_never_given_is_refused(
    server: Server, revision: str, cursor: Any
) -> None:
    response = await server.send("tools/list", {"cursor": cursor}, revision=revision)
    assert response.error["code"] == -32602
    assert response.status < 500


@pytest.mark.requirement("tools:arguments:flat", "tools:schema:described")
async def test_the_schema_is_flat_and_carries_the_definitions_it_uses(server: Server) -> None:
    schemas = {tool["name"]: tool["inputSchema"] for tool in await server.tools()}
    create = schemas["create_a_acme_item"]
    assert set(create["properties"]) == {"title", "size", "kind", "notify"}
    assert create["required"] == ["title"]
    assert set(create["$defs"]) == {"size"}
    assert "$defs" not in schemas["get_single_acme_item_by_id"]
    assert schemas["acme_items_count"] == {"type": "object", "properties": {}}
    limit = schemas["list_all_acme_items"]["properties"]["limit"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 50, 3)


# --- tools/call ------------------------------------------------------------------------------


@pytest.mark.requirement("mcp:tools:call", "tools:results:verbatim")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_call_answers_the_record_once_as_compact_json(
    server: Server, upstream: Provider, revision: str
) -> None:
    upstream.plays(raw(b'{ "id" : "a",\n "n": %d, "f": 1.50, "e": 1E30 }' % BIG))
    called = await server.call("get_single_acme_item_by_id", {"id": "a"}, revision=revision)
    assert called.text == '{"id":"a","n":%d,"f":1.50,"e":1E30}' % BIG
    assert len(called.result["content"]) == 1
    assert called.result["isError"] is False
    assert "structuredContent" not in called.result
    assert ("resultType" in called.result) == (revision == MODERN)


@pytest.mark.requirement("tools:results:verbatim")
@pytest.mark.parametrize(
    "body",
    [
        '{"a":"ü€𝄞","b":"\\u0000 \\ud83d\\ude00 \\" \\\\ /"}',
        '{"html":"</script><b>","line":"\\u2028"}',
        '{"a":1,"a":2}',
        '"just text"',
        "0",
        "null",
        "[]",
        '[1,{"a":[]}]',
    ],
)
async def test_any_json_value_comes_through_value_for_value(
    server: Server, upstream: Provider, body: str
) -> None:
    upstream.plays(raw(body.encode()))
    called = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert called.text == body


@pytest.mark.requirement("tools:results:verbatim")
async def test_an_empty_answer_says_what_was_done(server: Server, upstream: Provider) -> None:
    for played in (raw(b"", 204, kind=""), raw(b"", 200), raw(b" \n", 200)):
        upstream.plays(played)
        deleted = await server.call("delete_a_acme_item_by_id", {"id": "a"})
        assert deleted.text == '{"deleted":true}'
        done = await server.call("acme_items_archive", {"id": "a"})
        assert done.text == '{"ok":true}'


@pytest.mark.requirement("mcp:tools:unknown")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    "name",
    [
        "nope",
        "List_all_acme_items",
        "list_all_acme_items ",
        "list_all_acme_secrets_of_state",
        "lіst_all_acme_items",
        "../items",
        "__class__",
        "x" * 3000,
    ],
)
async def test_an_unknown_tool_is_a_protocol_error(
    server: Server, upstream: Provider, name: str, revision: str
) -> None:
    response = await server.attempt(name, {}, revision=revision)
    assert (response.status, response.error["code"]) == (200, -32602)
    assert response.error["message"] == f"Unknown tool: {name}"[:300]
    assert upstream.requests == []


@pytest.mark.requirement("mcp:tools:unknown", "mcp:jsonrpc:errors")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"name": None},
        {"name": 7},
        {"name": ""},
        {"name": ["x"]},
        {"name": "acme_items_count", "arguments": []},
        {"name": "acme_items_count", "arguments": "x"},
        {"name": "acme_items_count", "arguments": 7},
        {"name": "acme_items_count", "arguments": True},
    ],
)
async def test_a_call_that_is_no_call_is_a_protocol_error(
    server: Server, upstream: Provider, params: Any, revision: str
) -> None:
    response = await server.send("tools/call", params, revision=revision)
    assert (response.status, response.error["code"]) == (200, -32602)
    assert upstream.requests == []


@pytest.mark.requirement("mcp:tools:call")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_arguments_may_be_left_out(server: Server, revision: str) -> None:
    assert not (await server.call("acme_items_count", revision=revision)).is_error
    assert not (await server.call("acme_items_count", None, revision=revision)).is_error
    assert not (await server.call("acme_items_count", {}, revision=revision)).is_error


@pytest.mark.requirement("mcp:tools:is-error", "tools:errors:typed")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_failure_is_a_result_that_names_its_kind(
    server: Server, upstream: Provider, revision: str
) -> None:
    upstream.plays(reply({"message": "Title is taken"}, 422))
    arguments = {"title": "x"}
    headers = {"X-Request-Id": "abc.1"}
    called = await server.call("create_a_acme_item", arguments, revision=revision, headers=headers)
    assert called.error == {
        "kind": "upstream_rejected",
        "message": "Title is taken",
        "retryable": False,
        "upstream_status": 422,
        "request_id": "abc.1",
    }
    if revision in STRUCTURED:
        assert called.result["structuredContent"] == {"error": called.error}
    else:
        assert "structuredContent" not in called.result


@pytest.mark.requirement("tools:errors:typed")
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "upstream_rejected", False),
        (401, "unauthenticated", False),
        (402, "upstream_rejected", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (405, "upstream_rejected", False),
        (406, "upstream_rejected", False),
        (409, "upstream_rejected", False),
        (410, "not_found", False),
        (418, "upstream_rejected", False),
        (422, "upstream_rejected", False),
        (429, "rate_limited", True),
        (500, "upstream_error", True),
        (501, "upstream_error", True),
        (502, "upstream_error", True),
        (503, "upstream_error", True),
        (504, "upstream_error", True),
    ],
)
async def test_each_status_of_the_provider_has_its_kind(
    server: Server, upstream: Provider, status: int, kind: str, retryable: bool
) -> None:
    upstream.plays(reply({"message": "Words"}, status))
    error = (await server.call("get_single_acme_item_by_id", {"id": "a"})).error
    assert error["kind"] == kind
    assert error["message"] == "Words"
    assert error["upstream_status"] == status
    assert error["retryable"] is retryable
    assert len(upstream.requests) == 1


@pytest.mark.requirement("tools:errors:typed")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message":"A\\nB\\u0000C\\u202eD"}', "A B C D"),
        (b'{"message":"  "}', None),
        (b'{"errors":["one","two"]}', "one; two"),
        (b'{"message":{"deep":1}}', None),
        (b"<html>Bad gateway</html>", None),
        (b"", None),
        (b"\xff\xfe", None),
        (b"[" * 20_000, None),
        (msgspec.json.encode({"message": "Ω" * 9999}), "Ω" * 499 + "…"),
    ],
)
async def test_the_providers_words_are_cleaned_and_short(
    server: Server, upstream: Provider, body: bytes, words: str | None
) -> None:
    upstream.plays(raw(body, 400))
    error = (await server.call("get_single_acme_item_by_id", {"id": "a"})).error
    assert error["message"] == (words or "The provider answered 400 without a reason.")


@pytest.mark.requirement("tools:errors:typed")
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_write_that_failed_unclearly_says_that_it_may_have_been_done(
    server: Server, upstream: Provider, status: int
) -> None:
    upstream.plays(reply({"message": "Oh"}, status))
    error = (await server.call("create_a_acme_item", {"title": "x"})).error
    assert error["kind"] == "upstream_error"
    assert "may have been carried out" in error["message"]
    assert error["retryable"] is False
    assert len(upstream.requests) == 1


@pytest.mark.requirement("mcp:tools:call")
async def test_what_was_done_in_part_only_is_told_beside_the_record(
    server: Server, upstream: Provider
) -> None:
    upstream.plays(reply({"id": "a", "warnings": ["colour is unknown"]}))
    called = await server.call("create_a_acme_item", {"title": "x"})
    assert called.data["id"] == "a"
    assert "colour is unknown" in called.notes[0]


# --- result_format ---------------------------------------------------------------------------


@pytest.mark.requirement("tools:result-format:chosen")
@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("format", ["text", "structured", "both"])
async def test_the_servers_result_format_decides_where_the_revision_can(
    shared: Shared, upstream: Provider, format: str, revision: str
) -> None:
    server = await shared.running.server(result_format=format)
    able = revision in STRUCTURED
    for value, structured in (
        ({"a": BIG}, {"a": BIG}),
        ([1], {"result": [1]}),
        (None, {"result": None}),
    ):
        upstream.plays(raw(json.dumps(value).encode()))
        result = (
            await server.call("get_single_acme_item_by_id", {"id": "a"}, revision=revision)
        ).result
        texts = [json.loads(block["text"]) for block in result["content"]]
        assert texts == ([] if format == "structured" and able else [value])
        if format != "text" and able:
            assert result["structuredContent"] == structured
        else:
            assert "structuredContent" not in result


# --- as a list -------------------------------------------------------------------------------


@pytest.mark.requirement("tools:paging:uniform")
async def test_a_list_answers_records_cursor_and_count(server: Server, upstream: Provider) -> None:
    upstream.plays(raw(b'[{"id":1, "n":%d},{"id":2}]' % BIG))
    called = await server.call("list_all_acme_items", {})
    assert (
        called.text
        == '{"result":[{"id":1,"n":%d},{"id":2}],"next_cursor":null,"result_count":2}' % BIG
    )


@pytest.mark.requirement("tools:paging:uniform")
@pytest.mark.parametrize("limit", [0, -1, 51, 1.5, "5", True])
async def test_a_limit_out_of_bounds_is_refused(
    server: Server, upstream: Provider, limit: Any
) -> None:
    error = (await server.call("list_all_acme_items", {"limit": limit})).error
    assert error["kind"] == "invalid_arguments"
    assert error["argument"] == "limit"
    assert upstream.requests == []


@pytest.mark.requirement("malomo:orders:ignored-filter")
async def test_records_that_miss_an_ignored_filter_are_dropped_and_that_is_said(
    server: Server, upstream: Provider
) -> None:
    records = [
        {"id": 1, "colour": "Deep Blue "},
        {"id": 2, "colour": "red"},
        {"id": 3, "paint": {"name": "deepblue"}},
        {"id": 4},
    ]
    upstream.plays(reply(records))
    called = await server.call("list_all_acme_items", {"colour": "#deep blue"})
    assert [record["id"] for record in called.data["result"]] == [1, 3]
    assert "2 records" in called.notes[0]
    assert "colour=%23deep%20blue" in upstream.requests[0].query


@pytest.mark.requirement("malomo:lookups:one-record")
async def test_a_look_up_takes_the_record_out_of_a_list(server: Server, upstream: Provider) -> None:
    for body in ({"id": 1}, [{"id": 1}]):
        upstream.plays(reply(body))
        assert (await server.call("get_single_acme_code_by_id", {"id": "c"})).data == {"id": 1}
    upstream.plays(reply([]))
    error = (await server.call("get_single_acme_code_by_id", {"id": "c"})).error
    assert (error["kind"], error["upstream_status"]) == ("not_found", 200)
    upstream.plays(reply([{"id": 1}, {"id": 2}]))
    several = await server.call("get_single_acme_code_by_id", {"id": "c"})
    assert several.data == {"id": 1}
    assert "2 records match" in several.notes[0]
