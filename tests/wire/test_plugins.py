"""Plugins: entry points and folders through one door; a broken one is named, the rest serves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import acme, malomo
from harness.patience import until
from harness.provider import Provider
from harness.running import MakeGateway, Running

from crossdock import __version__
from crossdock.config import PluginSettings, Settings
from crossdock.errors import ConfigError, PluginError
from crossdock.plugins import load_plugins

pytestmark = pytest.mark.requirement("door:plugin:isolated")
HOOK = (
    "from crossdock.adapter import hookimpl, load_adapter\n\n@hookimpl\ndef crossdock_adapters():\n"
)
BROKEN = {
    "syntax": "def (",
    "import": "import a_module_that_nobody_has",
    "raises": "raise ValueError('sorry')",
    "exits": "import sys; sys.exit(3)",
    "interrupts": "raise KeyboardInterrupt",
    "recurses": "def f(): f()\nf()",
    "no memory": "raise MemoryError",
    "hook raises": HOOK + "    raise ValueError('sorry')",
    "hook exits": HOOK + "    raise SystemExit(3)",
    "hook gives a string": HOOK + "    return ['acme']",
    "hook gives a number": HOOK + "    return 7",
    "hook with a wrong argument": HOOK.replace("adapters()", "adapters(nothing)") + "    return []",
    "an unknown hook": "from crossdock.hookspecs import hookimpl\n@hookimpl\ndef crossdock_x(): pass",
    "no adapter.toml": HOOK + "    yield load_adapter(__name__)",
}


def _drop(folder: Path, name: str, text: str) -> None:
    (folder / "plugins").mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / f"{name}.py").write_text(text, encoding="utf-8")


def _settings(folder: Path, **plugins: Any) -> Settings:
    return Settings(folder=folder, plugins=PluginSettings(**plugins))


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_plugin_is_named_and_the_rest_serves(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, broken: str
) -> None:
    _drop(acme_folder.parents[1], "aaa_broken", BROKEN[broken])
    running = await gateway(
        adapters=["acme", "aaa_broken"], accounts={"shop": acme.account(provider.url)}
    )
    server = await running.server()
    assert (await server.call("acme_items_count")).data == {"ok": True}
    (record,) = [one for one in running.gateway.plugins.records() if one.name == "aaa_broken"]
    assert record.error
    assert "aaa_broken" in record.source
    log = running.canaries.log_text()
    assert "plugin.broken" in log
    assert "aaa_broken" in log


@pytest.mark.parametrize("broken", ["syntax", "exits", "hook raises", "an unknown hook"])
def test_under_strict_a_broken_plugin_stops_the_start(tmp_path: Path, broken: str) -> None:
    _drop(tmp_path, "bad", BROKEN[broken])
    with pytest.raises(PluginError, match="bad"):
        load_plugins(_settings(tmp_path, strict=True, only=["bad"]))


def test_two_adapters_of_one_name_are_both_refused_and_both_are_named(tmp_path: Path) -> None:
    acme.write(tmp_path / "plugins")
    acme.write(tmp_path / "plugins", name="copy")
    plugins = load_plugins(_settings(tmp_path, only=["acme", "copy"]))
    assert plugins.adapters == {}
    errors = {record.name: record.error for record in plugins.records()}
    for name in ("acme", "copy"):
        assert "'acme' comes from both acme and copy" in errors[name]


def test_a_folder_cannot_take_the_place_of_an_installed_plugin(tmp_path: Path) -> None:
    acme.write(tmp_path / "plugins", name="malomo")
    plugins = load_plugins(_settings(tmp_path, only=["malomo"]))
    assert list(plugins.adapters) == ["malomo"]
    failed = [record for record in plugins.records() if record.error]
    assert ["another plugin is called 'malomo'" in record.error for record in failed] == [True]


def test_only_and_disabled_choose_among_folders_and_entry_points_alike(tmp_path: Path) -> None:
    acme.write(tmp_path / "plugins")

    def loaded(**chosen: Any) -> set[str]:
        return set(load_plugins(_settings(tmp_path, **chosen)).adapters)

    everything = loaded()
    assert {"malomo", "acme"} <= everything
    assert loaded(only=["acme"]) == {"acme"}
    assert loaded(only=["malomo"]) == {"malomo"}
    assert loaded(disabled=["acme"]) == everything - {"acme"}
    assert loaded(only=["acme", "malomo"], disabled=["malomo"]) == {"acme"}
    assert loaded(only=["nothing"]) == set()


def test_a_distribution_for_another_crossdock_is_refused_with_both_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "late-0.1.dist-info"
    info.mkdir(parents=True)
    head = "Metadata-Version: 2.1\nName: late\nVersion: 0.1\n"
    (info / "METADATA").write_text(f"{head}Requires-Dist: crossdock<10,>=9\n", "utf-8")
    (info / "entry_points.txt").write_text("[crossdock]\nlate = json\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    plugins = load_plugins(_settings(tmp_path, only=["late"]))
    (record,) = [one for one in plugins.records() if one.name == "late"]
    assert "<10,>=9" in record.error
    assert f"this is crossdock {__version__}" in record.error


def test_hidden_and_private_files_are_no_plugins(tmp_path: Path) -> None:
    for name in (".hidden", "_private", "__pycache__"):
        _drop(tmp_path, name, "raise ValueError")
    (tmp_path / "plugins" / "README.md").write_text("Words.", encoding="utf-8")
    (tmp_path / "plugins" / "empty").mkdir()
    plugins = load_plugins(_settings(tmp_path, only=["malomo"], strict=True))
    assert list(plugins.adapters) == ["malomo"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_a_folder_that_everyone_may_write_is_refused(tmp_path: Path) -> None:
    _drop(tmp_path, "fine", "")
    (tmp_path / "plugins").chmod(0o777)
    with pytest.raises(ConfigError, match="chmod o-w"):
        load_plugins(_settings(tmp_path))


# --- plugins that misbehave while serving ----------------------------------------------------

MAPPER = """
import asyncio, sys
from crossdock.adapter import Outcome, hookimpl, load_adapter
{imports}

async def archive(call, context):
    {body}

@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers={{"items.archive": archive}})
"""
BAD_MAPPERS = {
    "raises": ("raise ValueError('canary')", None),
    "exits": ("sys.exit(3)", None),
    "interrupts": ("raise KeyboardInterrupt", None),
    "recurses": ("return await archive(call, context)", None),
    "runs out of memory": ("raise MemoryError('canary')", None),
    "hangs": ("await asyncio.sleep(60)", "upstream_timeout"),
    "cancels itself": ("raise asyncio.CancelledError", "bad_tool_output"),
    "returns nothing": ("return None", "bad_tool_output"),
    "returns bytes": ("return b'{}'", "bad_tool_output"),
    "returns a generator": ("return Outcome(data=(x for x in ()))", "bad_tool_output"),
    "returns an object": ("return Outcome(data=object())", "bad_tool_output"),
    "returns itself": ("a = []; a.append(a); return Outcome(data=a)", "bad_tool_output"),
    "returns keys that are no text": ("return Outcome(data={(1, 2): 3})", "bad_tool_output"),
    "returns half a character": ("return Outcome(data={'a': '\\ud800'})", "bad_tool_output"),
    "returns bytes that are no JSON": ("return Outcome(data=b'{')", "bad_tool_output"),
}


async def _with_mapper(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, body: str, imports: str = ""
) -> Running:
    text = MAPPER.format(body=body, imports=imports)
    (acme_folder / "__init__.py").write_text(text, encoding="utf-8")
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {"read_seconds": 0.3, "write_seconds": 0.3}},
    )


@pytest.mark.parametrize("bad", BAD_MAPPERS)
async def test_a_mapper_that_misbehaves_costs_its_own_call_only(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, bad: str
) -> None:
    body, kind = BAD_MAPPERS[bad]
    running = await _with_mapper(gateway, acme_folder, provider, body)
    server = await running.server()
    response = await server.attempt("acme_items_archive", {"id": "a"})
    assert response.status == 200
    assert b"canary" not in response.body
    if kind is None:
        error = response.result["structuredContent"]["error"]
        assert (error["kind"], error["request_id"]) == (
            "internal",
            response.headers["X-Request-ID"],
        )
        assert "Nothing was written" in error["message"]
    else:
        found = response.result["content"][0]["text"]
        assert f'"kind":"{kind}"' in found or '"kind":"upstream_malformed"' in found
    assert (await server.call("acme_items_count")).data == {"ok": True}


@pytest.mark.parametrize(
    "path",
    ["//evil.example/x", "https://evil.example/", "/a/../../b", "/..", "/a/%2E./b", "/a?b=c", "/a#b",
     "a", ""],
)  # fmt: skip
async def test_a_mapper_cannot_leave_the_providers_base_url(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, path: str
) -> None:
    imports = "from crossdock.adapter import UpstreamRequest"
    body = f"await context.send(UpstreamRequest(verb='GET', path={path!r}))"
    running = await _with_mapper(gateway, acme_folder, provider, body, imports)
    response = await (await running.server()).attempt("acme_items_archive", {"id": "a"})
    assert response.status == 200
    if path == "//evil.example/x":
        assert [request.target for request in provider.requests] == [path]  # a path, not a host
    else:
        assert provider.requests == []


OBSERVER = """
from crossdock.hookspecs import hookimpl

events = []

@hookimpl
def crossdock_call_finished(event):
    events.append(event)
    {body}
"""


async def test_an_observer_that_fails_harms_no_call_and_no_other_observer(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    folder = acme_folder.parents[1]
    _drop(folder, "good", OBSERVER.format(body="pass"))
    _drop(folder, "bad", OBSERVER.format(body="raise ValueError"))
    _drop(folder, "worse", OBSERVER.format(body="raise SystemExit"))
    running = await gateway(
        adapters=["acme", "good", "bad", "worse"], accounts={"shop": acme.account(provider.url)}
    )
    server = await running.server()
    for _ in range(2):
        assert (await server.call("acme_items_count")).data == {"ok": True}
    await server.call("create_a_acme_item", {"title": "canary"})
    events = sys.modules["crossdock_local_good"].events
    await until(lambda: len(events) == 3)
    assert [event.tool for event in events] == [
        "acme_items_count", "acme_items_count", "create_a_acme_item",
    ]  # fmt: skip
    assert {event.outcome for event in events} == {"ok"}
    assert events[0].upstream_requests == 1
    assert "canary" not in repr(events)


RESOLVER = """
from crossdock.hookspecs import hookimpl

@hookimpl
def crossdock_resolve_secret(scheme, reference):
    return "vault-secret-" + reference if scheme == "vault" else None
"""


async def test_a_plugin_can_resolve_secrets_of_another_kind(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, canaries: Any
) -> None:
    _drop(acme_folder.parents[1], "vault", RESOLVER)
    account = acme.account(provider.url)
    running = await gateway(
        adapters=["acme", "vault"],
        accounts={"shop": {**account, "references": {"api_key": "vault:acme"}}},
    )
    canaries.issue("vault-secret-acme", "the vault's secret")
    await (await running.server()).call("acme_items_count")
    assert provider.requests[-1].headers["x-api-key"] == "vault-secret-acme"


async def test_an_account_of_a_plugin_that_is_broken_is_503_and_the_others_serve(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, shop: str
) -> None:
    given: dict[str, Any] = {
        "adapters": ["acme", "malomo"],
        "accounts": {"shop": acme.account(provider.url), "second": malomo.account(shop)},
    }
    first = await gateway(**given)
    broken, fine = await first.server("shop"), await first.server("second")
    await first.stop()
    (acme_folder / "adapter.toml").write_text("format =", encoding="utf-8")
    second = await gateway(**given, folder=first.folder)
    response = await second.speaker(f"/mcp/{broken.token}").send("tools/list")
    assert response.status == 503
    assert "shop" in response.error["message"]
    assert len(await second.speaker(f"/mcp/{fine.token}").names()) == 21
