"""JSON first; an event stream as soon as something must be said before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from harness.patience import until
from harness.running import Server
from harness.speaking import LEGACY, META, MODERN
from harness.streaming import Talk

ALL = (MODERN, *LEGACY)
CALLS = "notifications/progress", "notifications/message"


@pytest.mark.requirement("mcp:streams:json-first")
@pytest.mark.parametrize("revision", ALL)
async def test_a_call_with_nothing_to_say_before_its_answer_is_plain_json(
    talk: Callable[..., Any], revision: str, gate: Any
) -> None:
    gate.open()
    client = await talk(revision)
    async with client.call("talker_things_hold") as stream:
        assert stream.headers["Content-Type"].startswith("application/json")
        assert stream.status == 200


@pytest.mark.requirement("mcp:streams:json-first", "mcp:progress:forwards")
@pytest.mark.parametrize("revision", ALL)
async def test_progress_comes_before_the_answer_and_only_goes_forwards(
    talk: Callable[..., Any], revision: str, gate: Any
) -> None:
    gate.open()
    client = await talk(revision)
    async with client.call("talker_things_talk", meta={"progressToken": "p1"}) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert "no-cache" in stream.headers["Cache-Control"]
        messages = await stream.rest()
    steps = [one["params"] for one in messages if one.get("method") == CALLS[0]]
    assert [step["progress"] for step in steps] == [1, 2, 3]
    assert {step["progressToken"] for step in steps} == {"p1"}
    assert {step["total"] for step in steps} == {3}
    assert ("message" in steps[0]) == (revision != "2024-11-05")
    assert messages[-1]["id"] == 1
    assert messages[-1]["result"]["isError"] is False


@pytest.mark.requirement("mcp:progress:forwards")
@pytest.mark.parametrize("token", ["", "text", 0, 7, 2**60])
async def test_a_progress_token_comes_back_as_it_is(
    talk: Callable[..., Any], token: Any, gate: Any
) -> None:
    gate.open()
    client = await talk(MODERN)
    async with client.call("talker_things_talk", meta={"progressToken": token}) as stream:
        first = await stream.message()
    assert first["params"]["progressToken"] == token
    assert type(first["params"]["progressToken"]) is type(token)


@pytest.mark.requirement("mcp:progress:forwards")
@pytest.mark.parametrize("token", [None, 1.5, True, [], {}])
async def test_what_is_no_progress_token_asks_for_nothing(
    talk: Callable[..., Any], token: Any, gate: Any
) -> None:
    gate.open()
    client = await talk(MODERN)
    async with client.call("talker_things_talk", meta={"progressToken": token}) as stream:
        assert stream.headers["Content-Type"].startswith("application/json")


@pytest.mark.requirement("mcp:progress:forwards")
async def test_a_call_of_several_requests_tells_how_many_were_made(
    talk: Callable[..., Any], gate: Any
) -> None:
    gate.open()
    client = await talk("2025-11-25")
    async with client.call("talker_things_two_requests", meta={"progressToken": 1}) as stream:
        messages = await stream.rest()
    assert [one["params"]["progress"] for one in messages[:-1]] == [1]
    assert "1" in messages[0]["params"]["message"]


@pytest.mark.requirement("mcp:streams:json-first")
async def test_a_client_that_takes_json_alone_gets_json_and_no_word_before(
    talk: Callable[..., Any], gate: Any
) -> None:
    gate.open()
    client = await talk("2025-11-25")
    async with client.call(
        "talker_things_talk", meta={"progressToken": 1}, accept="application/json"
    ) as stream:
        assert stream.headers["Content-Type"].startswith("application/json")
        assert (await stream.response.json())["result"]["isError"] is False


@pytest.mark.requirement("mcp:streams:json-first")
@pytest.mark.parametrize("revision", ALL)
async def test_a_client_that_takes_nothing_but_event_streams_gets_one(
    talk: Callable[..., Any], revision: str, gate: Any
) -> None:
    gate.open()
    client = await talk(revision)
    async with client.call("talker_things_hold", accept="text/event-stream") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert [message["id"] for message in await stream.rest()] == [1]


@pytest.mark.requirement("mcp:streams:json-first", "mcp:jsonrpc:errors")
async def test_an_error_before_the_stream_keeps_its_status(talk: Callable[..., Any]) -> None:
    client = await talk(MODERN)
    async with client.open("no/such", {}, accept="text/event-stream") as stream:
        assert stream.status == 404
        assert (await stream.response.json())["error"]["code"] == -32601


@pytest.mark.requirement("mcp:streams:quiet")
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25", "2025-03-26"])
async def test_a_long_silence_is_filled_with_comments(
    talk: Callable[..., Any], revision: str, gate: Any
) -> None:
    client = await talk(revision)
    async with client.call("talker_things_hold") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        event = await stream.next()
        if revision == "2025-11-25":
            assert (event.data, event.comment) == ("", None)
            event = await stream.next()
        assert event.comment == "keep-alive"
        gate.open()
        assert (await stream.rest())[-1]["result"]["isError"] is False


@pytest.mark.requirement("mcp:streams:quiet")
async def test_a_client_that_takes_json_alone_waits_in_silence(
    talk: Callable[..., Any], gate: Any
) -> None:
    client = await talk(MODERN)

    async def call() -> Any:
        async with client.call("talker_things_hold", accept="application/json") as stream:
            return stream.headers["Content-Type"]

    waiting = asyncio.create_task(call())
    await until(lambda: gate.reached)
    async with client.call("talker_things_hold") as beside:
        for _ in range(3):  # beats enough for a comment, were there to be one
            assert (await beside.next()).comment == "keep-alive"
        gate.open()
    assert (await waiting).startswith("application/json")


# --- logging ---------------------------------------------------------------------------------


def _levels(messages: list[Any]) -> list[str]:
    return [one["params"]["level"] for one in messages if one.get("method") == CALLS[1]]


@pytest.mark.requirement("mcp:logging:wanted-only")
@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (None, []),
        ("emergency", []),
        ("warning", ["warning"]),
        ("info", ["info", "warning"]),
        ("debug", ["debug", "info", "warning", "debug"]),
    ],
)
async def test_the_newest_revision_logs_what_the_request_wants_and_else_nothing(
    talk: Callable[..., Any], gate: Any, wanted: str | None, told: list[str]
) -> None:
    gate.open()
    client = await talk(MODERN)
    meta = {"progressToken": 1} | ({} if wanted is None else {META + "logLevel": wanted})
    async with client.call("talker_things_talk", meta=meta) as stream:
        messages = await stream.rest()
    assert _levels(messages) == told
    for one in messages:
        if one.get("method") == CALLS[1]:
            assert one["params"]["logger"] == "talker"


@pytest.mark.requirement("mcp:logging:wanted-only")
@pytest.mark.parametrize("revision", LEGACY)
async def test_a_session_logs_from_its_own_level_upwards(
    talk: Callable[..., Any], gate: Any, revision: str
) -> None:
    gate.open()
    quiet, loud = await talk(revision), await talk(revision)
    assert (await quiet.send("logging/setLevel", {"level": "error"})).result == {}
    assert (await loud.send("logging/setLevel", {"level": "warning"})).result == {}
    meta = {"progressToken": 1}
    async with quiet.call("talker_things_talk", meta=meta) as stream:
        assert _levels(await stream.rest()) == []
    async with loud.call("talker_things_talk", meta=meta) as stream:
        assert _levels(await stream.rest()) == ["warning"]


@pytest.mark.requirement("mcp:logging:wanted-only")
async def test_without_a_session_older_revisions_log_nothing(server: Server, gate: Any) -> None:
    gate.open()
    called = await server.call("talker_things_talk", {}, revision="2025-06-18")
    assert called.data == {"talked": True}


@pytest.mark.requirement("mcp:logging:wanted-only")
@pytest.mark.parametrize("level", ["loud", "", None, 3, "INFO"])
async def test_a_level_that_does_not_exist_is_refused(
    talk: Callable[..., Any], server: Server, level: Any
) -> None:
    client = await talk("2025-11-25")
    response = await client.send("logging/setLevel", {} if level is None else {"level": level})
    assert response.error["code"] == -32602
    if level is not None:
        params = {"_meta": {META + "logLevel": level}}
        response = await server.send("tools/list", params)
        assert (response.status, response.error["code"]) == (400, -32602)


@pytest.mark.requirement("mcp:logging:wanted-only")
async def test_a_mapper_cannot_tell_a_credential(
    gateway: Callable[..., Any], pages: Any, provider: Any
) -> None:
    account = {
        "integration": "talker",
        "settings": {"base_url": provider.url},
        "credentials": {"api_key": "talker-key-5c0ffee5"},
    }
    running = await gateway(adapters=["talker"], accounts={"shop": account})
    client = Talk(running, await running.server(), MODERN)
    meta = {META + "logLevel": "debug", "progressToken": 1}
    async with client.call("talker_things_tell_secrets", meta=meta) as stream:
        messages = await stream.rest()
    assert [one.get("method") for one in messages] == [CALLS[1], CALLS[0], None]
    assert "5c0ffee5" not in str(messages)


@pytest.mark.requirement("mcp:logging:wanted-only")
async def test_a_log_message_that_is_not_json_is_the_adapters_fault(server: Server) -> None:
    called = await server.call("talker_things_log_nonsense", {})
    assert called.error["kind"] == "bad_tool_output"


@pytest.mark.requirement("mcp2026:methods:removed")
async def test_the_newest_revision_has_no_set_level(server: Server) -> None:
    response = await server.send("logging/setLevel", {"level": "info"})
    assert (response.status, response.error["code"]) == (404, -32601)


# --- content ---------------------------------------------------------------------------------


@pytest.mark.requirement("mcp:content:projected")
@pytest.mark.parametrize(
    ("revision", "kinds"),
    [
        (MODERN, ["text", "image", "audio", "resource", "resource_link", "text"]),
        ("2025-11-25", ["text", "image", "audio", "resource", "resource_link", "text"]),
        ("2025-06-18", ["text", "image", "audio", "resource", "resource_link", "text"]),
        ("2025-03-26", ["text", "image", "audio", "resource", "text", "text"]),
        ("2024-11-05", ["text", "image", "resource", "resource", "text", "text"]),
    ],
)
async def test_content_that_a_revision_does_not_know_becomes_what_it_knows(
    talk: Callable[..., Any], revision: str, kinds: list[str]
) -> None:
    client = await talk(revision)
    async with client.call("talker_things_blocks") as stream:
        result = (await stream.response.json())["result"]
    assert [block["type"] for block in result["content"]] == kinds
    if kinds[4] == "text":
        assert result["content"][4]["text"] == "A link: test://b"
    if kinds[2] == "resource":
        assert result["content"][2]["resource"]["blob"] == "AAAA"
    assert "structuredContent" not in result


@pytest.mark.requirement("mcp:content:projected")
async def test_a_content_block_of_no_kind_is_the_adapters_fault(server: Server) -> None:
    called = await server.call("talker_things_bad_block", {})
    assert called.error["kind"] == "bad_tool_output"
