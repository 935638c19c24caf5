"""Answers that fit: cut to the fields asked for, ended early, and nothing lost or shown twice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from harness.provider import Provider, raw, reply
from harness.running import Server, Shared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.asyncio(loop_scope="session")
BIG = 2**70
ITEM = (
    b'{ "id": 7, "n": %d, "f": 1.50, "paint": {"name": "Blue", "code": 9, "id": 3}, '
    b'"parts": [{"id": 1, "of": {"a": null, "b": 2}}, {"id": 2}], "nothing": null }' % BIG
)
CUTS: list[tuple[list[str], bytes]] = [
    (["n", "f"], b'{"id":7,"n":%d,"f":1.50}' % BIG),
    (["paint.name"], b'{"id":7,"paint":{"name":"Blue"}}'),
    (["paint.name", "paint"], b'{"id":7,"paint":{"name":"Blue","code":9,"id":3}}'),
    (["paint.*", "id"], b'{"id":7,"paint":{"name":"Blue","code":9,"id":3}}'),
    (["parts.of.b"], b'{"id":7,"parts":[{"of":{"b":2}},{}]}'),
    (["nothing.at.all"], b'{"id":7,"nothing":null}'),
]


@pytest.mark.requirement("tools:fields:cut")
@pytest.mark.parametrize(("fields", "expected"), CUTS, ids=str)
async def test_fields_cut_a_record_and_values_stay_as_they_are(
    server: Server, upstream: Provider, fields: list[str], expected: bytes
) -> None:
    upstream.plays(raw(ITEM), raw(b"[" + ITEM + b"]"))
    one = await server.call("get_single_acme_item_by_id", {"id": "a", "fields": fields})
    assert one.text.encode() == expected
    listed = await server.call("list_all_acme_items", {"fields": fields})
    assert listed.text.encode() == (
        b'{"result":[%b],"next_cursor":null,"result_count":1}' % expected
    )
    assert one.notes == listed.notes == []
    assert [request.query for request in upstream.requests] == ["", ""]


@pytest.mark.requirement("tools:fields:cut")
@pytest.mark.parametrize("fields", [["*"], ["n", "*"], [], None])
async def test_a_star_or_no_field_at_all_shows_everything(
    server: Server, upstream: Provider, fields: Any
) -> None:
    upstream.plays(raw(ITEM))
    whole = (await server.call("get_single_acme_item_by_id", {"id": "a"})).text
    given = {"id": "a", "fields": fields}
    assert (await server.call("get_single_acme_item_by_id", given)).text == whole
    assert json.loads(whole) == json.loads(ITEM)


@pytest.mark.requirement("tools:fields:cut")
async def test_a_field_that_no_record_has_is_told_with_the_nearest(
    server: Server, upstream: Provider
) -> None:
    upstream.plays(reply([{"id": 1, "status": "new"}, {"id": 2, "paint": {"name": "x"}}]))
    called = await server.call("list_all_acme_items", {"fields": ["stattus", "paint.nam", "paint"]})
    assert called.data["result"] == [{"id": 1}, {"id": 2, "paint": {"name": "x"}}]
    assert "No record here has the field stattus; did you mean status?" in called.notes


# --- the budget ------------------------------------------------------------------------------


def _fat(count: int, first: int = 0, size: int = 700) -> list[dict[str, Any]]:
    return [{"id": f"i{n}", "text": "x" * size} for n in range(first, first + count)]


@pytest.mark.requirement("tools:budget:kept")
async def test_a_list_ends_early_at_a_record_with_a_cursor_and_a_note(
    shared: Shared, upstream: Provider
) -> None:
    server = await shared.running.server(answer_tokens=500)
    upstream.plays(reply(_fat(3)))
    first = await server.call("list_all_acme_items", {})
    assert [one["id"] for one in first.data["result"]] == ["i0", "i1"]
    assert first.data["result_count"] == 2
    assert first.notes == ["2 of 3 shown, call again with next_cursor."]
    assert len(first.text) <= 2_000
    cursor = first.data["next_cursor"]
    rest = await server.call("list_all_acme_items", {"next_cursor": cursor, "fields": ["id"]})
    assert [one["id"] for one in rest.data["result"]] == ["i2"]
    assert rest.data["next_cursor"] is None
    assert rest.notes == []
    stranger = await server.call("list_all_acme_items", {"next_cursor": cursor, "colour": "red"})
    assert stranger.error["argument"] == "next_cursor"


@pytest.mark.requirement("tools:budget:kept")
async def test_by_default_an_answer_has_at_most_24_kilobytes(
    server: Server, upstream: Provider
) -> None:
    upstream.plays(reply(_fat(50, size=3000)))
    called = await server.call("list_all_acme_items", {"limit": 25})
    assert 20_000 < len(called.text.encode()) <= 24_000
    assert called.notes == ["7 of 25 shown, call again with next_cursor."]


@pytest.mark.requirement("tools:budget:kept")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 2500), min_size=1, max_size=40),
    limit=st.integers(1, 50),
    arriving=st.lists(st.integers(0, 2), max_size=6),
)
async def test_walking_shows_every_record_once_also_when_others_arrive(
    shared: Shared, upstream: Provider, sizes: list[int], limit: int, arriving: list[int]
) -> None:
    server = await shared.running.server(answer_tokens=500)
    records = [{"id": f"i{n}", "text": "x" * size} for n, size in enumerate(sizes)]
    shown: list[str] = []
    cursor = None
    for round in range(len(sizes) + 1):
        upstream.plays(reply(records))
        called = await server.call("list_all_acme_items", {"limit": limit, "next_cursor": cursor})
        assert len(called.text) <= 2_000
        shown += [one["id"] for one in called.data["result"]]
        cursor = called.data["next_cursor"]
        if cursor is None:
            break
        more = arriving[round] if round < len(arriving) else 0
        records = [{"id": f"new{round}-{n}"} for n in range(more)] + records
    assert cursor is None
    assert shown == [f"i{n}" for n in range(len(sizes))]


@pytest.mark.requirement("tools:budget:kept")
async def test_of_a_record_too_large_the_texts_are_shortened_and_the_rest_is_named(
    shared: Shared, upstream: Provider
) -> None:
    server = await shared.running.server(answer_tokens=500)
    parts = [{"code": n, "of": "abc"} for n in range(400)]
    record = {"id": "i0", "log": "y" * 9000, "parts": parts, "title": "t"}
    upstream.plays(reply([{"id": "a", "log": "y" * 9000, "n": 1}, record]))
    first = await server.call("list_all_acme_items", {})
    (one,) = first.data["result"]
    assert one == {"id": "a", "log": "y" * 1000 + "… (9,000 characters)", "n": 1}
    assert "Record a has 9,0" in first.notes[0]
    assert "log (9,002)" in first.notes[0]
    cursor = first.data["next_cursor"]
    second = await server.call("list_all_acme_items", {"next_cursor": cursor})
    (one,) = second.data["result"]
    assert one["id"] == "i0"
    assert "parts" not in one
    assert "left out: parts" in second.notes[0]
    upstream.plays(reply(record))
    whole = await server.call("get_single_acme_item_by_id", {"id": "i0"})
    assert whole.data == record
    assert "log (9,002)" in whole.notes[0]


@pytest.mark.requirement("tools:budget:kept")
@pytest.mark.parametrize("tokens", [0, 499, "many", 1.5, -1, 10**9])
async def test_a_budget_that_is_none_is_refused(shared: Shared, tokens: Any) -> None:
    body = {"name": "A", "config": {"answer_tokens": tokens}}
    response = await shared.running.request("POST", "/integrated-account/shop/mcp", body)
    assert response.status == 422
    assert response.json["details"] == {"field": "config.answer_tokens"}
