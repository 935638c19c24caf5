"""Schemathesis against the running admin API: no 5xx, no undocumented answer, no schema broken."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import ModuleType

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import MakeGateway

pytestmark = pytest.mark.e2e
SECONDS = 15
SEED = "20261121"
# Not judged: that whatever fits the schemas is accepted. Which adapters, methods, tags and tools
# there are, and that an expiry lies in the future, no schema can say.
LEFT_OUT = "positive_data_acceptance"


@pytest.mark.requirement("admin:openapi:true")
async def test_the_admin_api_keeps_to_its_document_whatever_is_sent(
    clients: ModuleType,
    gateway: MakeGateway,
    acme_folder: Path,
    provider: Provider,
    tmp_path: Path,
) -> None:
    # the test adapter, since its provider's name leads nowhere: accounts that are made up here
    # and tested must not reach anybody
    manifest = acme_folder / "adapter.toml"
    text = manifest.read_text(encoding="utf-8").replace(
        "[auth]", '[verify]\nget = "/items"\n\n[auth]'
    )
    manifest.write_text(text, encoding="utf-8")
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running.server()
    python: Path = await asyncio.to_thread(clients.python_client, "schemathesis")
    words = (
        *("run", f"{running.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {running.admin_token}"),
        *("--checks", "all", "--exclude-checks", LEFT_OUT, "--continue-on-failure"),
        *("--max-examples", "25", "--max-time", str(SECONDS), "--seed", SEED),
        *("--generation-database", "none", "--suppress-health-check", "all", "--no-color"),
    )
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        str(python.with_name("schemathesis")),
        *words,
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS + 60):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = told.decode(errors="replace")
    assert process.returncode == 0, report[-6000:]
    assert "Test cases" in report, report[-2000:]
    assert await server.send("tools/list")
