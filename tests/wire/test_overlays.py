"""An operator's pages: they replace sections, let tools out and keep them back, live, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider
from harness.running import MakeGateway, Running, Server

pytestmark = pytest.mark.requirement("tools:documented:overlays")

PAGE = """# Ours

```toml
[defs.shade]
enum = ["red", "blue"]
```

## get_single_acme_item_by_id

Read one item; its owner must have asked for it.

```toml
[path.id]
type = "string"
description = "Our own number."
```

## create_a_acme_item

Create an item in our shades only.

```toml
[body.title]
type = "string"
description = "Its title."

[body.shade]
"$ref" = "#/$defs/shade"
description = "Its shade."

[body.size]
"$ref" = "#/$defs/size"
description = "As in the adapter's own page."
```

## list_all_acme_secrets_of_state

List what our own people may see by now.

## -acme_items_archive
"""


async def started(
    gateway: MakeGateway, folder: Path, provider: Provider, *, of_account: bool = False
) -> Running:
    overlay = folder.parents[1] / "pages"
    overlay.mkdir()
    (overlay / "items.md").write_text(PAGE, encoding="utf-8")
    account: dict[str, Any] = acme.account(provider.url)
    other = acme.account(provider.url)
    settings: dict[str, Any] = {}
    if of_account:
        account["overlay"] = str(overlay)
    else:
        settings = {"adapters": {"acme": {"overlay": str(overlay)}}}
    return await gateway(
        adapters=["acme"], accounts={"shop": account, "other": other}, settings=settings
    )


async def told(server: Server) -> dict[str, Any]:
    return {tool["name"]: tool for tool in await server.tools()}


async def changed_from(server: Server, before: dict[str, Any]) -> bool:
    return await told(server) != before


async def test_an_overlay_replaces_adds_and_withholds(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    running = await started(gateway, acme_folder, provider)
    server = await running.server("shop")
    tools = await told(server)
    kept = [name for name in acme.TOOLS if name != "acme_items_archive"]
    assert list(tools) == [*kept, "list_all_acme_secrets_of_state"]
    assert tools["get_single_acme_item_by_id"]["description"].startswith("Read one item; its owner")
    properties = tools["create_a_acme_item"]["inputSchema"]["properties"]
    assert set(properties) == {"title", "shade", "size"}
    assert set(tools["create_a_acme_item"]["inputSchema"]["$defs"]) == {"shade", "size"}
    assert (await server.attempt("acme_items_archive", {"id": "a"})).error["code"] == -32602
    await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert provider.requests[-1].target == "/items/a"


async def test_an_overlay_of_an_account_is_for_that_account_alone(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    running = await started(gateway, acme_folder, provider, of_account=True)
    assert "acme_items_archive" not in await told(await running.server("shop"))
    assert tuple(await told(await running.server("other"))) == acme.TOOLS


async def test_an_overlay_is_read_again_and_a_broken_edit_keeps_the_tools(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    running = await started(gateway, acme_folder, provider)
    server = await running.server("shop")
    before = await told(server)
    page = acme_folder.parents[1] / "pages" / "items.md"
    page.write_text(PAGE.replace("[path.id]", "[path.id"), encoding="utf-8")
    await until(lambda: f"{page}:" in running.canaries.log_text())
    assert await told(server) == before
    page.write_text(PAGE.replace("Our own number.", "Our number."), encoding="utf-8")
    await until(lambda: changed_from(server, before))
    after = await told(server)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["get_single_acme_item_by_id"]
