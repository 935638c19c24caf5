"""Names in clients' settings: short, so that the names of tools stay within what hosts accept."""

from __future__ import annotations

import pytest

from crossdock.client.setups import LONGEST_NAME, Target, setups, slug
from crossdock_malomo import crossdock_adapters as malomo_adapters
from crossdock_roserocket import crossdock_adapters as roserocket_adapters


@pytest.mark.parametrize(
    "name", ["Malomo", "Rose Rocket (demo)", "A rather long name of a dispatch agent", "x" * 200]
)
def test_a_servers_name_leaves_room_for_every_tool(name: str) -> None:
    short = slug(name)
    assert len(short) <= LONGEST_NAME
    for adapter in (*malomo_adapters(), *roserocket_adapters()):
        for tool in adapter.toolset(adapter.defaults()).bindings:
            assert len(f"mcp__{short}__{tool}") <= 64


def test_a_name_without_letters_is_still_a_name() -> None:
    assert slug("…") == slug("") == "crossdock"
    assert slug(" Dock 7! ") == "dock-7"


def test_every_snippet_uses_the_name_it_is_given() -> None:
    shown = [
        snippet.text
        for one in setups(Target(url="http://127.0.0.1/mcp/t", name="dock-7"))
        for snippet in one.snippets
    ]
    assert sum("dock-7" in text for text in shown) >= 6
