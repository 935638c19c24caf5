"""The worked example works: dropped into plugins/, it loads and shows what its pages say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from crossdock.adapter import Adapter
from crossdock.config import PluginSettings
from crossdock.plugins import Plugins


@pytest.fixture(scope="module")
def tidewater(root: Path) -> Adapter:
    plugins = Plugins(PluginSettings(folder="plugins", only=["tidewater"], strict=True), root)
    plugins.load()
    (record,) = plugins.records()
    assert record.hooks == ("crossdock_adapters",)
    return plugins.adapters["tidewater"]


def test_the_example_has_the_tools_its_pages_document(tidewater: Adapter) -> None:
    tools = tidewater.toolset(tidewater.defaults())
    assert tools.problems == ()
    assert list(tools.bindings) == [
        "list_all_tidewater_gates",
        "get_single_tidewater_gate_by_id",
        "update_a_tidewater_gate_by_id",
    ]


def test_the_example_withholds_what_its_pages_leave_out(tidewater: Adapter) -> None:
    (withheld,) = tidewater.toolset(tidewater.defaults()).withheld
    assert withheld.name == "delete_a_tidewater_gate_by_id"
    place, _, line = withheld.source.rpartition(":")
    assert place.endswith("tidewater/adapter.toml")
    assert int(line) > 1


def test_the_example_accepts_the_arguments_its_page_shows(tidewater: Adapter) -> None:
    update = tidewater.toolset(tidewater.defaults()).bindings["update_a_tidewater_gate_by_id"]
    update.validate({"id": "g7", "doors": [{"number": 2, "state": "blocked"}]})


def test_the_example_ships_disabled(root: Path) -> None:
    shipped = tomllib.loads((root / "config.toml").read_text(encoding="utf-8"))
    assert "tidewater" in shipped["plugins"]["disabled"]
