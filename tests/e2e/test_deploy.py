"""What server/deploy/ tells people to do, done: a backup that is restored, files that are read."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clients import environments
from harness import malomo
from harness.canaries import Canaries
from harness.cluster import Cluster
from harness.engines import program
from harness.running import MakeGateway

from crossdock.config import load_settings

pytestmark = pytest.mark.e2e
DEPLOY = Path(__file__).resolve().parents[2] / "server" / "deploy"
READ = "list_all_malomo_orders"


def commands(title: str) -> str:
    """Return the block of the guide that begins with this comment."""
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(
        rf"^```sh\n# {re.escape(title)}\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    return str(block)


def run(block: str, folder: Path, **environment: str) -> str:
    """Run a block of the guide; every command of it must succeed."""
    here = {**os.environ, **environment}
    here["PATH"] = f"{Path(sys.executable).parent}:{here['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", block], cwd=folder, env=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.requirement("nodes:backup:restored")
async def test_a_backup_of_postgresql_is_restored_and_serves_the_urls_it_knew(
    make_cluster: Callable[..., Cluster], canaries: Canaries, shop: str, tmp_path: Path
) -> None:
    cluster = make_cluster(nodes=1)
    (node,) = cluster.nodes
    programs = str(Path(cluster.postgres.program("pg_dump")[0]).parent)
    async with cluster.visit(canaries) as visitor:
        account = await visitor.account("shop", "malomo", shop, api_key=malomo.API_KEY)
        server = await (await visitor.server(account)).known()
        here = {"PATH": f"{programs}:{os.environ['PATH']}"}
        await asyncio.to_thread(
            run,
            commands("PostgreSQL: backup"),
            tmp_path,
            STORE=cluster.postgres.url(cluster.database),
            **here,
        )
        assert node.stop() == 0

        empty = cluster.postgres.create(f"{cluster.database}_again")
        settings: dict[str, Any] = {**node.settings, "store": {"url": empty}}
        node.configure(settings)
        block = commands("PostgreSQL: restore into an empty database, while no node serves")
        block = block.replace("config.toml", str(node.config))
        await asyncio.to_thread(run, block, tmp_path, STORE=empty, **here)
        node.start()
        assert (await server.call(READ, {"limit": 1})).data["result_count"] == 1
        assert node.stop() == 0

        # Without the master key nothing can be read, and that is said.
        (cluster.folder / "secrets" / "master.key").unlink()
        node.launch()
        assert await asyncio.to_thread(node.wait) == 78
        assert "master.key" in node.text.splitlines()[-1]


@pytest.mark.requirement("nodes:backup:restored")
async def test_a_backup_of_sqlite_is_restored_and_serves_the_urls_it_knew(
    gateway: MakeGateway, shop: str, tmp_path: Path
) -> None:
    program("sqlite3")
    running = await gateway(accounts={"shop": malomo.account(shop)})
    server = await running.server()
    file = running.folder / "state" / "crossdock.db"
    await asyncio.to_thread(run, commands("SQLite: backup"), tmp_path, FILE=str(file))
    gone = await running.request("DELETE", f"/integrated-account/shop/mcp/{server.id}")
    assert gone.status == 204
    await running.stop()

    block = commands("SQLite: restore, while nothing serves")
    (running.folder / "config.toml").write_text('[plugins]\nonly = ["malomo"]\n', encoding="utf-8")
    block = block.replace("config.toml", str(running.folder / "config.toml"))
    await asyncio.to_thread(run, block, tmp_path, FILE=str(file))
    again = await gateway(folder=running.folder, accounts={"shop": malomo.account(shop)})
    speaker = again.speaker(f"/mcp/{server.token}")
    assert (await speaker.call(READ, {"limit": 1})).data["result_count"] == 1


def test_the_compose_file_is_read_and_holds_together(tmp_path: Path) -> None:
    python = environments.python_client("schemathesis")
    words = "import json,sys,yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    read = subprocess.run(
        [str(python), "-c", words, str(DEPLOY / "compose.yaml")], capture_output=True, check=True
    )
    compose = json.loads(read.stdout)
    services = compose["services"]
    for name, service in services.items():
        assert {*service.get("depends_on", ())} <= {*services}, name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            own = source in compose["volumes"] or source.endswith(".pem")
            assert own or (DEPLOY / source).is_file(), source
    address = {
        name: service["networks"]["inside"]["ipv4_address"]
        for name, service in services.items()
        if isinstance(service["networks"], dict)
    }
    settings = load_settings(DEPLOY / "compose.toml")
    assert settings.server.workers == 2
    assert f"@{address['postgres']}/" in settings.store.url
    assert f"//{address['redis']}:" in settings.bus.url
    assert settings.server.trusted_proxies == [f"{address['nginx']}/32"]
    nginx = services["nginx"]["command"][-1]
    lines = re.findall(r"server ([\d.]+):8787 max_fails=0;", nginx)
    assert lines == ["127.0.0.1", address["node-a"], address["node-b"]]
    known = f"server {lines[0]}:8787 max_fails=0;"
    assert (DEPLOY / "nginx.conf").read_text(encoding="utf-8").count(known) == 1
    patience = float(services["node-a"]["stop_grace_period"].removesuffix("s"))
    assert patience > settings.limits.shutdown_seconds + 5


def test_the_guides_configurations_are_taken(tmp_path: Path) -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.toml"
        path.write_text(block, encoding="utf-8")
        load_settings(path)


def test_the_unit_waits_for_a_stop_to_end() -> None:
    unit = (DEPLOY / "crossdock.service").read_text(encoding="utf-8")
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)s$", unit, re.MULTILINE)
    defaults = load_settings(DEPLOY.parents[1] / "config.toml").limits
    assert int(seconds) > defaults.shutdown_seconds + 5


def test_the_first_container_makes_tables_and_key_for_both_nodes(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster(nodes=1, start=False)
    cluster.start_engines()
    (node,) = cluster.nodes
    cluster.postgres.create(cluster.database)
    settings = {**node.settings, "store": {"url": cluster.postgres.url(cluster.database)}}
    node.configure(settings)
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (block,) = re.findall(r'command: \["(crossdock db upgrade.*?)"\]', text)
    run(block.replace("/etc/crossdock/config.toml", str(node.config)), cluster.folder)
    key = cluster.folder / "secrets" / "master.key"
    assert key.stat().st_mode & 0o077 == 0
    node.start()
    assert node.stop() == 0
