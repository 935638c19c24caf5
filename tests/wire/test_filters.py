"""Methods and tags: what is listed is what can be called, and nothing else exists."""

from __future__ import annotations

from typing import Any

import pytest
from harness import acme
from harness.malomo import Malomo
from harness.provider import Provider
from harness.running import Running, Shared
from harness.speaking import REVISIONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SHARED = pytest.mark.asyncio(loop_scope="session")
READS = {
    "list_all_acme_items",
    "get_single_acme_item_by_id",
    "acme_items_count",
    "get_single_acme_label_by_id",
    "get_single_acme_code_by_id",
}
CASES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set(acme.TOOLS)),
    ({"methods": ["read"]}, READS),
    ({"methods": ["write"]}, set(acme.TOOLS) - READS),
    ({"methods": ["custom"]}, {"acme_items_archive", "acme_items_count"}),
    ({"methods": ["list"]}, {"list_all_acme_items"}),
    (
        {"methods": ["get"]},
        {
            "get_single_acme_item_by_id",
            "get_single_acme_label_by_id",
            "get_single_acme_code_by_id",
        },
    ),
    ({"methods": ["delete"]}, {"delete_a_acme_item_by_id", "delete_a_acme_label_by_id"}),
    ({"methods": ["archive"]}, {"acme_items_archive"}),
    ({"methods": ["count", "create"]}, {"acme_items_count", "create_a_acme_item"}),
    ({"methods": ["read", "create"]}, READS | {"create_a_acme_item"}),
    ({"methods": ["read", "write"]}, set(acme.TOOLS)),
    ({"methods": ["list", "list"]}, {"list_all_acme_items"}),
    (
        {"tags": ["names"]},
        {"get_single_acme_label_by_id", "delete_a_acme_label_by_id", "get_single_acme_code_by_id"},
    ),
    ({"tags": ["names", "goods"]}, set(acme.TOOLS)),
    (
        {"methods": ["read"], "tags": ["names"]},
        {"get_single_acme_label_by_id", "get_single_acme_code_by_id"},
    ),
    ({"methods": ["delete"], "tags": ["names"]}, {"delete_a_acme_label_by_id"}),
]


@SHARED
@pytest.mark.requirement("server:methods:groups", "server:tags:hide", "server:filters:both")
@pytest.mark.parametrize(("config", "wanted"), CASES, ids=[str(config) for config, _ in CASES])
async def test_methods_and_tags_select_tools_alone_and_mixed(
    shared: Shared, config: dict[str, Any], wanted: set[str]
) -> None:
    server = await shared.running.server(**config)
    assert set(await server.names()) == wanted


WORDS = ["read", "write", "custom", "list", "get", "create", "update", "delete", "archive", "count"]


@SHARED
@pytest.mark.requirement("server:filters:both", "server:hidden:like-unknown")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    methods=st.none() | st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    tags=st.none() | st.lists(st.sampled_from(["goods", "names"]), min_size=1, max_size=2),
)
async def test_for_any_scope_what_can_be_called_is_what_is_listed(
    shared: Shared, upstream: Provider, methods: list[str] | None, tags: list[str] | None
) -> None:
    config = {name: words for name, words in (("methods", methods), ("tags", tags)) if words}
    body = {"name": "Any", "config": config}
    created = await shared.running.request("POST", "/integrated-account/shop/mcp", body)
    if created.status != 201:
        assert created.status == 400
        assert created.json["error"] == "no_documented_tools"
        return
    shared.running.canaries.issue(created.json["token"], "a token")
    server = shared.running.speaker(f"/mcp/{created.json['token']}")
    listed = await server.names()
    assert listed == [name for name in acme.TOOLS if name in listed]
    arguments = {"id": "a"}
    callable_now = []
    for name in acme.TOOLS:
        response = await server.attempt(name, arguments)
        if "error" in response.json:
            assert response.error == {"code": -32602, "message": f"Unknown tool: {name}"}
        else:
            callable_now.append(name)
    assert callable_now == listed


@SHARED
@pytest.mark.requirement("server:hidden:like-unknown", "server:methods:read")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_hidden_tool_answers_like_an_unknown_one(
    shared: Shared, upstream: Provider, revision: str
) -> None:
    server = await shared.running.server(methods=["read"])
    answers = []
    # Hidden by the filter, withheld for want of documentation, and never heard of.
    for name in ("create_a_acme_item", "list_all_acme_secrets_of_state", "create_a_acme_nothing"):
        response = await server.attempt(name, {"title": "x"}, revision=revision)
        told = {key: text for key, text in response.headers.items() if key.lower() not in (
            "date", "x-request-id", "content-length")}  # fmt: skip
        answers.append((response.status, told, response.body.replace(name.encode(), b"NAME")))
    assert answers[0] == answers[1] == answers[2]
    assert upstream.requests == []


@pytest.mark.requirement("server:methods:read")
async def test_a_server_for_reading_writes_nothing_at_malomo(malomo: Malomo) -> None:
    server = await malomo.running.server(methods=["read"])
    names = await server.names()
    assert all(name.startswith(("list_all_", "get_single_")) for name in names)
    await malomo.forget()
    for tool in await malomo.tools():
        if tool["name"] not in names:
            response = await server.attempt(tool["name"], {"id": "89123"})
            assert response.error["code"] == -32602
    assert await malomo.requests() == []


@pytest.mark.requirement("server:tags:hide", "server:methods:groups")
@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"tags": ["orders"]}, 10),
        ({"tags": ["events"]}, 3),
        ({"tags": ["customers"]}, 5),
        ({"tags": ["webhooks"]}, 5),
        ({"tags": ["orders", "webhooks"]}, 15),
        ({"methods": ["read"]}, 11),
        ({"methods": ["read"], "tags": ["webhooks"]}, 2),
        ({"methods": ["list", "create"], "tags": ["events"]}, 3),
    ],
)
async def test_malomos_tags_are_those_of_the_contract(
    malomo_gateway: Running, config: dict[str, Any], count: int
) -> None:
    assert len(await (await malomo_gateway.server(**config)).names()) == count


@SHARED
@pytest.mark.requirement("tools:order:stable")
async def test_two_servers_with_one_scope_list_alike(shared: Shared) -> None:
    one = await shared.running.server(methods=["read"], tags=["names"])
    two = await shared.running.server(methods=["read"], tags=["names"], name="Another")
    assert (await one.send("tools/list")).body == (await two.send("tools/list")).body
