"""Slots: what waits for a human holds none, and nobody takes those of others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import talker
from harness.patience import until
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running, Server
from harness.speaking import Called
from harness.streaming import Talk

OLDER = "2025-11-25"
ASK = "talker_things_ask_and_write"
HOLD = "talker_things_hold"
YES = {"action": "accept", "content": {"name": "Ann"}}


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return talker.write(tmp_path / "gateway-1" / "plugins") / "docs"


async def served(gateway: MakeGateway, provider: Provider, **limits: Any) -> Running:
    account = {"integration": "talker", "settings": {"base_url": provider.url}}
    return await gateway(
        adapters=["talker"],
        accounts={"shop": account, "other": account},
        settings={"limits": {"shutdown_seconds": 1.0, **limits}},
    )


async def asked(stack: AsyncExitStack, running: Running, server: Server) -> tuple[Talk, Any, Any]:
    """Call a tool that asks; return the client, its stream and the question, or a refusal."""
    client = await Talk(running, server, OLDER).initialize(elicitation={})
    stream = await stack.enter_async_context(client.call(ASK))
    if stream.headers["Content-Type"].startswith("application/json"):
        return client, stream, await stream.response.json()
    return client, stream, await stream.message()


@pytest.mark.requirement("security:slots:asking")
async def test_abandoned_questions_hold_up_nobody(
    gateway: MakeGateway, pages: Path, provider: Provider
) -> None:
    running = await served(gateway, provider, calls_per_server=2, calls_in_all=3)
    server, other = await running.server(), await running.server("other")
    async with AsyncExitStack() as stack:
        for _ in range(5):
            await asked(stack, running, server)
        assert (running.gateway.calls.running, running.gateway.calls.asking) == (0, 5)
        for one in (server, other):
            assert (await one.call(HOLD)).data == {"ok": True}


@pytest.mark.requirement("security:slots:asking")
@pytest.mark.parametrize("limit", ["questions_per_server", "questions_in_all"])
async def test_questions_have_a_limit_of_their_own(
    gateway: MakeGateway, pages: Path, provider: Provider, limit: str
) -> None:
    running = await served(gateway, provider, **{limit: 2})
    server = await running.server()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await asked(stack, running, server)
        _, _, refused = await asked(stack, running, server)
        error = Called(None, refused["result"]).error  # type: ignore[arg-type]
        assert (error["kind"], error["retryable"]) == ("busy", True)
        assert provider.requests == []
        again = await running.server("other")
        if limit == "questions_per_server":
            _, _, question = await asked(stack, running, again)
            assert question["method"] == "elicitation/create"


@pytest.mark.requirement("security:slots:asking")
async def test_the_answer_finds_a_slot_or_the_call_is_busy_and_sends_nothing(
    gateway: MakeGateway, pages: Path, provider: Provider
) -> None:
    running = await served(gateway, provider, calls_per_server=1)
    server = await running.server()
    go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await go.wait()
        return await reply({})(request)

    provider.plays(wait)
    async with AsyncExitStack() as stack:
        client, stream, question = await asked(stack, running, server)
        holding = asyncio.create_task(server.call(HOLD))
        await until(lambda: len(provider.requests) == 1)
        await client.answer(question["id"], YES)
        answer = await stream.message()
        assert Called(None, answer["result"]).error["kind"] == "busy"  # type: ignore[arg-type]
        assert len(provider.requests) == 1
        go.set()
        assert not (await holding).is_error
        client, stream, question = await asked(stack, running, server)
        await client.answer(question["id"], YES)
        answer = await stream.message()
        assert Called(None, answer["result"]).data == {"action": "accept", "name": "Ann"}  # type: ignore[arg-type]
    assert (running.gateway.calls.running, running.gateway.calls.asking) == (0, 0)


@pytest.mark.requirement("security:slots:fair")
async def test_an_account_with_many_urls_leaves_slots_to_others(
    gateway: MakeGateway, pages: Path, provider: Provider
) -> None:
    running = await served(gateway, provider, calls_per_server=2, calls_per_account=3)
    mine = [await running.server() for _ in range(2)]
    other = await running.server("other")
    go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await go.wait()
        return await reply({})(request)

    provider.plays(wait)
    calls = [asyncio.create_task(mine[number % 2].call(HOLD)) for number in range(4)]
    calls.append(asyncio.create_task(other.call(HOLD)))
    await until(lambda: len(provider.requests) == 4 and any(call.done() for call in calls))
    go.set()
    answers = await asyncio.gather(*calls)
    assert [one.error["kind"] for one in answers if one.is_error] == ["busy"]
    assert not answers[-1].is_error


@pytest.mark.requirement("security:slots:fair")
async def test_a_write_keeps_its_slot_when_its_client_hangs_up(
    gateway: MakeGateway, pages: Path, provider: Provider
) -> None:
    running = await served(gateway, provider, calls_per_server=1)
    server = await running.server()
    go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await go.wait()
        return await reply({})(request)

    provider.plays(wait)
    gone = asyncio.create_task(server.call("talker_things_purge"))
    await until(lambda: len(provider.requests) == 1)
    gone.cancel()
    error = (await server.call(HOLD)).error
    assert (error["kind"], len(provider.requests)) == ("busy", 1)
    go.set()
    await until(lambda: running.gateway.calls.running == 0)


@pytest.mark.requirement("security:slots:fair")
async def test_an_account_that_holds_all_its_connections_holds_none_of_anothers(
    gateway: MakeGateway, pages: Path, provider: Provider
) -> None:
    running = await served(gateway, provider, upstream_connections=2)
    mine, other = await running.server(), await running.server("other")
    go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await go.wait()
        return await reply({"ok": True})(request)

    provider.plays(wait)
    held = [asyncio.create_task(mine.call(HOLD)) for _ in range(4)]
    await until(lambda: len(provider.requests) == 2)
    another = asyncio.create_task(other.call(HOLD))
    await until(lambda: len(provider.requests) == 3)
    go.set()
    assert (await another).data == {"ok": True}
    assert all(not called.is_error for called in await asyncio.gather(*held))
