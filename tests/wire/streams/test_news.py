"""notifications/tools/list_changed: over subscriptions/listen and over older sessions' streams."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import talker
from harness.patience import until
from harness.running import Clock, Running, Server
from harness.speaking import LEGACY, MODERN
from harness.streaming import Stream, Talk

CHANGED = "notifications/tools/list_changed"
TOOLS = {"notifications": {"toolsListChanged": True}}
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


async def _acknowledged(stream: Stream, id: Any = 1) -> Any:
    first = await stream.message()
    assert first["method"] == "notifications/subscriptions/acknowledged"
    assert first["params"]["_meta"] == {SUBSCRIPTION: id}
    return first["params"]["notifications"]


def _document(pages: Path) -> None:
    (pages / "more.md").write_text(talker.NEW_PAGE, encoding="utf-8")


async def _patch(talking: Running, server: Server, **config: Any) -> None:
    path = f"/integrated-account/shop/mcp/{server.id}"
    response = await talking.request("PATCH", path, {"config": config})
    assert response.status == 200, response


async def _delete(talking: Running, server: Server) -> None:
    response = await talking.request("DELETE", f"/integrated-account/shop/mcp/{server.id}")
    assert response.status == 204


@pytest.mark.requirement("mcp2026:listen:acknowledged", "mcp:list-changed:told")
@pytest.mark.parametrize("id", [7, "seven"])
async def test_a_subscription_hears_of_new_documentation(
    talk: Callable[..., Any], pages: Path, id: Any
) -> None:
    client = await talk(MODERN)
    async with client.open("subscriptions/listen", TOOLS, id) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert await _acknowledged(stream, id) == {"toolsListChanged": True}
        _document(pages)
        changed = await stream.message()
    assert changed["method"] == CHANGED
    assert changed["params"]["_meta"] == {SUBSCRIPTION: id}
    assert "talker_things_new" in await client.server.names()


@pytest.mark.requirement("mcp:list-changed:told")
@pytest.mark.parametrize("revision", LEGACY)
async def test_a_sessions_stream_hears_of_new_documentation(
    talk: Callable[..., Any], pages: Path, revision: str
) -> None:
    client = await talk(revision)
    async with client.listen() as stream:
        _document(pages)
        assert await stream.message() == {"jsonrpc": "2.0", "method": CHANGED, "params": {}}


@pytest.mark.requirement("mcp:list-changed:told")
async def test_it_does_not_matter_who_notices_first(
    talk: Callable[..., Any], talking: Running, pages: Path
) -> None:
    client = await talk(MODERN)
    async with client.open("subscriptions/listen", TOOLS) as stream:
        await _acknowledged(stream)
        _document(pages)
        await talking.request("GET", "/integrated-account/shop/tools")  # it looks at once
        assert "talker_things_new" in await client.server.names()
        assert (await stream.message())["method"] == CHANGED


@pytest.mark.requirement("mcp:list-changed:told")
async def test_another_filter_is_another_list(
    talk: Callable[..., Any], talking: Running, server: Server
) -> None:
    new, old = await talk(MODERN), await talk("2025-11-25")
    async with new.open("subscriptions/listen", TOOLS) as one, old.listen() as two:
        await _acknowledged(one)
        await _patch(talking, server, methods=["read"])
        assert (await one.message())["method"] == CHANGED
        assert (await two.message())["method"] == CHANGED


@pytest.mark.requirement("mcp:list-changed:told")
async def test_nobody_is_told_of_what_is_not_theirs(
    talk: Callable[..., Any], talking: Running, server: Server
) -> None:
    other = await talking.server(name="Other")
    client = await talk(MODERN)
    narrow = Talk(talking, await talking.server(tags=["things"], methods=["delete"]), MODERN)
    async with (
        client.open("subscriptions/listen", TOOLS) as mine,
        narrow.open("subscriptions/listen", TOOLS) as theirs,
    ):
        await _acknowledged(mine)
        await _acknowledged(theirs)
        await _patch(talking, other, methods=["read"])
        await _patch(talking, server, result_format="both")
        await _patch(talking, server, methods=["read"])
        assert (await mine.message())["method"] == CHANGED
        await _delete(talking, narrow.server)
        assert [one.get("method") for one in await theirs.rest()] == [None]


@pytest.mark.requirement("mcp:list-changed:told")
async def test_one_session_is_told_once_however_many_streams_it_has(
    talk: Callable[..., Any], talking: Running, server: Server
) -> None:
    client = await talk("2025-11-25")
    async with client.listen() as older, client.listen() as newer:
        await _patch(talking, server, methods=["read"])
        assert (await newer.message())["method"] == CHANGED
        await _delete(talking, server)
        assert await older.rest() == []


@pytest.mark.requirement("mcp2026:listen:acknowledged")
@pytest.mark.parametrize(
    ("wanted", "honoured"),
    [
        ({}, {}),
        ({"toolsListChanged": False}, {}),
        ({"promptsListChanged": True, "resourceSubscriptions": ["a://b"]}, {}),
        ({"toolsListChanged": True, "promptsListChanged": True}, {"toolsListChanged": True}),
    ],
)
async def test_only_what_was_asked_for_and_exists_is_honoured(
    talk: Callable[..., Any], pages: Path, talking: Running, server: Server, wanted: Any,
    honoured: Any,
) -> None:  # fmt: skip
    client = await talk(MODERN)
    async with client.open("subscriptions/listen", {"notifications": wanted}) as stream:
        assert await _acknowledged(stream) == honoured
        await _patch(talking, server, methods=["read"])
        await _delete(talking, server)
        told = [one.get("method", "result") for one in await stream.rest()]
    assert told == ([CHANGED, "result"] if honoured else ["result"])


@pytest.mark.requirement("mcp2026:listen:acknowledged")
@pytest.mark.parametrize("params", [{}, {"notifications": None}, {"notifications": []}])
async def test_a_subscription_says_what_it_wants(server: Server, params: Any) -> None:
    response = await server.send("subscriptions/listen", params)
    assert (response.status, response.error["code"]) == (400, -32602)


@pytest.mark.requirement("mcp2026:listen:acknowledged")
async def test_a_subscription_needs_a_stream(server: Server) -> None:
    headers = {"Accept": "application/json"}
    response = await server.send("subscriptions/listen", TOOLS, headers=headers)
    assert response.status == 406


@pytest.mark.requirement("mcp2026:listen:acknowledged", "mcp:jsonrpc:errors")
async def test_older_revisions_have_no_subscriptions(talk: Callable[..., Any]) -> None:
    client = await talk("2025-11-25")
    assert (await client.send("subscriptions/listen", TOOLS)).error["code"] == -32601


@pytest.mark.requirement("mcp:streams:quiet")
async def test_a_stream_without_news_says_that_it_is_there(talk: Callable[..., Any]) -> None:
    new, old = await talk(MODERN), await talk("2025-06-18")
    async with new.open("subscriptions/listen", TOOLS) as one, old.listen() as two:
        await _acknowledged(one)
        assert (await one.next()).comment == "keep-alive"
        assert (await two.next()).comment == "keep-alive"


# --- ends ------------------------------------------------------------------------------------


@pytest.mark.requirement("mcp:streams:end-with-server")
async def test_streams_end_when_their_server_is_revoked(
    talk: Callable[..., Any], talking: Running, server: Server
) -> None:
    new, old = await talk(MODERN), await talk("2025-11-25")
    async with new.open("subscriptions/listen", TOOLS, 5) as one, old.listen() as two:
        await _acknowledged(one, 5)
        await _delete(talking, server)
        (end,) = await one.rest()
        assert end == {
            "jsonrpc": "2.0",
            "id": 5,
            "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: 5}},
        }
        assert await two.rest() == []


@pytest.mark.requirement("mcp:streams:end-with-server")
async def test_streams_end_when_their_url_is_replaced(
    talk: Callable[..., Any], talking: Running, server: Server
) -> None:
    client = await talk(MODERN)
    async with client.open("subscriptions/listen", TOOLS) as stream:
        await _acknowledged(stream)
        path = f"/integrated-account/shop/mcp/{server.id}/rotate"
        response = await talking.request("POST", path)
        assert response.status in (200, 201), response
        talking.canaries.issue(response.json["token"], "the new token")
        assert [one.get("id") for one in await stream.rest()] == [1]


@pytest.mark.requirement("mcp:streams:end-with-server")
async def test_streams_end_when_their_server_expires(
    gateway: Callable[..., Any], pages: Any, clock: Clock, provider: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        clock=clock,
    )
    server = await running.server(expires_at=clock.now + timedelta(minutes=1))
    new = Talk(running, server, MODERN)
    old = await Talk(running, server, "2025-11-25").initialize()
    async with new.open("subscriptions/listen", TOOLS) as one, old.listen() as two:
        await _acknowledged(one)
        clock.advance(minutes=1)
        assert [message.get("id") for message in await one.rest()] == [1]
        assert await two.rest() == []


@pytest.mark.requirement("mcp:streams:end-with-server")
async def test_who_hangs_up_is_forgotten(talk: Callable[..., Any], talking: Running) -> None:
    new, old = await talk(MODERN), await talk("2025-11-25")
    async with new.open("subscriptions/listen", TOOLS) as one, old.listen():
        await _acknowledged(one)
        assert talking.gateway.listeners
    await until(lambda: not talking.gateway.listeners)


@pytest.mark.requirement("mcp:streams:end-with-server")
async def test_nobody_can_open_streams_without_end(
    gateway: Callable[..., Any], pages: Any, provider: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"streams_per_server": 2, "streams_in_all": 3}},
    )
    first = Talk(running, await running.server(), MODERN)
    second = Talk(running, await running.server(), MODERN)
    listen = "subscriptions/listen"
    async with first.open(listen, TOOLS), first.open(listen, TOOLS) as two:
        await _acknowledged(two)
        async with first.open(listen, TOOLS) as refused:
            assert refused.status == 429
        async with second.open(listen, TOOLS) as last, second.open(listen, TOOLS) as full:
            await _acknowledged(last)
            assert full.status == 503
            assert (await full.response.json())["id"] == 1
