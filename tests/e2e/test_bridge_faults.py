"""What the bridge does when calls are cancelled, stdin ends, or something goes wrong.

Like test_bridge.py, with the Python command and with the file for Node.js.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from harness import far_side
from harness.far_side import TOKEN, FarSide, result, stream
from harness.patience import until
from harness.stdio import Bridge

pytestmark = pytest.mark.e2e


# --- cancelling and ending -------------------------------------------------------------------


@pytest.mark.requirement("clients:bridge:both-eras")
@pytest.mark.parametrize("modern", [True, False], ids=["newest", "older"])
async def test_cancelling_closes_the_request_or_is_passed_on(
    bridge: Bridge, far: FarSide, modern: bool
) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        message = far.requests[-1].json
        if message["method"] != "tools/call":
            return web.Response(status=202)
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()
        return web.Response()

    far.plays(answer)
    async with bridge(far.url) as host:
        id = host.ask("tools/call", modern=modern, name="slow")
        await asyncio.wait_for(arrived.wait(), 10)
        host.notify("notifications/cancelled", requestId=id)
        if modern:
            await asyncio.wait_for(closed.wait(), 10)
            assert "notifications/cancelled" not in far.methods()
            assert await host.end() == 0
        else:
            await until(lambda: "notifications/cancelled" in far.methods())
            assert not closed.is_set()
    assert host.lines == []


@pytest.mark.requirement("clients:bridge:both-eras")
async def test_calls_under_way_are_answered_after_stdin_has_ended(
    bridge: Bridge, far: FarSide
) -> None:
    arrived, let_go = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        message = far.requests[-1].json
        if message["method"] == "subscriptions/listen":
            response = await stream(request)
            await asyncio.Event().wait()
            return response
        arrived.set()
        await let_go.wait()
        return result(message["id"], {})

    far.plays(answer)
    async with bridge(far.url) as host:
        host.ask("subscriptions/listen", modern=True)
        id = host.ask("tools/call", modern=True, name="slow")
        await asyncio.wait_for(arrived.wait(), 10)
        host.close()
        let_go.set()
        assert await host.end() == 0
        assert (await host.answer(id))["result"] == {}


# --- what goes wrong -------------------------------------------------------------------------


async def _status(status: int, **given: Any) -> web.Response:
    return web.Response(status=status, **given)


@pytest.mark.requirement("clients:bridge:refusal-told")
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, "not as an MCP server"),
        (302, "redirects"),
        (401, "not as an MCP server"),
        (404, "not as an MCP server"),
        (502, "in trouble (HTTP 502)"),
    ],
)
async def test_answers_of_strangers_on_the_way_become_errors(
    bridge: Bridge, far: FarSide, status: int, told: str
) -> None:
    elsewhere = {"Location": f"http://127.0.0.1:1/{TOKEN}"} if status == 302 else {}
    page = {"text": "<h1>Log in</h1>", "content_type": "text/html", "headers": elsewhere}
    far.plays(lambda request: _status(status, **page))
    async with bridge(far.url) as host:
        error = await host.refused("initialize")
        assert told in error["message"]
        assert told in (await host.refused("tools/list", modern=True))["message"]


@pytest.mark.requirement("clients:bridge:refusal-told")
async def test_an_error_of_the_gateways_gets_the_id_that_it_lacks(
    bridge: Bridge, far: FarSide
) -> None:
    error = {"code": 42901, "message": "Slow down.", "data": {"retry_after_seconds": 3}}
    body = json.dumps({"jsonrpc": "2.0", "error": error})
    far.plays(lambda request: _status(429, text=body, content_type="application/json"))
    async with bridge(far.url) as host:
        assert await host.answer(host.ask("initialize", id="first")) == {
            "jsonrpc": "2.0",
            "id": "first",
            "error": error,
        }


@pytest.mark.requirement("clients:bridge:refusal-told")
async def test_a_gateway_that_is_not_there_is_reported_as_such(
    bridge: Bridge, far: FarSide
) -> None:
    async with far_side.listening() as gone:
        url = gone.url
    async with bridge(url) as host:
        error = await host.refused("initialize")
        assert "does not accept connections" in error["message"]
    async with bridge(f"http://no-such-host.invalid/mcp/{TOKEN}") as host:
        error = await host.refused("server/discover", modern=True)
        assert "its name is not known" in error["message"]


@pytest.mark.requirement("clients:bridge:refusal-told")
@pytest.mark.parametrize("modern", [True, False], ids=["newest", "older"])
async def test_an_answer_that_never_came_is_not_taken_for_one_that_can_be_asked_again(
    bridge: Bridge, far: FarSide, modern: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if far.requests[-1].json.get("id") == 1:
            assert request.transport is not None
            request.transport.abort()
        response = await stream(request)
        await response.write(b'data: {"jsonrpc":"2.0",\n')
        return response

    far.plays(answer)
    async with bridge(far.url) as host:
        for _ in range(2):
            error = await host.refused("tools/call", modern=modern, name="write")
            assert "look before trying again" in error["message"]
    assert far.methods() == ["tools/call"] * 2


@pytest.mark.requirement("clients:bridge:refusal-told")
async def test_lines_that_are_no_messages_are_answered_and_survived(
    bridge: Bridge, far: FarSide
) -> None:

    async def answer(request: web.Request) -> web.StreamResponse:
        return result(1, {})

    far.plays(answer)
    async with bridge(far.url) as host:
        for line, code in (("{", -32700), ("7", -32600)):
            host.say(line)
            answer = await host.heard()
            assert answer["error"]["code"] == code
            assert "id" not in answer
        host.say("   ")
        assert (await host.answer(host.ask("ping", id=1)))["result"] == {}


@pytest.mark.requirement("clients:bridge:silent")
@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--url", f"ftp://gateway.example/{TOKEN}"], None, "that is no URL"),
        (["--header", "nonsense"], None, "Name: value"),
        (["--header", "X-A: ${NOT_SET_ANYWHERE}"], None, "NOT_SET_ANYWHERE"),
        (["--nonsense"], 2, "--nonsense"),
    ],
)
async def test_wrong_words_on_the_command_line_end_it_with_a_sentence(
    bridge: Bridge, options: list[str], code: int | None, told: str
) -> None:
    async with bridge(f"https://gateway.example/mcp/{TOKEN}", *options) as host:
        assert await host.end() in ([1, 2] if code is None else [code])
    assert told in host.complaints


@pytest.mark.requirement("clients:bridge:silent")
async def test_an_unprotected_way_is_warned_of(bridge: Bridge) -> None:
    async with bridge(f"http://gateway.invalid/mcp/{TOKEN}") as host:
        assert await host.end() == 0
    assert "unprotected" in host.complaints
