"""What can be called is what is listed: for every scope, every role, every adapter."""

from __future__ import annotations

import random
from typing import Any

import pytest
from harness import acme, malomo
from harness.provider import Provider
from harness.running import MakeGateway, Running
from hypothesis import given, settings
from hypothesis import strategies as st

import crossdock_malomo
from crossdock.adapter.load import Adapter
from crossdock.adapter.naming import STANDARD_METHODS
from crossdock.authoring import Tool
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.catalog import Catalog
from crossdock.errors import UnknownTool
from crossdock.model import Account, Grant, Scope, Secret

crossdock_roserocket = pytest.importorskip("crossdock_roserocket")
CASES = 12


def _adapters() -> dict[str, Adapter]:
    found = [*crossdock_malomo.crossdock_adapters(), *crossdock_roserocket.crossdock_adapters()]
    return {adapter.name: adapter for adapter in found}


ADAPTERS = _adapters()
ACCOUNTS = OpenAccounts(ADAPTERS)
ACCOUNTS.put(
    *(
        Account(
            id=name,
            integration=name,
            name=name,
            settings={},
            credentials={
                field: Secret(f"scoped-{field}-4c1f09") for field in adapter.manifest.credentials
            },
        )
        for name, adapter in ADAPTERS.items()
    )
)
CATALOG = Catalog(ADAPTERS, ACCOUNTS)


def tools_of(name: str) -> list[Tool]:
    adapter = ADAPTERS[name]
    return [b.tool for b in adapter.toolset(adapter.defaults()).bindings.values()]


TOOLS = {name: tools_of(name) for name in ADAPTERS}
WORDS = sorted({t.method for tools in TOOLS.values() for t in tools} | {"read", "write", "custom"})
TAGS = sorted({tag for tools in TOOLS.values() for t in tools for tag in t.tags})


def allowed(tool: Tool, methods: Any, tags: Any) -> bool:
    """The contract's words, written down a second time."""
    words = {tool.method, "read" if tool.effect == "read" else "write"}
    if tool.method not in STANDARD_METHODS:
        words.add("custom")
    return (methods is None or bool(words & set(methods))) and (
        tags is None or bool(set(tool.tags) & set(tags))
    )


@st.composite
def _grants(draw: st.DrawFn) -> Grant:
    name = draw(st.sampled_from(sorted(ADAPTERS)))
    known = [tool.name for tool in TOOLS[name]]
    return Grant(
        server_id="mcp_srv_1",
        name="x",
        account_id=name,
        scope=Scope(
            methods=draw(st.none() | st.lists(st.sampled_from(WORDS), unique=True).map(tuple)),
            tags=draw(st.none() | st.lists(st.sampled_from(TAGS), unique=True).map(tuple)),
            accept_new_tools=draw(st.booleans()),
        ),
        accepted_tools=draw(st.none() | st.frozensets(st.sampled_from(known))),
        accepted_version=draw(st.sampled_from(["0", ADAPTERS[name].version])),
    )


@pytest.mark.requirement("server:filters:both", "server:hidden:like-unknown")
@settings(max_examples=300)
@given(grant=_grants(), data=st.data())
def test_the_catalog_finds_exactly_what_it_lists(grant: Grant, data: st.DataObject) -> None:
    tools = TOOLS[grant.account_id]
    binding = grant.accepted_version == "0" and not grant.scope.accept_new_tools
    accepted = grant.accepted_tools if binding else None
    wanted = [
        tool.name
        for tool in tools
        if allowed(tool, grant.scope.methods, grant.scope.tags)
        and (accepted is None or tool.name in accepted)
    ]
    assert [tool.name for tool in CATALOG.listing(grant).tools] == wanted
    for tool in tools:
        if tool.name in wanted:
            assert CATALOG.find(grant, tool.name).binding.tool.name == tool.name
        else:
            with pytest.raises(UnknownTool):
                CATALOG.find(grant, tool.name)
    near = data.draw(st.sampled_from(tools)).name
    for altered in (near.upper(), f"{near} ", f" {near}", near[:-1], f"{near}\0", ""):
        with pytest.raises(UnknownTool):
            CATALOG.find(grant, altered)


@pytest.fixture
async def running(
    gateway: MakeGateway, acme_folder: object, provider: Provider, shop: str
) -> Running:
    secrets = {
        f: f"{f}-of-the-carrier" for f in ("client_id", "client_secret", "org_id", "user_id")
    }
    return await gateway(
        adapters=["acme", "malomo", "roserocket"],
        accounts={
            "acme": acme.account(provider.url),
            "malomo": malomo.account(shop),
            "roserocket": {
                "integration": "roserocket",
                "name": "Carrier",
                "settings": {"base_url": "http://127.0.0.1:9"},
                "credentials": secrets,
            },
        },
    )


@pytest.mark.requirement("server:filters:both", "server:hidden:like-unknown")
@pytest.mark.parametrize("account", ["acme", "malomo", "roserocket"])
async def test_over_http_what_is_listed_can_be_called_and_nothing_else(
    running: Running, provider: Provider, account: str
) -> None:
    chance = random.Random(account)
    preview = await running.request("GET", f"/integrated-account/{account}/tools")
    tools = preview.json["result"]
    words = sorted({tool["method"] for tool in tools} | {"read", "write", "custom"})
    tags = sorted({tag for tool in tools for tag in tool["tags"]})
    tokens = {}
    for role in ("owner", "operator", "viewer", "client"):
        made = await running.request("POST", "/api-token", {"name": role, "role": role})
        tokens[role] = made.json["token"]
        running.canaries.issue(tokens[role], f"the token of the {role}")
    made_servers = 0
    provider.plays()
    for _ in range(CASES):
        config: dict[str, Any] = {}
        if chance.random() < 0.8:
            config["methods"] = chance.sample(words, chance.randint(1, 3))
        if chance.random() < 0.6:
            config["tags"] = chance.sample(tags, chance.randint(1, len(tags)))
        role = chance.choice(sorted(tokens))
        body = {"name": "x", "config": config}
        path = f"/integrated-account/{account}/mcp"
        response = await running.request("POST", path, body, token=tokens[role])
        if role in ("viewer", "client"):
            assert response.status == 403
            response = await running.request("POST", path, body)
        query = "&".join(f"{key}={','.join(values)}" for key, values in config.items())
        wanted = (
            await running.request("GET", f"/integrated-account/{account}/tools?{query}")
        ).json["result"]
        if not wanted:
            assert response.status == 400
            continue
        assert response.status == 201
        made_servers += 1
        token = response.json["token"]
        running.canaries.issue(token, "the token of a random server")
        speaker = running.speaker(f"/mcp/{token}")
        listed = await speaker.names()
        assert listed == [tool["name"] for tool in wanted]
        for tool in tools:
            # an argument that no tool has: a visible tool names it, and sends nothing
            answer = await speaker.attempt(tool["name"], {"no such argument": 1})
            if tool["name"] in listed:
                assert answer.result["isError"] is True
            else:
                assert answer.error["code"] == -32602
    assert made_servers > 3
    assert provider.requests == []
