"""kill -9 at random moments under admin load: what was acknowledged is there afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from harness import forking

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill"),
]
KILLS = 50
WORKERS = 4
SEED = 20261121
TOKEN = "cda_of_the_one_who_kills_and_checks_afterwards"  # [admin] token may have any form
CONFIG = """
[admin]
token = "env:ADMIN_TOKEN"
[plugins]
only = ["malomo"]
[log]
level = "error"
"""
_MCP = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
}


class Server:
    """What the gateway acknowledged of one MCP server."""

    def __init__(self, made: dict[str, Any]) -> None:
        self.id: str = made["id"]
        self.account: str = made["integrated_account_id"]
        self.name: str = made["name"]
        self.url_path: str = made["url"].partition("/mcp/")[2]
        self.alive = True
        self.unsure = False  # a request about it was under way when the gateway was killed

    @property
    def path(self) -> str:
        return f"/integrated-account/{self.account}/mcp/{self.id}"


class Operator:
    """One of several who change things until the gateway dies under them."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._count = 0
        self.accounts: dict[str, str] = {}
        self.tokens: set[str] = set()
        self.servers: list[Server] = []

    async def work(self, http: aiohttp.ClientSession) -> None:
        """Change one thing after the other; ends with an error when the gateway is gone."""
        while True:
            self._count += 1
            live = [one for one in self.servers if one.alive and not one.unsure]
            if not self.accounts or self._chance.random() < 0.15:
                await self._add_account(http)
            elif self._chance.random() < 0.1:
                body = {"name": f"t{self._count}", "role": "client"}
                self.tokens.add((await _asked(http, "POST", "/api-token", body))["id"])
            elif not live or self._chance.random() < 0.4:
                account = self._chance.choice(sorted(self.accounts))
                path = f"/integrated-account/{account}/mcp"
                made = await _asked(http, "POST", path, {"name": f"s{self._count}"})
                self.servers.append(Server(made))
            else:
                await self._change(http, self._chance.choice(live))

    async def _add_account(self, http: aiohttp.ClientSession) -> None:
        body = {
            "integration": "malomo",
            "name": f"a{self._count}",
            "credentials": {"api_key": f"sk_killed_{self._count:08}"},
        }
        made = await _asked(http, "POST", "/integrated-account", body)
        self.accounts[made["id"]] = made["name"]

    async def _change(self, http: aiohttp.ClientSession, server: Server) -> None:
        server.unsure = True
        verb = self._chance.choice(["rename", "rotate", "revoke"])
        if verb == "rename":
            name = f"{server.name}x"
            await _asked(http, "PATCH", server.path, {"name": name})
            server.name = name
        elif verb == "rotate":
            made = await _asked(http, "POST", f"{server.path}/rotate", {})
            server.url_path = made["url"].partition("/mcp/")[2]
        else:
            await _asked(http, "DELETE", server.path)
            server.alive = False
        server.unsure = False


async def _asked(http: aiohttp.ClientSession, verb: str, path: str, body: Any = None) -> Any:
    async with http.request(verb, path, json=body) as reply:
        answer = await reply.read()
        assert reply.status in (200, 201, 204), (verb, path, reply.status, answer)
        return json.loads(answer) if answer else None


async def _all(http: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cursor = ""
    while True:
        page = await _asked(http, "GET", f"{path}?limit=200{cursor}")
        found |= {one["id"]: one for one in page["result"]}
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def _check(http: aiohttp.ClientSession, operators: list[Operator], fresh: set[str]) -> None:
    """Compare everything acknowledged so far with what is there; try the URLs of `fresh`."""
    accounts = await _all(http, "/integrated-account")
    tokens = await _all(http, "/api-token")
    for operator in operators:
        assert operator.tokens <= tokens.keys()
        for id, name in operator.accounts.items():
            assert accounts[id]["name"] == name
            assert accounts[id]["problem"] is None
    stored: dict[str, Any] = {}
    for account in {one.account for operator in operators for one in operator.servers}:
        stored |= await _all(http, f"/integrated-account/{account}/mcp")
    for operator in operators:
        for server in operator.servers:
            if server.unsure:
                continue
            assert (server.id in stored) is server.alive, server.id
            if server.alive:
                assert stored[server.id]["name"] == server.name
            if server.id in fresh:
                async with http.post(f"/mcp/{server.url_path}", json=_MCP) as reply:
                    assert (reply.status == 200) is server.alive, (server.id, reply.status)


@asynccontextmanager
async def _gateways(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(forking.__file__)),
        str(folder / "config.toml"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "ADMIN_TOKEN": TOKEN},
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _start(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    async with asyncio.timeout(5):
        started: dict[str, Any] = json.loads(await process.stdout.readline())
    return started


async def _killed_under_load(
    started: dict[str, Any], operators: list[Operator], chance: random.Random, fresh: set[str]
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    known = {one.id for operator in operators for one in operator.servers}
    async with aiohttp.ClientSession(started["url"], headers=headers) as http:
        await _check(http, operators, fresh)
        work = [asyncio.create_task(operator.work(http)) for operator in operators]
        await asyncio.sleep(chance.uniform(0.02, 0.25))  # the moment of the kill is the test
        os.kill(started["pid"], signal.SIGKILL)
        for ended in await asyncio.gather(*work, return_exceptions=True):
            assert isinstance(ended, aiohttp.ClientError), ended
    fresh.clear()
    fresh |= {one.id for operator in operators for one in operator.servers} - known


@pytest.mark.requirement("store:kill:nothing-lost")
async def test_fifty_kills_under_load_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    chance = random.Random(SEED)
    operators = [Operator(random.Random(SEED + number)) for number in range(WORKERS)]
    fresh: set[str] = set()
    slowest = 0.0
    async with _gateways(tmp_path) as process:
        await _killed_under_load(await _start(process), operators, chance, fresh)
        for _ in range(KILLS - 1):
            begun = time.monotonic()
            started = await _start(process)
            slowest = max(slowest, time.monotonic() - begun)
            await _killed_under_load(started, operators, chance, fresh)
        started = await _start(process)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(started["url"], headers=headers) as http:
            await _check(http, operators, {s.id for o in operators for s in o.servers})
        os.kill(started["pid"], signal.SIGKILL)
    assert slowest < 5
    writes = sum(len(o.accounts) + len(o.tokens) + len(o.servers) for o in operators)
    assert writes > KILLS
    text = (tmp_path / "state" / "crossdock.db").read_bytes()
    assert not re.search(rb"sk_killed_\d|cdm_|cda_", text)


async def test_the_command_starts_within_five_seconds_after_a_kill(tmp_path: Path) -> None:
    config = CONFIG.replace('level = "error"', 'format = "json"')
    (tmp_path / "config.toml").write_text(config, encoding="utf-8")
    words = (sys.executable, "-m", "crossdock", "serve", "--port", "0")
    environment = {**os.environ, "ADMIN_TOKEN": TOKEN}
    for _ in range(2):
        begun = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *words, cwd=tmp_path, env=environment, stderr=asyncio.subprocess.PIPE
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(5):
                while b"gateway.started" not in (line := await process.stderr.readline()):
                    assert line, "it ended instead"
            assert time.monotonic() - begun < 5
        finally:
            process.kill()
            await process.communicate()
