"""What a list shows by itself: the view that its adapter declares."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import acme
from harness.provider import Provider, raw
from harness.running import MakeGateway

BIG = 2**70
ITEM = b'{"id":7,"n":%d,"paint":{"name":"Blue","code":9},"parts":[{"id":1}]}' % BIG


@pytest.mark.requirement("tools:fields:cut")
async def test_a_view_is_what_a_list_shows_by_itself(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    toml = acme_folder / "adapter.toml"
    text = toml.read_text().replace(
        "[resources.items]", '[resources.items]\nview = ["n", "paint.name"]'
    )
    toml.write_text(text)
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running.server()
    provider.plays(raw(b"[" + ITEM + b"]"), raw(b"[" + ITEM + b"]"), raw(ITEM))
    listed = await server.call("list_all_acme_items", {})
    assert listed.text.startswith('{"result":[{"id":7,"n":%d,"paint":{"name":"Blue"}}]' % BIG)
    whole = await server.call("list_all_acme_items", {"fields": ["*"]})
    assert whole.data["result"] == [json.loads(ITEM)]
    single = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert single.data == json.loads(ITEM)
    described = {tool["name"]: tool for tool in await server.tools()}
    fields = described["list_all_acme_items"]["inputSchema"]["properties"]["fields"]
    assert "n, paint.name" in fields["description"]
