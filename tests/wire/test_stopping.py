"""A stop that nobody notices: who is connected is answered, who runs gets to end, streams are told."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, TCPConnector, web
from harness import acme, running
from harness.patience import until
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running, Server
from harness.speaking import envelope
from harness.streaming import Stream, Talk

LONG = 30.0  # longer than any test; a stop ends as soon as nobody is connected
LISTED = b'{"jsonrpc":"2.0","id":7,"method":"tools/list"}'


@pytest.fixture
async def lingering(gateway: MakeGateway, acme_folder: Any, provider: Provider) -> Running:
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {**running.SMALL, "shutdown_seconds": LONG}},
        linger=LONG,
    )


@asynccontextmanager
async def stopping(running: Running) -> AsyncIterator[asyncio.Task[None]]:
    """While the gateway stops; at the end it has stopped."""
    stop = asyncio.create_task(running.listener.close())
    await until(lambda: running.gateway.draining)
    try:
        yield stop
        await asyncio.wait_for(stop, LONG)
    finally:
        stop.cancel()


def _request(server: Server, path: str = "") -> bytes:
    parts = urlsplit(server.url)
    head = f"POST {path or parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    kind = "Content-Type: application/json\r\nAccept: application/json\r\n"
    return f"{head}{kind}Content-Length: {len(LISTED)}\r\n\r\n".encode() + LISTED


async def _answer(connection: socket.socket) -> bytes:
    loop, read = asyncio.get_running_loop(), b""
    while part := await asyncio.wait_for(loop.sock_recv(connection, 65536), LONG):
        read += part
    return read


def _connected(running: Running) -> socket.socket:
    """Connect while the gateway's loop does not turn: nobody accepts."""
    parts = urlsplit(running.url)
    made = socket.create_connection((parts.hostname, parts.port))
    made.setblocking(False)
    return made


@pytest.mark.requirement("nodes:stop:answered")
async def test_who_has_connected_when_a_stop_begins_is_answered(lingering: Running) -> None:
    server = await lingering.server()
    await lingering.http.close()
    connections = [_connected(lingering) for _ in range(20)]
    async with stopping(lingering):
        for one in connections:
            one.send(_request(server))
        for one in connections:
            with one:
                head, _, body = (await _answer(one)).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                assert b"Connection: close" in head
                assert json.loads(body)["id"] == 7


@pytest.mark.requirement("nodes:stop:answered")
async def test_open_connections_are_used_once_more_and_nobody_new_is_let_in(
    lingering: Running,
) -> None:
    server = await lingering.server()
    async with stopping(lingering):
        with pytest.raises(OSError):
            _connected(lingering)
        # The session's one connection was opened when the server was made.
        response = await server.post(LISTED, {"Accept": "application/json"})
        assert response.status == 200
        assert response.headers["Connection"] == "close"
        with pytest.raises(OSError):
            await server.post(LISTED)


@pytest.mark.requirement("nodes:stop:answered")
async def test_readyz_tells_proxies_that_a_stop_has_begun(lingering: Running) -> None:
    async with lingering.http.get(f"{lingering.url}/readyz") as reply:
        assert reply.status == 200
    async with stopping(lingering), lingering.http.get(f"{lingering.url}/readyz") as reply:
        assert reply.status == 503
        assert reply.headers["Connection"] == "close"
        assert (await reply.json())["reasons"] == ["the gateway is shutting down"]


class Held:
    """A provider that answers when it is told to."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.go = asyncio.Event()
        provider.plays(self._play)

    async def _play(self, request: web.Request) -> web.StreamResponse:
        await self.go.wait()
        return await reply({"id": "9", "title": "Box"})(request)


@pytest.mark.requirement("nodes:stop:answered")
async def test_a_call_that_runs_gets_to_end_and_its_connection_is_closed(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    running = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {"shutdown_seconds": LONG}},
    )
    held, server = Held(provider), await running.server()
    call = asyncio.create_task(server.call("get_single_acme_item_by_id", {"id": "9"}))
    await until(lambda: provider.requests)
    async with stopping(running) as stop:
        with pytest.raises(OSError):
            _connected(running)
        assert not stop.done()
        held.go.set()
        called = await call
        assert called.data["title"] == "Box"
        assert called.response.headers["Connection"] == "close"


@pytest.mark.requirement("nodes:stop:streams")
async def test_streams_are_told_when_to_come_back(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running.server()
    older, newest = Talk(running, server, "2025-11-25"), Talk(running, server, "2026-07-28")
    await older.initialize()
    wanted = {"notifications": {"toolsListChanged": True}}
    async with (
        older.listen() as standalone,
        newest.open("subscriptions/listen", wanted) as subscribed,
        running.http.get(server.url, headers={"Accept": "text/event-stream"}) as oldest,
    ):
        streams = [standalone, subscribed, Stream(oldest)]
        for one in streams:
            assert await one.next() is not None  # the stream stands
        async with stopping(running):
            for one in streams:
                last = None
                while (event := await one.next()) is not None:
                    last = event
                assert last is not None
                assert last.retry is not None
                assert 1_000 <= last.retry <= 2_000


@pytest.mark.requirement("nodes:stop:streams")
async def test_the_oldest_transport_gets_its_answers_before_its_stream_ends(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    running = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {"shutdown_seconds": LONG}},
    )
    held, server = Held(provider), await running.server()
    async with (
        ClientSession(connector=TCPConnector(force_close=True)) as http,
        http.get(server.url, headers={"Accept": "text/event-stream"}) as response,
    ):
        stream = Stream(response)
        place = await stream.next()
        assert place is not None
        params = {"name": "get_single_acme_item_by_id", "arguments": {"id": "9"}}
        message, _ = envelope("tools/call", params, "2024-11-05")
        async with http.post(running.url + place.data, json=message) as taken:
            assert taken.status == 202
        await until(lambda: provider.requests)
        async with stopping(running) as stop:
            with pytest.raises(OSError):
                _connected(running)
            assert not stop.done()
            held.go.set()
            answer = await stream.message()
            assert "Box" in answer["result"]["content"][0]["text"]
            assert await stream.rest() == []
