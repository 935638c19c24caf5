"""Bad plugins beside a good one: theirs is the trouble alone, and it is named."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from harness import acme, malomo
from harness.patience import until
from harness.provider import Provider, reply, silent
from harness.running import MakeGateway, Running, Server

from crossdock import plugins as loading
from crossdock.calls import adapter_threads, quarantine
from crossdock.calls.quarantine import Quarantine
from crossdock.cli import main

pytestmark = pytest.mark.requirement("door:plugin:isolated")

MAPPER = '''"""A bad one."""

import asyncio
import threading
import time
from pathlib import Path

from crossdock.adapter import Forbidden, Outcome, UpstreamRequest, hookimpl, load_adapter, rest

HERE = Path(__file__).parent


def go() -> bool:
    return (HERE / "go").exists()


async def count(call, context):
    {count}


async def archive(call, context):
    {archive}


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers={{"items.count": count, "items.archive": archive}})
'''
REST = "return await rest(call, context)"
SPINS = "\n    while not go():\n        pass\n    return Outcome(data={})"
SLEEPS = "\n    while not go():\n        time.sleep(0.01)\n    return Outcome(data={})"
DEAF = """
    while not go():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass
    return Outcome(data={})"""
DEAF_WRITE = """
    try:
        await asyncio.sleep(60)
    finally:
        await context.send(UpstreamRequest(verb="POST", path="/late"))"""


def _bad(folder: Path, name: str = "acme", **bodies: str) -> Path:
    """Write a bad adapter, called `name` through and through."""
    text = MAPPER.format(**{"count": REST, "archive": REST, **bodies})
    place = acme.write(folder, python=text, name=name)
    for file in (place / "adapter.toml", *(place / "docs").iterdir()):
        file.write_text(file.read_text("utf-8").replace("acme", name), "utf-8")
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gateway-1" / "plugins"


async def _started(
    gateway: MakeGateway, provider: Provider, limits: dict[str, Any] | None = None, **more: Any
) -> Running:
    account = acme.account(provider.url)
    settings = {"limits": {"read_seconds": 0.5, "write_seconds": 0.5, **(limits or {})}}
    return await gateway(adapters=["acme"], accounts={"shop": account}, settings=settings, **more)


# --- five at once ----------------------------------------------------------------------------

HANGS_AT_IMPORT = "while True:\n    pass\n"
RAISES_AT_IMPORT = "raise SystemExit('no')\n"
HANGING_HOOK = """import time
from crossdock.adapter import hookimpl


@hookimpl
def crossdock_call_finished(event):
    time.sleep(30)
"""


async def test_five_bad_plugins_leave_a_good_ones_answers_alone(
    gateway: MakeGateway,
    folder: Path,
    provider: Provider,
    shop: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "LOAD_SECONDS", 0.5)
    spins, deaf = _bad(folder, "spins", count=SPINS), _bad(folder, "deaf", count=DEAF)
    (folder / "hangs.py").write_text(HANGS_AT_IMPORT, "utf-8")
    (folder / "raises.py").write_text(RAISES_AT_IMPORT, "utf-8")
    (folder / "slow_hook.py").write_text(HANGING_HOOK, "utf-8")
    account = acme.account(provider.url)
    running = await gateway(
        adapters=["malomo", "spins", "deaf", "hangs", "raises", "slow_hook"],
        accounts={
            "good": malomo.account(shop),
            "spins": {**account, "integration": "spins"},
            "deaf": {**account, "integration": "deaf"},
        },
        settings={"limits": {"read_seconds": 1.5}},
    )
    errors = {one.name: one.error for one in running.gateway.plugins.records()}
    assert "has not ended after 0.5 s" in errors["hangs"]
    assert "SystemExit: no" in errors["raises"]
    good, bad = await running.server("good"), [await running.server(n) for n in ("spins", "deaf")]
    tools = ("spins_items_count", "deaf_items_count")
    waiting = [
        asyncio.create_task(server.call(tool, {})) for server, tool in zip(bad, tools, strict=True)
    ]
    await until(lambda: running.gateway.calls.running == 2)
    for _ in range(5):
        found = await good.call("list_all_malomo_orders", {"limit": 2})
        assert found.data["result_count"] == 2
    assert (await running.request("GET", "/healthz")).status == 200
    for called in await asyncio.gather(*waiting):
        assert called.error["kind"] == "upstream_timeout"
    for place in (spins, deaf):
        (place / "go").touch()


# --- deadlines -------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [SLEEPS, DEAF])
async def test_a_deadline_holds_for_code_that_does_not_obey(
    gateway: MakeGateway, folder: Path, provider: Provider, body: str
) -> None:
    place = _bad(folder, count=body)
    server = await (await _started(gateway, provider)).server()
    called = await server.call("acme_items_count", {})
    assert called.error["kind"] == "upstream_timeout"
    (place / "go").touch()


async def test_code_that_goes_on_after_its_call_cannot_write_any_more(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    _bad(folder, archive=DEAF_WRITE)
    running = await _started(gateway, provider)
    server = await running.server()
    called = await server.call("acme_items_archive", {"id": "1"})
    assert called.error["kind"] == "upstream_timeout"
    await until(lambda: not running.gateway.threads.running("acme"))
    assert provider.requests == []


async def test_a_lock_is_free_again_when_its_holders_time_is_over(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    hold = '\n    async with context.exclusive("x"):' + DEAF.replace("\n    ", "\n        ")
    take = '\n    async with context.exclusive("x"):\n        return await rest(call, context)'
    place = _bad(folder, count=hold, archive=take)
    server = await (await _started(gateway, provider)).server()
    assert (await server.call("acme_items_count", {})).is_error
    assert (await server.call("acme_items_archive", {"id": "1"})).data == {"ok": True}
    (place / "go").touch()


async def test_calls_that_never_end_leave_room_for_so_many_only(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    place = _bad(folder, count=DEAF)
    running = await _started(gateway, provider, {"calls_per_adapter": 2})
    server = await running.server()
    for _ in range(2):
        assert (await server.call("acme_items_count", {})).error["kind"] == "upstream_timeout"
    refused = await server.call("list_all_acme_items", {})
    assert refused.error["kind"] == "busy"
    assert "acme" in refused.error["message"]
    (place / "go").touch()
    await until(lambda: not running.gateway.threads.running("acme"))
    provider.plays(reply([]))
    assert not (await server.call("list_all_acme_items", {})).is_error


# --- stalls and quarantine -------------------------------------------------------------------


async def test_a_stall_is_named_counted_and_ended(
    gateway: MakeGateway,
    folder: Path,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter_threads, "LONG", 0.4)
    monkeypatch.setattr(adapter_threads, "_TOO_LONG", 0.6)
    _bad(folder, count=SPINS)
    running = await _started(gateway, provider, {"read_seconds": 30})
    server = await running.server()
    first = asyncio.create_task(server.call("acme_items_count", {}))
    await until(lambda: running.gateway.threads.state("acme").state == "stalled")
    refused = await server.call("acme_items_count", {})
    assert refused.error["kind"] == "busy"
    assert "acme_items_count" in refused.error["message"]
    assert (await first).error["kind"] == "internal"  # interrupted, or it would spin for ever
    for _ in range(2):
        await until(lambda: running.gateway.threads.state("acme").state == "ok")
        assert (await server.call("acme_items_count", {})).is_error
    quarantined = await server.call("list_all_acme_items", {})
    assert quarantined.error["kind"] == "busy"
    assert "is left alone for" in quarantined.error["message"]
    assert "disable the plugin" in quarantined.error["message"]
    assert running.gateway.threads.state("acme").state == "quarantined"
    lines = [one for one in running.canaries.log_text().splitlines() if "loop.stalled" in one]
    told = [one for one in map(json.loads, lines) if one["tool"] == "acme_items_count"]
    assert told[0]["adapter"] == "acme"
    assert any(where.startswith("__init__.py:") for where in told[0]["where"])


def test_each_quarantine_is_twice_as_long_until_an_hour_went_well() -> None:
    now = 1000.0
    rest = Quarantine(lambda: now)
    spans = []
    for _ in range(8):
        for _ in range(quarantine._STALLS):
            assert rest.left == 0
            rest.note_stall()
        spans.append(rest.left)
        now += rest.left
    assert spans == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    now += 3601
    for _ in range(quarantine._UNENDED):
        rest.note_unended()
    assert rest.left == 60


def test_faults_that_lie_far_apart_are_no_reason() -> None:
    now = 0.0
    rest = Quarantine(lambda: now)
    for _ in range(20):
        rest.note_stall()
        now += 301
    assert rest.left == 0


async def test_calls_that_wait_for_a_slow_provider_are_not_held_against_the_adapter(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    _bad(folder)
    running = await _started(gateway, provider)
    server = await running.server()
    provider.plays(silent())
    assert (await server.call("acme_items_count", {})).error["kind"] == "upstream_timeout"
    assert "call.unended" not in running.canaries.log_text()


async def test_calls_of_its_own_that_have_no_end_are_held_against_it(
    gateway: MakeGateway, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_UNENDED", 2)
    _bad(folder, count="await asyncio.sleep(60)")
    server = await (await _started(gateway, provider)).server()
    for _ in range(2):
        assert (await server.call("acme_items_count", {})).error["kind"] == "upstream_timeout"
    assert "left alone" in (await server.call("acme_items_count", {})).error["message"]


# --- what is true of a mapper on a loop of its own -------------------------------------------


async def test_strangers_code_runs_in_a_thread_of_its_own_and_trusted_code_does_not(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    tells = "return Outcome(data={'thread': threading.current_thread().name})"
    _bad(folder, count=tells)
    server = await (await _started(gateway, provider)).server()
    assert (await server.call("acme_items_count", {})).data == {"thread": "adapter acme"}
    _bad(folder.parents[1] / "gateway-2" / "plugins", count=tells)
    trusted = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"plugins": {"trusted": ["acme"]}},
    )
    server = await trusted.server()
    assert (await server.call("acme_items_count", {})).data == {"thread": "MainThread"}


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        ("raise ValueError('canary')", "write_outcome_unknown"),
        ("raise SystemExit", "write_outcome_unknown"),
        ("raise StopIteration", "write_outcome_unknown"),
        ("return 7", "write_outcome_unknown"),
    ],
)
async def test_what_fails_after_a_write_was_sent_says_so(
    gateway: MakeGateway, folder: Path, provider: Provider, after: str, kind: str
) -> None:
    _bad(folder, archive=f"await rest(call, context); {after}", count=after)
    server = await (await _started(gateway, provider)).server()
    wrote = (await server.call("acme_items_archive", {"id": "1"})).error
    assert wrote["kind"] == kind
    assert wrote["request_id"]
    before = (await server.call("acme_items_count", {})).error
    assert before["kind"] in ("internal", "bad_tool_output")
    assert before["request_id"]


async def test_a_client_that_goes_away_cancels_a_read_there(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    body = """
    (HERE / "begun").touch()
    try:
        await asyncio.sleep(60)
    finally:
        (HERE / "cancelled").touch()"""
    place = _bad(folder, count=body)
    running = await _started(gateway, provider, {"read_seconds": 60})
    server = await running.server()
    task = asyncio.create_task(server.call("acme_items_count", {}))
    await until((place / "begun").exists)
    task.cancel()
    await until((place / "cancelled").exists)
    await until(lambda: running.gateway.threads.running("acme") == 0)


async def test_remember_asks_the_adapters_own_maker_once(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    body = """
    async def make():
        await context.fetch("/ids")
        return threading.current_thread().name
    kept = [await context.remember("k", 60, make) for _ in range(2)]
    return Outcome(data=kept)"""
    _bad(folder, count=body)
    server = await (await _started(gateway, provider)).server()
    assert (await server.call("acme_items_count", {})).data == ["adapter acme"] * 2
    assert len(provider.requests) == 1


# --- other hooks -----------------------------------------------------------------------------

EXPANDS = """from crossdock.adapter import hookimpl, load_adapter


def expand(settings):
    while True:
        pass


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, expand=expand)
"""


async def test_an_expand_without_end_costs_what_it_would_have_given(
    gateway: MakeGateway, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock.adapter.load._EXPAND_SECONDS", 0.3)
    acme.write(folder, python=EXPANDS)
    running = await _started(gateway, provider)
    server = await running.server()
    begun = time.monotonic()
    assert (await server.call("acme_items_count", {})).data == {"ok": True}
    assert await server.names()
    (record,) = [one for one in running.gateway.plugins.records() if one.name == "acme"]
    assert "has not ended after 0.3 s" in record.error
    assert time.monotonic() - begun < 60


VAULT = """import time
from crossdock.adapter import hookimpl


@hookimpl
def crossdock_resolve_secret(scheme, reference):
    if scheme == "vault":
        while True:
            time.sleep(0.01)
"""


async def test_a_secret_hook_without_end_makes_its_account_unready(
    gateway: MakeGateway, folder: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SECRET_SECONDS", 0.3)
    _bad(folder)
    (folder / "vault.py").write_text(VAULT, "utf-8")
    account = acme.account(provider.url)
    stuck = {**account, "references": {"api_key": "vault:acme"}}
    running = await gateway(adapters=["acme", "vault"], accounts={"fine": account, "shop": stuck})
    server = await running.server("fine")
    assert (await server.call("acme_items_count", {})).data == {"ok": True}
    refused = await running.request("GET", "/integrated-account/shop/tools")
    assert refused.status == 409
    assert "plugin vault" in refused.json["message"]
    assert "has not ended after 0.3 s" in refused.json["message"]


async def test_a_scheme_of_a_strangers_own_runs_in_its_thread_too(
    gateway: MakeGateway, folder: Path, provider: Provider
) -> None:
    python = """import threading
from crossdock.adapter import Renewal, hookimpl, load_adapter


class Odd:
    renews = True

    def sign(self, credentials, settings, token):
        return (("X-Sign", f"{threading.current_thread().name} {token}"),), ()

    async def renew(self, credentials, settings, http):
        await http.post(f"{settings['base_url']}/login", form={"a": "b"})
        return Renewal(token=f"renewed in {threading.current_thread().name}")

    def sign_request(self, request, credentials):
        return request.with_headers(X_Seal=f"sealed in {threading.current_thread().name}")


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, auth=Odd())
"""
    acme.write(folder, python=python)
    server: Server = await (await _started(gateway, provider)).server()
    assert (await server.call("acme_items_count", {})).data == {"ok": True}
    login, call = provider.requests
    assert login.path == "/login"
    assert call.headers["x-sign"] == "adapter acme renewed in adapter acme"
    assert call.headers["x-seal"] == "sealed in adapter acme"


# --- what operators are shown ----------------------------------------------------------------


async def test_the_command_shows_what_is_left_alone_while_a_gateway_serves(
    gateway: MakeGateway,
    folder: Path,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(quarantine, "_UNENDED", 1)
    place = _bad(folder, count=DEAF)
    running = await _started(gateway, provider)
    (running.folder / "config.toml").write_text('[plugins]\nonly = ["acme"]\n', "utf-8")

    async def shown() -> tuple[int, dict[str, Any]]:
        command = ["plugins", "--json", "--config", str(running.folder / "config.toml")]
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, command)
        (one,) = [one for one in json.loads(capsys.readouterr().out) if one["name"] == "acme"]
        return int(ended.value.code or 0), one

    await running.gateway.housekeeping._tell_states(first=True)
    code, one = await shown()
    assert (code, one["state"], one["error"], one["since"]) == (0, "ok", "", None)
    server = await running.server()
    assert (await server.call("acme_items_count", {})).is_error
    await running.gateway.housekeeping._tell_states(first=False)
    code, one = await shown()
    assert (code, one["state"]) == (1, "quarantined")
    assert "had no end" in one["error"]
    assert one["since"]
    (place / "go").touch()
