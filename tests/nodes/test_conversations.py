"""One client, two processes, no stickiness: whatever comes to one is known to the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import pytest
from harness.gate import Gate
from harness.pair import Pair
from harness.patience import until
from harness.provider import Provider
from harness.streaming import Stream
from redis.asyncio import Redis

META = {"progressToken": "p"}
AWAY = "The gateway's processes cannot reach each other just now. Send it again."
LOGGED = (
    b'{"jsonrpc":"2.0","method":"notifications/message","params":'
    b'{"level":"info","logger":"talker","data":"%b"}}'
)
ANN = {"action": "accept", "content": {"name": "Ann"}}


async def test_a_session_and_its_log_level_count_everywhere_and_end_everywhere(pair: Pair) -> None:
    at_a, at_b = await pair.talks("2025-11-25")
    assert (await at_b.send("tools/list")).result["tools"]
    assert (await at_a.send("logging/setLevel", {"level": "error"})).result == {}
    sessions = pair.b.gateway.sessions
    await until(lambda: "error" in sessions._levels.values())
    async with at_a.listen() as older, at_b.listen() as newer:
        deleted = await pair.b.http.delete(at_b.server.url, headers=at_b.headers)
        assert deleted.status == 204
        assert await older.rest() == await newer.rest() == []
    for talk in (at_a, at_b):
        assert (await talk.send("tools/list")).status == 404


async def test_who_starts_later_knows_which_sessions_ended(pair: Pair) -> None:
    at_a, _ = await pair.talks("2025-11-25")
    await pair.a.http.delete(at_a.server.url, headers=at_a.headers)
    other, _ = await pair.talks("2025-11-25")
    assert (await other.send("logging/setLevel", {"level": "error"})).result == {}
    late = (await pair.start()).gateway
    await until(lambda: not late.bus.trouble)
    assert len(late.sessions._ended) == 1
    assert [*late.sessions._levels.values()] == ["error"]


# --- questions -------------------------------------------------------------------------------


async def test_an_answer_finds_the_process_that_asked(pair: Pair) -> None:
    at_a, at_b = await pair.talks("2025-11-25", elicitation={})
    async with at_a.call("talker_things_ask") as stream:
        question = await stream.message()
        assert question["id"].startswith(pair.a.gateway.process)
        assert await at_b.answer(question["id"], ANN) == 202
        answer = await stream.message()
    assert json.loads(answer["result"]["content"][0]["text"])["name"] == "Ann"
    assert await at_b.answer(question["id"], ANN) == 202  # it was asked there, and counts no more


async def test_an_answer_by_another_session_or_for_a_process_that_is_gone_does_nothing(
    pair: Pair,
) -> None:
    at_a, _ = await pair.talks("2025-11-25", elicitation={})
    _, stranger = await pair.talks("2025-11-25", elicitation={})
    async with at_a.call("talker_things_ask") as stream:
        question = await stream.message()
        assert await stranger.answer(question["id"], ANN) == 202
        gone = "0" * 8 + question["id"][8:]
        refused = await at_a.server.post(
            json.dumps({"jsonrpc": "2.0", "id": gone, "result": ANN}).encode(), at_a.headers
        )
        assert (refused.status, refused.json["id"]) == (404, gone)
        assert await at_a.answer(question["id"], {"action": "decline"}) == 202
        assert (await stream.message())["result"]


async def test_an_answer_that_cannot_be_passed_on_is_refused_and_nothing_is_sent(
    pair: Pair, provider: Provider
) -> None:
    at_a, at_b = await pair.talks("2025-11-25", elicitation={})
    async with at_a.call("talker_things_ask_and_write") as stream:
        question = await stream.message()
        pair.redis.kill()
        await pair.parted()
        body = json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": ANN}).encode()
        refused = await at_b.server.post(body, at_b.headers)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert refused.error["message"] == AWAY
        answer = await stream.message()
    assert answer["result"]["isError"]
    assert not [one for one in provider.requests if one.path == "/written"]


async def test_an_answer_that_lay_in_a_frozen_redis_does_not_count_later(
    pair: Pair, provider: Provider
) -> None:
    at_a, at_b = await pair.talks("2025-11-25", elicitation={})
    async with at_a.call("talker_things_ask_and_write") as stream:
        question = await stream.message()
        pair.redis.freeze()
        assert await at_b.answer(question["id"], ANN) == 503
        pair.redis.thaw()
        assert (await stream.message())["result"]["isError"]
    assert not [one for one in provider.requests if one.path == "/written"]


# --- cancelling ------------------------------------------------------------------------------


async def test_a_call_is_cancelled_by_whichever_process_hears_of_it(
    pair: Pair, provider: Provider
) -> None:
    gate = Gate(provider)
    at_a, at_b = await pair.talks("2025-11-25")
    async with at_a.call("talker_things_hold", id=7) as stream:
        assert stream.status == 200
        for id in (8, "7", 10**30):
            await at_b.send("notifications/cancelled", {"requestId": id}, id=None)
        assert (await at_b.send("notifications/cancelled", {"requestId": 7}, id=None)).status == 202
        await until(lambda: gate.cancelled == 1)
        assert await stream.rest() == []


# --- broken streams --------------------------------------------------------------------------


async def _break_off(talk: Any, gate: Gate, id: str = "broken") -> str:
    async with talk.call("talker_things_talk", meta=META, id=id) as stream:
        event = await stream.next()
        assert event is not None
        await until(lambda: gate.reached)
        stream.response.close()
    assert event.id is not None
    return str(event.id)


@pytest.mark.parametrize("revision", ["2025-11-25", "2025-06-18"])
async def test_a_broken_stream_is_resumed_in_another_process(
    pair: Pair, provider: Provider, revision: str
) -> None:
    gate = Gate(provider)
    at_a, at_b = await pair.talks(revision)
    last = await _break_off(at_a, gate)
    assert last.startswith(pair.a.gateway.process)
    async with at_b.listen(last) as stream:
        first = await stream.next()
        while first is not None and first.comment is None and not first.data:
            first = await stream.next()
        assert first is not None
        assert first.id is not None
        assert first.id.startswith(last.rpartition("-")[0])
        await until_comment(stream)
        gate.open()
        assert (await stream.rest())[-1]["id"] == "broken"
    assert gate.cancelled == 0
    for _ in range(2):
        async with at_b.listen(last) as again:
            told = await again.rest()
        assert [one["params"].get("progress") for one in told[:-1]][-3:] == [1, 2, 3]


async def until_comment(stream: Stream) -> None:
    """Read until a comment says that the stream is quiet."""
    while (event := await stream.next()) is not None:
        if event.comment is not None:
            return
    raise AssertionError("the stream ended")


async def test_a_large_answer_is_fetched_in_pieces(pair: Pair) -> None:
    kept = pair.a.gateway.streams
    at_a, at_b = await pair.talks("2025-11-25")
    session = pair.a.gateway.sessions.open(at_a.session or "", at_a.server.id)
    stream = kept.begin(session.nonce, at_a.server.id)
    sizes = (10, 500_000, 0, 262_144, 5, 400_000)
    for size in sizes:
        kept.push(stream, LOGGED % (b"y" * size))
    kept.end(stream)
    async with at_b.listen(stream.event_id(0)) as fetched:
        events = [await fetched.next() for _ in sizes]
        assert await fetched.next() is None
    assert [len(one.message["params"]["data"]) for one in events if one] == [*sizes]
    assert [one.id for one in events if one] == [stream.event_id(n) for n in range(1, 7)]


async def test_who_comes_back_elsewhere_takes_the_stream_over(
    pair: Pair, provider: Provider
) -> None:
    gate = Gate(provider)
    at_a, at_b = await pair.talks("2025-06-18")
    last = await _break_off(at_a, gate)
    async with at_a.listen(last) as first, at_b.listen(last) as second:
        assert (await second.message())["params"]["level"] == "warning"
        async with at_b.listen(last) as third:
            assert (await third.message())["params"]["level"] == "warning"
            gate.open()
            assert (await third.rest())[-1]["id"] == "broken"
        assert "broken" not in [one.get("id") for one in await second.rest()]
        assert "broken" not in [one.get("id") for one in await first.rest()]


async def test_nobody_else_fetches_a_stream_and_one_that_is_gone_is_like_an_unknown_one(
    pair: Pair, provider: Provider
) -> None:
    gate = Gate(provider)
    at_a, at_b = await pair.talks("2025-11-25")
    _, stranger = await pair.talks("2025-11-25")
    last = await _break_off(at_a, gate)
    gate.open()
    gone = "0" * 8 + last[8:]
    for talk, id in ((stranger, last), (at_b, gone), (at_b, last[:8] + "0" * 32 + "-1")):
        async with talk.listen(id) as stream:
            assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_stream_cannot_be_resumed_elsewhere_while_redis_is_away(
    pair: Pair, provider: Provider
) -> None:
    gate = Gate(provider)
    at_a, at_b = await pair.talks("2025-11-25")
    last = await _break_off(at_a, gate)
    async with at_b.listen() as news:
        first = await news.next()
    pair.redis.kill()
    await pair.parted()
    async with at_b.listen(last) as stream:
        assert stream.status == 503
        assert stream.headers["Retry-After"] == "1"
        assert (await stream.response.json())["error"]["message"] == AWAY
    gate.open()
    async with at_a.listen(last) as stream:  # its own process needs nobody
        assert (await stream.rest())[-1]["id"] == "broken"
    async with at_b.listen(first.id) as stream:  # what was only waiting has nothing to fetch
        assert stream.status == 200
    pair.redis.start()
    await pair.joined()
    async with at_b.listen(last) as stream:
        assert (await stream.rest())[-1]["id"] == "broken"


# --- the transport of 2024-11-05 -------------------------------------------------------------


class Old:
    """A client of the old transport whose stream is at A, and that posts to B."""

    def __init__(self, pair: Pair, stream: Stream, place: str) -> None:
        self.stream = stream
        self.place = place
        self.at_a = urljoin(pair.a.url, place)
        self.at_b = urljoin(pair.b.url, place)
        self._pair = pair

    async def post(self, message: Any, url: str = "") -> Any:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        speaker = self._pair.b.speaker("")
        sent = {"Content-Type": "application/json"}
        return await speaker.request("POST", url or self.at_b, body, sent)

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
        return await self.ask("initialize", params, id="i")


@asynccontextmanager
async def opened(pair: Pair) -> AsyncIterator[Old]:
    async with pair.a.http.get(pair.at_a.url) as response:
        stream = Stream(response)
        first = await stream.next()
        assert first is not None
        yield Old(pair, stream, first.data)


async def test_what_is_posted_to_another_process_is_answered_over_the_stream(pair: Pair) -> None:
    async with opened(pair) as old:
        assert f"session_id={pair.a.gateway.process}" in old.place
        assert (await old.initialize("2025-06-18", elicitation={}))["id"] == "i"
        assert (await old.ask("tools/list"))["result"]["tools"]
        question = await old.ask("tools/call", {"name": "talker_things_ask"}, id=7)
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": ANN}
        assert (await old.post(answer)).status == 202
        assert (await old.stream.message())["id"] == 7


async def test_what_cannot_be_taken_is_refused_where_it_was_posted(
    pair: Pair, provider: Provider
) -> None:
    Gate(provider)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    async with opened(pair) as old:
        await old.initialize()
        assert (await old.post(b"{")).error["code"] == -32700
        other = await pair.a.server(name="Other")
        elsewhere = other.at(pair.b)

        async def known() -> bool:
            return (await elsewhere.send("tools/list")).status == 200

        await until(known)
        id = old.place.partition("session_id=")[2]
        stolen = await old.post(ping, f"{elsewhere.url}/messages?session_id={id}")
        gone = await old.post(ping, old.at_b.replace(id, "0" * 8 + id[8:]))
        for refused in (stolen, gone):
            assert (refused.status, refused.json["id"]) == (404, 1)
        limit = pair.a.gateway.settings.limits.calls_per_server
        call = {"method": "tools/call", "params": {"name": "talker_things_hold"}}
        for number in range(limit):
            taken = await old.post({"jsonrpc": "2.0", "id": number, **call})
            assert taken.status == 202
        assert (await old.post({"jsonrpc": "2.0", "id": "x", **call})).status == 429
    assert (await old.post(ping)).status == 404


async def test_a_message_that_cannot_be_passed_on_is_never_acknowledged(
    pair: Pair, provider: Provider
) -> None:
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "talker_things_hold"}}
    async with opened(pair) as old:
        await old.initialize()
        pair.redis.freeze()
        refused = await old.post({**call, "id": 1})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert (refused.error["message"], refused.json["id"]) == (AWAY, 1)
        pair.redis.kill()
        await pair.parted()
        assert (await old.post({**call, "id": 2})).status == 503
        assert (await old.post({**call, "id": 3}, old.at_a)).status == 202
        assert (await old.stream.message())["id"] == 3
        pair.redis.start()
        await pair.joined()
        await until(lambda: _takes(old, {**call, "id": 4}))
        assert (await old.stream.message())["id"] == 4
    assert len(provider.requests) == 2


async def test_a_message_that_lay_in_a_frozen_redis_is_not_carried_out_later(
    pair: Pair, provider: Provider
) -> None:
    call = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "talker_things_hold"}}
    async with opened(pair) as old:
        await old.initialize()
        pair.redis.freeze()
        assert (await old.post({**call, "id": 1})).status == 503
        pair.redis.thaw()
        await pair.joined()
        await until(lambda: _takes(old, {**call, "id": 2}))
        assert (await old.stream.message())["id"] == 2
    assert len(provider.requests) == 1


async def _takes(old: Old, message: Any) -> bool:
    return bool((await old.post(message)).status == 202)


# --- what is signed, and what is followed ----------------------------------------------------


async def test_a_question_of_the_newest_revision_is_answered_anywhere(pair: Pair) -> None:
    at_a, at_b = await pair.talks("2026-07-28")
    capable = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
    given = {"name": "talker_things_ask", "arguments": {}, "_meta": capable}
    asked = (await at_a.server.send("tools/call", given)).result
    again = {**given, "inputResponses": {"name": ANN}, "requestState": asked["requestState"]}
    answered = (await at_b.server.send("tools/call", again)).result
    assert json.loads(answered["content"][0]["text"])["name"] == "Ann"
    used = await at_a.server.send("tools/call", again)
    assert "has been used" in used.error["message"]


async def test_listeners_everywhere_hear_of_a_change_and_end_with_their_server(pair: Pair) -> None:
    at_a, at_b = await pair.talks("2025-11-25")
    path = f"/integrated-account/shop/mcp/{pair.at_a.id}"
    async with at_a.listen() as one, at_b.listen() as two, opened(pair) as old:
        await pair.b.request("PATCH", path, {"config": {"methods": ["read"]}})
        for stream in (one, two, old.stream):
            assert (await stream.message())["method"] == "notifications/tools/list_changed"
        await pair.b.request("DELETE", path)
        for stream in (one, two, old.stream):
            assert await stream.rest() == []


async def test_calls_are_served_as_ever_while_redis_is_away(pair: Pair) -> None:
    ready = await pair.a.request("GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready"})
    assert b"\ncrossdock_bus_up 1.0" in (await pair.a.request("GET", "/metrics")).body
    at_a, at_b = await pair.talks("2025-11-25")
    pair.redis.kill()
    await pair.parted()
    for talk in (at_a, at_b):
        params = {"name": "talker_things_hold", "arguments": {}}
        assert not (await talk.send("tools/call", params)).result["isError"]
        assert (await talk.send("logging/setLevel", {"level": "error"})).result == {}
    ready = await pair.a.request("GET", "/readyz")
    assert (ready.status, ready.json["degraded"]) == (200, ["bus"])
    assert "is it running where [bus] url says?" in ready.json["reasons"][0]
    assert b"\ncrossdock_bus_up 0.0" in (await pair.a.request("GET", "/metrics")).body
    deleted = await pair.a.http.delete(at_a.server.url, headers=at_a.headers)
    assert deleted.status == 204
    assert (await at_a.send("tools/list")).status == 404


async def test_a_call_makes_no_round_trip_to_redis(pair: Pair) -> None:
    at_a, _ = await pair.talks("2025-11-25")
    client = Redis.from_url(pair.redis.url())
    async with client:

        async def commands() -> int:
            said = await client.info("commandstats")
            return int(said.get("cmdstat_publish", {}).get("calls", 0))

        before = await commands()
        for _ in range(5):
            await at_a.send("tools/list")
            await at_a.send("tools/call", {"name": "talker_things_hold", "arguments": {}})
        assert await commands() == before


async def test_whoever_waits_for_news_knows_when_to_come_back_each_at_another_moment(
    pair: Pair,
) -> None:
    told: list[int | None] = []
    for revision in ("2025-11-25", "2025-06-18", "2026-07-28"):
        at_a, _ = await pair.talks(revision)
        for _ in range(3):
            if revision == "2026-07-28":
                listen = at_a.open("subscriptions/listen", {"notifications": {}})
            else:
                listen = at_a.listen()
            async with listen as stream:
                first, second = await stream.next(), await stream.next()
                assert first is not None
                assert second is not None
                assert second.retry is None
                told.append(first.retry)
    for _ in range(3):
        async with pair.a.http.get(pair.at_a.url) as response:
            first = await Stream(response).next()
            assert first is not None
            told.append(first.retry)
    assert all(one is not None and one >= 1_000 for one in told)
    assert len({*told}) > 6
