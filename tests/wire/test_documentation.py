"""Tools are made from the documentation as it lies on disk: an edit shows, a broken one does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import PATIENCE as WITHIN
from harness.patience import until
from harness.provider import Provider
from harness.running import Running, Server

pytestmark = pytest.mark.requirement("tools:documented:live")
SECRETS = """

## list_all_acme_secrets_of_state

List what nobody was meant to see until now.
"""


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


async def _differ(server: Server, before: list[dict[str, Any]]) -> bool:
    return await server.tools() != before


async def _names(server: Server, wanted: Sequence[str]) -> bool:
    return await server.names() == [*wanted]


def _said(running: Running, what: str) -> int:
    return running.canaries.log_text().count(what)


@pytest.fixture
async def server(acme_gateway: Running) -> Server:
    return await acme_gateway.server()


@pytest.fixture
def page(acme_folder: Path) -> Path:
    return acme_folder / "docs" / "items.md"


async def test_edited_words_show_in_lists_within_a_second_or_so(server: Server, page: Path) -> None:
    before = {tool["name"]: tool for tool in await server.tools()}
    _edit(
        page,
        "Read one item by the id that Acme gave it.",
        "Read one item, and only one, by its id.",
    )
    assert await until(lambda: _differ(server, [*before.values()]), WITHIN)
    after = {tool["name"]: tool for tool in await server.tools()}
    assert list(before) == list(after)
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["get_single_acme_item_by_id"]
    assert after[changed[0]]["description"] == "Read one item, and only one, by its id."


async def test_a_new_argument_is_listed_checked_and_sent(
    server: Server, page: Path, provider: Provider
) -> None:
    refused = await server.call("list_all_acme_items", {"owner": "me"})
    assert refused.error["argument"] == "owner"
    argument = (
        '[query.owner]\ntype = "string"\ndescription = "Only items of theirs."\n\n[query.open]'
    )
    before = await server.tools()
    _edit(page, "[query.open]", argument)
    await until(lambda: _differ(server, before), WITHIN)
    provider.requests.clear()
    await server.call("list_all_acme_items", {"owner": "me"})
    assert provider.requests[0].query == "owner=me"


@pytest.mark.requirement("tools:documented:only")
async def test_an_entry_lets_an_endpoint_out_and_its_loss_takes_it_back(
    server: Server, page: Path
) -> None:
    name = "list_all_acme_secrets_of_state"
    assert name not in await server.names()
    assert (await server.attempt(name, {})).error["code"] == -32602
    text = page.read_text(encoding="utf-8")
    page.write_text(text + SECRETS, encoding="utf-8")
    await until(lambda: _names(server, [*acme.TOOLS[:7], name, *acme.TOOLS[7:]]), WITHIN)
    page.write_text(text, encoding="utf-8")
    await until(lambda: _names(server, acme.TOOLS), WITHIN)
    assert (await server.attempt(name, {})).error["code"] == -32602


async def test_a_new_page_counts_without_a_restart(server: Server, acme_folder: Path) -> None:
    (acme_folder / "docs" / "zz.md").write_text(SECRETS, encoding="utf-8")
    await until(lambda: _names(server, [*acme.TOOLS, "list_all_acme_secrets_of_state"]), WITHIN)
    (acme_folder / "docs" / "zz.md").unlink()
    await until(lambda: _names(server, acme.TOOLS), WITHIN)


BROKEN: dict[str, Any] = {
    "adapter.toml is not TOML": ("adapter.toml", "format = 1", "format ="),
    "an unknown key": ("adapter.toml", 'title = "Acme"', 'titel = "Acme"'),
    "no endpoint": ("adapter.toml", '"GET /items/{id}"', '"FETCH /items/{id}"'),
    "an unknown scheme": ("adapter.toml", 'scheme = "api_key"', 'scheme = "magic"'),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_edit_of_adapter_toml_keeps_the_tools_and_is_logged(
    server: Server, acme_folder: Path, provider: Provider, broken: str, acme_gateway: Running
) -> None:
    before = await server.tools()
    file, old, new = BROKEN[broken]
    _edit(acme_folder / file, old, new)
    await until(lambda: _said(acme_gateway, "adapter.broken") == 1, WITHIN)
    assert await server.tools() == before
    assert not (await server.call("acme_items_count")).is_error
    assert _said(acme_gateway, "acme/adapter.toml:")
    _edit(acme_folder / file, new, old)
    assert await server.tools() == before


async def test_a_broken_entry_keeps_the_tools_as_they_were(
    server: Server, page: Path, provider: Provider, acme_gateway: Running
) -> None:
    before = await server.tools()
    for count, (old, new) in enumerate(
        (
            ('description = "The id of the item."', 'descripton = "The id of the item."'),
            ("[path.id]", "[path.id"),
            ("```toml", "````toml"),
        ),
        1,
    ):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(old, new), encoding="utf-8")
        await until(lambda n=count: _said(acme_gateway, "adapter.broken") == n, WITHIN)
        assert await server.tools() == before, new
        called = await server.call("get_single_acme_item_by_id", {"id": "a"})
        assert not called.is_error
        page.write_text(text, encoding="utf-8")
    assert await server.tools() == before


async def test_a_page_that_is_gone_or_no_text_is_survived(
    server: Server, acme_folder: Path, page: Path, acme_gateway: Running
) -> None:
    before = await server.tools()
    page.write_bytes(b"\xff\xfe\x00")
    await until(lambda: _said(acme_gateway, "adapter.broken") == 1, WITHIN)
    assert await server.tools() == before
    (acme_folder / "adapter.toml").rename(acme_folder / "elsewhere.toml")
    await until(lambda: _said(acme_gateway, "adapter.broken") == 2, WITHIN)
    assert await server.tools() == before
    assert not (await server.call("acme_items_count")).is_error


async def test_a_touched_file_that_says_the_same_changes_nothing(
    server: Server, page: Path, acme_gateway: Running
) -> None:
    before = await server.send("tools/list")
    os.utime(page, (1, 1))
    await until(lambda: _said(acme_gateway, "adapter.changed") == 1, WITHIN)
    assert (await server.send("tools/list")).body == before.body


async def test_a_changed_endpoint_counts_with_the_next_call(
    server: Server, acme_folder: Path, provider: Provider, acme_gateway: Running
) -> None:
    _edit(acme_folder / "adapter.toml", '"GET /items/{id}"', '"GET /things/{id}"')
    await until(lambda: _said(acme_gateway, "adapter.changed") == 1, WITHIN)
    await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert provider.requests[-1].target == "/things/a"
