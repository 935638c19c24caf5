"""A broken stream is resumed with Last-Event-ID; what is kept for that is bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness.patience import until
from harness.running import Running, Server
from harness.speaking import LEGACY, MODERN
from harness.streaming import Talk

META = {"progressToken": "p"}


async def _break_off(client: Talk, gate: Any, tool: str = "talker_things_talk") -> str:
    """Begin a call, read some of it, hang up, and return the id of the last event that was read."""
    async with client.call(tool, meta=META, id="broken") as stream:
        seen = None
        while seen is None or not seen.data:
            seen = await stream.next()
        await until(lambda: gate.reached)
        stream.response.close()
    assert seen.id
    return str(seen.id)


@pytest.mark.requirement("mcp:resume:last-event-id")
@pytest.mark.parametrize("revision", LEGACY)
async def test_the_rest_of_a_broken_stream_can_be_fetched(
    talk: Callable[..., Any], gate: Any, revision: str
) -> None:
    client = await talk(revision)
    last = await _break_off(client, gate)
    async with client.listen(last) as stream:
        assert stream.status == 200
        gate.open()
        messages = await stream.rest()
    assert gate.cancelled == 0
    told = [one["params"] for one in messages[:-1]]
    assert [one.get("progress", one.get("level")) for one in told] == ["warning", 1, 2, 3]
    assert messages[-1]["id"] == "broken"
    assert messages[-1]["result"]["isError"] is False


@pytest.mark.requirement("mcp:resume:last-event-id")
async def test_what_ended_meanwhile_can_still_be_fetched_more_than_once(
    talk: Callable[..., Any], gate: Any
) -> None:
    client = await talk("2025-11-25")
    last = await _break_off(client, gate)
    gate.open()
    for _ in range(2):
        async with client.listen(last) as stream:
            assert (await stream.rest())[-1]["result"]["isError"] is False


@pytest.mark.requirement("mcp:resume:last-event-id")
async def test_a_stream_begins_with_an_event_to_come_back_to_where_the_revision_has_it(
    talk: Callable[..., Any], gate: Any
) -> None:
    gate.open()
    for revision in LEGACY:
        client = await talk(revision)
        async with client.call("talker_things_talk", meta=META) as stream:
            first = await stream.next()
        primed = revision == "2025-11-25"
        assert (first.data == "") == primed
        assert (first.retry is not None) == primed
        assert first.id


@pytest.mark.requirement("mcp:resume:last-event-id")
async def test_a_tool_can_let_the_client_go_and_finish_without_it(
    talk: Callable[..., Any], gate: Any
) -> None:
    client = await talk("2025-11-25")
    async with client.call("talker_things_later", id=9) as stream:
        first = await stream.next()
        assert await stream.next() is None
    await until(lambda: gate.reached)
    async with client.listen(first.id) as stream:
        gate.open()
        (answer,) = await stream.rest()
    assert answer["id"] == 9
    assert answer["result"]["isError"] is False


@pytest.mark.requirement("mcp:resume:last-event-id")
@pytest.mark.parametrize("revision", [MODERN, "2025-06-18"])
async def test_where_nobody_comes_back_nobody_is_let_go(
    talk: Callable[..., Any], gate: Any, revision: str
) -> None:
    gate.open()
    client = await talk(revision)
    async with client.call("talker_things_later") as stream:
        assert (await stream.response.json())["result"]["isError"] is False


@pytest.mark.requirement("mcp:resume:own-only")
async def test_nobody_else_can_fetch_a_stream(
    talk: Callable[..., Any], gate: Any, server: Server
) -> None:
    client, stranger = await talk("2025-11-25"), await talk("2025-11-25")
    last = await _break_off(client, gate)
    gate.open()
    async with stranger.listen(last) as stream:
        assert stream.status == 200
        assert (await stream.next()).data == ""  # a stream of its own
        changed = await stream.message()
    assert changed["method"] == "notifications/tools/list_changed"
    for id in ("nonsense", last[:-1] + "99999999999", "x" * 5000):
        async with client.listen(id) as stream:
            assert stream.status == 200
            assert (await stream.message())["method"] == "notifications/tools/list_changed"


@pytest.mark.requirement("mcp:resume:last-event-id")
async def test_two_broken_streams_are_told_apart(talk: Callable[..., Any], gate: Any) -> None:
    client = await talk("2025-06-18")
    first = await _break_off(client, gate)
    async with client.call("talker_things_talk", meta=META, id="second") as stream:
        second = (await stream.next()).id
        stream.response.close()
    gate.open()
    for last, id in ((first, "broken"), (second, "second")):
        async with client.listen(last) as stream:
            assert [one["id"] for one in await stream.rest() if "id" in one] == [id]


@pytest.mark.requirement("mcp:resume:last-event-id")
async def test_who_comes_back_takes_the_stream_over(talk: Callable[..., Any], gate: Any) -> None:
    client = await talk("2025-06-18")
    last = await _break_off(client, gate)
    async with client.listen(last) as old, client.listen(last) as new:
        assert (await new.message())["params"]["level"] == "warning"
        gate.open()
        assert (await new.rest())[-1]["id"] == "broken"
        assert "broken" not in [one.get("id") for one in await old.rest()]


@pytest.mark.requirement("mcp:resume:bounded")
async def test_what_is_kept_is_bounded_and_goes_in_the_end(
    talk: Callable[..., Any], gate: Any, talking: Running
) -> None:
    streams = talking.gateway.streams
    stream = streams.begin("someone", "server")
    for number in range(100):
        streams.push(stream, b"x" * 1000)
    assert [n for n, _ in stream.after(0)] == [95, 96, 97, 98, 99, 100]
    client = await talk("2025-11-25")
    await _break_off(client, gate)
    await talking.http.delete(client.server.url, headers=client.headers)
    assert all(one.owner != client.session for one in streams._open.values())
    streams.forget("someone")
    assert streams.size == sum(one.size for one in streams._open.values())


@pytest.mark.requirement("mcp:resume:bounded")
async def test_an_answer_that_nobody_fetches_is_forgotten(
    gateway: Callable[..., Any], pages: Any, provider: Any, gate: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"resume_seconds": 0.05, "resume_bytes": 4000}},
    )
    client = await Talk(running, await running.server(), "2025-06-18").initialize()
    last = await _break_off(client, gate)
    gate.open()
    streams = running.gateway.streams
    await until(lambda: not streams._open)
    assert streams.size == 0
    async with client.listen(last) as stream:
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
    kept = [streams.begin(one, "server") for one in "ab"]
    for one in kept:
        streams.push(one, b"x" * 3000)
    assert (kept[0].size, kept[1].size) == (0, 3000)
    streams.close()
