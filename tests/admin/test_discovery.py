"""tool_exposure = "discovery": three tools by which all the others are found, read and run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness import acme
from harness.provider import Provider, raw, reply
from harness.running import Running, Server
from harness.speaking import META, REVISIONS

THREE = ["search_tools", "get_tool_schema", "call_tool"]
BIG = 123456789012345678901234567890


@pytest.fixture
async def server(acme_gateway: Running) -> Server:
    return await acme_gateway.server(tool_exposure="discovery")


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.requirement("server:discovery:three-tools")
async def test_three_tools_are_listed_and_no_other(server: Server, revision: str) -> None:
    assert await server.names(revision) == THREE


async def test_a_search_finds_by_words_of_name_tags_arguments_and_description(
    server: Server,
) -> None:
    async def first(query: str) -> str:
        found = (await server.call("search_tools", {"query": query})).data
        assert found["result_count"] == len(found["result"]) > 0
        return str(found["result"][0]["name"])

    assert await first("list items") == "list_all_acme_items"
    assert await first("put an item away") == "acme_items_archive"
    assert await first("sticker") == "get_single_acme_code_by_id"
    assert await first("colour") == "list_all_acme_items"
    assert await first("DELETE label") == "delete_a_acme_label_by_id"


async def test_a_search_gives_no_more_than_was_asked_for(server: Server) -> None:
    found = (await server.call("search_tools", {"query": "item", "limit": 2})).data
    assert len(found["result"]) == 2
    assert found["matches"] > 2


@pytest.mark.parametrize("arguments", [{}, {"query": ""}, {"query": "zeppelin"}])
async def test_a_search_without_a_hit_names_everything_by_resource(
    server: Server, arguments: dict[str, Any]
) -> None:
    found = (await server.call("search_tools", arguments)).data
    assert found["result"] == []
    names = [name for names in found["tools_by_resource"].values() for name in names]
    assert sorted(names) == sorted(acme.TOOLS)


async def test_schemas_are_those_that_a_server_without_discovery_lists(
    acme_gateway: Running, server: Server
) -> None:
    plain = {tool["name"]: tool for tool in await (await acme_gateway.server()).tools()}
    wanted = ["list_all_acme_items", "create_a_acme_item"]
    found = (await server.call("get_tool_schema", {"tool_names": wanted})).data
    assert [tool["name"] for tool in found["tools"]] == wanted
    for tool in found["tools"]:
        assert tool["inputSchema"] == plain[tool["name"]]["inputSchema"]
        assert tool["description"] == plain[tool["name"]]["description"]
    assert "unknown" not in found


async def test_unknown_names_come_back_with_near_misses(server: Server) -> None:
    wanted = ["list_all_acme_item", "list_all_acme_items"]
    found = (await server.call("get_tool_schema", {"tool_names": wanted})).data
    assert [tool["name"] for tool in found["tools"]] == ["list_all_acme_items"]
    assert found["unknown"][0]["name"] == "list_all_acme_item"
    assert "list_all_acme_items" in found["unknown"][0]["did_you_mean"]


@pytest.mark.parametrize(
    ("tool", "arguments", "argument"),
    [
        ("get_tool_schema", {}, "tool_names"),
        ("get_tool_schema", {"tool_names": []}, "tool_names"),
        ("get_tool_schema", {"tool_names": ["a"] * 6}, "tool_names"),
        ("search_tools", {"limit": 0}, "limit"),
        ("search_tools", {"q": "x"}, "q"),
        ("call_tool", {"arguments": {}}, "tool_name"),
        ("call_tool", {"tool_name": "acme_items_count", "arguments": []}, "arguments"),
    ],
)
async def test_wrong_arguments_of_the_three_are_named(
    server: Server, tool: str, arguments: dict[str, Any], argument: str
) -> None:
    error = (await server.call(tool, arguments)).error
    assert error["kind"] == "invalid_arguments"
    assert error["argument"] == argument


async def test_a_tool_is_run_and_answers_as_it_would_by_its_own_name(
    acme_gateway: Running, server: Server, provider: Provider
) -> None:
    plain = await acme_gateway.server()
    for answer in (raw(b'{"id": %d, "title": "x"}' % BIG), reply({"message": "no"}, 404)):
        provider.plays(answer)
        arguments = {"id": "i1"}
        inner = await server.call(
            "call_tool", {"tool_name": "get_single_acme_item_by_id", "arguments": arguments}
        )
        outer = await plain.call("get_single_acme_item_by_id", arguments)
        assert inner.is_error == outer.is_error
        kept = {"content", "isError"}
        if not inner.is_error:
            assert {k: inner.result[k] for k in kept} == {k: outer.result[k] for k in kept}
            assert str(BIG) in inner.text
        else:
            assert inner.error["kind"] == outer.error["kind"] == "not_found"


async def test_big_integers_reach_the_provider_as_they_were_written(
    server: Server, provider: Provider
) -> None:
    provider.plays(reply({"id": "i1"}))
    arguments = {"title": "x", "size": {"width": BIG}}
    await server.call("call_tool", {"tool_name": "create_a_acme_item", "arguments": arguments})
    assert b"%d" % BIG in provider.requests[0].body


async def test_a_list_is_paged_through_discovery(server: Server, provider: Provider) -> None:
    provider.plays(reply([{"id": f"i{n}"} for n in range(5)]))

    async def page(**arguments: Any) -> Any:
        call = {"tool_name": "list_all_acme_items", "arguments": {"limit": 3, **arguments}}
        return (await server.call("call_tool", call)).data

    first = await page()
    second = await page(next_cursor=first["next_cursor"])
    ids = [one["id"] for one in [*first["result"], *second["result"]]]
    assert ids == ["i0", "i1", "i2", "i3", "i4"]
    assert second["next_cursor"] is None


async def test_a_real_name_is_unknown_here_and_the_error_points_at_the_search(
    server: Server, provider: Provider
) -> None:
    provider.plays(reply({}))
    known = await server.attempt("acme_items_count")
    invented = await server.attempt("acme_items_weigh")
    for response in (known, invented):
        assert response.error["code"] == -32602
        assert "search_tools" in response.error["message"]
    same = known.error["message"].replace("acme_items_count", "acme_items_weigh")
    assert same == invented.error["message"]
    assert provider.requests == []


@pytest.mark.requirement("server:discovery:three-tools")
async def test_filters_bind_and_hidden_tools_are_like_unknown_ones(
    acme_gateway: Running, provider: Provider
) -> None:
    provider.plays(reply({}))
    server = await acme_gateway.server(tool_exposure="discovery", methods=["read"], tags=["goods"])
    listed = (await server.call("search_tools", {})).data["tools_by_resource"]
    names = {name for names in listed.values() for name in names}
    assert names == {
        "list_all_acme_items",
        "get_single_acme_item_by_id",
        "acme_items_count",
        "get_single_acme_label_by_id",
    }
    errors = {}
    for name in ("delete_a_acme_item_by_id", "delete_a_acme_itex_by_id"):
        error = (await server.call("call_tool", {"tool_name": name, "arguments": {}})).error
        assert error["kind"] == "invalid_arguments"
        assert error["argument"] == "tool_name"
        said, _, hint = error["message"].replace(name, "…").partition("; did you mean ")
        assert set(hint.removesuffix("?").split(" or ")) <= names
        errors[name] = said
        schema = (await server.call("get_tool_schema", {"tool_names": [name]})).data
        assert schema["tools"] == []
    assert len(set(errors.values())) == 1
    for name in (*THREE, "search_tools"):
        error = (await server.call("call_tool", {"tool_name": name})).error
        assert error["argument"] == "tool_name"
    assert provider.requests == []


async def test_call_tool_is_annotated_as_the_strongest_tool_behind_it(
    acme_gateway: Running,
) -> None:
    for methods, read_only, destructive in (
        (["read"], True, False),
        (["create", "get"], False, False),
        (["write"], False, True),
    ):
        server = await acme_gateway.server(tool_exposure="discovery", methods=methods)
        tools = {tool["name"]: tool["annotations"] for tool in await server.tools()}
        assert tools["call_tool"]["readOnlyHint"] is read_only
        assert tools["call_tool"]["destructiveHint"] is destructive
        assert tools["search_tools"]["readOnlyHint"] is True


async def test_calls_through_discovery_are_logged_under_the_real_tool(
    acme_gateway: Running, server: Server, provider: Provider
) -> None:
    provider.plays(reply({"count": 1}))
    await server.call("call_tool", {"tool_name": "acme_items_count"})
    await acme_gateway.gateway.audit.flush()
    newest = (await acme_gateway.gateway.store.audit.list(limit=1)).items[0]
    assert (newest.action, newest.outcome) == ("acme_items_count", "ok")


async def test_a_server_changes_to_discovery_and_back(acme_gateway: Running) -> None:
    server = await acme_gateway.server()
    path = f"/integrated-account/shop/mcp/{server.id}"
    await acme_gateway.request("PATCH", path, {"config": {"tool_exposure": "discovery"}})
    assert await server.names() == THREE
    await acme_gateway.request("PATCH", path, {"config": {"tool_exposure": "all"}})
    assert tuple(await server.names()) == acme.TOOLS
    wrong = await acme_gateway.request("PATCH", path, {"config": {"tool_exposure": "some"}})
    assert wrong.json["details"] == {"field": "config.tool_exposure"}
    assert json.loads(wrong.body)["statusCode"] == 422


async def test_what_a_human_must_confirm_is_asked_through_discovery_too(
    acme_gateway: Running, provider: Provider
) -> None:
    provider.plays(reply({}))
    server = await acme_gateway.server(tool_exposure="discovery", confirm="destructive")
    call = {"tool_name": "delete_a_acme_item_by_id", "arguments": {"id": "i1"}}
    error = (await server.call("call_tool", call)).error  # this client cannot be asked
    assert error["kind"] != "internal"
    assert provider.requests == []
    asked = await server.send(
        "tools/call",
        {
            "name": "call_tool",
            "arguments": call,
            "_meta": {f"{META}clientCapabilities": {"elicitation": {}}},
        },
    )
    assert asked.result["resultType"] == "input_required"
    (key,) = asked.result["inputRequests"]
    answered = await server.send(
        "tools/call",
        {
            "name": "call_tool",
            "arguments": call,
            "inputResponses": {key: {"action": "accept", "content": {"confirm": True}}},
            "requestState": asked.result["requestState"],
            "_meta": {f"{META}clientCapabilities": {"elicitation": {}}},
        },
    )
    assert answered.result["isError"] is False
    assert [one.method for one in provider.requests] == ["DELETE"]
