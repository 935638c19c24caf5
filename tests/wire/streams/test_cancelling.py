"""Cancellation: by notification in older revisions, by hanging up in the newest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from harness.patience import until
from harness.running import Running, Server
from harness.speaking import LEGACY, MODERN
from harness.streaming import Talk

JSON = "application/json"


def _running(talking: Running) -> int:
    return talking.gateway.calls.running


async def _hang_up(client: Talk, gate: Any, tool: str, arguments: Any = None, **how: Any) -> None:
    async def call() -> None:
        async with client.call(tool, arguments, **how) as stream:
            await stream.rest()

    task = asyncio.create_task(call())
    await until(lambda: gate.reached)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.requirement("mcp2026:cancel:disconnect")
@pytest.mark.parametrize("accept", [JSON, "application/json, text/event-stream"])
async def test_hanging_up_cancels_a_call_of_the_newest_revision(
    talk: Callable[..., Any], gate: Any, talking: Running, accept: str
) -> None:
    client = await talk(MODERN)
    await _hang_up(client, gate, "talker_things_talk", meta={"progressToken": 1}, accept=accept)
    await until(lambda: gate.cancelled == 1)
    await until(lambda: _running(talking) == 0)


@pytest.mark.requirement("mcp2026:cancel:disconnect")
async def test_hanging_up_cancels_an_older_call_that_cannot_be_resumed(
    talk: Callable[..., Any], gate: Any, talking: Running
) -> None:
    client = await talk("2025-11-25")
    await _hang_up(client, gate, "talker_things_hold", accept=JSON)
    await until(lambda: gate.cancelled == 1)
    await until(lambda: _running(talking) == 0)


@pytest.mark.requirement("mcp:cancel:notification")
@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize("id", [3, "three"])
async def test_a_cancelled_call_stops_and_gets_no_answer(
    talk: Callable[..., Any], gate: Any, talking: Running, revision: str, id: Any
) -> None:
    client = await talk(revision)
    async with client.call("talker_things_talk", id=id, meta={"progressToken": 1}) as stream:
        assert (await stream.message())["method"] == "notifications/message"
        await until(lambda: gate.reached)
        note = await client.send(
            "notifications/cancelled", {"requestId": id, "reason": "enough"}, id=None
        )
        assert note.status == 202
        assert all("id" not in one for one in await stream.rest())
    await until(lambda: gate.cancelled == 1)
    await until(lambda: _running(talking) == 0)


@pytest.mark.requirement("mcp:cancel:notification")
async def test_a_cancelled_call_that_was_still_silent_ends_without_a_word(
    talk: Callable[..., Any], gate: Any
) -> None:
    client = await talk("2025-11-25")

    async def call() -> Any:
        async with client.call("talker_things_hold", id=1) as stream:
            return stream.status, await stream.rest()

    waiting = asyncio.create_task(call())
    await until(lambda: gate.reached)
    await client.send("notifications/cancelled", {"requestId": 1}, id=None)
    assert await waiting == (200, [])


@pytest.mark.requirement("mcp:cancel:notification")
async def test_only_the_own_call_can_be_cancelled(
    talk: Callable[..., Any], gate: Any, server: Server
) -> None:
    client, stranger = await talk("2025-11-25"), await talk("2025-11-25")
    note = {"requestId": 1}
    async with client.call("talker_things_talk", id=1, meta={"progressToken": 1}) as stream:
        await stream.message()
        await until(lambda: gate.reached)
        await stranger.send("notifications/cancelled", note, id=None)
        await server.send("notifications/cancelled", note, revision="2025-11-25", id=None)
        await server.send("notifications/cancelled", note, revision=MODERN, id=None)
        for other in ({"requestId": "1"}, {"requestId": 2}, {"requestId": None}, {}):
            assert (await client.send("notifications/cancelled", other, id=None)).status == 202
        gate.open()
        assert (await stream.rest())[-1]["result"]["isError"] is False
    assert gate.cancelled == 0


@pytest.mark.requirement("mcp:cancel:notification", "mcp2026:cancel:disconnect")
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
async def test_a_write_that_was_sent_goes_on_to_its_end(
    talk: Callable[..., Any], gate: Any, talking: Running, provider: Any, revision: str
) -> None:
    client = await talk(revision)
    await _hang_up(client, gate, "delete_a_talker_thing_by_id", {"id": "a"}, accept=JSON)
    gate.open()
    await talking.gateway.calls.drain()
    assert gate.cancelled == 0
    assert [one.method for one in provider.requests] == ["DELETE"]


@pytest.mark.requirement("mcp:cancel:notification")
async def test_cancelling_ends_the_wait_for_a_human(talk: Callable[..., Any]) -> None:
    client = await talk("2025-11-25", elicitation={})
    async with client.call("talker_things_ask", id=4) as stream:
        question = await stream.message()
        await client.send("notifications/cancelled", {"requestId": 4}, id=None)
        assert await stream.rest() == []
    assert await client.answer(question["id"], {"action": "accept", "content": {}}) == 202


@pytest.mark.requirement("mcp:cancel:notification")
async def test_a_gateway_that_stops_does_not_wait_for_streams(
    talk: Callable[..., Any], talking: Running, gate: Any, server: Server
) -> None:
    client = await talk("2025-11-25")
    async with client.call("talker_things_talk", meta={"progressToken": 1}) as stream:
        await stream.message()
        await until(lambda: gate.reached)
        stream.response.close()
    async with client.listen():
        pass
    body = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
    assert (await server.post(body, client.headers)).status == 202
    # The fixture closes the gateway now; `shutdown_seconds` bounds it, and warnings are errors.
