"""The bridge for hosts that only start programs: the Python command, and the file for Node.js.

Both must behave alike, so every test here runs with each of them. The far side is scripted where a
test wants what a gateway does seldom: streams that break, sessions that end, proxies in trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from harness import malomo
from harness.far_side import FarSide, event, result, stream
from harness.malomo import Malomo
from harness.patience import turns, until
from harness.running import Clock, MakeGateway
from harness.stdio import Bridge, Host

pytestmark = pytest.mark.e2e
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "far"}}


# --- with a real gateway ---------------------------------------------------------------------


@pytest.mark.requirement("clients:bridge:both-eras")
@pytest.mark.parametrize("modern", [True, False], ids=["newest", "older"])
async def test_a_local_client_lists_reads_and_writes_through_the_bridge(
    bridge: Bridge, malomo: Malomo, modern: bool
) -> None:
    async with bridge(malomo.server.url) as host:
        if modern:
            assert (
                "2026-07-28"
                in (await host.request("server/discover", modern=True))["supportedVersions"]
            )
        else:
            assert (await host.greet("2025-06-18"))["protocolVersion"] == "2025-06-18"
        listed = await host.request("tools/list", modern=modern)
        assert [tool["name"] for tool in listed["tools"]] == await malomo.names()
        orders = await host.request(
            "tools/call", modern=modern, name="list_all_malomo_orders", arguments={"limit": 2}
        )
        assert json.loads(orders["content"][0]["text"])["result_count"] == 2
        hook = {"topic": "order_created", "url": "https://hooks.example.com/new"}
        made = await host.request(
            "tools/call", modern=modern, name="create_a_malomo_webhook", arguments=hook
        )
        assert made["isError"] is False, made
        assert await host.end() == 0


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_requests_run_side_by_side(bridge: Bridge, malomo: Malomo) -> None:
    async with bridge(malomo.server.url) as host:
        await host.greet()
        ids = [
            host.ask("tools/call", name="list_all_malomo_orders", arguments={"limit": limit})
            for limit in range(1, 21)
        ]
        for limit, id in enumerate(ids, 1):
            answer = await host.answer(id)
            assert json.loads(answer["result"]["content"][0]["text"])["result_count"] <= limit


@pytest.mark.requirement("clients:bridge:refusal-told")
async def test_a_revoked_url_is_refused_in_the_gateways_words(
    bridge: Bridge, malomo: Malomo
) -> None:
    server = await malomo.running.server()
    await malomo.running.request("DELETE", f"/integrated-account/shop/mcp/{server.id}")
    async with bridge(server.url) as host:
        for modern, method in ((True, "server/discover"), (False, "initialize")):
            error = await host.refused(method, modern=modern)
            assert "not valid" in error["message"]
            assert "Ask whoever runs this gateway" in error["message"]
        host.notify("notifications/initialized")
        assert await host.end() == 0
        assert "not valid" in host.complaints


@pytest.mark.requirement("clients:bridge:refusal-told")
async def test_an_expired_url_is_refused_with_its_date(
    bridge: Bridge, gateway: MakeGateway, shop: str, clock: Clock
) -> None:
    running = await gateway(accounts={"shop": malomo.account(shop)}, clock=clock)
    server = await running.server(expires_at=clock.now + timedelta(hours=1))
    async with bridge(server.url) as host:
        await host.greet()
        assert await host.request("ping") == {}
        clock.advance(hours=1)
        refused = await host.refused("ping")
        assert "expired on 2026-11-21 13:00 UTC" in refused["message"]


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_a_second_factor_comes_as_a_header_or_from_the_environment(
    bridge: Bridge, malomo: Malomo
) -> None:
    server = await malomo.running.server(require_api_token_auth=True)
    token = await malomo.running.api_token()
    async with bridge(server.url) as host:
        assert "API token" in (await host.refused("initialize"))["message"]
    async with bridge(server.url, "--header", "Authorization: Bearer ${OWN}", OWN=token) as host:
        await host.greet()
    async with bridge(server.url, CROSSDOCK_API_TOKEN=token) as host:
        await host.greet()
    async with bridge(server.url, CROSSDOCK_API_TOKEN="${user_config.api_token}") as host:
        assert "API token" in (await host.refused("initialize"))["message"]


@pytest.mark.requirement("clients:bridge:silent")
async def test_check_says_what_the_url_gives_but_not_the_url(
    bridge: Bridge, malomo: Malomo
) -> None:
    read_only = await malomo.running.server(methods=["read"])
    names = await read_only.names()
    async with bridge(read_only.url, "--check") as host:
        first, *rest = (await _text_of(host)).splitlines()
        assert first == f"The URL works: {len(names)} tools ({len(names)} read)."
        assert [line.split("\t") for line in rest if line != "tool\teffect"] == [
            [name, "read"] for name in names
        ]
    async with bridge(f"{read_only.url}x", "--check") as host:
        assert await _text_of(host) == ""
        assert await host.end() == 1
        assert "not valid" in host.complaints


async def _text_of(host: Host) -> str:
    """Read what is not JSON."""
    stdout = host._process.stdout
    assert stdout is not None
    text = await asyncio.wait_for(stdout.read(), 20)
    host.lines.append(text)
    return text.decode()


# --- what is sent ----------------------------------------------------------------------------


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_messages_of_the_newest_era_get_the_headers_that_mirror_them(
    bridge: Bridge, far: FarSide
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return result(far.requests[-1].json["id"], {"resultType": "complete"})

    far.plays(answer)
    async with bridge(far.url) as host:
        await host.request("tools/call", modern=True, name="größe", arguments={})
        sent = far.last("tools/call")
        assert sent.headers["MCP-Protocol-Version"] == "2026-07-28"
        assert sent.headers["Mcp-Method"] == "tools/call"
        assert sent.headers["Mcp-Name"] == "=?base64?Z3LDtsOfZQ==?="
        await host.request("tools/call", modern=True, name="=?base64?eA==?=")
        assert far.last("tools/call").headers["Mcp-Name"] == "=?base64?PT9iYXNlNjQ/ZUE9PT89?="
        await host.request("resources/read", modern=True, uri="a://b")
        assert far.last("resources/read").headers["Mcp-Name"] == "a://b"
        await host.request("tools/list", modern=True)
        assert "Mcp-Name" not in far.last("tools/list").headers
        assert "Mcp-Session-Id" not in far.last("tools/list").headers


@pytest.mark.requirement("clients:bridge:both-eras")
@pytest.mark.parametrize("listed", [True, False])
async def test_arguments_that_a_tool_wants_as_headers_are_sent_so_whoever_listed_the_tools(
    bridge: Bridge, far: FarSide, listed: bool
) -> None:
    deep = {"type": "object", "properties": {"zone": {"type": "integer", "x-mcp-header": "Zone"}}}
    place = {"type": "string", "x-mcp-header": "Place"}
    schema = {"type": "object", "properties": {"place": place, "deep": deep}}

    async def answer(request: web.Request) -> web.StreamResponse:
        message = far.requests[-1].json
        if message["method"] == "tools/list":
            page = {"tools": [{"name": "other", "inputSchema": {}}], "nextCursor": "2"}
            if message["params"].get("cursor") == "2":
                page = {"tools": [{"name": "ship", "inputSchema": schema}]}
            return result(message["id"], page)
        if "Mcp-Param-Place" not in request.headers:
            error = {"code": -32020, "message": "Header mismatch: Mcp-Param-Place is missing"}
            body = {"jsonrpc": "2.0", "id": message["id"], "error": error}
            return web.json_response(body, status=400)
        return result(message["id"], {"content": []})

    far.plays(answer)
    async with bridge(far.url) as host:
        if listed:
            await host.request("tools/list", modern=True)
            await host.request("tools/list", modern=True, cursor="2")
        arguments = {"place": "Zürich", "deep": {"zone": 7}}
        await host.request("tools/call", modern=True, name="ship", arguments=arguments)
        assert await host.end() == 0
    sent = far.last("tools/call").headers
    assert (sent["Mcp-Param-Place"], sent["Mcp-Param-Zone"]) == ("=?base64?WsO8cmljaA==?=", "7")
    assert far.methods().count("tools/call") == (1 if listed else 2)
    assert len(host.lines) == (3 if listed else 1)


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_messages_keep_their_bytes_in_both_directions(bridge: Bridge, far: FarSide) -> None:
    exact = (
        '{"jsonrpc" : "2.0","id":1,"method":"ping","params":{"n":123456789012345678901234567890}}'
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        body = '{"jsonrpc":"2.0",\n"id":1,\r\n"result":{"n":123456789012345678901234567890}}\n'
        return web.Response(text=body, content_type="application/json")

    far.plays(answer)
    async with bridge(far.url) as host:
        host.say(exact)
        await host.answer(1)
    assert far.requests[0].body.decode() == exact
    assert host.lines == [
        b'{"jsonrpc":"2.0","id":1,"result":{"n":123456789012345678901234567890}}\n'
    ]


# --- the older revisions: sessions and streams -----------------------------------------------


class OldGateway:
    """A far side with sessions; `say` puts messages on the listening stream."""

    def __init__(self, far: FarSide) -> None:
        self.far = far
        self.session = "s1"
        self.listening: list[web.StreamResponse] = []
        self.calls: Callable[[web.Request, Any], Any] | None = None
        far.plays(self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            return web.Response(status=204)
        if request.method == "GET":
            return await self.get(request)
        message = self.far.requests[-1].json
        if message.get("method") == "initialize":
            return result(message["id"], HELLO, **{"Mcp-Session-Id": self.session})
        if request.headers.get("Mcp-Session-Id") != self.session:
            return web.Response(status=404)
        if "method" not in message or "id" not in message:
            return web.Response(status=202)
        if self.calls is not None:
            answered: web.StreamResponse = await self.calls(request, message)
            return answered
        return result(message["id"], {})

    async def get(self, request: web.Request) -> web.StreamResponse:
        response = await stream(request)
        self.listening.append(response)
        await asyncio.Event().wait()
        return response

    async def say(self, message: Any) -> None:
        await until(lambda: self.listening)
        await self.listening[-1].write(b": hello\r\n\r\n" + event(message, id="e1"))


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_an_older_client_has_its_session_its_stream_and_its_farewell(
    bridge: Bridge, far: FarSide
) -> None:
    gateway = OldGateway(far)
    async with bridge(far.url) as host:
        await host.greet()
        await host.request("ping")
        sent = far.last("ping").headers
        assert (sent["Mcp-Session-Id"], sent["MCP-Protocol-Version"]) == ("s1", "2025-11-25")
        assert "Mcp-Method" not in sent
        question = {"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {}}
        await gateway.say(question)
        assert await host.heard() == question
        host.say({"jsonrpc": "2.0", "id": 9, "result": {"action": "accept"}})
        await host.request("ping")
        assert await host.end() == 0
    assert "response" in far.methods()
    assert far.requests[-1].method == "DELETE"
    assert far.requests[-1].headers["Mcp-Session-Id"] == "s1"


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_a_session_that_the_gateway_ended_is_begun_again_unseen(
    bridge: Bridge, far: FarSide
) -> None:
    gateway = OldGateway(far)
    async with bridge(far.url) as host:
        await host.greet()
        gateway.session = "s2"
        ids = [host.ask("ping") for _ in range(3)]
        for id in ids:
            assert (await host.answer(id))["result"] == {}
        assert await host.end() == 0
    assert far.methods().count("initialize") == 2
    assert len(host.lines) == 4


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_an_answer_may_stream_messages_before_it(bridge: Bridge, far: FarSide) -> None:
    gateway = OldGateway(far)

    async def calls(request: web.Request, message: Any) -> web.StreamResponse:
        response = await stream(request)
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}
        done = event({"jsonrpc": "2.0", "id": message["id"], "result": {"done": True}})
        for part in (b"retry: 10\nid: a\ndata:\n\n", event(note)[:20], event(note)[20:], done):
            await response.write(part)
            await turns(3)
        return response

    gateway.calls = calls
    async with bridge(far.url) as host:
        await host.greet()
        id = host.ask("tools/call", name="slow")
        assert (await host.heard())["method"] == "notifications/progress"
        assert (await host.answer(id))["result"] == {"done": True}


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_an_answer_whose_stream_ended_early_is_fetched_where_it_left_off(
    bridge: Bridge, far: FarSide
) -> None:
    gateway = OldGateway(far)

    async def calls(request: web.Request, message: Any) -> web.StreamResponse:
        response = await stream(request)
        await response.write(b"retry: 20\nid: first\ndata:\n\n")
        return response

    async def get(request: web.Request) -> web.StreamResponse:
        response = await stream(request)
        if request.headers.get("Last-Event-ID") == "first":
            id = far.last("tools/call").json["id"]
            await response.write(event({"jsonrpc": "2.0", "id": id, "result": {"late": True}}))
            return response
        await asyncio.Event().wait()
        return response

    gateway.calls, gateway.get = calls, get  # type: ignore[method-assign]
    async with bridge(far.url) as host:
        await host.greet()
        assert await host.request("tools/call", name="slow") == {"late": True}


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_a_batch_goes_through_and_comes_back_as_one(bridge: Bridge, far: FarSide) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = far.requests[-1].json
        return web.json_response(
            [{"jsonrpc": "2.0", "id": one["id"], "result": {}} for one in asked]
        )

    far.plays(answer)
    async with bridge(far.url) as host:
        host.say([{"jsonrpc": "2.0", "id": id, "method": "ping"} for id in (1, 2)])
        batch: Any = await host.heard()
        assert [one["id"] for one in batch] == [1, 2]


# --- what the gateway asks and says by itself ------------------------------------------------


@pytest.mark.requirement("clients:bridge:both-eras")
@pytest.mark.parametrize("said", ["accept", "decline"])
async def test_the_human_at_the_local_client_is_asked_before_a_delete(
    bridge: Bridge, malomo: Malomo, said: str
) -> None:
    server = await malomo.running.server(confirm="destructive")
    listed = (await malomo.call("list_all_malomo_webhooks", {})).data["result"]
    async with bridge(server.url) as host:
        await host.greet("2025-06-18", elicitation={})
        arguments = {"id": listed[0]["id"]}
        id = host.ask("tools/call", name="delete_a_malomo_webhook_by_id", arguments=arguments)
        question = await host.heard()
        assert question["method"] == "elicitation/create"
        content = {"content": _agreed(question)} if said == "accept" else {}
        host.say({"jsonrpc": "2.0", "id": question["id"], "result": {"action": said, **content}})
        answer = await host.answer(id)
        assert answer["result"]["isError"] is (said == "decline")
        assert await host.end() == 0
    left = (await malomo.call("list_all_malomo_webhooks", {})).data["result"]
    assert len(left) == len(listed) - (said == "accept")


def _agreed(question: dict[str, Any]) -> dict[str, Any]:
    """Fill in the form: yes to everything that can be true."""
    asked = question["params"]["requestedSchema"]["properties"]
    return {name: True for name, field in asked.items() if field["type"] == "boolean"}


@pytest.mark.requirement("clients:bridge:both-eras")
@pytest.mark.parametrize("modern", [True, False], ids=["newest", "older"])
async def test_news_of_the_tools_reach_the_local_client(
    bridge: Bridge, malomo: Malomo, modern: bool
) -> None:
    server = await malomo.running.server()
    path = f"/integrated-account/shop/mcp/{server.id}"
    async with bridge(server.url) as host:
        if modern:
            host.ask("subscriptions/listen", modern=True, notifications={"toolsListChanged": True})
            assert (await host.heard())["method"] == "notifications/subscriptions/acknowledged"
        else:
            await host.greet()
            await host.request("ping")
        async with asyncio.timeout(20):
            narrowed, news = True, ""
            while news != "notifications/tools/list_changed":  # the older stream opens unseen
                methods = ["read"] if narrowed else ["read", "write"]
                await malomo.running.request("PATCH", path, {"config": {"methods": methods}})
                narrowed = not narrowed
                with contextlib.suppress(TimeoutError):
                    news = (await host.heard(1))["method"]
        assert await host.end() == 0
