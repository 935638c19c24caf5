"""What is installed is what was locked, its parts are listed, and known faults in them are told."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import environments
from harness.running import MakeGateway

from crossdock.client.setups import Target, setup
from crossdock.web.bundles import npm_tarball

pytestmark = pytest.mark.requirement("supply:parts:known")
ROOT = Path(__file__).parents[2]


def test_the_bill_of_materials_lists_every_library_of_the_lock() -> None:
    made = subprocess.run(
        [sys.executable, "dev.py", "sbom"], cwd=ROOT, capture_output=True, check=True
    )
    bill = json.loads(made.stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    lock = (ROOT / "server" / "requirements.lock").read_text("utf-8")
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == set(re.findall(r"^([\w.-]+)==([^ ;\\]+)", lock, re.MULTILINE))
    assert all(one["purl"].startswith("pkg:pypi/") and one["hashes"] for one in bill["components"])
    assert lock.count("--hash=") == sum(len(one["hashes"]) for one in bill["components"])
    again = subprocess.run(
        [sys.executable, "dev.py", "sbom"], cwd=ROOT, capture_output=True, check=True
    )
    assert again.stdout == made.stdout


class Database(http.server.BaseHTTPRequestHandler):
    """A database that knows one fault, in aiohttp."""

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        results = [
            {"vulns": [{"id": "GHSA-test"}]} if one["package"]["name"] == "aiohttp" else {}
            for one in queries
        ]
        body = json.dumps({"results": results if "good" not in self.path else [{}] * len(results)})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode() if "broken" not in self.path else b"<html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def database() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Database)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "said", "found"),
    [
        ("/", "GHSA-test", True),
        ("/good", "none known", False),
        ("/broken", "not checked", False),
        ("nowhere", "not checked", False),
    ],
)
def test_a_known_fault_fails_the_check_and_silence_is_said(
    database: str, path: str, said: str, found: bool
) -> None:
    address = "http://127.0.0.1:9/" if path == "nowhere" else database + path
    done = subprocess.run(
        [sys.executable, "-c", "import dev; print(dev.vulnerable())"],
        cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "CROSSDOCK_VULNERABILITIES": address},
    )  # fmt: skip
    assert done.stdout.strip() == str(found)
    assert said in done.stderr


def test_every_install_guide_takes_the_hashes() -> None:
    for path in (ROOT / "README.md", ROOT / "server" / "deploy" / "README.md"):
        lines = [line for line in path.read_text("utf-8").splitlines() if "pip install" in line]
        assert lines
        for line in lines:
            assert "--require-hashes -r server/requirements.lock" in line or "--no-deps" in line


@pytest.mark.e2e
async def test_npm_takes_the_pinned_bridge_and_no_other(
    gateway: MakeGateway, tmp_path: Path
) -> None:
    running = await gateway(adapters=[])
    async with running.http.get(f"{running.url}/connect.tgz") as reply:
        assert reply.headers["Repr-Digest"] == f"sha-512=:{npm_tarball().digest}:"
    integrity = npm_tarball().integrity
    assert "EINTEGRITY" not in await installed(tmp_path / "good", running.url, integrity)
    assert (tmp_path / "good" / "node_modules" / ".bin" / "crossdock-connect").exists()
    other = "sha512-" + "A" * 86 + "=="
    assert "EINTEGRITY" in await installed(tmp_path / "bad", running.url, other)
    assert not (tmp_path / "bad" / "node_modules" / ".bin").exists()


async def installed(folder: Path, origin: str, integrity: str) -> str:
    folder.mkdir()
    target = Target(url=f"{origin}/mcp/cdm_x", integrity=integrity)
    package, lock = setup("other", target).snippets[-2:]
    (folder / "package.json").write_text(package.text, "utf-8")
    (folder / "package-lock.json").write_text(lock.text, "utf-8")
    node = environments.node()
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    process = await asyncio.create_subprocess_exec(
        node, npm, "ci", "--no-audit", "--no-fund", "--fetch-retries=0",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "PATH": f"{node.parent}:/usr/bin:/bin",
            "HOME": str(folder),
            "npm_config_cache": str(folder / "cache"),
            "npm_config_update_notifier": "false",
        },
    )  # fmt: skip
    async with asyncio.timeout(60):
        return (await process.communicate())[0].decode()
