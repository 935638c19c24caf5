"""Flat arguments → Call: what is refused, what is read kindly, and where each value goes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.arguments import DEEPEST, MOST_BYTES, MOST_VALUES, split
from crossdock.adapter.binding import Binding
from crossdock.adapter.schema import input_schema
from crossdock.authoring import Argument, Call, Endpoint, Outcome, Page, Tool
from crossdock.errors import InvalidArguments

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
ADDRESS = {
    "type": "object",
    "properties": {"zip": TEXT, "floor": {"type": ["integer", "null"]}, "door": WHOLE},
}
ARGUMENTS = (
    Argument(key="id", where="path", name="itemId", schema={}, hint="Use the list's id."),
    Argument(key="made_up", where="path", name="made_up", schema=TEXT, free=True),
    Argument(key="q", where="query", name="Q", schema=TEXT),
    Argument(key="tags", where="query", name="tags", schema={"type": "array"}, style="comma"),
    Argument(key="states", where="query", name="states", schema={"type": "array"}),
    Argument(key="count", where="body", name="n", schema=WHOLE),
    Argument(key="price", where="body", name="price", schema={"type": "number"}),
    Argument(key="address", where="body", name="addr", schema={"$ref": "#/$defs/address"}),
    Argument(key="stops", where="body", name="stops", schema={"type": "array", "items": ADDRESS}),
    Argument(key="meta", where="body", name="meta", schema={}),
    Argument(key="remove", where="mapper", name="remove", schema=WHOLE),
)
PAGING = (
    Argument(key="limit", where="paging", name="limit", schema=WHOLE),
    Argument(key="next_cursor", where="paging", name="next_cursor", schema=TEXT),
)
FIELDS = (Argument(key="fields", where="fields", name="fields", schema={"type": "array"}),)
PLACES = {argument.key: argument for argument in ARGUMENTS}


async def nothing(call: Call, context: Any) -> Outcome:
    return Outcome()


def bound(*arguments: Argument, lists: bool = False, aliases: dict[str, str] | None = None) -> Any:
    schema = input_schema(arguments, {"address": ADDRESS})
    tool = Tool(
        name="update_a_x_y_by_id",
        title="",
        description="",
        adapter="x",
        resource="ys",
        method="update",
        effect="write",
        tags=(),
        endpoint=Endpoint(verb="GET", path="/ys"),
        arguments=arguments,
        input_schema=schema,
        idempotent=True,
        source="ys.md:1",
        lists=lists,
    )
    return Binding(tool, aliases or {}, nothing, schema)


BINDING = bound(*ARGUMENTS, aliases={"ids": "id"})
LIST = bound(*ARGUMENTS, *PAGING, *FIELDS, lists=True)


def opened(cursor: str, filters: dict[str, Any]) -> Page:
    return Page(cursor=[cursor, filters])


def called(given: Any, binding: Binding = BINDING) -> Call:
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    return split(binding, msgspec.Raw(raw), opened)


# --- where values go -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "place", "placed"),
    [
        ({"id": "a-1"}, "path", {"itemId": "a-1"}),
        ({"ids": "a-1"}, "path", {"itemId": "a-1"}),
        ({"id": 89123}, "path", {"itemId": "89123"}),
        ({"id": True}, "path", {"itemId": "true"}),
        ({"made_up": "PO 7/100%?"}, "path", {"made_up": "PO 7/100%?"}),
        ({"made_up": "PO\u00a07"}, "path", {"made_up": "PO\u00a07"}),
        ({"q": "a&b=c"}, "query", {"Q": "a&b=c"}),
        ({"tags": ["a", 1]}, "query", {"tags": "a,1"}),
        ({"states": ["a", 1]}, "query", {"states": ["a", 1]}),
        ({"count": 2}, "body", {"n": 2}),
        ({"meta": "a\0b/../c"}, "body", {"meta": "a\0b/../c"}),
        ({"remove": 7}, "mapper", {"remove": 7}),
    ],
)
def test_each_value_goes_where_its_argument_says_under_the_providers_name(
    given: dict[str, Any], place: str, placed: dict[str, Any]
) -> None:
    call = called(given)
    assert getattr(call, place) == placed
    others = {"path", "query", "body", "mapper"} - {place}
    assert [getattr(call, other) for other in others] == [{}, {}, {}]


def test_a_list_takes_its_limit_cursor_and_fields_and_seals_the_rest_as_filters() -> None:
    given = {"q": "x", "limit": 3, "next_cursor": "sealed", "fields": ["a", "b.c"]}
    call = called(given, LIST)
    assert (call.limit, call.fields) == (3, ("a", "b.c"))
    assert call.filters == {"q": "x"}
    assert call.page == Page(cursor=["sealed", {"q": "x"}])
    assert call.query == {"Q": "x"}
    assert called({}, LIST).page == Page()


# --- read kindly -----------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [None, b"null", b"{}", b' {"count": null, "unknown": null} '])
def test_null_stands_for_left_out(raw: bytes | None) -> None:
    call = split(BINDING, None if raw is None else msgspec.Raw(raw), opened)
    assert (call.path, call.query, call.body, call.mapper) == ({}, {}, {}, {})


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"count": 2.0}, {"n": 2}),
        ({"price": 2.0}, {"price": 2.0}),
        ({"count": 2.0**53}, {"n": 2**53}),
        ({"count": 2.0**60}, {"n": 2.0**60}),
        ({"address": {"zip": None, "floor": None, "door": 3.0}}, {"addr": {"floor": None, "door": 3}}),
        ({"stops": [{"door": 1.0}, {"zip": None}]}, {"stops": [{"door": 1}, {}]}),
        ({"meta": {"a": None, "b": 2.0}}, {"meta": {"a": None, "b": 2.0}}),
    ],
)  # fmt: skip
def test_whole_floats_and_nulls_are_read_as_the_schema_means_them(
    given: dict[str, Any], body: dict[str, Any]
) -> None:
    placed = called(given).body
    assert placed == body
    assert json.dumps(placed) == json.dumps(body)  # 2 and 2.0 are equal, but not the same text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(value=JSON.filter(lambda value: value is not None))
def test_what_nothing_is_said_about_goes_into_the_body_as_it_came(value: Any) -> None:
    assert called({"meta": value}).body == {"meta": value}


# --- refused ---------------------------------------------------------------------------------


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("given", "argument", "why"),
    [
        (b"[]", "arguments", "must be an object"),
        (b"{", "arguments", "cannot be read"),
        (b"[" * 200_000, "arguments", "cannot be read"),
        ({"meta": "x" * MOST_BYTES}, "arguments", "at most 262,144 in one call"),
        ({"meta": nested(DEEPEST + 1)}, "meta", "nested deeper than 32 levels"),
        ({"meta": [0] * (MOST_VALUES + 1)}, "meta", "more than 2,000 values"),
        ({"meta": [[0] * 1_500, [0] * 500]}, "meta", "more than 2,000 values"),
        ({"id": "a", "ids": "a"}, "ids", "is another spelling of id"),
        ({"nonsense": 1}, "nonsense", "is unknown"),
        ({"count": "2"}, "count", "integer"),
        ({"count": 2.5}, "count", "integer"),
        ({"count": True}, "count", "integer"),
        ({"address": {"door": None, "floor": "x"}}, "address.floor", "not of types"),
        ({"id": ""}, "id", "is empty.* Use the list's id"),
        ({"id": " \t"}, "id", "is empty"),
        ({"id": "."}, "id", "cannot be an id"),
        ({"id": " .. "}, "id", "cannot be an id"),
        ({"made_up": ".."}, "made_up", "cannot be an id"),
        ({"id": "a\0"}, "id", r"U\+0000"),
        ({"made_up": "a\u202eb"}, "made_up", r"U\+202E"),
        ({"q": "a\r\nHost: x"}, "q", r"U\+000D"),
        ({"q": ""}, "q", "is empty"),
        ({"states": ["a", "b\x7f"]}, "states", r"U\+007F"),
    ],
)
def test_a_refusal_names_the_argument_and_the_rule(given: Any, argument: str, why: str) -> None:
    with pytest.raises(InvalidArguments, match=why) as refused:
        called(given)
    assert refused.value.argument == argument


@pytest.mark.parametrize(
    "given", [{"meta": nested(DEEPEST)}, {"meta": [0] * MOST_VALUES}, {"meta": "x" * 200_000}]
)
def test_what_just_fits_is_taken(given: dict[str, Any]) -> None:
    assert called(given).body == given


def test_a_schema_with_room_for_more_lets_nothing_in_that_has_no_place() -> None:
    loose = Binding(BINDING.tool, {}, nothing, {"type": "object"})
    assert called({"count": 1}, loose).body == {"n": 1}
    with pytest.raises(InvalidArguments, match="is unknown"):
        called({"count": 1, "more": 1}, loose)


def test_of_the_characters_on_a_keyboard_six_cannot_stand_in_an_id() -> None:
    refused = set()
    for character in map(chr, range(32, 127)):
        try:
            called({"id": f"a{character}b"})
        except InvalidArguments:
            refused.add(character)
    assert refused == set("/\\?#% ")


@given(st.text(min_size=1))
def test_an_id_of_the_provider_is_visible_characters_without_those_that_cut_a_path(
    value: str,
) -> None:
    try:
        placed = called({"id": value}).path["itemId"]
    except InvalidArguments as refused:
        assert refused.argument in ("id", "arguments")
        return
    assert placed == value
    assert value.isprintable()
    assert not set(value) & set("/\\?#% ")
    assert value not in (".", "..")
