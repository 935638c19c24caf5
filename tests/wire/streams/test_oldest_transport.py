"""The transport of 2024-11-05: one stream for all answers, and a path to post messages to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from harness.patience import until
from harness.running import Running, Server
from harness.speaking import LEGACY, META, MODERN, Response
from harness.streaming import Stream


class Old:
    """A client of the old transport."""

    def __init__(self, running: Running, stream: Stream, place: str) -> None:
        self.running = running
        self.stream = stream
        self.place = place

    async def post(self, message: Any, **headers: str) -> Response:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        speaker = self.running.speaker("")
        sent = {"Content-Type": "application/json", **headers}
        return await speaker.request("POST", self.place, body, sent)

    async def ask(self, method: str, params: Any = None, id: Any = 1) -> Any:
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}
        response = await self.post(message)
        assert (response.status, response.body) == (202, b""), response
        return await self.stream.message()

    async def initialize(self, revision: str = "2024-11-05", **capabilities: Any) -> Any:
        params = {
            "protocolVersion": revision,
            "capabilities": capabilities,
            "clientInfo": {"name": "old", "version": "0"},
        }
        answer = await self.ask("initialize", params, id="i")
        note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self.post(note)).status == 202
        return answer


@asynccontextmanager
async def opened(
    running: Running, url: str, headers: dict[str, str] | None = None
) -> AsyncIterator[Old]:
    async with running.http.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        stream = Stream(response)
        first = await stream.next()
        assert first is not None
        assert first.name == "endpoint"
        yield Old(running, stream, urljoin(url, first.data))


@pytest.mark.requirement("mcp:sse:same-url")
@pytest.mark.parametrize("path", ["", "/", "/sse"])
@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", None])
async def test_a_get_without_session_opens_the_old_transport(
    talking: Running, server: Server, path: str, accept: str | None, gate: Any
) -> None:
    gate.open()
    headers = {} if accept is None else {"Accept": accept}
    async with opened(talking, server.url + path, headers) as old:
        assert old.stream.headers["X-Accel-Buffering"] == "no"
        assert old.stream.headers["Cache-Control"] == "no-cache, no-store, no-transform"
        hello = await old.initialize()
        assert hello["id"] == "i"
        assert hello["result"]["protocolVersion"] == "2024-11-05"
        listed = await old.ask("tools/list")
        assert "annotations" not in listed["result"]["tools"][0]
        called = await old.ask("tools/call", {"name": "talker_things_hold"}, id=2)
        assert json.loads(called["result"]["content"][0]["text"]) == {"held": True}


@pytest.mark.requirement("mcp:sse:same-url")
async def test_the_place_to_post_to_is_of_the_same_origin(talking: Running, server: Server) -> None:
    async with opened(talking, server.url) as old:
        place, own = urlsplit(old.place), urlsplit(server.url)
        assert (place.scheme, place.netloc) == (own.scheme, own.netloc)
        assert place.path == f"/mcp/{server.token}/messages"


@pytest.mark.requirement("mcp:sse:same-url", "door:token:bearer")
async def test_the_token_can_stay_out_of_the_url(talking: Running, server: Server) -> None:
    bearer = {"Authorization": f"Bearer {server.token}"}
    for path in ("/mcp", "/mcp/sse"):
        async with opened(talking, talking.url + path, bearer) as old:
            assert server.token not in old.place
            ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            assert (await old.post(ping)).status == 401
            assert (await old.post(ping, **bearer)).status == 202
            assert (await old.stream.message())["result"] == {}


@pytest.mark.requirement("mcp:sse:same-url")
@pytest.mark.parametrize("revision", LEGACY)
async def test_newer_revisions_are_negotiated_over_it_too(
    talking: Running, server: Server, revision: str
) -> None:
    async with opened(talking, server.url) as old:
        assert (await old.initialize(revision))["result"]["protocolVersion"] == revision
        listed = await old.ask("tools/list")
        assert ("title" in listed["result"]["tools"][0]) == (revision >= "2025-06-18")


@pytest.mark.requirement("mcp:sse:same-url")
async def test_a_client_that_tries_the_newest_revision_is_led_to_initialize(
    talking: Running, server: Server
) -> None:
    meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
    async with opened(talking, server.url) as old:
        answer = await old.ask("server/discover", {"_meta": meta}, id=5)
        assert (answer["id"], answer["error"]["code"]) == (5, -32601)
        assert (await old.initialize())["result"]["protocolVersion"] == "2024-11-05"


@pytest.mark.requirement("mcp:sse:same-url", "mcp:progress:forwards")
async def test_progress_and_logs_come_over_the_stream(
    talking: Running, server: Server, gate: Any
) -> None:
    gate.open()
    async with opened(talking, server.url) as old:
        await old.initialize()
        assert (await old.ask("logging/setLevel", {"level": "warning"}))["result"] == {}
        params = {"name": "talker_things_talk", "_meta": {"progressToken": 1}}
        told = [await old.ask("tools/call", params, id=3)]
        while "id" not in told[-1]:
            told.append(await old.stream.message())
        assert [one["params"].get("progress") for one in told[:-1]] == [None, 1, 2, 3]


@pytest.mark.requirement("mcp:sse:same-url")
async def test_answers_come_as_they_are_ready(talking: Running, server: Server, gate: Any) -> None:
    async with opened(talking, server.url) as old:
        await old.initialize()
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        assert (await old.post({**call, "params": {"name": "talker_things_hold"}})).status == 202
        await until(lambda: gate.reached)
        assert (await old.ask("ping", id=2))["id"] == 2
        gate.open()
        assert (await old.stream.message())["id"] == 1


@pytest.mark.requirement("mcp:sse:same-url", "mcp:cancel:notification")
async def test_a_cancelled_call_gets_no_answer_and_hanging_up_cancels_all(
    talking: Running, server: Server, gate: Any
) -> None:
    async with opened(talking, server.url) as old:
        await old.initialize()
        call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "talker_things_hold"}}
        await old.post({**call, "id": 1})
        await until(lambda: gate.reached)
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert (await old.post(note)).status == 202
        await until(lambda: gate.cancelled == 1)
        assert (await old.ask("ping", id=2))["id"] == 2
        await old.post({**call, "id": 3})
        await until(lambda: len(gate.provider.requests) == 2)
    await until(lambda: gate.cancelled == 2)
    assert (await old.post({"jsonrpc": "2.0", "id": 4, "method": "ping"})).status == 404


@pytest.mark.requirement("mcp:sse:same-url", "mcp:ask:elicitation")
async def test_a_human_can_be_asked_over_it(talking: Running, server: Server) -> None:
    async with opened(talking, server.url) as old:
        await old.initialize("2025-06-18", elicitation={})
        question = await old.ask("tools/call", {"name": "talker_things_ask"}, id=7)
        assert question["method"] == "elicitation/create"
        reply = {"action": "accept", "content": {"name": "Ann"}}
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": reply}
        assert (await old.post(answer)).status == 202
        called = await old.stream.message()
        assert called["id"] == 7
        assert json.loads(called["result"]["content"][0]["text"])["name"] == "Ann"


@pytest.mark.requirement("mcp:sse:refusals")
async def test_a_message_that_cannot_be_taken_is_refused_where_it_was_posted(
    talking: Running, server: Server
) -> None:
    async with opened(talking, server.url) as old:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert (await old.post(b"{")).error["code"] == -32700
        wrong = await old.post({"jsonrpc": "2.0", "id": 1})
        assert (wrong.status, wrong.error["code"], wrong.json["id"]) == (400, -32600, 1)
        assert (await old.post(ping, **{"Content-Type": "text/plain"})).status == 415
        base, _, id = old.place.partition("?session_id=")
        for place, status in (
            (base, 400),
            (f"{base}?session_id=", 400),
            (base + "?session_id=x", 404),
        ):
            lost = Old(talking, old.stream, place)
            assert (await lost.post(ping)).status == status
        other = await talking.server(name="Other")
        stolen = Old(talking, old.stream, f"{other.url}/messages?session_id={id}")
        assert (await stolen.post(ping)).status == 404
        wrong_token = Old(talking, old.stream, f"{talking.url}/mcp/cdm_x/messages?session_id={id}")
        refused = await wrong_token.post(ping)
        assert (refused.status, refused.json["id"]) == (403, 1)


@pytest.mark.requirement("mcp:sse:refusals")
async def test_who_may_not_enter_gets_no_stream(talking: Running) -> None:
    for path, status in (
        ("/mcp/cdm_nothing", 403),
        ("/mcp/cdm_nothing/sse", 403),
        ("/mcp/sse", 401),
    ):
        response = await talking.speaker(path).request("GET", talking.url + path)
        assert response.status == status
        assert response.error["message"]
    response = await talking.speaker("/mcp").request(
        "GET", talking.url + "/mcp", headers={"Origin": "https://evil.example"}
    )
    assert response.status == 403


@pytest.mark.requirement("mcp:sse:refusals")
async def test_posting_to_the_stream_leads_clients_of_streamable_http_on(server: Server) -> None:
    response = await server.request("POST", server.url + "/sse", b"{}")
    assert response.status == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.requirement("mcp:sse:refusals")
@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18"])
async def test_a_get_that_names_a_revision_but_no_session_is_not_allowed(
    server: Server, version: str
) -> None:
    response = await server.request("GET", server.url, headers={"MCP-Protocol-Version": version})
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.requirement("mcp:sse:refusals")
async def test_an_unknown_revision_is_named_as_such(server: Server) -> None:
    for verb in ("GET", "DELETE"):
        headers = {"MCP-Protocol-Version": "1999-01-01"}
        assert (await server.request(verb, server.url, headers=headers)).status == 400


@pytest.mark.requirement("mcp:sse:refusals")
async def test_head_opens_nothing(server: Server) -> None:
    async with asyncio.timeout(2):
        assert (await server.request("HEAD", server.url)).status == 405


@pytest.mark.requirement("mcp:streams:end-with-server", "mcp:list-changed:told")
async def test_it_hears_of_changes_and_ends_with_its_server(
    talking: Running, server: Server
) -> None:
    path = f"/integrated-account/shop/mcp/{server.id}"
    async with opened(talking, server.url) as old:
        await old.initialize()
        await talking.request("PATCH", path, {"config": {"methods": ["read"]}})
        assert (await old.stream.message())["method"] == "notifications/tools/list_changed"
        await talking.request("DELETE", path)
        assert await old.stream.rest() == []
    await until(lambda: not talking.gateway.listeners)


@pytest.mark.requirement("mcp:streams:quiet")
async def test_its_silence_is_filled_with_comments(talking: Running, server: Server) -> None:
    async with opened(talking, server.url) as old:
        event = await old.stream.next()
        assert event is not None
        assert event.comment == "ping"


@pytest.mark.requirement("mcp:sse:refusals")
async def test_a_client_that_asks_without_end_is_told_to_wait(
    gateway: Callable[..., Any], pages: Any, provider: Any, gate: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"calls_per_server": 2}},
    )
    server = await running.server()
    async with opened(running, server.url) as old:
        call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "talker_things_hold"}}
        statuses = [(await old.post({**call, "id": id})).status for id in range(3)]
        assert statuses == [202, 202, 429]
        gate.open()
        assert {(await old.stream.message())["id"] for _ in range(2)} == {0, 1}
