"""Real clients at one and the same URL: each lists, reads and writes, and is refused in words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from clients import environments
from e2e.real_clients import CUSTOMER, STEPS, WAYS, Way, check, go, program
from harness import stdio
from harness.malomo import Malomo
from harness.ports import accepts, free_port
from harness.running import Server

pytestmark = pytest.mark.e2e
AT_ONCE = 3
SENTENCE = "This MCP URL is not valid: it was mistyped, replaced or revoked."


async def revoked(malomo: Malomo) -> Server:
    """Return a server that was revoked."""
    server = await malomo.running.server()
    await malomo.running.request("DELETE", f"/integrated-account/shop/mcp/{server.id}")
    return server


@pytest.mark.requirement("clients:real:every-one", "clients:one-url:both-eras")
async def test_every_client_works_at_one_url_in_mixed_traffic(
    malomo: Malomo, tmp_path: Path
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    before = [tool["name"] for tool in await malomo.tools()]
    await malomo.forget()

    async def turn(way: Way) -> tuple[Way, list[dict[str, Any]]]:
        async with turns:
            return way, await go(way, malomo.server.url, tmp_path)

    done = await asyncio.gather(*map(turn, WAYS))
    for way, answers in done:
        await check(way, answers, malomo.server)
    assert [tool["name"] for tool in await malomo.tools()] == before
    sent = Counter(one["method"] for one in await malomo.requests())
    assert sent == {"GET": len(WAYS), "POST": len(WAYS)}


@pytest.mark.requirement("clients:real:every-one")
@pytest.mark.parametrize("way", [way for way in WAYS if way.shows], ids=str)
async def test_a_client_is_told_that_its_url_was_revoked(
    malomo: Malomo, tmp_path: Path, way: Way
) -> None:
    server = await revoked(malomo)
    answers = await go(way, server.url, tmp_path)
    told = json.dumps(next(answer["error"] for answer in answers if "error" in answer))
    assert way.shows in told, told
    assert SENTENCE in told or way.shows == "403"


@pytest.mark.requirement("clients:real:every-one")
@pytest.mark.parametrize("over", ["mcp-remote", "supergateway"])
async def test_bridges_of_others_end_on_a_revoked_url_and_do_not_ask_for_a_log_in(
    malomo: Malomo, tmp_path: Path, over: str
) -> None:
    server = await revoked(malomo)
    command = [word for word in program(over, server.url) if word not in ("--logLevel", "none")]
    async with stdio.started(command, {"HOME": str(tmp_path)}) as host:
        host.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={})
        with contextlib.suppress(EOFError, TimeoutError):
            await host.heard(5)
    assert SENTENCE in host.complaints
    assert "Registration" not in host.complaints


@pytest.mark.requirement("clients:real:every-one")
@pytest.mark.parametrize("bridge", ["our bridge", "our bridge for Node"])
@pytest.mark.parametrize(
    ("kind", "path", "client"),
    [
        ("streamableHttp", "/mcp", "mcp1"),
        ("streamableHttp", "/mcp", "client2"),
        ("sse", "/sse", "sdk1"),
    ],
)
async def test_supergateway_offers_our_bridge_to_clients_of_its_own(
    malomo: Malomo, bridge: str, kind: str, path: str, client: str
) -> None:
    port = free_port()
    command = [
        *environments.npm_command("supergateway"),
        *("--stdio", shlex.join(program(bridge, malomo.server.url))),
        *("--outputTransport", kind, "--port", str(port), "--logLevel", "none"),
        *(("--stateful",) if kind == "streamableHttp" else ()),
    ]
    environment = {"CROSSDOCK_URL": malomo.server.url}
    async with stdio.started(command, environment, secret=malomo.server.token):
        await accepts(port, 20)
        transport = "sse" if kind == "sse" else "http"
        answers = await environments.drive(
            client,
            f"http://127.0.0.1:{port}{path}",
            STEPS,
            mode="legacy",
            transport=transport,
        )
    await check(Way(client, kind, speaks=None), answers, malomo.server)


# --- the Inspector, from the command line ----------------------------------------------------


async def inspect(home: Path, *words: str) -> tuple[int | None, str, str]:
    """Run the Inspector and return its exit code, what it printed and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *environments.npm_command("@modelcontextprotocol/inspector"),
        *("--cli", *words, "--format", "json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(home), "NO_COLOR": "1"},
    )
    try:
        async with asyncio.timeout(60):
            answer, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, answer.decode(), complaint.decode()


def _of(way: str, url: str, home: Path) -> list[str]:
    """Return the words that name a server to the Inspector."""
    if way in ("http", "sse"):
        return [url, "--transport", way]
    command = {"command": sys.executable, "args": ["-m", "crossdock", "connect"]}
    server: dict[str, Any] = {**command, "env": {"CROSSDOCK_URL": url}}
    if way == "modern":
        server = {"type": "streamable-http", "url": url, "protocolEra": "modern"}
    (home / "mcp.json").write_text(json.dumps({"mcpServers": {"one": server}}), encoding="utf-8")
    return ["--config", str(home / "mcp.json"), "--server", "one"]


@pytest.mark.requirement("clients:real:every-one")
@pytest.mark.parametrize("way", ["http", "sse", "modern", "our bridge"])
async def test_the_inspector_lists_reads_and_writes(
    malomo: Malomo, tmp_path: Path, way: str
) -> None:
    place = _of(way, malomo.server.url, tmp_path)
    code, answer, complaint = await inspect(tmp_path, *place, "--method", "tools/list")
    assert code == 0, complaint
    assert [tool["name"] for tool in _result(answer)["tools"]] == await malomo.names()
    for name, arguments in (
        ("list_all_malomo_orders", {"limit": "1"}),
        ("create_a_malomo_customer", CUSTOMER),
    ):
        given = [word for pair in arguments.items() for word in ("--tool-arg", "=".join(pair))]
        words = (*place, "--method", "tools/call", "--tool-name", name, *given)
        code, answer, complaint = await inspect(tmp_path, *words)
        assert code == 0, complaint
        assert not _result(answer).get("isError")


def _result(answer: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(answer)
    result: dict[str, Any] = told.get("result", told)
    return result


@pytest.mark.requirement("clients:real:every-one")
async def test_the_inspector_shows_why_a_revoked_url_is_refused(
    malomo: Malomo, tmp_path: Path
) -> None:
    place = _of("http", (await revoked(malomo)).url, tmp_path)
    code, answer, complaint = await inspect(tmp_path, *place, "--method", "tools/list")
    assert code != 0
    assert SENTENCE in answer + complaint
