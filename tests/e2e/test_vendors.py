"""Every tool becomes what OpenAI, Gemini and Anthropic take, built by their own libraries.

No request leaves this machine: the libraries only convert what `tools/list` answers.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from harness.malomo import Malomo
from harness.running import MakeGateway, Server

pytestmark = pytest.mark.e2e
KINDS = ["order", "task", "customer", "manifest", "quote", "invoice", "bill", "financialLineItem"]
CARRIER = {
    "integration": "roserocket",
    "settings": {"base_url": "http://127.0.0.1:9/api/v2/platformModel"},
    "credentials": {
        "client_id": "client-of-no-sandbox",
        "client_secret": "secret-of-no-sandbox-77a",
        "org_id": "organisation-of-no-sandbox",
        "user_id": "user-of-no-sandbox",
    },
}


async def _forms(clients: ModuleType, server: Server) -> list[dict[str, Any]]:
    python = await asyncio.to_thread(clients.python_client, "vendors")
    script = Path(clients.__file__ or "").with_name("vendor_forms.py")
    process = await asyncio.create_subprocess_exec(
        python, script, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    tools = await server.tools()
    out, _ = await process.communicate(json.dumps(tools).encode())
    forms = [json.loads(line) for line in out.splitlines()]
    assert [form["name"] for form in forms] == [tool["name"] for tool in tools]
    return forms


@pytest.mark.requirement("tools:schema:hosts")
@pytest.mark.parametrize("exposure", ["all", "discovery"])
async def test_every_tool_is_taken_by_every_vendor(
    gateway: MakeGateway, clients: ModuleType, exposure: str
) -> None:
    typed = {**CARRIER, "settings": {**CARRIER["settings"], "object_tools": KINDS}}
    shop = {"integration": "malomo", "credentials": {"api_key": "sk_of_no_shop_at_all_5d"}}
    running = await gateway(
        adapters=["malomo", "roserocket"],
        accounts={"shop": shop, "carrier": CARRIER, "typed": typed},
    )
    for account in ("shop", "carrier", "typed"):
        server = await running.server(account, tool_exposure=exposure)
        forms = await _forms(clients, server)
        assert {form["name"]: form["said"] for form in forms if form["said"]} == {}
        for tool in await server.tools():
            assert len(tool["description"]) <= 1024
            _judge(tool["name"], tool["inputSchema"])


def _judge(place: str, schema: Any) -> None:
    if isinstance(schema, list):
        for part in schema:
            _judge(place, part)
    if not isinstance(schema, dict):
        return
    assert not isinstance(schema.get("type"), list), place
    assert schema.get("additionalProperties") is not False, place
    assert schema.get("type") != "array" or schema.get("items"), place
    assert len(str(schema.get("description", ""))) <= 1024, place
    for name, part in schema.items():
        _judge(f"{place}.{name}", part)


@pytest.mark.requirement("tools:schema:hosts", "tools:arguments:null")
async def test_a_host_that_requires_every_argument_can_leave_one_out_by_null(
    malomo: Malomo, clients: ModuleType
) -> None:
    forms = {form["name"]: form for form in await _forms(clients, malomo.server)}
    strict = forms["list_all_malomo_orders"]["strict"]
    assert set(strict["required"]) == set(strict["properties"])
    nothing = dict.fromkeys(strict["properties"])
    mine = {**nothing, "customer_email": "sarah.smith@example.com", "limit": 2.0}
    for given, least in ((nothing, 5), (mine, 1)):
        called = await malomo.call("list_all_malomo_orders", given)
        assert called.data["result_count"] >= least
    order = (await malomo.call("list_all_malomo_orders", mine)).data["result"][0]["id"]
    update = dict.fromkeys(forms["update_a_malomo_order_by_id"]["strict"]["properties"])
    before = (await malomo.call("get_single_malomo_order_by_id", {"id": order})).data
    await malomo.call("update_a_malomo_order_by_id", {**update, "id": order})
    assert (await malomo.call("get_single_malomo_order_by_id", {"id": order})).data == before
