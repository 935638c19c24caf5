"""`crossdock demo`: one command, a URL that works, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout
from harness import demo
from harness.patience import until

pytestmark = pytest.mark.e2e
SECONDS = ClientTimeout(total=20)
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.mark.requirement("clients:demo:one-command")
async def test_one_line_of_json_tells_all_and_nothing_else(tmp_path: Path) -> None:
    async with demo.running(tmp_path) as up:
        assert set(up.ready) == {"url", "admin_token", "servers", "sandboxes"}
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", up.ready["url"])
        assert {"malomo", "roserocket"} <= {one["integration"] for one in up.ready["servers"]}
        for server in up.ready["servers"]:
            assert set(server) == {"integration", "account_id", "url"}
            assert server["url"].startswith(up.ready["url"] + "/mcp/cdm_")
        for sandbox in up.ready["sandboxes"]:
            assert set(sandbox) == {"integration", "base_url"}
        async with ClientSession(timeout=SECONDS) as http:
            for server in up.ready["servers"]:
                async with http.post(server["url"], json=LIST) as reply:
                    tools = (await reply.json())["result"]["tools"]
                    assert len(tools) == {"malomo": 21, "roserocket": 19}[server["integration"]]
            bearer = {"Authorization": f"Bearer {up.ready['admin_token']}"}
            account = up.ready["servers"][0]["account_id"]
            path = f"{up.ready['url']}/integrated-account/{account}/mcp"
            async with http.get(path, headers=bearer) as reply:
                assert reply.status == 200
            async with http.get(path) as reply:
                assert reply.status == 401
        assert await up.end() == 0
        assert up.out == b""


@pytest.mark.requirement("clients:demo:one-command", "server:payload:not-kept")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_it_ends_cleanly_and_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    async with demo.running(tmp_path) as up:
        async with (
            ClientSession(timeout=SECONDS) as http,
            http.post(up.server(), json=LIST) as reply,
        ):
            assert reply.status == 200
        assert await up.end(number) == 0
        assert up.err == b""
        left = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in left if path.suffix != ".pyc"] == []


@pytest.mark.requirement("clients:demo:one-command")
async def test_it_ends_while_calls_are_running(tmp_path: Path) -> None:
    async with demo.running(tmp_path) as up, ClientSession(timeout=SECONDS) as http:
        slow = {"faults": [{"kind": "slow", "seconds": 1}]}
        async with http.post(f"{up.sandbox()}/_sandbox/switches", json=slow) as reply:
            assert reply.status == 200
        params = {"name": "list_all_malomo_webhooks", "arguments": {}}
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}

        async def ask() -> str:
            async with http.post(up.server(), json=call) as reply:
                return str((await reply.json())["result"]["content"][0]["text"])

        asked = asyncio.create_task(ask())

        async def reached() -> bool:
            async with http.get(f"{up.sandbox()}/_sandbox/requests") as reply:
                return bool(await reply.json())

        await until(reached)
        ended = asyncio.create_task(up.end())
        assert '"result_count":2' in await asked  # what runs is answered before the end
        assert await ended == 0
        assert b"Traceback" not in up.err


@pytest.mark.requirement("door:token:never-logged")
async def test_neither_its_output_nor_its_errors_show_a_secret(tmp_path: Path) -> None:
    async with demo.running(tmp_path) as up, ClientSession(timeout=SECONDS) as http:
        seen = b""
        token = up.server().rpartition("/")[2]
        for verb, path in (
            ("GET", f"/nothing/{token}"),
            ("POST", f"/mcp/{token}x"),
            ("POST", f"/mcp/{token}/x"),
            ("PUT", f"/mcp/{token}"),
            ("GET", f"/.well-known/oauth-protected-resource/mcp/{token}"),
            ("GET", "/healthz"),
            ("GET", "/readyz"),
            ("GET", "/metrics"),
        ):
            async with http.request(
                verb, up.ready["url"] + path, headers={"Accept": "application/json"}
            ) as reply:
                seen += await reply.read() + str(reply.headers).encode()
        for kind in ("drop", "html", "status"):
            switches = {"faults": [{"kind": kind}]}
            async with http.post(f"{up.sandbox()}/_sandbox/switches", json=switches):
                pass
            params = {"name": "list_all_malomo_webhooks", "arguments": {}}
            call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}
            async with http.post(up.server(), json=call) as reply:
                seen += await reply.read()
        assert await up.end() == 0
        for secret in (token, up.ready["admin_token"], "sk_sandbox"):
            assert secret.encode() not in seen + up.err + up.out


@pytest.mark.requirement("clients:demo:one-command")
async def test_for_people_it_prints_urls_and_snippets_that_work(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", "demo", "--port", "0"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        text = ""
        async with asyncio.timeout(demo.READY_SECONDS):
            while "Ctrl-C ends the demo" not in text:
                line = await process.stdout.readline()
                assert line, (await process.communicate())[1].decode()
                text += line.decode()
        for word in ("claude mcp add", "mcpServers", "connect.tgz", "curl"):
            assert word in text
        for account in ("demo-malomo", "demo-roserocket"):
            assert account in text
        admin = re.search(r"Admin API: (\S+)\n +with (Authorization: \S+ \S+)", text)
        assert admin
        name, _, value = admin[2].partition(": ")
        async with (
            ClientSession(timeout=SECONDS) as http,
            http.get(admin[1], headers={name: value}) as reply,
        ):
            assert reply.status == 200
        found = re.search(r"^ *(curl -s .*\n(?: .*\n)*)", text, re.MULTILINE)
        assert found
        snippet = found.group(1).strip()
        shell = await asyncio.create_subprocess_shell(
            snippet, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            out, err = await shell.communicate()
        assert shell.returncode == 0, err.decode()
        assert len(json.loads(out)["result"]["tools"]) in (19, 21)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(demo.END_SECONDS):
                out, err = await process.communicate()
    assert process.returncode == 0
    assert (out.decode().split("\n"), err) == (
        ["", "The demo has ended; nothing was kept.", ""],
        b"",
    )


@pytest.mark.requirement("clients:demo:one-command")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_told_to_end_before_it_is_up_it_ends_cleanly(tmp_path: Path, number: int) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", "demo", "--port", "0"),
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    # the store is being made
    await until(lambda: list(folder.glob("crossdock-demo-*/state/*")), demo.READY_SECONDS)
    process.send_signal(number)
    async with asyncio.timeout(demo.END_SECONDS):
        out, err = await process.communicate()
    assert (out, err) == (b"\nThe demo has ended; nothing was kept.\n", b"")
    assert process.returncode == 0
    assert list(folder.iterdir()) == []


@pytest.mark.requirement("clients:demo:one-command")
async def test_crossdock_call_works_at_the_printed_url(tmp_path: Path) -> None:
    async def call(*words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "crossdock", "call", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async with demo.running(tmp_path) as up:
        url = up.server()
        code, out, _ = await call(url, "get_single_malomo_order_by_id", "id=89123")
        assert (code, json.loads(out)["id"]) == (0, "89123")
        code, out, _ = await call(
            url,
            "list_all_malomo_orders",
            "customer_email=sarah.smith@example.com",
            "limit=2",
            "--json",
        )
        assert (code, json.loads(out)["isError"]) == (0, False)
        code, out, err = await call(url, "get_single_malomo_order_by_id", "id=no-such-order")
        assert (code, out) == (1, "")
        assert "not_found" in err
        code, _, err = await call(url, "no_such_tool")
        assert code == 1
        assert "Unknown tool: no_such_tool" in err
        code, _, err = await call(url[:-3], "no_such_tool")
        assert code == 1
        assert "not valid" in err
        assert url.rpartition("/")[2] not in err
