"""config.objects: a server that sees some kinds of records only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.running import MakeGateway, Running, Server

PATH = "/integrated-account/shop/mcp"
PYTHON = '''"""An adapter whose records are of kinds."""

from crossdock.adapter import InvalidArguments, Outcome, hookimpl, load_adapter

KINDS = {"crate": "crate", "pallet": "Pallet"}


def spelled(text):
    if text.lower() not in KINDS:
        raise InvalidArguments("objects", f"{text!r} is no kind; Acme knows crate, Pallet")
    return KINDS[text.lower()]


async def count(call, context):
    return Outcome(data={"objects": context.objects})


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers={"items.count": count}, objects=spelled)
'''


@pytest.fixture
async def running(gateway: MakeGateway, tmp_path: Path) -> Running:
    place = acme.write(tmp_path / "gateway-1" / "plugins", PYTHON, name="kinds")
    toml = place / "adapter.toml"
    text = toml.read_text().replace("[resources.labels]", '[resources.labels]\nobject = "Pallet"')
    toml.write_text(text.replace('name = "acme"', 'name = "kinds"', 1))
    for page in (place / "docs").iterdir():
        page.write_text(page.read_text().replace("_acme_", "_kinds_").replace("acme_", "kinds_"))
    acme.write(tmp_path / "gateway-1" / "plugins")
    return await gateway(
        adapters=["kinds", "acme"],
        accounts={
            "shop": {**acme.account("http://127.0.0.1:9"), "integration": "kinds"},
            "plain": acme.account("http://127.0.0.1:9"),
        },
    )


async def _created(running: Running, **config: Any) -> dict[str, Any]:
    response = await running.request("POST", PATH, {"name": "A", "config": config})
    assert response.status == 201, response.body
    running.canaries.issue(response.json["token"], "a token")
    created: dict[str, Any] = response.json
    return created


@pytest.mark.requirement("server:objects:scoped")
async def test_mappers_are_told_and_tools_of_other_kinds_are_hidden(running: Running) -> None:
    created = await _created(running, objects=["Crate", "crate"])
    assert created["config"]["objects"] == ["crate"]
    server = Server(created, running.http, created["url"], running.canaries)
    assert (await server.call("kinds_items_count")).data == {"objects": ["crate"]}
    assert "get_single_kinds_label_by_id" not in await server.names()
    path = f"{PATH}/{created['id']}"
    changed = await running.request("PATCH", path, {"config": {"objects": ["PALLET"]}})
    assert changed.json["config"]["objects"] == ["Pallet"]
    assert (await server.call("kinds_items_count")).data == {"objects": ["Pallet"]}
    assert "get_single_kinds_label_by_id" in await server.names()
    cleared = await running.request("PATCH", path, {"config": {"objects": None}})
    assert "objects" not in cleared.json["config"]
    assert (await server.call("kinds_items_count")).data == {"objects": None}


@pytest.mark.requirement("server:objects:scoped")
@pytest.mark.parametrize(
    ("account", "objects", "field", "words"),
    [
        ("shop", [], "config.objects", "empty"),
        ("shop", "crate", "config.objects", "array"),
        ("shop", [7], "config.objects[0]", "str"),
        ("shop", ["crate", "box"], "config.objects[1]", "Acme knows crate, Pallet"),
        ("plain", ["crate"], "config.objects[0]", "Acme has no kinds of records"),
    ],
    ids=json.dumps,
)
async def test_a_kind_that_is_none_is_refused_by_its_place(
    running: Running, account: str, objects: Any, field: str, words: str
) -> None:
    body = {"name": "A", "config": {"objects": objects}}
    response = await running.request("POST", f"/integrated-account/{account}/mcp", body)
    assert response.status == 422
    assert response.json["details"] == {"field": field}
    assert words in response.json["message"]
