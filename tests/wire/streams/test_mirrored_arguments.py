"""`Mcp-Param-…`: arguments that clients of the newest revision repeat in headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.running import Server
from harness.speaking import envelope, header_value

TOOL = "talker_things_region"


async def _call(server: Server, arguments: Any, *pairs: tuple[str, str], **kw: Any) -> Any:
    message, headers = envelope("tools/call", {"name": TOOL, "arguments": arguments}, **kw)
    sent = [(name, value) for name, value in headers.items() if value is not None]
    return await server.post(json.dumps(message).encode(), [*sent, *pairs])


REGION = ("Mcp-Param-Region", "eu")


@pytest.mark.requirement("mcp2026:headers:param")
@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        ({}, []),
        ({"region": "eu"}, [REGION]),
        ({"region": "eu"}, [("mcp-param-region", "eu")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?ZXU=?=")]),
        ({"region": "Łódź"}, [("Mcp-Param-Region", header_value("Łódź"))]),
        ({"region": "=?base64?x"}, [("Mcp-Param-Region", "=?base64?x")]),
        ({"size": {"width": 3}}, [("Mcp-Param-Width", "3")]),
        ({"size": {"height": 3}}, []),
        ({"size": {"width": 2**60}}, [("Mcp-Param-Width", str(2**60))]),
        ({"quick": True}, [("Mcp-Param-Quick", "true")]),
        ({"quick": False, "region": "eu"}, [("Mcp-Param-Quick", "false"), REGION]),
        ({}, [("Mcp-Param-Other", "x")]),
    ],
    ids=str,
)
async def test_headers_that_say_what_the_arguments_say_pass(
    server: Server, arguments: Any, pairs: Any
) -> None:
    response = await _call(server, arguments, *pairs)
    assert json.loads(response.result["content"][0]["text"]) == arguments


@pytest.mark.requirement("mcp2026:headers:param")
@pytest.mark.parametrize(
    ("arguments", "pairs"),
    [
        ({"region": "eu"}, []),
        ({}, [REGION]),
        ({"region": "us"}, [REGION]),
        ({"region": "EU"}, [REGION]),
        ({"region": "eu"}, [REGION, REGION]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?ZX?=")]),
        ({"region": "eu"}, [("Mcp-Param-Region", "=?base64?//8=?=")]),
        ({"size": {"width": 3}}, []),
        ({"size": {"width": 3}}, [("Mcp-Param-Width", "4")]),
        ({"size": {"width": 2**60 + 1}}, [("Mcp-Param-Width", str(2**60))]),
        ({"size": {"width": 3}}, [("Mcp-Param-Width", "three")]),
        ({"quick": True}, [("Mcp-Param-Quick", "True")]),
        ({"quick": True}, [("Mcp-Param-Quick", "false")]),
    ],
    ids=str,
)
async def test_headers_that_say_something_else_are_refused(
    server: Server, arguments: Any, pairs: Any
) -> None:
    response = await _call(server, arguments, *pairs)
    assert (response.status, response.error["code"]) == (400, -32020)


@pytest.mark.requirement("mcp2026:headers:param")
async def test_older_revisions_repeat_nothing(server: Server) -> None:
    response = await _call(server, {"region": "eu"}, revision="2025-11-25")
    assert response.result["isError"] is False


@pytest.mark.requirement("mcp2026:headers:param", "mcp:tools:list")
async def test_the_list_says_which_arguments_are_repeated(server: Server) -> None:
    (tool,) = [one for one in await server.tools() if one["name"] == TOOL]
    properties = tool["inputSchema"]["properties"]
    assert properties["region"]["x-mcp-header"] == "Region"
    assert properties["size"]["properties"]["width"]["x-mcp-header"] == "Width"


@pytest.mark.requirement("mcp:tools:list")
async def test_a_schema_given_as_a_whole_is_listed_as_it_stands(server: Server) -> None:
    (tool,) = [one for one in await server.tools() if one["name"] == "a_name_of_its_own"]
    assert tool["inputSchema"] == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}, "note": {"$ref": "#/$defs/note"}},
        "$defs": {"note": {"$anchor": "note", "type": "string"}},
    }
    called = await server.call("a_name_of_its_own", {"id": "a", "note": "b"})
    assert called.data == {"id": "a", "note": "b"}
    for arguments in ({}, {"id": 3}, {"id": "a", "note": 3}, {"id": "a", "other": 1}):
        refused = await server.call("a_name_of_its_own", arguments)
        assert refused.error["kind"] == "invalid_arguments"
