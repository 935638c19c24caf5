"""Clients that do not read, and clients that do not finish what they say."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider, raw, reply
from harness.running import MakeGateway, Running, Server
from harness.speaking import envelope

GET = ("get_single_acme_item_by_id", {"id": "a"})
SIZE = 8_000_000
LARGE = json.dumps({"id": "a", "text": "x" * SIZE}).encode()
OLDER = "2025-11-25"


class Silent:
    """A connection that takes nothing unless it is told to."""

    def __init__(self, running: Running) -> None:
        self._address = ("127.0.0.1", int(urlsplit(running.url).port or 0))
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)

    async def open(self) -> Silent:
        await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        return self

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read(self) -> bytes:
        """Take what there is; nothing at the end."""
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, 1 << 20)
        except ConnectionResetError:
            return b""

    async def rest(self) -> bytes:
        found = b""
        async with asyncio.timeout(10):
            while part := await self.read():
                found += part
        return found

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def silent(running: Running, *parts: bytes) -> AsyncIterator[Silent]:
    connection = await Silent(running).open()
    try:
        for part in parts:
            await connection.send(part)
        yield connection
    finally:
        connection.close()


def a_call(server: Server, accept: str = "application/json, text/event-stream") -> bytes:
    message, headers = envelope("tools/call", {"name": GET[0], "arguments": GET[1]}, OLDER, 1)
    body = json.dumps(message).encode()
    lines = [f"POST {urlsplit(server.url).path} HTTP/1.1", "Host: localhost", f"Accept: {accept}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture
async def served(gateway: MakeGateway, acme_folder: Any, provider: Provider) -> Any:
    async def make(**limits: Any) -> Running:
        return await gateway(
            adapters=["acme"],
            accounts={"shop": acme.account(provider.url), "other": acme.account(provider.url)},
            settings={"limits": {"shutdown_seconds": 0.2, **limits}},
        )

    provider.plays(raw(LARGE))
    return make


@pytest.mark.requirement("security:unread:bounded")
@pytest.mark.parametrize("accept", ["application/json, text/event-stream", "text/event-stream"])
async def test_unread_answers_keep_their_slots_and_their_bytes_are_bounded(
    served: Any, provider: Provider, accept: str
) -> None:
    running = await served(answers_bytes_per_server=3 * SIZE)
    server, other = await running.server(), await running.server("other")
    calls = running.gateway.calls
    async with AsyncExitStack() as stack:
        for number in range(1, 4):
            await stack.enter_async_context(silent(running, a_call(server, accept)))
            await until(lambda number=number: calls.bytes >= number * SIZE)
        assert calls.running == 3
        asked = len(provider.requests)
        error = (await server.call(*GET)).error
        assert (error["kind"], error["retryable"]) == ("busy", True)
        assert len(provider.requests) == asked
        assert not (await other.call(*GET)).is_error
    await until(lambda: calls.running == 0)
    assert calls.bytes == 0
    assert not (await server.call(*GET)).is_error


@pytest.mark.requirement("security:unread:bounded")
async def test_large_answers_that_come_at_once_are_bounded_while_they_are_read(
    served: Any, provider: Provider
) -> None:
    running = await served(answers_bytes_per_server=2 * SIZE)
    server = await running.server()
    calls = running.gateway.calls
    async with AsyncExitStack() as stack:
        for _ in range(20):
            await stack.enter_async_context(silent(running, a_call(server)))
        await until(lambda: len(provider.requests) >= 3 and calls.running <= 3)
        assert 0 < calls.bytes < 3 * len(LARGE)
    await until(lambda: calls.running == 0)
    assert calls.bytes == 0


@pytest.mark.requirement("security:unread:bounded")
async def test_who_takes_no_answer_in_time_is_let_go(served: Any, provider: Provider) -> None:
    running = await served(answer_write_seconds=0.2)
    server = await running.server()
    async with silent(running, a_call(server)):
        await until(lambda: running.gateway.calls.running == 1)
        await until(lambda: running.gateway.calls.running == 0)
    assert running.gateway.calls.bytes == 0


@pytest.mark.requirement("security:unread:bounded")
async def test_who_reads_slowly_but_reads_gets_the_whole_answer(
    served: Any, provider: Provider
) -> None:
    running = await served()
    server = await running.server()
    async with silent(
        running, a_call(server).replace(b"Host:", b"Connection: close\r\nHost:")
    ) as slow:
        answer = await slow.rest()
    assert answer.count(b"x") >= SIZE
    await until(lambda: running.gateway.calls.running == 0)


@pytest.mark.requirement("security:unread:bounded")
async def test_an_unread_answer_on_the_oldest_transport_keeps_its_slot(
    served: Any, provider: Provider
) -> None:
    running = await served()
    server = await running.server()
    path = urlsplit(server.url).path
    opening = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    async with silent(running, opening.encode()) as stream:
        seen = b""
        while b"session_id=" not in seen:
            seen += await stream.read()
        where = seen.split(b"data: ")[1].split(b"\n")[0].strip().decode()
        for method, id in (("initialize", 1), ("tools/call", 2)):
            params: dict[str, Any] = {"name": GET[0], "arguments": GET[1]}
            if method == "initialize":
                params = {
                    "protocolVersion": "2024-11-05",
                    "capabilities": {},
                    "clientInfo": {"name": "t", "version": "0"},
                }
            message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
            async with running.http.post(running.url + where, json=message) as accepted:
                assert accepted.status == 202
        await until(lambda: running.gateway.calls.bytes >= SIZE)
        assert running.gateway.calls.running == 1
    await until(lambda: running.gateway.calls.running == 0)
    assert running.gateway.calls.bytes == 0


# --- heads and connections -------------------------------------------------------------------


@pytest.mark.requirement("security:connections:bounded")
@pytest.mark.parametrize("said", [b"", b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "])
async def test_a_head_that_does_not_come_ends_its_connection(served: Any, said: bytes) -> None:
    running = await served(header_seconds=0.2)
    async with silent(running, said) as slow:
        assert await slow.rest() == b""


@pytest.mark.requirement("security:connections:bounded")
async def test_a_second_head_has_its_own_deadline_and_silence_between_is_allowed(
    served: Any,
) -> None:
    running = await served(header_seconds=0.2)
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with silent(running, ask) as patient, silent(running, ask) as slow:
        assert b"200 OK" in await patient.read()
        assert b"200 OK" in await slow.read()
        await slow.send(b"GET /healthz HT")
        assert await slow.rest() == b""
        await patient.send(ask)
        assert b"200 OK" in await patient.read()


@pytest.mark.requirement("security:connections:bounded")
async def test_a_call_that_takes_long_is_no_slow_head(served: Any, provider: Provider) -> None:
    running = await served(header_seconds=0.1)
    server = await running.server()
    go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await go.wait()
        return await reply({"id": "a"})(request)

    provider.plays(wait)
    call = asyncio.create_task(server.call(*GET))
    async with silent(running, b"") as slow:
        assert await slow.rest() == b""
    go.set()
    assert (await call).data == {"id": "a"}


@pytest.mark.requirement("security:connections:bounded")
async def test_idle_connections_make_room_for_new_ones(served: Any) -> None:
    running = await served(connections=10)
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(silent(running)) for _ in range(30)]
        assert await idle[0].rest() == b""
        last = idle[-1]
        await last.send(ask)
        assert b"200 OK" in await last.read()
