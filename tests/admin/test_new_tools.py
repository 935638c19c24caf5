"""Tools that an upgrade of the adapter brings wait until somebody accepts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider
from harness.running import Running, Server

UPGRADE = """
[resources.crates]
tags = ["goods"]
methods.list = "GET /crates"
methods.delete = "DELETE /crates/{id}"
"""
CRATES = """## list_all_acme_crates

List the crates of the store, newest first.

## delete_a_acme_crate_by_id

Delete a crate for good; it cannot be restored.

```toml
[path.id]
type = "string"
description = "The id of the crate."
```
"""
NEW = ["list_all_acme_crates", "delete_a_acme_crate_by_id"]
SECRETS = """## list_all_acme_secrets_of_state

List what an operator decided to document by hand.
"""


def upgrade(folder: Path) -> None:
    """Do what a newer version of the adapter would: declare endpoints and document them."""
    manifest = folder / "adapter.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + UPGRADE, encoding="utf-8")
    (folder / "docs" / "crates.md").write_text(CRATES, encoding="utf-8")


@pytest.fixture
async def running(acme_gateway: Running) -> Running:
    return acme_gateway


def path_of(server: Server) -> str:
    return f"/integrated-account/shop/mcp/{server.id}"


async def pending(running: Running, server: Server) -> Any:
    return (await running.request("GET", path_of(server))).json["pending_tools"]


async def awaits(running: Running, server: Server, wanted: list[str]) -> bool:
    return await pending(running, server) == wanted


async def lists(server: Server, wanted: list[str]) -> bool:
    return await server.names() == wanted


@pytest.mark.requirement("server:upgrade:pending")
async def test_new_tools_of_an_upgrade_are_neither_listed_nor_run_until_accepted(
    running: Running, acme_folder: Path, provider: Provider
) -> None:
    server = await running.server()
    assert server.created["pending_tools"] == []
    upgrade(acme_folder)
    await until(lambda: awaits(running, server, NEW))
    assert tuple(await server.names()) == acme.TOOLS
    provider.plays()
    for name in NEW:
        hidden = await server.attempt(name, {"id": "c1"})
        unknown = await server.attempt("acme_nonsense", {"id": "c1"})
        assert hidden.error["code"] == unknown.error["code"] == -32602
    assert provider.requests == []
    accepted = await running.request("POST", f"{path_of(server)}/accept-tools")
    assert accepted.status == 200
    assert accepted.json["pending_tools"] == []
    assert await server.names() == [*NEW, *acme.TOOLS]


async def test_one_of_them_can_be_accepted_alone(running: Running, acme_folder: Path) -> None:
    server = await running.server()
    upgrade(acme_folder)
    await until(lambda: awaits(running, server, NEW))
    body = {"tools": [NEW[0]]}
    accepted = await running.request("POST", f"{path_of(server)}/accept-tools", body)
    assert accepted.json["pending_tools"] == [NEW[1]]
    assert await server.names() == [NEW[0], *acme.TOOLS]
    wrong = await running.request(
        "POST", f"{path_of(server)}/accept-tools", {"tools": ["acme_nonsense"]}
    )
    assert wrong.status == 422
    assert wrong.json["details"] == {"field": "tools[0]"}


async def test_only_what_the_scope_lets_out_is_pending(running: Running, acme_folder: Path) -> None:
    reader = await running.server(methods=["read"])
    namer = await running.server(tags=["names"])
    upgrade(acme_folder)
    await until(lambda: awaits(running, reader, NEW[:1]))
    assert await pending(running, namer) == []


async def test_a_server_made_after_the_upgrade_has_its_tools(
    running: Running, acme_folder: Path
) -> None:
    await (await running.server()).names()
    upgrade(acme_folder)
    server = await running.server()
    assert await server.names() == [*NEW, *acme.TOOLS]


async def test_a_server_that_accepts_new_tools_has_them_at_once(
    running: Running, acme_folder: Path
) -> None:
    server = await running.server(accept_new_tools=True)
    upgrade(acme_folder)
    await until(lambda: lists(server, [*NEW, *acme.TOOLS]))
    assert await pending(running, server) == []
    # and what it had it keeps when it stops accepting
    await running.request("PATCH", path_of(server), {"config": {"accept_new_tools": False}})
    assert await server.names() == [*NEW, *acme.TOOLS]


async def test_a_page_edited_on_the_same_version_shows_by_itself_and_survives_an_upgrade(
    running: Running, acme_folder: Path
) -> None:
    server = await running.server()
    page = acme_folder / "docs" / "secrets_of_state.md"
    page.write_text(SECRETS, encoding="utf-8")
    known = [*acme.TOOLS, "list_all_acme_secrets_of_state"]
    await until(lambda: lists(server, known))
    await running.gateway.control.servers.adopt_tools()  # what the gateway does every few seconds
    upgrade(acme_folder)
    await until(lambda: awaits(running, server, NEW))
    assert await server.names() == known


async def test_an_upgrade_without_new_tools_leaves_room_for_the_next_edited_page(
    running: Running, acme_folder: Path
) -> None:
    server = await running.server()
    before = (await running.request("GET", path_of(server))).json
    manifest = acme_folder / "adapter.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("/items/count", "/items/tally"), encoding="utf-8")
    adapter = running.gateway.plugins.adapters["acme"]
    await until(lambda: adapter.generation == 2)
    assert tuple(await server.names()) == acme.TOOLS
    await running.gateway.control.servers.adopt_tools()
    (acme_folder / "docs" / "secrets_of_state.md").write_text(SECRETS, encoding="utf-8")
    await until(lambda: lists(server, [*acme.TOOLS, "list_all_acme_secrets_of_state"]))
    after = (await running.request("GET", path_of(server))).json
    assert after["updated_at"] == before["updated_at"]


async def test_a_newer_distribution_that_documents_an_endpoint_makes_its_tool_pending(
    running: Running, acme_folder: Path
) -> None:
    server = await running.server()
    (acme_folder / "docs" / "secrets_of_state.md").write_text(SECRETS, encoding="utf-8")
    running.gateway.plugins.adapters["acme"].release = "2.0"
    running.gateway.catalog.refresh()
    await until(lambda: awaits(running, server, ["list_all_acme_secrets_of_state"]))
    assert tuple(await server.names()) == acme.TOOLS
