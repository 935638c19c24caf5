"""What a plugin does wrong costs its own tools and accounts, is named, and is never half believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running

from crossdock.config import PluginSettings, Settings
from crossdock.plugins import PluginRecord, load_plugins

pytestmark = pytest.mark.requirement("door:plugin:isolated")

PAGE = "## acme_items_zone\\n\\nRead the zone of an item, which only some accounts have.\\n"
ADAPTER = """
from crossdock.adapter import Expansion, InvalidArguments, hookimpl, load_adapter

class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("not even this")

def expand(settings):
    {expand}

async def archive(call, context):
    {archive}

@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, expand=expand, mappers={{"items.archive": archive}})
"""
PLAIN = "return ()"
REST = "from crossdock.adapter import rest; return await rest(call, context)"


async def started(
    gateway: MakeGateway, folder: Path, provider: Provider, expand: str = PLAIN, archive: str = REST
) -> Running:
    text = ADAPTER.format(expand=expand, archive=archive)
    (folder / "__init__.py").write_text(text, encoding="utf-8")
    return await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})


def record_of(running: Running, name: str) -> PluginRecord:
    (record,) = [one for one in running.gateway.plugins.records() if one.name == name]
    return record


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('sorry')",
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "raise Odd",
        "return 7",
        "return [7]",
        "return [None]",
        "return 'text'",
        "return [Expansion(resources={'x': {1, 2}}, page_name='x.md', page='x')]",
        "return [Expansion(resources=7, page_name='x.md', page='x')]",
        "return [Expansion(resources={}, page_name='x.md', page=7)]",
        f"return [Expansion(resources={{'items': 7}}, page_name='x.md', page='{PAGE}')]",
        "return expand(settings)",
    ],
)
async def test_an_expand_that_fails_costs_its_own_tools_and_is_named(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, body: str
) -> None:
    running = await started(gateway, acme_folder, provider, expand=body)
    server = await running.server()
    assert (await server.call("acme_items_count")).data == {"ok": True}
    assert "acme" in record_of(running, "acme").error


SECRETS = """
from crossdock.hookspecs import hookimpl

class Odd(BaseException):
    pass

@hookimpl
def crossdock_resolve_secret(scheme, reference):
    if scheme != "vault":
        return None
    {body}
"""


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('sorry')", "raise SystemExit(3)", "raise Odd", "return 7", "return b'x'"],
)
async def test_a_secret_hook_that_fails_costs_the_accounts_that_need_it(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, body: str
) -> None:
    (acme_folder.parent / "vault.py").write_text(SECRETS.format(body=body), encoding="utf-8")
    account = acme.account(provider.url)
    running = await gateway(
        adapters=["acme", "vault"],
        accounts={
            "fine": account,
            "shop": {**account, "references": {"api_key": "vault:acme"}},
        },
    )
    server = await running.server("fine")
    assert (await server.call("acme_items_count")).data == {"ok": True}
    refused = await running.request("GET", "/integrated-account/shop/tools")
    assert refused.status == 409
    assert "plugin vault" in refused.json["message"]
    assert "crossdock_resolve_secret" in record_of(running, "vault").error


@pytest.mark.parametrize(
    "wrong",
    [
        "raise ValueError('sorry')",
        "raise SystemExit(3)",
        "raise Odd",
        "raise GeneratorExit",
        "return 7",
        "from crossdock.adapter import Outcome; return Outcome(data={1, 2j})",
        "from crossdock.adapter import Outcome; return Outcome(data=b'no json')",
        "from crossdock.adapter import Outcome; return Outcome(data={}, notes=7)",
        "from crossdock.adapter import Outcome; return Outcome(data={}, notes=(7,))",
        "from crossdock.adapter import Outcome; return Outcome(data={}, content=7)",
        "from crossdock.adapter import Outcome; return Outcome(data={}, rate=7)",
        "await context.fetch('/later')",  # which the provider answers with 404
    ],
)
@pytest.mark.parametrize("sent", [True, False])
async def test_after_a_sent_write_nobody_hides_that_it_may_have_been_carried_out(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, wrong: str, sent: bool
) -> None:
    write = "from crossdock.adapter import UpstreamRequest; await context.send(UpstreamRequest(verb='POST', path='/x'))"
    body = f"{write}\n    {wrong}" if sent else wrong
    running = await started(gateway, acme_folder, provider, archive=body)
    server = await running.server()
    refused = reply({"message": "no such thing"}, 404)
    provider.plays(*([reply({"ok": True})] if sent else []), refused)
    failed = await server.call("acme_items_archive", {"id": "a"})
    kind = failed.error["kind"]
    if sent:
        assert kind == "write_outcome_unknown"
        assert "may have been carried out" in failed.error["message"]
    else:
        assert kind in ("internal", "bad_tool_output", "not_found", "upstream_malformed")


def test_what_a_mapper_is_told_needs_a_mapper_that_hears_it(tmp_path: Path) -> None:
    """The guard of a destructive write hangs on such an argument."""
    folder = acme.write(tmp_path / "plugins")
    page = folder / "docs" / "items.md"
    heading, place = "## acme_items_archive\n", "[path.id]\n"
    before, after = page.read_text("utf-8").split(heading)
    argument = '[mapper.keep]\ntype = "boolean"\ndescription = "Keep it."\n\n'
    page.write_text(before + heading + after.replace(place, argument + place, 1), "utf-8")
    plugins = load_plugins(Settings(folder=tmp_path, plugins=PluginSettings(only=["acme"])))
    adapter = plugins.adapters["acme"]
    toolset = adapter.toolset(adapter.defaults())
    assert "acme_items_archive" not in toolset.bindings
    assert "acme_items_count" in toolset.bindings
    (record,) = [one for one in plugins.records() if one.name == "acme"]
    assert "[mapper.keep]" in record.error
    assert "load_adapter(mappers=" in record.error


def _loaded(folder: Path) -> dict[str, Any]:
    plugins = load_plugins(Settings(folder=folder, plugins=PluginSettings(only=["acme"])))
    return {one.name: one.error for one in plugins.records()}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("part", [".", "docs", "__init__.py", "docs/items.md", "inner/deep.py"])
def test_a_plugin_of_which_others_can_write_a_part_is_not_loaded(tmp_path: Path, part: str) -> None:
    folder = acme.write(tmp_path / "plugins")
    (folder / "inner").mkdir()
    (folder / "inner" / "deep.py").write_text("", "utf-8")
    assert _loaded(tmp_path)["acme"] == ""
    (folder / part).chmod(0o777)
    error = _loaded(tmp_path)["acme"]
    assert "may be written by everyone" in error
    assert "chmod -R o-w" in error
