"""Runs the official conformance suite against `crossdock serve` with the fixture plugin.

The gateway is a process of its own, as an operator would start it; only its plugin is for tests.
Run as a script it prints the suite's report of every revision and the sum.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from clients import environments
from harness.patience import until
from harness.ports import free_port

HERE = Path(__file__).resolve().parent
REVISIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
_CONFIG = """
[server]
host = "127.0.0.1"
port = {port}
[plugins]
only = ["fixture"]
strict = true
[accounts.suite]
integration = "fixture"
"""


class Report(NamedTuple):
    """What the suite said of one revision."""

    passed: int
    failed: int
    as_expected: bool
    text: str


def expected_failures(revision: str) -> Path:
    """Return the file that names what a gateway of tools does not have, and why."""
    return HERE / "expected" / f"{revision}.yml"


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[str]:
    """Serve the fixture plugin from `folder`; gives the MCP URL."""
    folder.chmod(0o700)
    shutil.copytree(HERE / "fixture", folder / "plugins" / "fixture")
    port = free_port()
    (folder / "config.toml").write_text(_CONFIG.format(port=port), encoding="utf-8")
    command = [sys.executable, "-m", "crossdock"]
    config = ["--config", str(folder / "config.toml")]
    with (folder / "gateway.log").open("wb") as log:
        serving = await asyncio.create_subprocess_exec(
            *command, "serve", *config, stdout=log, stderr=log, cwd=folder
        )
        try:
            await _ready(f"http://127.0.0.1:{port}/readyz", folder / "gateway.log")
            made = await asyncio.create_subprocess_exec(
                *command, "server", "create", "suite", "--name", "Suite", "--json", *config,
                stdout=asyncio.subprocess.PIPE, cwd=folder,
            )  # fmt: skip
            output, _ = await made.communicate()
            yield f"http://127.0.0.1:{port}/mcp/{json.loads(output)['token']}"
        finally:
            serving.terminate()
            await serving.wait()


async def run(url: str, revision: str, folder: Path, *more: str) -> Report:
    """Run every scenario of a revision against a URL."""
    words = environments.npm_command("@modelcontextprotocol/conformance")
    expected = expected_failures(revision)
    process = await asyncio.create_subprocess_exec(
        *words, "server", "--url", url, "--suite", "all", "--spec-version", revision,
        "-o", str(folder / revision), "--expected-failures", str(expected), *more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
        cwd=folder,
    )  # fmt: skip
    try:
        async with asyncio.timeout(240):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    total = re.search(r"Total: (\d+) passed, (\d+) failed", text)
    passed, failed = (int(total[1]), int(total[2])) if total else (0, 0)
    return Report(passed, failed, process.returncode == 0 and total is not None, text)


async def _ready(url: str, log: Path) -> None:
    async def answers() -> bool:
        try:
            await asyncio.to_thread(lambda: urlopen(url, timeout=1).close())
        except OSError:
            return False
        return True

    try:
        await until(answers, 20)
    except TimeoutError:
        words = f"the gateway did not start: {log.read_text(encoding='utf-8')}"
        raise AssertionError(words) from None


async def _main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with gateway(folder) as url:
            for revision in sys.argv[1:] or REVISIONS:
                report = await run(url, revision, folder)
                print(report.text)
                words = "as expected" if report.as_expected else "NOT as expected"
                print(f"{revision}: {report.passed} passed, {report.failed} failed, {words}")


if __name__ == "__main__":
    asyncio.run(_main())
