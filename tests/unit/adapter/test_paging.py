"""Where a list goes on, for pages that shift under the reader."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.paging import ask, items_of, read
from crossdock.authoring import (
    Argument,
    Call,
    Endpoint,
    Limits,
    Outcome,
    Page,
    Paging,
    Tool,
    UpstreamReply,
    UpstreamRequest,
)
from crossdock.errors import UpstreamFailure


def _tool(paging: Paging, *arguments: Argument) -> Tool:
    return Tool(
        name="list_all_x_ys",
        title="",
        description="",
        adapter="x",
        resource="ys",
        method="list",
        effect="read",
        tags=(),
        endpoint=Endpoint(verb="GET", path="/ys"),
        arguments=arguments,
        input_schema={},
        idempotent=True,
        source="",
        paging=paging,
    )


LINK = Paging(style="link", ask={"cursor": "page"}, limit=Limits(default=3, max=50))
OFFSET = Paging(
    style="offset", ask={"offset": "skip", "limit": "take"}, limit=Limits(default=3, max=50)
)


def _reply(records: Any, link: str = "") -> UpstreamReply:
    headers = {"link": link} if link else {}
    return UpstreamReply(status=200, headers=headers, body=msgspec.json.encode(records))


def _data(outcome: Outcome) -> list[Any]:
    return [msgspec.json.decode(record) for record in outcome.data]


async def test_a_place_is_found_again_behind_the_record_that_was_shown_last() -> None:
    tool = _tool(LINK)
    first = await read(Call(tool=tool, limit=2), _reply([{"id": n} for n in range(5)]))
    assert first.next_page == Page(skip=2, anchor="1")
    # Two arrived in front, one of those shown is gone: go on behind the anchor.
    shifted = _reply([{"id": n} for n in (90, 91, 1, 2, 3, 4)])
    second = await read(Call(tool=tool, limit=2, page=first.next_page or Page()), shifted)
    assert [record["id"] for record in _data(second)] == [2, 3]


async def test_without_the_anchor_the_old_place_counts() -> None:
    page = Page(skip=2, anchor="gone")
    outcome = await read(
        Call(tool=_tool(LINK), limit=9, page=page), _reply([{"id": n} for n in range(5)])
    )
    assert [record["id"] for record in _data(outcome)] == [2, 3, 4]


async def test_a_page_that_shrank_below_the_place_is_at_its_end() -> None:
    outcome = await read(Call(tool=_tool(LINK), page=Page(skip=9, anchor="x")), _reply([{"id": 1}]))
    assert outcome.data == []
    assert outcome.next_page is None


@pytest.mark.parametrize(
    ("link", "cursor"),
    [
        ('</ys?page=2>; rel="next"', "2"),
        ("</ys?page=2>; rel=next", "2"),
        ('</ys?page=2>;rel="prev next"', "2"),
        ('</ys?page=2>; title="a, b; c"; REL="NEXT"', "2"),
        ('</ys?page=1>; rel="prev", </ys?page=3>; rel="next"', "3"),
        ('<https://x.example/ys?a=1&page=a%2Fb%3D&b=2>; rel="next"', "a/b="),
        ('</ys?page=1>; rel="prev"', None),
        ("", None),
        ("nonsense", None),
        ("<", None),
    ],
)
async def test_the_link_header_is_read_in_every_form(link: str, cursor: str | None) -> None:
    outcome = await read(Call(tool=_tool(LINK)), _reply([{"id": 1}], link))
    assert outcome.next_page == (None if cursor is None else Page(cursor=cursor))


async def test_a_link_without_the_cursor_is_malformed() -> None:
    with pytest.raises(UpstreamFailure, match="page"):
        await read(Call(tool=_tool(LINK)), _reply([{"id": 1}], '</ys?other=1>; rel="next"'))


async def test_an_offset_asks_for_one_more_to_know_whether_the_list_goes_on() -> None:
    tool = _tool(OFFSET)
    call = Call(tool=tool, limit=2, page=Page(cursor=4))
    request = ask(call, UpstreamRequest(verb="GET", path="/ys"))
    assert request.query == (("skip", "4"), ("take", "3"))
    going_on = await read(call, _reply([{"id": n} for n in range(3)]))
    assert (len(going_on.data), going_on.next_page) == (2, Page(cursor=6))
    ended = await read(call, _reply([{"id": n} for n in range(2)]))
    assert (len(ended.data), ended.next_page) == (2, None)


def test_records_may_lie_deeper_and_must_be_there() -> None:
    assert len(items_of(b'{"data":{"items":[1,2]}}', "/data/items")) == 2
    for body in (b'{"data":{}}', b'{"data":{"items":{}}}', b"[]", b"{", b"null"):
        with pytest.raises(UpstreamFailure):
            items_of(body, "/data/items")


@given(
    size=st.integers(0, 40),
    limit=st.integers(1, 50),
    page_size=st.integers(1, 15),
    match=st.none() | st.sampled_from(["red", "blue", "none"]),
)
async def test_any_walk_meets_every_matching_record_once_in_order(
    size: int, limit: int, page_size: int, match: str | None
) -> None:
    colour = Argument(key="colour", where="query", name="colour", schema={}, match=("colour",))
    tool = _tool(LINK, colour)
    records = [{"id": n, "colour": ("red", "blue")[n % 3 == 0]} for n in range(size)]
    met: list[Any] = []
    page = Page()
    for _ in range(200):
        start = int(page.cursor or 0)
        following = start + page_size
        link = f'</ys?page={following}>; rel="next"' if following < size else ""
        query = {} if match is None else {"colour": match}
        call = Call(tool=tool, limit=limit, page=page, query=query)
        outcome = await read(call, _reply(records[start:following], link))
        assert len(outcome.data) <= limit
        met += _data(outcome)
        if outcome.next_page is None:
            break
        page = outcome.next_page
    assert met == [record for record in records if match is None or record["colour"] == match]
