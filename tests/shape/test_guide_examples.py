"""The examples of the author's guide do what it says of them, in a real gateway."""

from __future__ import annotations

import hashlib
import hmac
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from harness.guide import BLOCKS, HEAD, copy_example, example, loaded, write
from harness.patience import until
from harness.provider import Provider, drop, raw, reply
from harness.running import MakeGateway, Server


def test_every_example_of_the_guide_is_run_here() -> None:
    shown = {block.what for block in BLOCKS if block.kind == "runs as"}
    assert shown == {"the least plugin", "hooks", "a signature", "the contract", "a test", *PARTS}


def test_the_least_plugin_is_enough_for_plain_rest(root: Path, tmp_path: Path) -> None:
    copy_example(root, tmp_path, "least")
    (tmp_path / "least" / "__init__.py").write_text(example("the least plugin"), encoding="utf-8")
    adapter = loaded(tmp_path, "least").adapters["tidewater"]
    assert len(adapter.toolset(adapter.defaults()).bindings) == 3


@pytest.fixture
async def yard(root: Path, tmp_path: Path, gateway: MakeGateway) -> Any:
    """The example on the guide's sandbox, watched by the guide's hooks."""
    plugins = tmp_path / "gateway-1" / "plugins"
    copy_example(root, plugins)
    (plugins / "watch.py").write_text(example("hooks"), encoding="utf-8")
    sandbox = types.ModuleType("sandbox")
    source = plugins / "tidewater" / "sandbox.py"
    exec(source.read_text(encoding="utf-8"), vars(sandbox))
    source.unlink()  # serving does without it, and the key in it is not to be found
    runner = web.AppRunner(sandbox.create_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (account,) = sandbox.accounts(url)
    running = await gateway(
        adapters=["tidewater", "watch"], accounts={"yard": {"integration": "tidewater", **account}}
    )
    yield await running.server("yard"), running.http, url
    await runner.cleanup()


async def test_the_example_keeps_the_doors_that_an_update_leaves_out(
    yard: tuple[Server, ClientSession, str],
) -> None:
    server, http, url = yard
    doors = [{"number": 2, "state": "blocked"}]
    gate = await server.call("update_a_tidewater_gate_by_id", {"id": "g7", "doors": doors})
    assert gate.data["doors"] == [{"number": 1, "state": "open"}, *doors]
    async with http.get(f"{url}/_sandbox/requests") as answer:
        requests = await answer.json()
    assert [one["method"] for one in requests] == ["GET", "PUT"]
    assert requests[0]["headers"]["x-tidewater-key"] == "yard-key"


async def test_the_guides_sandbox_can_be_switched_and_reset(
    yard: tuple[Server, ClientSession, str],
) -> None:
    server, http, url = yard
    async with http.post(f"{url}/_sandbox/switches", json={"read_only": True}) as answer:
        assert await answer.json() == {"read_only": True}
    new = {"id": "g7", "doors": [{"number": 2}]}
    gate = await server.call("update_a_tidewater_gate_by_id", new)
    assert len(gate.data["doors"]) == 1
    async with http.post(f"{url}/_sandbox/reset") as answer:
        assert answer.status == 204
    async with http.get(f"{url}/_sandbox/switches") as answer:
        assert await answer.json() == {"read_only": False}


async def test_the_guides_hooks_are_called(yard: tuple[Server, ClientSession, str]) -> None:
    server, _, _ = yard
    await server.call("list_all_tidewater_gates")
    await server.call("get_single_tidewater_gate_by_id", {"id": "g8"})
    watch = sys.modules["crossdock_local_watch"]
    heard = {
        ("list_all_tidewater_gates", "ok"): 1,
        ("get_single_tidewater_gate_by_id", "not_found"): 1,
    }
    await until(lambda: dict(watch.finished) == heard)
    assert watch.crossdock_resolve_secret("vault", "yard") is None


PARTS = (
    "an expansion",
    "a guard",
    "a pager",
    "a question",
    "a scheme",
    "the kinds",
    "the refusals",
)
MADE = """from crossdock.adapter import hookimpl, load_adapter

from . import expansion, guard, kinds, pager, question, refusals, scheme


@hookimpl
def crossdock_adapters():
    mappers = {
        "visits.list": pager.list_visits,
        "visits.refuse": question.refuse_visit,
        "gates.shut": guard.shut_gate,
        "doors.clear": refusals.clear_door,
    }
    yield load_adapter(
        __name__,
        mappers=mappers,
        auth=scheme.Session(),
        expand=expansion.expand,
        objects=kinds.spelled,
    )
"""
TOML = f"""{HEAD}
credentials.user = {{ about = "Name.", secret = false }}
credentials.password = {{ about = "Password." }}
settings.lanes = {{ about = "Lanes.", type = "array", default = [] }}
resources.visits.methods.list = "GET /visits"
resources.visits.methods.refuse = "POST /visits/{{id}}/refuse"
resources.gates.methods.shut = "POST /gates/{{id}}/shut"
resources.doors.methods.clear = "POST /doors/{{id}}/clear"
"""
PAGES = {
    "doors.md": """## tidewater_doors_clear

Send the trailer that stands at a door away.

```toml
[path.id]
type = "string"
description = "The door's id."

[mapper.trailer]
type = "string"
description = "The number of the trailer at it."
required = true
```
""",
    "gates.md": """## tidewater_gates_shut

Shut every door of a gate at once, and see that it is done.

```toml
[path.id]
type = "string"
description = "The gate's id."
```
""",
    "visits.md": """## list_all_tidewater_visits

List the visits of trucks to this yard.

## tidewater_visits_refuse

Turn a truck away from this yard.

```toml
[path.id]
type = "string"
description = "The visit's id."
```
""",
}


@pytest.fixture
async def made(tmp_path: Path, gateway: MakeGateway, provider: Provider) -> Server:
    """An adapter made of the guide's examples, on a scripted provider."""
    folder = tmp_path / "gateway-1" / "plugins" / "made"
    write(folder, TOML, PAGES, MADE)
    for module in PARTS:
        (folder / f"{module.split()[1]}.py").write_text(example(module), encoding="utf-8")
    account = {
        "integration": "tidewater",
        "settings": {"base_url": provider.url, "lanes": ["north"]},
        "credentials": {"user": "yard-agent", "password": "yard-password-5d1c"},
    }
    running = await gateway(adapters=["made"], accounts={"yard": account})
    return await running.server("yard")


SESSION = reply({"session": "session-81b2c9"})


async def test_the_guides_scheme_logs_in_before_the_first_request(
    made: Server, provider: Provider
) -> None:
    provider.plays(SESSION, reply({"visits": [], "pages": 1}))
    await made.call("list_all_tidewater_visits")
    login, visits = provider.requests
    assert (login.path, login.json["user"]) == ("/login", "yard-agent")
    assert visits.headers["x-tidewater-session"] == "session-81b2c9"


async def test_the_guides_pager_goes_on_to_the_last_page(made: Server, provider: Provider) -> None:
    provider.plays(SESSION, *(reply({"visits": [{"id": n}], "pages": 2}) for n in (1, 2)))
    first = (await made.call("list_all_tidewater_visits", {"limit": 1})).data
    following = {"limit": 1, "next_cursor": first["next_cursor"]}
    second = (await made.call("list_all_tidewater_visits", following)).data
    assert [first["result"], second["result"]] == [[{"id": 1}], [{"id": 2}]]
    assert second["next_cursor"] is None
    assert [one.query for one in provider.requests[1:]] == ["page=1&size=1", "page=2&size=1"]


OPEN, SHUT = ({"doors": [{"number": 3, "state": state}]} for state in ("open", "shut"))
REFUSED = reply({"message": "jammed"}, 409)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((reply({}), reply(SHUT)), "ok"),
        ((reply({}, 502), reply(SHUT)), "ok"),
        ((reply({}), reply(OPEN)), "write_not_verified"),
        ((reply({}, 502), reply(OPEN)), "write_outcome_unknown"),
        ((reply({}), reply({}, 404)), "write_outcome_unknown"),
        ((REFUSED,), "upstream_rejected"),
    ],
)
async def test_the_guides_guard_tells_what_became_of_the_write(
    made: Server, provider: Provider, answers: Any, outcome: str
) -> None:
    provider.plays(SESSION, *answers)
    called = await made.call("tidewater_gates_shut", {"id": "g7"})
    assert (called.error["kind"] if called.is_error else "ok") == outcome
    assert len(provider.requests) == 1 + len(answers)


DOOR = {"state": "open", "trailer": "T-16"}
REMOVED, SHUT_BY_CUSTOMS = ({**DOOR, "state": state} for state in ("removed", "sealed"))
OTHER = {**DOOR, "trailer": "T-70"}


@pytest.mark.parametrize(
    ("trailer", "answers", "outcome", "told"),
    [
        ("T-16", (DOOR, {"trailer": None}), "ok", {}),
        ("T-17", (), "invalid_arguments", {"argument": "trailer"}),
        ("T-16", (REMOVED,), "not_found", {}),
        ("T-16", (SHUT_BY_CUSTOMS,), "forbidden", {}),
        ("T-16", (OTHER,), "conflict", {"expected": "T-16", "seen": "T-70"}),
        ("T-16", (DOOR, {"error": "The bell is broken."}), "conflict", {}),
        ("T-16", (DOOR, {"trailer": "T-16"}), "write_not_verified", {"seen": {"trailer": "T-16"}}),
    ],
)
async def test_the_guides_refusals_are_read_by_the_agent_as_it_says(
    made: Server, provider: Provider, trailer: str, answers: Any, outcome: str, told: Any
) -> None:
    provider.plays(SESSION, *map(reply, answers))
    called = await made.call("tidewater_doors_clear", {"id": "d2", "trailer": trailer})
    assert (called.error["kind"] if called.is_error else "ok") == outcome
    assert not told or {key: called.error[key] for key in told} == told
    assert len(provider.requests) == (1 + len(answers) if answers else 0)


DECLARED = """## get_single_tidewater_door_by_id

Read one door of the yard by its id.

```toml
[path.id]
type = "string"
description = "The door's id."
hint = "list_all_tidewater_doors gives ids."
```

## update_a_tidewater_door_by_id

Change what stands at one door.

```toml
[path.id]
type = "string"
description = "The id of the door to change."
```

## get_single_tidewater_doors_by_trailer_by_id

Find the door at which a trailer stands.

```toml
[path.id]
type = "string"
description = "The trailer's number."
```
"""
READ, CHANGE = "get_single_tidewater_door_by_id", "update_a_tidewater_door_by_id"
FIND = "get_single_tidewater_doors_by_trailer_by_id"
NO = {"error": {"text": "Not on a Sunday."}}


@pytest.fixture
async def declared(tmp_path: Path, gateway: MakeGateway, provider: Provider) -> Server:
    """An adapter with the failures that the guide declares."""
    (block,) = (one for one in BLOCKS if (one.kind, one.what) == ("adapter.toml", "failures"))
    folder = tmp_path / "gateway-1" / "plugins" / "made"
    write(folder, HEAD + block.text, {"doors.md": DECLARED}, example("the least plugin"))
    account = {"integration": "tidewater", "settings": {"base_url": provider.url}}
    running = await gateway(adapters=["made"], accounts={"yard": account})
    return await running.server("yard")


@pytest.mark.parametrize(
    ("tool", "answer", "kind", "words"),
    [
        (READ, reply(NO, 400), "upstream_rejected", "Not on a Sunday."),
        (READ, reply({"message": "No door."}, 404), "not_found", "gives ids"),
        (FIND, reply([]), "not_found", ""),
        (READ, reply(NO, 403, X_Wait_Until="4102444800"), "rate_limited", "Not on a Sunday."),
        (CHANGE, reply(NO, 422), "conflict", "Not on a Sunday."),
        (CHANGE, drop(), "write_outcome_unknown", "may have been carried out"),
        (READ, reply(NO, 401), "unauthenticated", ""),
        (READ, reply(NO, 503), "upstream_error", ""),
        (READ, raw(b"<html>", kind="text/html"), "upstream_malformed", ""),
        (READ, reply({}, 302, Location="/else"), "upstream_redirect", ""),
    ],
)
async def test_failures_that_the_guide_declares_are_read_as_it_says(
    declared: Server, provider: Provider, tool: str, answer: Any, kind: str, words: str
) -> None:
    provider.plays(answer)
    called = await declared.call(tool, {"id": "d2"})
    assert called.error["kind"] == kind
    assert words in called.error["message"]
    assert (called.error.get("retry_after_seconds", 0) > 0) == (kind == "rate_limited")
    assert len(provider.requests) == 1


async def test_a_part_that_was_refused_is_a_note_as_the_guide_says(
    declared: Server, provider: Provider
) -> None:
    provider.plays(reply({"id": "d2", "refused": ["The bell is broken."]}))
    called = await declared.call(CHANGE, {"id": "d2"})
    assert not called.is_error
    assert "The bell is broken." in called.notes[0]


async def test_the_guides_expansion_adds_the_accounts_own_tool(made: Server) -> None:
    assert "tidewater_gates_north" in await made.names()


async def test_the_guides_question_sends_nothing_where_nobody_can_be_asked(
    made: Server, provider: Provider
) -> None:
    provider.plays(SESSION, reply({}))
    called = await made.call("tidewater_visits_refuse", {"id": "v1"}, revision="2025-06-18")
    assert called.error["kind"] == "forbidden"
    assert provider.requests == []


SEALED = """from crossdock.adapter import hookimpl, load_adapter

from .signature import Outgoing, Sealed


class Wrong:
    def sign_request(self, request: Outgoing, credentials: dict) -> Outgoing:
        import msgspec
        return msgspec.structs.replace(request, {change})


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, auth={scheme}())
"""


async def sealed(
    tmp_path: Path, gateway: MakeGateway, url: str, scheme: str, change: str
) -> Server:
    folder = tmp_path / "gateway-1" / "plugins" / "made"
    toml = TOML.replace('resources.visits.methods.list = "GET /visits"\n', "")
    toml = toml.replace('resources.doors.methods.clear = "POST /doors/{id}/clear"\n', "")
    toml = toml.replace('resources.visits.methods.refuse = "POST /visits/{id}/refuse"\n', "")
    python = SEALED.format(scheme=scheme, change=change)
    write(folder, toml, {"gates.md": PAGES["gates.md"]}, python)
    (folder / "signature.py").write_text(example("a signature"), encoding="utf-8")
    account = {
        "integration": "tidewater",
        "settings": {"base_url": url},
        "credentials": {"user": "yard-agent", "password": "yard-password-5d1c"},
    }
    running = await gateway(adapters=["made"], accounts={"yard": account})
    return await running.server("yard")


async def test_the_guides_signature_is_of_the_request_as_it_is_sent(
    tmp_path: Path, gateway: MakeGateway, provider: Provider
) -> None:
    server = await sealed(tmp_path, gateway, provider.url, "Sealed", "")
    await server.call("tidewater_gates_shut", {"id": "g7"})
    (request,) = provider.requests
    text = f"POST\n{provider.url}/gates/g7/shut\n".encode() + request.body
    seal = hmac.new(b"yard-password-5d1c", text, hashlib.sha256).hexdigest()
    assert request.headers["x-tidewater-seal"] == seal


@pytest.mark.parametrize(
    "change",
    [
        "verb='DELETE'",
        "body=b'{}'",
        "url='https://elsewhere.example/'",
        "url=request.url.replace('g7', 'g8')",
        "url=request.url + '?x=1#y'",
        "headers={}",
        "headers={**request.headers, 'content-type': 'text/plain'}",
        "headers={**request.headers, 'X-Odd': 'a\\r\\nb'}",
        "headers={**request.headers, 'Host': 'elsewhere'}",
        "settings={}",
    ],
)
async def test_a_signature_that_changes_more_than_it_may_sends_nothing(
    tmp_path: Path, gateway: MakeGateway, provider: Provider, change: str
) -> None:
    server = await sealed(tmp_path, gateway, provider.url, "Wrong", change)
    called = await server.call("tidewater_gates_shut", {"id": "g7"})
    assert called.error["kind"] == "bad_tool_output"
    assert "sign_request" in called.error["message"]
    assert provider.requests == []
