"""The default mapper: how a call becomes a request, and how one record is read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.rest import hinted, one_segment, read_record, request_of
from crossdock.authoring import Argument, Call, Endpoint, Tool, UpstreamReply
from crossdock.errors import InvalidArguments, UpstreamFailure


def call(
    verb: Any = "GET",
    template: str = "/ys/{id}",
    *,
    ids: dict[str, str] | None = None,
    one: bool = False,
    partial: str = "",
    query: tuple[tuple[str, str], ...] = (),
    arguments: tuple[Argument, ...] = (),
    effect: Any = "read",
    **placed: Any,
) -> Call:
    tool = Tool(
        name="x_ys",
        title="",
        description="",
        adapter="x",
        resource="ys",
        method="get",
        effect=effect,
        tags=(),
        endpoint=Endpoint(verb=verb, path=template, query=query, one=one),
        arguments=arguments,
        input_schema={},
        idempotent=True,
        source="",
        partial=partial,
    )
    return Call(tool=tool, path={"id": "7"} if ids is None else ids, **placed)


def reply(body: bytes, status: int = 200) -> UpstreamReply:
    return UpstreamReply(status=status, headers={}, body=body)


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_an_id_is_one_segment_and_is_read_back(value: str) -> None:
    segment = one_segment(value)
    assert unquote(segment) == value
    assert not {*segment} & {*"/?#;\\ \r\n"}
    assert segment.isascii()
    assert request_of(call(ids={"id": value})).path == f"/ys/{segment}"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_what_would_leave_its_segment_is_refused(value: str) -> None:
    with pytest.raises(InvalidArguments, match="cannot be an id"):
        one_segment(value)


def test_values_fill_the_path_and_the_query_of_the_endpoint() -> None:
    made = request_of(
        call(
            template="/a/{one}/b/{two}",
            query=(("code", "x-{two}"),),
            ids={"one": "1/1", "two": "2"},
        )
    )
    assert (made.verb, made.path) == ("GET", "/a/1%2F1/b/2")
    assert made.query == (("code", "x-2"),)


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ("a&b", [("q", "a&b")]),
        ("", [("q", "")]),
        (True, [("q", "true")]),
        (False, [("q", "false")]),
        (7, [("q", "7")]),
        (1.5, [("q", "1.5")]),
        ([], []),
        (["a", 2, True], [("q", "a"), ("q", "2"), ("q", "true")]),
        ([["a"], "b"], [("q", "a"), ("q", "b")]),
        ({"a": 1}, [("q", '{"a":1}')]),
    ],
)
def test_a_query_value_is_written_as_providers_read_it(value: Any, pairs: list[Any]) -> None:
    made = request_of(msgspec.structs.replace(call(), query={"q": value}))
    assert list(made.query) == pairs


@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=1), max_size=4))
def test_any_text_in_a_query_is_read_back(values: dict[str, list[str]]) -> None:
    made = request_of(msgspec.structs.replace(call(), query=values))
    wanted = [(name, one) for name, many in values.items() for one in many]
    assert parse_qsl(urlencode(made.query), keep_blank_values=True) == wanted


def test_a_body_is_sent_where_there_is_one_or_the_tool_knows_fields_of_one() -> None:
    title = Argument(name="title", key="title", where="body", schema={})
    assert request_of(call("GET")).body is None
    assert request_of(call("POST")).body is None
    assert request_of(call("POST", arguments=(title,))).body == b"{}"
    assert request_of(call("DELETE", arguments=(title,))).body is None
    sent = request_of(call("POST", body={"title": "é"})).body
    assert json.loads(sent or b"") == {"title": "é"}


# --- reading one record ----------------------------------------------------------------------


@pytest.mark.parametrize("answer", [reply(b"", 200), reply(b" \n"), reply(b"ignored", 204)])
async def test_an_empty_answer_to_a_write_is_nothing(answer: UpstreamReply) -> None:
    assert (await read_record(call(effect="write"), answer)).data is None


@pytest.mark.parametrize("answer", [reply(b"", 200), reply(b" \n")])
async def test_a_record_that_is_read_is_never_empty(answer: UpstreamReply) -> None:
    with pytest.raises(UpstreamFailure, match="it is empty"):
        await read_record(call(), answer)
    assert (await read_record(call(), reply(b"", 204))).data is None


async def test_a_record_is_passed_on_byte_by_byte() -> None:
    body = b'{"n": 1.50, "big": 12345678901234567890123}'
    assert bytes((await read_record(call(), reply(body))).data) == body


async def test_a_look_up_gives_the_record_or_the_first_of_a_list() -> None:
    found = await read_record(call(one=True), reply(b'{"a":1}'))
    assert (bytes(found.data), found.notes) == (b'{"a":1}', ())
    found = await read_record(call(one=True), reply(b' [{"a":1}]'))
    assert (bytes(found.data), found.notes) == (b'{"a":1}', ())
    found = await read_record(call(one=True), reply(b'[{"a":1},{"a":2}]'))
    assert bytes(found.data) == b'{"a":1}'
    assert "2 records match" in found.notes[0]


async def test_an_empty_list_is_not_found_and_names_what_was_sought() -> None:
    with pytest.raises(UpstreamFailure, match="Nothing was found for 7") as refused:
        await read_record(call(one=True), reply(b"[]"))
    assert refused.value.kind == "not_found"


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        ({"warnings": []}, 0),
        ({"warnings": "x"}, 0),
        ({}, 0),
        ({"warnings": ["bad title", {"field": "size"}]}, 1),
    ],
)
async def test_what_was_taken_in_part_is_told(body: Any, notes: int) -> None:
    found = await read_record(call(partial="/warnings"), reply(json.dumps(body).encode()))
    assert len(found.notes) == notes
    for note in found.notes:
        assert "bad title" in note
        assert "size" in note


def test_a_hint_follows_an_id_that_nobody_knows_and_nothing_else() -> None:
    known = Argument(key="id", name="id", where="path", schema={}, hint="Ids stand in the list.")
    asked = call(arguments=(known,))
    unknown = hinted(UpstreamFailure("not_found", "No y with id 7"), asked)
    assert str(unknown) == "No y with id 7. Ids stand in the list."
    assert str(hinted(UpstreamFailure("upstream_error", "Down"), asked)) == "Down"
    assert str(hinted(UpstreamFailure("not_found", "No y"), call())) == "No y"
