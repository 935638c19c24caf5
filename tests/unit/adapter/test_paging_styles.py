"""Every style of pages, against a provider of that style: each record once, in order, none more
than asked for, one request for each page, whatever limits come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.paging import ask, read
from crossdock.authoring import (
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

MOST = 12  # what the provider gives at once; `limit.max` says so
SIZE = 5  # its page where nobody asks for a size
HERE = ("https://api.example/v1", "https://files.example")
LIMIT = Limits(default=5, max=MOST)


def _paging(style: Any, ask: dict[str, str], tell: dict[str, str], first: int = 1) -> Paging:
    return Paging(style=style, items="/d/rows", ask=ask, tell=tell, first=first, limit=LIMIT)


STYLES = {
    "link": _paging("link", {"cursor": "at"}, {}),
    "offset": _paging("offset", {"offset": "skip", "limit": "n"}, {}),
    "offset, its size": _paging("offset", {"offset": "skip"}, {}),
    "offset, total": _paging("offset", {"offset": "skip", "limit": "n"}, {"total": "/total"}),
    "offset, its size, total": _paging("offset", {"offset": "skip"}, {"total": "/total"}),
    "offset, more": _paging("offset", {"offset": "skip", "limit": "n"}, {"more": "/more"}),
    "page": _paging("page", {"page": "p", "size": "n"}, {}),
    "page, its size": _paging("page", {"page": "p"}, {}, first=0),
    "page, pages": _paging("page", {"page": "p", "size": "n"}, {"pages": "/pages"}, first=0),
    "page, total": _paging("page", {"page": "p", "size": "n"}, {"total": "/total"}),
    "page, its size, total": _paging("page", {"page": "p"}, {"total": "/total"}),
    "page, more": _paging("page", {"page": "p", "size": "n"}, {"more": "/more"}, first=7),
    "cursor": _paging("cursor", {"cursor": "at", "limit": "n"}, {"next": "/next"}),
    "cursor, its size": _paging("cursor", {"cursor": "at"}, {"next": "/next", "more": "/more"}),
    "next_url": _paging("next_url", {"limit": "n"}, {"next": "/links/0/href"}),
    "next_url, its size": _paging("next_url", {}, {"next": "/links/0/href"}),
    "keyset": _paging("keyset", {"after": "after", "limit": "n"}, {"key": "/k~1ey"}),
    "keyset, its size": _paging("keyset", {"after": "after"}, {"key": "/k~1ey"}),
    "keyset, more": _paging(
        "keyset", {"after": "after", "limit": "n"}, {"key": "/k~1ey", "more": "/more"}
    ),
}


def _tool(paging: Paging) -> Tool:
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
        arguments=(),
        input_schema={},
        idempotent=True,
        source="",
        paging=paging,
    )


def _records(size: int) -> list[dict[str, Any]]:
    return [{"id": n, "k/ey": 10**20 + n} for n in range(size)]


class Provider:
    """Answers one page of `records`; says everything that any style may tell."""

    def __init__(self, spec: Paging, records: list[dict[str, Any]], *, inclusive: bool) -> None:
        self.spec = spec
        self.records = records
        self.inclusive = inclusive
        self.sizes: list[int] = []

    def answer(self, query: Mapping[str, str]) -> UpstreamReply:
        assert query["colour"] == "red"  # filters survive
        spec = self.spec
        size = min(int(query.get("n", SIZE)), MOST)
        self.sizes.append(size)
        start = self._start(query, size)
        end = start + size
        more = end < len(self.records)
        following = f"https://api.example/v2/ys?{urlencode({'at': end, 'n': size})}"
        body: dict[str, Any] = {
            "d": {"rows": self.records[start:end]},
            "total": len(self.records),
            "pages": -(-len(self.records) // size),
            "more": more,
            "next": end if more else None,
            "links": [{"href": following}] if more else [],
        }
        headers = {"link": f'<{following}>; rel="next"'} if more and spec.style == "link" else {}
        return UpstreamReply(status=200, headers=headers, body=msgspec.json.encode(body))

    def _start(self, query: Mapping[str, str], size: int) -> int:
        if "p" in query:
            return (int(query["p"]) - self.spec.first) * size
        if "after" in query:
            keys = [str(record["k/ey"]) for record in self.records]
            return keys.index(query["after"]) + (0 if self.inclusive else 1)
        return int(query.get("skip", query.get("at", 0)))


async def _walk(provider: Provider, limits: list[int | None]) -> list[Any]:
    tool, page = _tool(provider.spec), Page()
    met: list[Any] = []
    for turn in range(400):
        limit = limits[turn % len(limits)]
        call = Call(tool=tool, limit=limit, page=page)
        request = UpstreamRequest(verb="GET", path="/ys", query=(("colour", "red"),))
        pairs = ask(call, request).query
        assert len(dict(pairs)) == len(pairs)
        outcome = await read(call, provider.answer(dict(pairs)), HERE)
        assert len(outcome.data) <= (limit or LIMIT.default)
        met += [msgspec.json.decode(record)["id"] for record in outcome.data]
        if outcome.next_page is None:
            assert len(provider.sizes) == turn + 1
            return met
        page = msgspec.json.decode(msgspec.json.encode(outcome.next_page), type=Page)
    raise AssertionError("the list never ends")


@pytest.mark.parametrize("style", STYLES)
@given(
    size=st.integers(0, 60),
    limits=st.lists(st.none() | st.integers(1, MOST), min_size=1, max_size=6),
    inclusive=st.booleans(),
)
async def test_any_limits_meet_every_record_once_in_order(
    style: str, size: int, limits: list[int | None], inclusive: bool
) -> None:
    spec = STYLES[style]
    # A page that begins with the record that was shown last cannot be told from a full one's end.
    inclusive = inclusive and spec.style == "keyset" and min(n or LIMIT.default for n in limits) > 1
    provider = Provider(spec, _records(size), inclusive=inclusive)
    assert await _walk(provider, limits) == list(range(size))
    if spec.style != "offset":  # the page size stays what it was in the beginning
        assert len(set(provider.sizes)) == 1


# --- providers that go in circles, and odd answers -------------------------------------------


@pytest.mark.parametrize("circle", [1, 2, 3, 9, 40])
@pytest.mark.parametrize("tail", [0, 5])
async def test_a_place_that_comes_again_ends_the_list(circle: int, tail: int) -> None:
    tool, page, calls = _tool(STYLES["cursor"]), Page(), 0
    place = 0
    while page is not None:
        place = place + 1 if place + 1 < tail + circle else tail
        body = msgspec.json.encode({"d": {"rows": [{"id": 1}]}, "next": f"c{place}"})
        reply = UpstreamReply(status=200, headers={}, body=body)
        page = (await read(Call(tool=tool, page=page), reply)).next_page  # type: ignore[assignment]
        calls += 1
        assert calls < 4 * (tail + circle) + 4


async def _read(style: str, body: Any, cursor: str | None = None, **headers: str) -> Outcome:
    reply = UpstreamReply(status=200, headers=headers, body=msgspec.json.encode(body))
    return await read(Call(tool=_tool(STYLES[style]), page=Page(cursor=cursor)), reply, HERE)


ROW = {"d": {"rows": [{"id": 1, "k/ey": "a"}]}}


async def test_a_keyset_whose_provider_ignores_the_place_ends_without_showing_anything_twice() -> (
    None
):
    rows = {"d": {"rows": _records(5)}, "more": True}
    outcome = await _read("keyset, more", rows, str(10**20 + 4))
    assert outcome.data == []
    assert outcome.next_page is None


@pytest.mark.parametrize("place", [None, "", ...])
async def test_a_cursor_that_is_null_empty_or_absent_ends_the_list(place: Any) -> None:
    told = {} if place is ... else {"next": place}
    assert (await _read("cursor", {**ROW, **told})).next_page is None


async def test_a_cursor_behind_no_more_is_not_followed() -> None:
    told = {**ROW, "next": "x", "more": False}
    assert (await _read("cursor, its size", told)).next_page is None


async def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    outcome = await _read("cursor", {"d": {"rows": []}, "next": "x"})
    assert outcome.next_page == Page(cursor="x", size=5)


@pytest.mark.parametrize(
    ("style", "body", "words"),
    [
        ("cursor", {**ROW, "next": {"a": 1}}, "names no place"),
        ("cursor", {**ROW, "next": True}, "names no place"),
        ("page, total", {**ROW, "total": "many"}, "/total is no number"),
        ("page, pages", {**ROW, "pages": [1]}, "/pages is no number"),
        ("keyset, its size", {"d": {"rows": [{"id": 1}]}}, "has no /k~1ey"),
        ("next_url", {**ROW, "links": [{"href": "https://evil.example/?at=1"}]}, "evil.example"),
        ("next_url", {**ROW, "links": [{"href": "https://[/?at=1"}]}, "cannot be read"),
        ("next_url", {**ROW, "links": [{"href": "/v1/ys/next"}]}, "has no query"),
    ],
)
async def test_an_answer_that_cannot_tell_its_next_page_is_malformed(
    style: str, body: Any, words: str
) -> None:
    with pytest.raises(UpstreamFailure, match=words) as raised:
        await _read(style, body)
    assert raised.value.kind == "upstream_malformed"


@pytest.mark.parametrize("host", ["", "https://API.example:8443", "https://files.example"])
async def test_a_next_url_may_be_relative_or_lie_on_a_known_host(host: str) -> None:
    told = {**ROW, "links": [{"href": f"{host}/ys?at=3&x=%2F&x="}]}
    outcome = await _read("next_url", told)
    assert outcome.next_page is not None
    call = Call(tool=_tool(STYLES["next_url"]), page=outcome.next_page)
    request = UpstreamRequest(verb="GET", path="/ys", query=(("colour", "red"), ("at", "0")))
    asked = (("colour", "red"), ("n", "5"), ("at", "3"), ("x", "/"), ("x", ""))
    assert ask(call, request).query == asked
