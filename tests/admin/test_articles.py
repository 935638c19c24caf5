"""The curl commands of the three articles, as printed but for host and ids."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import pytest
from harness.malomo import Malomo
from harness.running import MakeGateway, Running, Server

MALOMO = """curl -X POST https://api.truto.one/admin/integrated-accounts/YOUR_MALOMO_ACCOUNT_ID/mcp \\
-H "Authorization: Bearer YOUR_TRUTO_API_KEY" \\
-H "Content-Type: application/json" \\
-d '{
"name": "Malomo Shipment Agent Server",
"config": {
"methods": ["read", "write"],
"tags": ["orders", "webhooks"]
}
}'"""

CHATGPT = """curl -X POST https://api.truto.one/integrated-account/{integrated_account_id}/mcp \\
  -H "Authorization: Bearer YOUR_TRUTO_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Roserocket IT Ops Agent",
    "config": {
      "methods": ["read", "write"]
    }
  }'"""

CLAUDE = """curl -X POST https://api.truto.one/integrated-account/{integrated_account_id}/mcp \\
  -H "Authorization: Bearer YOUR_TRUTO_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Roserocket Logistics Agent",
    "config": {
      "methods": ["read", "write"],
      "tags": ["logistics", "events"]
    }
  }'"""

ROSEROCKET = {
    "integration": "roserocket",
    "name": "Carrier",
    "settings": {"base_url": "http://127.0.0.1:9/api/v2/platformModel"},
    "credentials": {
        "client_id": "client-of-the-sandbox",
        "client_secret": "secret-of-the-sandbox-31f",
        "org_id": "organisation-of-the-sandbox",
        "user_id": "user-of-the-sandbox",
    },
}


async def curl(running: Running, printed: str, account: str) -> dict[str, Any]:
    """Run a printed command with this gateway's host, this account's id and a real token."""
    command = (
        printed.replace("https://api.truto.one", running.url)
        .replace("YOUR_MALOMO_ACCOUNT_ID", account)
        .replace("{integrated_account_id}", account)
        .replace("YOUR_TRUTO_API_KEY", running.admin_token)
    )
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f"{command} --silent --show-error --write-out '\n%{{http_code}}'",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint
    body, _, status = out.decode().rpartition("\n")
    assert status == "201", body
    created: dict[str, Any] = json.loads(body)
    running.canaries.issue(created["token"], "the token of the printed command")
    return created


@pytest.fixture
def with_curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


@pytest.mark.requirement("server:create:answer", "server:create:admin-alias")
@pytest.mark.usefixtures("with_curl")
async def test_the_command_of_the_malomo_article_makes_a_server_that_works(malomo: Malomo) -> None:
    running = malomo.running
    created = await curl(running, MALOMO, "shop")
    assert created["id"].startswith("mcp_srv_")
    assert created["name"] == "Malomo Shipment Agent Server"
    assert created["config"]["methods"] == ["read", "write"]
    assert created["config"]["tags"] == ["orders", "webhooks"]
    assert created["expires_at"] is None
    assert created["url"] == f"{running.url}/mcp/{created['token']}"
    server = Server(created, running.http, created["url"], running.canaries)
    names = await server.names()
    assert "list_all_malomo_webhooks" in names
    assert not [name for name in names if "customer" in name]
    found = await server.call(
        "list_all_malomo_orders", {"customer_email": "sarah.smith@example.com"}
    )
    assert found.data["result_count"] >= 1
    for prefix in ("/admin/integrated-accounts", "/integrated-account"):
        path = f"{prefix}/shop/mcp/{created['id']}"
        shown = (await running.request("GET", path)).json
        assert shown["id"] == created["id"]
        assert "token" not in shown
        assert "url" not in shown


@pytest.mark.requirement("server:create:answer")
@pytest.mark.usefixtures("with_curl")
@pytest.mark.parametrize("printed", [CHATGPT, CLAUDE])
async def test_the_commands_of_the_rose_rocket_articles_make_servers(
    gateway: MakeGateway, printed: str
) -> None:
    pytest.importorskip("crossdock_roserocket")
    running = await gateway(adapters=["roserocket"], accounts={"carrier": ROSEROCKET})
    created = await curl(running, printed, "carrier")
    wanted = json.loads(printed[printed.index("'") + 1 : -1])
    assert created["name"] == wanted["name"]
    assert {key: created["config"][key] for key in wanted["config"]} == wanted["config"]
    assert created["id"].startswith("mcp_srv_")
    assert created["expires_at"] is None
    assert created["url"].startswith(f"{running.url}/mcp/")
    server = Server(created, running.http, created["url"], running.canaries)
    names = await server.names()
    assert "list_all_roserocket_objects" in names
    assert ("roserocket_user_groups_search" in names) is ("tags" not in wanted["config"])
