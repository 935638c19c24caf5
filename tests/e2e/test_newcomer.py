"""What a newcomer types, learnt from --help alone: account, server, connect, rotate, revoke."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import malomo
from harness.patience import until

pytestmark = pytest.mark.e2e
KEY = malomo.API_KEY
TOOL = "list_all_malomo_orders"


class Shell:
    """A shell in a folder with a config.toml, and nothing else known."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "ACME_KEY": KEY, "NO_COLOR": "1", "COLUMNS": "200"}

    def type(self, *words: str, code: int = 0) -> str:
        """Run a command; it must end with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "crossdock", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        """Run a command for its JSON."""
        return json.loads(self.type(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path, shop: str) -> Iterator[Shell]:
    (tmp_path / "config.toml").write_text(
        '[server]\nport = 0\n[upstream]\nallow_private = ["127.0.0.1/32"]\n'
        '[plugins]\nonly = ["malomo"]\n[log]\nformat = "json"\n',
        encoding="utf-8",
    )
    yield Shell(tmp_path)


@pytest.fixture
async def served(shell: Shell) -> AsyncIterator[str]:
    """A serving gateway: its origin."""
    log = shell.folder / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "crossdock", "serve"],
            cwd=shell.folder,
            env=shell.environment,
            stdout=output,
            stderr=output,
        )
    try:

        def started() -> re.Match[str] | None:
            assert process.poll() is None, log.read_text()
            return re.search(r'"url":"(http://[^"]+)"', log.read_text())

        yield (await until(started))[1]
    finally:
        process.terminate()
        assert process.wait(30) == 0
    text = log.read_text()
    assert KEY not in text
    assert not re.search(r"cd[ma]_[0-9A-Za-z]{40}", text)


@pytest.mark.requirement("cli:verbs:complete")
async def test_a_newcomer_gets_from_nothing_to_a_revoked_server(
    shell: Shell, served: str, shop: str
) -> None:

    await asyncio.to_thread(_walk, shell, served, shop)


def _walk(shell: Shell, served: str, shop: str) -> None:
    # the first help names what there is, and each help names the next step
    first = shell.type("--help")
    for noun in ("account", "server", "token", "doctor"):
        assert noun in first
    assert "add" in shell.type("account", "--help")
    how = shell.type("account", "add", "--help")
    assert "--credential api_key=env:ACME_KEY" in re.sub(r"\s+", " ", how)
    added = shell.type(
        "account", "add", "malomo", "--name", "Acme", "--credential", "api_key=env:ACME_KEY",
        "--set", f"base_url={shop}",
    )  # fmt: skip
    account = re.search(r"acc_\w+", added)
    assert account is not None
    assert f"crossdock account test {account[0]}" in added
    assert "is good" in shell.type("account", "test", account[0])
    assert f"crossdock server create {account[0]}" in added
    made = shell.type("server", "create", account[0], "--name", "Agent", "--methods", "read")
    server = re.search(r"mcp_srv_\w+", made)
    path = re.search(r"/mcp/\S+", made)
    assert server is not None
    assert path is not None
    url = f"{served}{path[0]}"
    found = shell.type("call", url, TOOL, "limit=1")
    assert '"result_count": 1' in found
    rotated = shell.json("server", "rotate", server[0])
    refused = shell.type("call", url, TOOL, code=1)
    assert "replaced or revoked" in refused
    url = f"{served}/mcp/{rotated['token']}"
    assert '"result_count": 1' in shell.type("call", url, TOOL, "limit=1")
    assert "revoked" in shell.type("server", "revoke", server[0])
    assert "replaced or revoked" in shell.type("call", url, TOOL, code=1)
    outcomes = [json.loads(line) for line in shell.type("audit", "--json").splitlines()]
    actions = [one["action"] for one in outcomes]
    assert actions.count(TOOL) == 2
    assert {
        "account.create",
        "account.test",
        "server.create",
        "server.rotate",
        "server.revoke",
    } <= {*actions}
    assert "ok" in shell.type("doctor")
