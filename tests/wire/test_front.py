"""Requests of the usual shape take a short way: nobody can tell by the answer.

The same message is sent in the usual shape and in one that the Application serves; status, headers
and body must be alike, whatever came of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from harness.provider import Provider, reply
from harness.running import Server, Shared
from harness.speaking import MODERN, envelope

from crossdock.access.tokens import mint

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.requirement("mcp:http:negotiation"),
]

PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LIMITED = {"RateLimit_Limit": "10", "RateLimit_Remaining": "3", "RateLimit_Reset": "7"}
Answer = tuple[bytes, list[tuple[str, bytes]], bytes]


class Wire:
    """A connection to the gateway on which bytes are sent and whole answers read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> Answer:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, *lines = head[:-4].split(b"\r\n")
        pairs = [
            (name.decode().lower(), value) for name, value in (one.split(b": ", 1) for one in lines)
        ]
        length = int(dict(pairs).get("content-length", b"0"))
        return status, sorted(pairs), await self.reader.readexactly(length)

    async def ask(self, request: bytes) -> Answer:
        self.writer.write(request)
        async with asyncio.timeout(10):
            return await self.answer()


@pytest_asyncio.fixture(loop_scope="session")
async def wire(shared: Shared) -> AsyncIterator[Wire]:
    place = urlsplit(shared.running.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    yield Wire(reader, writer)
    writer.close()


def request_of(
    path: str, body: bytes = PING, *more: str, host: str = "localhost", version: str = "1.1"
) -> bytes:
    lines = [f"POST {path} HTTP/{version}", f"Host: {host}", f"Content-Length: {len(body)}", *more]
    if not any(line.startswith("Content-Type") for line in more):
        lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def alike(one: Answer, other: Answer) -> None:
    def told(answer: Answer) -> Answer:
        status, headers, body = answer
        return status, [pair for pair in headers if pair[0] != "date"], body

    assert told(one) == told(other)
    assert ("date" in dict(one[1])) == ("date" in dict(other[1]))


def call(name: str, arguments: dict[str, Any]) -> bytes:
    message, _ = envelope("tools/call", {"name": name, "arguments": arguments}, MODERN)
    return json.dumps(message).encode()


ID = "X-Request-Id: the-same.1"
NEW = f"MCP-Protocol-Version: {MODERN}"
CALLED = (NEW, "Mcp-Method: tools/call", "Mcp-Name: acme_items_count", ID)
CASES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a ping": (PING, (ID,)),
    "a notification": (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', (ID,)),
    "no JSON": (b"{", (ID,)),
    "no body": (b"", (ID,)),
    "an unknown method": (b'{"jsonrpc":"2.0","id":"x","method":"y"}', (ID,)),
    "another media type": (PING, (ID, "Content-Type: text/plain")),
    "an encoded body": (PING, (ID, "Content-Encoding: gzip")),
    "nothing acceptable": (PING, (ID, "Accept: image/png")),
    "an event stream only": (PING, (ID, "Accept: text/event-stream")),
    "a session that is none": (PING, (ID, "Mcp-Session-Id: nonsense")),
    "initialize": (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}',
        (ID,),
    ),
    "a call": (call("acme_items_count", {}), CALLED),
    "a call that is refused": (call("acme_items_count", {"x": 1}), CALLED),
    "a call with a wrong header": (
        call("acme_items_count", {}),
        (NEW, "Mcp-Method: tools/list", "Mcp-Name: acme_items_count", ID),
    ),
    "a tool that is unknown": (call("acme_items_count_", {}), CALLED),
    "a list": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', (ID,)),
    "a batch": (b"[" + PING + b"]", (ID, "MCP-Protocol-Version: 2025-03-26")),
}


def path_of(server: Server) -> str:
    return urlsplit(server.url).path


@pytest.mark.parametrize("case", CASES)
async def test_what_is_answered_does_not_depend_on_the_way(
    wire: Wire, server: Server, upstream: Provider, case: str
) -> None:
    body, more = CASES[case]
    upstream.plays(*(reply({"count": 7}, **LIMITED) for _ in range(3)))
    short = await wire.ask(request_of(path_of(server), body, *more))
    assert dict(short[1])["x-request-id"] == b"the-same.1"
    long = await wire.ask(request_of(path_of(server) + "?", body, *more))
    if case == "initialize":  # the id of a new session differs
        short = (short[0], [pair for pair in short[1] if pair[0] != "mcp-session-id"], short[2])
        long = (long[0], [pair for pair in long[1] if pair[0] != "mcp-session-id"], long[2])
    alike(short, long)
    assert dict(short[1])["server"] == b"crossdock"
    assert b"no-" in dict(short[1])["cache-control"]


@pytest.mark.parametrize("token", ["an unknown one", "one of no form", "none"])
async def test_who_is_turned_away_is_told_the_same(wire: Wire, token: str) -> None:
    path = {"an unknown one": f"/mcp/{mint('mcp')}", "one of no form": "/mcp/cdm_x", "none": "/mcp"}
    alike(
        await wire.ask(request_of(path[token], PING, ID)),
        await wire.ask(request_of(path[token] + "?", PING, ID)),
    )


async def test_the_provider_s_limits_are_told_on_the_short_way(
    wire: Wire, server: Server, upstream: Provider
) -> None:
    upstream.plays(reply({"count": 7}, **LIMITED))
    _, headers, _ = await wire.ask(
        request_of(path_of(server), call("acme_items_count", {}), *CALLED)
    )
    told = dict(headers)
    assert (told["ratelimit-limit"], told["ratelimit-remaining"]) == (b"10", b"3")
    assert b";q=10" in told["ratelimit-policy"]


UNUSUAL: dict[str, Callable[[str], bytes]] = {
    "another host": lambda path: request_of(path, PING, host="evil.example"),
    "two hosts": lambda path: request_of(path, PING, "Host: localhost"),
    "a page that is foreign": lambda path: request_of(path, PING, "Origin: https://evil.example"),
    "a page of this machine": lambda path: request_of(path, PING, "Origin: http://localhost:1"),
    "HTTP/1.0": lambda path: request_of(path, PING, version="1.0"),
    "Connection: close": lambda path: request_of(path, PING, "Connection: close"),
    "Expect": lambda path: request_of(path, PING, "Expect: 100-continue"),
    "an absolute target": lambda path: request_of(f"http://localhost{path}", PING),
    "an ambiguous path": lambda path: request_of(f"/x/..{path}", PING),
    "an encoded path": lambda path: request_of(path.replace("cdm_", "%63dm_"), PING),
    "a slash more": lambda path: request_of(f"{path}/", PING),
}
STATUSES = {
    "another host": 421,
    "two hosts": 400,
    "a page that is foreign": 403,
    "an ambiguous path": 400,
}


@pytest.mark.parametrize("case", UNUSUAL)
async def test_what_looks_different_is_served_or_refused_as_ever(
    wire: Wire, server: Server, case: str
) -> None:
    status, headers, _ = await wire.ask(UNUSUAL[case](path_of(server)))
    if case == "Expect":
        assert status == b"HTTP/1.1 100 Continue"
        status, headers, _ = await wire.answer()
    assert int(status.split()[1]) == STATUSES.get(case, 200)
    if case in ("HTTP/1.0", "Connection: close"):
        async with asyncio.timeout(10):
            assert await wire.reader.read() == b""  # closed
    assert dict(headers)["server"] == b"crossdock"


async def test_requests_that_come_together_are_answered_in_their_order(
    wire: Wire, server: Server
) -> None:
    path = path_of(server)
    sent = [
        request_of(path if number % 3 else f"{path}?", PING.replace(b"1", b"%d" % number))
        for number in range(1, 8)
    ]
    wire.writer.write(b"".join(sent))
    for number in range(1, 8):
        _, _, body = await wire.answer()
        assert json.loads(body)["id"] == number


async def test_a_request_may_come_byte_by_byte(wire: Wire, server: Server) -> None:
    for byte in request_of(path_of(server)):
        wire.writer.write(bytes([byte]))
        await wire.writer.drain()
    status, _, body = await wire.answer()
    assert (status, json.loads(body)["result"]) == (b"HTTP/1.1 200 OK", {})
