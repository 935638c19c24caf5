"""Cursors: authentic, bound, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.authoring import Page
from crossdock.calls.cursors import Cursors
from crossdock.errors import InvalidArguments

CURSORS = Cursors(b"k" * 32)
PAGES = st.builds(
    Page,
    cursor=st.none() | st.text(max_size=20) | st.integers(0, 2**53),
    skip=st.integers(0, 10_000),
    anchor=st.none() | st.text(max_size=20),
)
FILTERS = st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3)


@pytest.mark.requirement("tools:paging:cursor-unchanged")
@given(page=PAGES, filters=FILTERS)
def test_a_cursor_leads_back_to_its_page(page: Page, filters: dict[str, Any]) -> None:
    cursor = CURSORS.seal(page, "s", "t", filters)
    assert CURSORS.open(cursor, "s", "t", dict(reversed(filters.items()))) == page
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.requirement("tools:paging:cursor-unchanged")
@given(page=PAGES, filters=FILTERS, data=st.data())
def test_a_changed_character_is_refused(page: Page, filters: dict[str, Any], data: Any) -> None:
    cursor = CURSORS.seal(page, "s", "t", filters)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != cursor[place]))
    with pytest.raises(InvalidArguments, match="pass next_cursor back unchanged"):
        CURSORS.open(cursor[:place] + other + cursor[place + 1 :], "s", "t", filters)


@pytest.mark.requirement("tools:paging:cursor-unchanged")
@given(text=st.text(max_size=200))
def test_an_invented_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments):
        CURSORS.open(text, "s", "t", {})


@pytest.mark.requirement("tools:paging:cursor-unchanged")
def test_a_cursor_is_bound_to_key_server_tool_and_filters() -> None:
    cursor = CURSORS.seal(Page(skip=3), "server", "tool", {"a": 1})
    for cursors, *bound in (
        (Cursors(b"x" * 32), "server", "tool", {"a": 1}),
        (CURSORS, "serve", "rtool", {"a": 1}),
        (CURSORS, "server2", "tool", {"a": 1}),
        (CURSORS, "server", "tool2", {"a": 1}),
        (CURSORS, "server", "tool", {}),
        (CURSORS, "server", "tool", {"a": 2}),
        (CURSORS, "server", "tool", {"a": "1"}),
        (CURSORS, "server", "tool", {"a": 1, "b": None}),
    ):
        with pytest.raises(InvalidArguments):
            cursors.open(cursor, *bound)
