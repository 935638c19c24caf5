"""Sessions: signed, never required, ended by the client, and of one server alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from harness.running import Clock, Running, Server
from harness.speaking import LEGACY, MODERN
from harness.streaming import Talk


@pytest.mark.requirement("mcp:sessions:optional")
@pytest.mark.parametrize("revision", LEGACY)
async def test_initialize_gives_a_session_and_nothing_needs_it(
    talk: Callable[..., Any], server: Server, revision: str
) -> None:
    client = await talk(revision)
    assert client.session.isascii()
    assert client.session.isprintable()
    assert " " not in client.session
    assert (await client.send("ping")).result == {}
    assert (await server.send("ping", {}, revision=revision)).result == {}


@pytest.mark.requirement("mcp:sessions:optional")
async def test_two_sessions_have_two_ids(talk: Callable[..., Any]) -> None:
    assert (await talk("2025-11-25")).session != (await talk("2025-11-25")).session


@pytest.mark.requirement("mcp:sessions:optional")
async def test_no_answer_but_that_to_initialize_carries_a_session(
    talk: Callable[..., Any], server: Server
) -> None:
    client = await talk("2025-11-25")
    for response in (
        await client.send("ping"),
        await client.send("no/such"),
        await client.send("tools/call", {"name": "none"}),
        await server.send("initialize", {}, headers={"MCP-Protocol-Version": MODERN}),
        await server.post(b"{"),
        await server.request("GET", server.url, headers={"MCP-Protocol-Version": "2025-11-25"}),
    ):
        assert "Mcp-Session-Id" not in response.headers, response


@pytest.mark.requirement("mcp:sessions:signed")
@pytest.mark.parametrize("change", ["first", "last", "cut", "more", "empty", "foreign"])
async def test_an_id_that_was_not_given_is_not_found(
    talk: Callable[..., Any], server: Server, change: str
) -> None:
    client = await talk("2025-11-25")
    id = client.session
    client.session = {
        "first": ("B" if id[0] == "A" else "A") + id[1:],
        "last": id[:-1] + ("B" if id[-1] == "A" else "A"),
        "cut": id[:-4],
        "more": id + "AAAA",
        "empty": "",
        "foreign": "1868a90c-7a1b-4c6e-9d7e-5b8f0f6f2c11",
    }[change]
    response = await client.send("ping")
    assert response.status == 404
    assert response.json["id"] == 1
    assert "nitialize" in response.error["message"]
    opened = await server.request("GET", server.url, headers=client.headers)
    assert opened.status == 404


@pytest.mark.requirement("mcp:sessions:signed")
async def test_a_session_of_another_server_is_not_found(
    talking: Running, talk: Callable[..., Any]
) -> None:
    client = await talk("2025-11-25")
    client.server = await talking.server(name="Other")
    assert (await client.send("ping")).status == 404


@pytest.mark.requirement("mcp:sessions:signed")
async def test_the_session_says_which_revision_is_spoken(
    talk: Callable[..., Any], server: Server
) -> None:
    client = await talk("2025-06-18")
    headers = {"Mcp-Session-Id": client.session}
    response = await server.send("tools/list", {}, revision="2025-03-26", headers=headers)
    assert "title" in response.result["tools"][0]  # which 2025-03-26 did not have


@pytest.mark.requirement("mcp:sessions:ended")
async def test_a_session_that_was_deleted_is_not_found_afterwards(
    talk: Callable[..., Any], server: Server
) -> None:
    client, other = await talk("2025-11-25"), await talk("2025-11-25")
    ended = await server.request("DELETE", server.url, headers=client.headers)
    assert (ended.status, ended.body) == (204, b"")
    assert (await client.send("ping")).status == 404
    assert (await server.request("DELETE", server.url, headers=client.headers)).status == 404
    assert (await other.send("ping")).result == {}


@pytest.mark.requirement("mcp:sessions:ended")
async def test_the_streams_of_a_deleted_session_end(
    talk: Callable[..., Any], server: Server
) -> None:
    client = await talk("2025-11-25")
    async with client.listen() as stream:
        await server.request("DELETE", server.url, headers=client.headers)
        assert await stream.rest() == []


@pytest.mark.requirement("mcp:sessions:ended")
async def test_delete_without_a_session_has_nothing_to_end(server: Server) -> None:
    response = await server.request("DELETE", server.url)
    assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.requirement("mcp:sessions:ended")
async def test_a_session_does_not_last_for_ever(
    gateway: Callable[..., Any], pages: Any, clock: Clock, provider: Any
) -> None:
    running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": {"session_seconds": 3600.0}},
        clock=clock,
    )
    client = await Talk(running, await running.server(), "2025-11-25").initialize()
    clock.advance(minutes=59)
    assert (await client.send("ping")).result == {}
    clock.advance(minutes=2)
    assert (await client.send("ping")).status == 404


@pytest.mark.requirement("mcp2026:stateless:always")
async def test_the_newest_revision_knows_no_session(
    talk: Callable[..., Any], server: Server
) -> None:
    old = await talk("2025-11-25")
    for id in (old.session, "nonsense"):
        response = await server.send("tools/list", headers={"Mcp-Session-Id": id})
        assert response.status == 200
        assert "Mcp-Session-Id" not in response.headers


@pytest.mark.requirement("mcp:jsonrpc:errors")
async def test_an_answer_to_no_question_is_accepted_within_a_session(
    talk: Callable[..., Any],
) -> None:
    client = await talk("2025-11-25")
    assert await client.answer(99, {}) == 202
    assert await client.answer("nobody asked", {}) == 202
