"""The nginx configuration that is shipped, in a real nginx, with TLS, in front of a real gateway."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from clients import environments
from e2e.real_clients import WAYS, Way, check, go, program
from harness import malomo, stdio
from harness.patience import until
from harness.proxied import Nginx
from harness.running import MakeGateway, Running, Server

pytestmark = [pytest.mark.e2e, pytest.mark.requirement("clients:real:nginx")]
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
LIST = b'{"jsonrpc":"2.0","id":"here","method":"tools/list"}'
THROUGH = [
    way
    for way in WAYS
    if str(way)
    in {
        "mcp2-http",
        "mcp2-sse",
        "mcp1-http",
        "fastmcp-legacy-http",
        "client2-http",
        "sdk1-http",
        "sdk1-sse-path",
        "mcp2-our bridge",
        "mcp1-our bridge",
        "fastmcp-legacy-our bridge for Node",
        "mcp2-mcp-remote",
    }
]


class Front(NamedTuple):
    """A gateway behind nginx, a server of it, and a browser-like session that trusts it."""

    nginx: Nginx
    running: Running
    server: Server
    http: ClientSession

    @property
    def url(self) -> str:
        return f"{self.nginx.url}/mcp/{self.server.token}"


@pytest.fixture
async def front(
    gateway: MakeGateway, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Front]:
    (tmp_path / "nginx").mkdir()
    nginx = Nginx(tmp_path / "nginx")
    monkeypatch.setenv("SSL_CERT_FILE", str(nginx.certificate))
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(nginx.certificate))
    running = await gateway(
        accounts={"shop": malomo.account(shop)},
        settings={"server": {"public_url": nginx.url, "trusted_proxies": ["127.0.0.1/32"]}},
    )
    server = await running.server()
    direct = f"{running.url}/mcp/{server.token}"
    assert server.url == f"{nginx.url}/mcp/{server.token}"
    server.url = direct  # the tests compare with what the gateway itself says
    connector = TCPConnector(ssl=nginx.trust)
    async with (
        nginx.in_front_of(running.url),
        ClientSession(connector=connector, timeout=ClientTimeout(total=20)) as http,
    ):
        yield Front(nginx, running, server, http)
    assert server.token not in nginx.logs


async def test_clients_of_every_kind_work_through_it_at_once(front: Front, tmp_path: Path) -> None:
    assert len(THROUGH) == 11
    turns = asyncio.Semaphore(3)

    async def turn(way: Way) -> tuple[Way, list[dict[str, Any]]]:
        async with turns:
            return way, await go(
                way, front.url, tmp_path, SSL_CERT_FILE=str(front.nginx.certificate)
            )

    for way, answers in await asyncio.gather(*map(turn, THROUGH)):
        await check(way, answers, front.server)
    assert "/mcp/[token] 200" in front.nginx.logs
    assert "/mcp/[token]/sse 200" in front.nginx.logs


async def test_a_certificate_that_is_not_trusted_is_named_as_the_reason(front: Front) -> None:
    nowhere = {"SSL_CERT_FILE": "/dev/null", "NODE_EXTRA_CA_CERTS": ""}
    for over in ("our bridge", "our bridge for Node"):
        environment = {"CROSSDOCK_URL": front.url, **nowhere}
        async with stdio.started(program(over, ""), environment, front.server.token) as host:
            error = await host.refused("initialize")
            assert "its certificate is not trusted here" in error["message"]


async def test_npx_gets_the_bridge_through_it(front: Front, tmp_path: Path) -> None:
    node = environments.node()
    npx = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
    environment = {
        "npm_config_update_notifier": "false",
        "npm_config_cache": str(tmp_path / "cache"),
        "npm_config_cafile": str(front.nginx.certificate),
        "HOME": str(tmp_path),
        "PATH": f"{node.parent}:/usr/bin:/bin",
        "CROSSDOCK_URL": front.url,
    }
    command = [str(node), str(npx), "-y", f"{front.nginx.url}/connect.tgz"]
    async with stdio.started(command, environment, secret=front.server.token) as host:
        await host.greet()
        assert len((await host.request("tools/list"))["tools"]) == 21


async def test_a_browser_gets_the_page_with_the_public_address(front: Front) -> None:
    async with front.http.get(front.url, headers={"Accept": "text/html"}) as reply:
        assert reply.status == 200
        assert front.url in await reply.text()
        assert front.running.url not in await reply.text()
        assert reply.headers.getall("Referrer-Policy") == ["no-referrer"]
        assert "Strict-Transport-Security" in reply.headers


async def test_no_shape_of_path_brings_a_token_into_a_log(front: Front) -> None:
    token = front.server.token
    shapes = [
        f"/mcp/{token}",
        f"/mcp/{token}/",
        f"/mcp/{token}/sse",
        f"/mcp/{token}/messages?session_id={token}",
        f"/mcp/{token}?x={token}",
        f"/mcp/{token}/.well-known/openid-configuration",
        f"/mcp/{token}/mcp/{token}",
        f"/mcp?token={token}",
        f"/.well-known/oauth-protected-resource/mcp/{token}",
        f"/.well-known/oauth-authorization-server/mcp/{token}/",
        f"/.well-known/openid-configuration/mcp/{token}",
        f"//mcp//{token}",
        f"/MCP/{token}",
        f"/%6dcp/{token}",
        f"/mcp/%63{token[1:]}",
        f"/mcp/x/../{token}",
        f"/integrated-account/shop/mcp/{token}",
        f"/dashboard/{token}",
        f"/{token}",
        f"/nothing?{token}",
        "/mcp/another-kind-of-secret",
        "/elsewhere/another-kind-of-secret",
        f'/mcp/{token}" \n',
    ]
    for shape in shapes:
        for verb in ("GET", "POST"):
            headers = {**JSON, "Accept": "application/json", "MCP-Protocol-Version": "2026-07-28"}
            headers |= {"Referer": front.url, "User-Agent": f"agent {token}"}
            await _raw(front, verb, shape, headers)
    await until(lambda: front.nginx.logs.count("\n") >= 2 * len(shapes))
    logs = front.nginx.logs
    assert token not in logs
    assert token[1:] not in logs
    assert token[4:] not in logs
    assert "another-kind" not in logs
    for shown in ("/mcp/[token]/sse", "/.well-known/[probe]/mcp/[token]", "[masked]", "[other]"):
        assert shown in logs


async def _raw(front: Front, verb: str, target: str, headers: dict[str, str]) -> None:
    """Send a request line that no well-behaved client would."""
    reader, writer = await asyncio.open_connection(
        "localhost", front.nginx.port, ssl=front.nginx.trust
    )
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"{verb} {target} HTTP/1.1", "Host: localhost", "Connection: close", *lines]
    writer.write("\r\n".join([*head, "Content-Length: 0", "", ""]).encode())
    await writer.drain()
    await asyncio.wait_for(reader.readline(), 10)  # one of the answers is a stream
    writer.transport.abort()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_what_the_log_does_show_is_enough_to_look_for_faults(front: Front) -> None:
    path = "/integrated-account/shop/mcp"
    headers = {"Authorization": f"Bearer {front.running.admin_token}"}
    async with front.http.get(f"{front.nginx.url}{path}?limit=5", headers=headers) as reply:
        assert reply.status == 200
        request_id = reply.headers["X-Request-Id"]
    async with front.http.get(f"{front.nginx.url}/healthz") as reply:
        assert reply.status == 200
    await until(lambda: "/healthz" in front.nginx.logs)
    assert f"GET {path} 200" in front.nginx.logs
    assert f"id={request_id}" in front.nginx.logs
    assert front.running.admin_token not in front.nginx.logs


async def test_streams_are_not_held_back(front: Front) -> None:
    accept = {"Accept": "text/event-stream"}
    async with front.http.get(front.url, headers=accept) as reply:
        assert reply.status == 200
        first = await asyncio.wait_for(reply.content.readline(), 5)
        assert first.startswith((b"event: endpoint", b":"))


async def test_a_gateway_that_is_down_is_told_in_json_and_logged_without_the_token(
    gateway: MakeGateway, shop: str, tmp_path: Path, front: Front
) -> None:
    (tmp_path / "second").mkdir()
    nginx = Nginx(tmp_path / "second")
    connector = TCPConnector(ssl=nginx.trust)
    async with (
        nginx.in_front_of("http://127.0.0.1:1"),
        ClientSession(connector=connector) as http,
    ):
        url = f"{nginx.url}/mcp/{front.server.token}"
        async with http.post(url, data=LIST, headers=JSON) as reply:
            assert reply.status in (502, 503)
            told = json.loads(await reply.read())
        assert "does not answer at the moment" in told["error"]["message"]
        await until(lambda: "upstream=502" in nginx.logs)
        assert front.server.token not in nginx.logs
        environment = {"CROSSDOCK_URL": url, "SSL_CERT_FILE": str(nginx.certificate)}
        async with stdio.started(program("our bridge", ""), environment) as host:
            error = await host.refused("initialize")
            assert "does not answer at the moment" in error["message"]


async def test_too_large_a_message_is_refused_in_json(front: Front) -> None:
    body = io.BytesIO(b" " * (2**20 + 1))
    async with front.http.post(front.url, data=body, headers=JSON) as reply:
        assert reply.status == 413
        assert "larger than" in json.loads(await reply.read())["error"]["message"]


async def test_unprotected_http_is_refused_and_not_redirected(front: Front) -> None:
    async with ClientSession() as plain:
        url = f"{front.nginx.plain_url}/mcp/{front.server.token}"
        async with plain.post(url, data=LIST, headers=JSON, allow_redirects=False) as reply:
            assert reply.status == 403
            assert "Location" not in reply.headers
            told = json.loads(await reply.read())
    assert "https only" in told["error"]["message"]


async def test_numbers_for_monitoring_stay_inside(front: Front) -> None:
    async with front.http.get(f"{front.nginx.url}/metrics") as reply:
        assert reply.status == 403


async def test_nobody_can_claim_another_address(front: Front) -> None:
    claimed = {"X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
    here = await front.running.server(allowed_ips=["127.0.0.1/32"])
    there = await front.running.server(allowed_ips=["203.0.113.7/32"])
    for server, status in ((here, 200), (there, 403)):
        url = f"{front.nginx.url}/mcp/{server.token}"
        async with front.http.post(url, data=LIST, headers={**JSON, **claimed}) as reply:
            assert reply.status == status, await reply.text()
