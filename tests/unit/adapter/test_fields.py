"""Records, cut to fields and to a size: values keep their bytes, ids are never lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.fields import Fields, largest, shortened
from crossdock.errors import UpstreamFailure

RECORD = b'{"id":9007199254740993,"a":{"b":1.50,"c":[{"d":1,"e":2},{"e":3}]},"f":null}'


@pytest.mark.parametrize(
    ("paths", "cut"),
    [
        ([], RECORD),
        (["a", "*"], RECORD),
        (["f"], b'{"id":9007199254740993,"f":null}'),
        (["a.b"], b'{"id":9007199254740993,"a":{"b":1.50}}'),
        (["a.c.d"], b'{"id":9007199254740993,"a":{"c":[{"d":1},{}]}}'),
        (["a.c.d", "a.*"], b'{"id":9007199254740993,"a":{"b":1.50,"c":[{"d":1,"e":2},{"e":3}]}}'),
        (["nowhere"], b'{"id":9007199254740993}'),
    ],
)
def test_a_record_shows_the_fields_asked_for_and_its_id(paths: list[str], cut: bytes) -> None:
    assert Fields(paths).cut(RECORD) == cut
    assert Fields(paths).cut(b"[%b]" % RECORD) == b"[%b]" % cut


def test_a_field_that_no_record_has_is_named_with_the_nearest_there_is() -> None:
    fields = Fields(["status", "a.b", "sttaus", "zzz"])
    fields.cut(b'{"id":1,"status":"open","a":{"b":1}}')
    assert list(fields.unseen()) == [
        "No record here has the field sttaus; did you mean status?",
        "No record here has the field zzz.",
    ]


def test_another_field_may_be_the_id() -> None:
    assert Fields(["a"], "key").cut(b'{"key":1,"id":2,"a":3}') == b'{"key":1,"a":3}'


@pytest.mark.parametrize("body", [b"{", b'{"a":', b"[1,"])
def test_what_is_no_json_is_blamed_on_the_provider(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        Fields(["a"]).cut(body)
    assert failed.value.kind == "upstream_malformed"


def test_the_largest_fields_come_first() -> None:
    assert largest(b'{"a":1,"b":"xxxx","c":[1,2]}', 2) == [("b", 6), ("c", 5)]
    assert largest(b"[1]") == []


def test_long_texts_go_before_whole_fields_and_their_length_is_told() -> None:
    record = msgspec.json.encode({"id": "7", "text": "x" * 5_000, "n": 1})
    cut, left_out = shortened(record, 4_100)
    assert left_out == []
    assert json.loads(cut) == {"id": "7", "text": "x" * 4_000 + "… (5,000 characters)", "n": 1}
    numbers = msgspec.json.encode({"id": "7", "many": list(range(1_000)), "n": 1})
    assert shortened(numbers, 100) == (b'{"id":"7","n":1}', ["many"])


@given(
    values=st.dictionaries(
        st.text(max_size=5),
        st.integers() | st.text(max_size=400) | st.lists(st.integers(), max_size=30),
        max_size=6,
    ),
    room=st.integers(30, 500),
)
def test_a_record_fits_its_room_and_keeps_its_id(values: dict[str, Any], room: int) -> None:
    record = msgspec.json.encode({**values, "id": "1"})
    cut, left_out = shortened(record, room)
    assert len(cut) <= room
    assert json.loads(cut)["id"] == "1"
    assert json.loads(cut).keys() | set(left_out) == json.loads(record).keys()


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    "path",
    ["a" + ".a" * 5_000, 'x"y', "back\\slash", "nul\x00", "\ud800", "", ".", "a..b", "é.ü"],
    ids=lambda path: repr(path)[:20],
)
def test_whatever_path_somebody_makes_up_cuts_or_finds_nothing(path: str, told: bool) -> None:
    fields = Fields([path, "n"], told=told)
    assert json.loads(fields.cut(b'{"id":1,"n":2,"m":3}')) == {"id": 1, "n": 2}


def test_a_view_cuts_alike_whether_it_is_told_or_not() -> None:
    view = ["n", "paint.name", "parts.code", "odd.one"]
    for record in (
        b'{"m":0,"n":1e400,"paint":{"name":"Blue","x":1},"parts":[{"code":"a","y":2}],"id":7}',
        b'{"id":7,"paint":null,"parts":[],"odd":"text"}',
        b'{"id":7,"parts":[null,{"code":1}],"paint":[{"name":2}]}',
        b'[{"id":1,"m":2},{"n":3}]',
        b"null",
    ):
        told = msgspec.json.decode(Fields(view).cut(record), type=msgspec.Raw)
        quick = msgspec.json.decode(Fields(view, told=False).cut(record), type=msgspec.Raw)
        assert _sorted(bytes(told)) == _sorted(bytes(quick))


def _sorted(record: bytes) -> str:
    return json.dumps(json.loads(record), sort_keys=True)
