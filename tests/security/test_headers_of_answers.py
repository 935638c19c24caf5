"""Every answer says that it may not be kept, and none names the libraries behind it."""

from __future__ import annotations

import re

import pytest
from harness.running import Running
from harness.speaking import raw_exchange

from crossdock.access.tokens import mint

pytestmark = pytest.mark.requirement("security:answers:unkept")
HELLO = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
    b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}'
)


async def first_bytes(running: Running, path: str, headers: dict[str, str]) -> dict[str, str]:
    """Open a stream, and return the headers it begins with."""
    async with running.http.get(running.url + path, headers=headers) as answer:
        assert answer.status == 200
        return dict(answer.headers)


async def test_streams_errors_and_answers_are_kept_by_no_cache(acme_gateway: Running) -> None:
    server = await acme_gateway.server()
    found = []
    for token in (server.token, mint("mcp"), "x"):
        for verb in ("POST", "GET", "DELETE", "PUT", "OPTIONS"):
            for path in (f"/mcp/{token}", f"/mcp/{token}/messages", f"/mcp/{token}/nothing"):
                speaker = acme_gateway.speaker(path)
                found.append(
                    await speaker.request(verb, speaker.url, b"{", {"Accept": "application/json"})
                )
    found += [await server.send("tools/list", revision=one) for one in ("2026-07-28", "2025-11-25")]
    for answer in found:
        assert "no-store" in answer.headers["Cache-Control"], answer
        assert answer.headers["Server"] == "crossdock"
    hello = await server.post(HELLO)
    session = {"Accept": "text/event-stream", "Mcp-Session-Id": hello.headers["Mcp-Session-Id"]}
    path = f"/mcp/{server.token}"
    for where, headers in (
        (path, session),
        (path, {"Accept": "*/*"}),
        (path, {"Accept": "text/event-stream"}),
        (f"{path}/sse", {"Accept": "*/*"}),
    ):
        begun = await first_bytes(acme_gateway, where, headers)
        assert begun["Content-Type"].startswith("text/event-stream")
        assert {"no-store", "no-transform"} <= {
            word.strip() for word in begun["Cache-Control"].split(",")
        }
        assert begun["Server"] == "crossdock"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_answer_names_a_library(acme_gateway: Running, raw: bytes) -> None:
    head = (await raw_exchange(acme_gateway.url, raw)).partition(b"\r\n\r\n")[0]
    assert re.search(rb"(?im)^server: crossdock\r?$", head), head
    assert re.search(rb"(?im)^cache-control: no-store\r?$", head), head
    assert not re.search(rb"(?i)aiohttp|python", head)
