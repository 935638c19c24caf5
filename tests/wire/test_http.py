"""HTTP itself at the MCP URL: content types, sizes, verbs, paths, what is hardly HTTP at all."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from urllib.parse import urlsplit

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import Server, Shared
from harness.speaking import MODERN, envelope, raw_exchange

from crossdock.access.tokens import mint

pytestmark = pytest.mark.asyncio(loop_scope="session")
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.mark.requirement("mcp:http:negotiation")
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "text/json", "multipart/form-data", ""],
)
async def test_a_body_that_is_not_called_json_is_415(server: Server, kind: str) -> None:
    response = await server.post(PING, {"Content-Type": kind})
    assert response.status == 415
    assert response.error["message"]


@pytest.mark.requirement("mcp:http:negotiation")
@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
async def test_json_may_be_called_so_in_several_ways(server: Server, kind: str) -> None:
    assert (await server.post(PING, {"Content-Type": kind})).result == {}


@pytest.mark.requirement("door:body:bounded")
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "x"])
async def test_an_encoded_body_is_415_whatever_it_holds(server: Server, encoding: str) -> None:
    for body in (gzip.compress(PING), PING, b"\x00"):
        response = await server.post(body, {"Content-Encoding": encoding})
        assert response.status == 415


@pytest.mark.requirement("mcp:http:negotiation")
@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        (None, 200, "application/json"),
        ("application/json", 200, "application/json"),
        ("application/json, text/event-stream", 200, "application/json"),
        ("text/event-stream, application/json;q=0.5", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("APPLICATION/JSON", 200, "application/json"),
        ("text/event-stream", 200, "text/event-stream"),
        ("text/*", 200, "text/event-stream"),
        ("text/event-stream, application/json;q=0", 200, "text/event-stream"),
        ("text/html", 406, "application/json"),
        ("image/png, application/xml", 406, "application/json"),
        ("application/json;q=0", 406, "application/json"),
    ],
)
@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
async def test_accept_is_read_with_lenience(
    server: Server, accept: str | None, status: int, kind: str, revision: str
) -> None:
    headers = {"Accept": accept, "User-Agent": None}
    response = await server.send("tools/list", revision=revision, headers=headers)
    assert response.status == status
    assert response.headers["Content-Type"].startswith(kind)
    if kind == "text/event-stream":
        event, data = response.body.decode().strip().split("\n")
        assert event == "event: message"
        assert json.loads(data.removeprefix("data: "))["result"]["tools"]
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "no-cache" in response.headers["Cache-Control"]


@pytest.mark.requirement("door:body:bounded")
async def test_a_body_above_the_limit_is_413_and_the_next_request_is_served(
    server: Server, upstream: Provider
) -> None:
    message, headers = envelope("tools/call", {"name": "acme_items_count", "x": "y" * 1_100_000})
    sent = {name: value for name, value in headers.items() if value is not None}
    response = await server.post(json.dumps(message).encode(), sent)
    assert response.status == 413
    assert upstream.requests == []
    assert not (await server.call("acme_items_count")).is_error


@pytest.mark.requirement("door:body:bounded")
async def test_a_chunked_body_is_bounded_too(shared: Shared, server: Server) -> None:
    path = urlsplit(server.url).path
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = await raw_exchange(server.url, head + chunk * 20 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.requirement("mcp2026:methods:removed")
@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
async def test_an_unknown_verb_is_405_and_names_those_that_work(server: Server, verb: str) -> None:
    response = await server.request(verb, server.url, b"{}")
    assert response.status == 405
    assert "POST" in response.headers["Allow"]
    assert response.json


@pytest.mark.requirement("server:url:self-contained")
async def test_a_slash_at_the_end_makes_no_difference_and_no_redirect(server: Server) -> None:
    response = await server.request(
        "POST", f"{server.url}/", PING, {"Content-Type": "application/json"}
    )
    assert response.result == {}


@pytest.mark.requirement("door:token:never-logged")
@pytest.mark.parametrize(
    "make",
    [
        lambda path: f"GET {path} HTTP/9.9\r\n\r\n",
        lambda path: f"GET {path}\r\n\r\n",
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n",
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n",
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        lambda path: (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"
        ),
        lambda path: (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            "Content-Length: 4\r\n\r\nabcd"
        ),
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        lambda path: f"{'X' * 9000} {path} HTTP/1.1\r\n\r\n",
        lambda path: f"POST {path}{'y' * 9000} HTTP/1.1\r\nHost: a\r\n\r\n",
        lambda path: f"POST {path} HTTP/1.1\r\nHost: a\r\nX: {'z' * 20000}\r\n\r\n",
        lambda path: f"\x16\x03\x01 {path}",
    ],
    ids=[
        "version",
        "no version",
        "no colon",
        "nul",
        "negative length",
        "length no number",
        "two lengths",
        "length and chunks",
        "bad chunk",
        "long verb",
        "long target",
        "long header",
        "tls",
    ],
)
async def test_what_is_hardly_http_gets_fixed_words_that_repeat_nothing(
    shared: Shared, server: Server, make: object
) -> None:
    path = urlsplit(server.url).path
    assert callable(make)
    request = make(path).encode("latin-1")
    answer = await raw_exchange(server.url, request + b"\r\n\r\n")
    shared.running.canaries.saw(answer, where="an answer to bad HTTP")
    assert re.match(rb"HTTP/\d\.\d 4\d\d ", answer), answer[:200]
    assert server.token.encode() not in answer
    assert (await server.send("ping", revision="2025-11-25")).result == {}


@pytest.mark.requirement("door:token:never-logged")
async def test_a_client_that_hangs_up_midway_harms_nobody(shared: Shared, server: Server) -> None:
    parts = urlsplit(server.url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 99\r\n"
    kind = "Content-Type: application/json\r\n\r\n"
    for text in ("", head[:20], head, head + kind, head + kind + "{"):
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(text.encode())
        await writer.drain()
        raw = writer.get_extra_info("socket")
        assert isinstance(raw.fileno(), int)
        writer.transport.abort()
    assert (await server.send("ping", revision="2025-11-25")).result == {}


@pytest.mark.requirement("door:token:never-logged")
async def test_two_requests_at_once_on_one_connection_are_both_answered(server: Server) -> None:
    parts = urlsplit(server.url)
    one = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(PING)}\r\n"
    ).encode()
    answer = await raw_exchange(
        server.url, one + b"\r\n" + PING + one + b"Connection: close\r\n\r\n" + PING
    )
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.requirement("door:well-known:quiet")
@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource{path}",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server{path}",
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration{path}",
        "{path}/.well-known/openid-configuration",
        "/.well-known/x",
        "/authorize",
        "/register",
        "/",
        "/favicon.ico",
    ],
)
async def test_probes_get_a_quick_404_in_json(server: Server, shared: Shared, path: str) -> None:
    target = shared.running.url + path.format(path=urlsplit(server.url).path)
    for verb in ("GET", "POST"):
        response = await server.request(verb, target)
        assert response.status == 404
        assert response.json
        assert "Location" not in response.headers


@pytest.mark.requirement("door:health:open")
async def test_health_answers_without_a_token(shared: Shared) -> None:
    speaker = shared.running.speaker("")
    healthy = await speaker.request("GET", shared.running.url + "/healthz")
    ready = await speaker.request("GET", shared.running.url + "/readyz")
    assert (healthy.status, healthy.json["status"]) == (200, "ok")
    assert (ready.status, ready.json["status"]) == (200, "ready")


@pytest.mark.requirement("tools:errors:typed")
@pytest.mark.parametrize("given", ["abc-1", "", "bad id", "x" * 65, "é", "a\tb"])
async def test_every_answer_has_a_request_id_and_a_proper_one_is_kept(
    server: Server, given: str
) -> None:
    response = await server.post(PING, {"X-Request-Id": given})
    shown = response.headers["X-Request-Id"]
    assert shown == given if given == "abc-1" else len(shown) == 32


@pytest.mark.requirement("door:token:never-logged")
@pytest.mark.parametrize("secret", [mint("mcp"), acme.API_KEY], ids=["a token", "a credential"])
async def test_a_request_id_that_holds_a_secret_is_not_kept(server: Server, secret: str) -> None:
    response = await server.post(PING, {"X-Request-Id": f"id-{secret}"})
    assert secret not in response.headers["X-Request-Id"]


@pytest.mark.requirement("door:host:checked")
async def test_the_gateway_listens_on_loopback_only(shared: Shared) -> None:
    assert urlsplit(shared.running.url).hostname == "127.0.0.1"
