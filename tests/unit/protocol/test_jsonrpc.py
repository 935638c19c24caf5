"""JSON-RPC envelopes: what is a message, what is its id, and how it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.protocol import jsonrpc
from crossdock.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    Unreadable,
    is_batch,
    key_of,
    read_batch,
    read_message,
)


def body(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


def test_a_request_has_an_id_and_a_method() -> None:
    message = read_message(body(id=1, method="ping"))
    assert (message.id, message.method, message.is_request) == (b"1", "ping", True)
    assert (dict(message.params), dict(message.meta)) == ({}, {})


def test_a_notification_has_no_id_and_a_response_no_method() -> None:
    assert not read_message(body(method="notifications/initialized")).is_request
    answer = read_message(body(id="a", result={"x": 1}))
    assert (answer.is_request, answer.id, bytes(answer.result or b"")) == (
        False,
        b'"a"',
        b'{"x": 1}',
    )
    assert bytes(read_message(body(id="a", error={"code": 1})).error or b"") == b'{"code": 1}'


def test_members_of_params_and_of_meta_stay_as_they_were_written() -> None:
    sent = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":1.50,"_meta":{"k":"\\u0041"}}}'
    message = read_message(sent)
    assert bytes(message.params["n"]) == b"1.50"
    assert bytes(message.meta["k"]) == b'"\\u0041"'


@pytest.mark.parametrize(
    ("sent", "code", "id"),
    [
        (b"", PARSE_ERROR, None),
        (b"{", PARSE_ERROR, None),
        (b'{"a":1}x', PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","x":"\xff"}', PARSE_ERROR, None),
        (b"\xff", PARSE_ERROR, None),
        (b"1", INVALID_REQUEST, None),
        (b"null", INVALID_REQUEST, None),
        (b"[]", INVALID_REQUEST, None),
        (b'"text"', INVALID_REQUEST, None),
        (b"{}", INVALID_REQUEST, None),
        (b'{"id":5,"method":"m"}', INVALID_REQUEST, b"5"),
        (b'{"jsonrpc":"1.0","id":5,"method":"m"}', INVALID_REQUEST, b"5"),
        (b'{"jsonrpc":2.0,"id":5,"method":"m"}', INVALID_REQUEST, b"5"),
        (body(id=5), INVALID_REQUEST, b"5"),
        (body(id=5, method=7), INVALID_REQUEST, b"5"),
        (body(id=5, method=""), INVALID_REQUEST, b"5"),
        (body(id=5, method=None), INVALID_REQUEST, b"5"),
        (body(id=None, method="m"), INVALID_REQUEST, None),
        (body(id=1.5, method="m"), INVALID_REQUEST, None),
        (body(id=True, method="m"), INVALID_REQUEST, None),
        (body(id=[1], method="m"), INVALID_REQUEST, None),
        (body(id={}, method="m"), INVALID_REQUEST, None),
        (body(id=10**64, method="m"), INVALID_REQUEST, None),
        (body(id=5, method="m", params=[1]), INVALID_REQUEST, b"5"),
        (body(id=5, method="m", params="x"), INVALID_REQUEST, b"5"),
        (body(id=5, method="m", params=None), INVALID_REQUEST, b"5"),
        (body(id=5, method="m", params={"_meta": 1}), INVALID_PARAMS, b"5"),
        (body(id=5, method="m", params={"_meta": []}), INVALID_PARAMS, b"5"),
    ],
)
def test_what_is_no_message_is_refused_with_its_code_and_its_id(
    sent: bytes, code: int, id: bytes | None
) -> None:
    with pytest.raises(Unreadable) as refused:
        read_message(sent)
    assert (refused.value.code, refused.value.id) == (code, id)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_whatsoever_do_more_than_be_refused(sent: bytes) -> None:
    for read in (read_message, read_batch):
        with pytest.raises(Unreadable):
            read(sent)


@pytest.mark.parametrize("depth", [500, 5_000, 200_000])
def test_deep_nesting_is_refused_or_skipped_and_never_a_crash(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    with pytest.raises(Unreadable):
        read_message(deep)
    try:
        read_message(b'{"jsonrpc":"2.0","id":1,"method":"m","x":%b}' % deep)
    except Unreadable as refused:
        assert refused.code == PARSE_ERROR


@given(st.text(max_size=20) | st.integers(-(10**60), 10**60))
def test_an_id_comes_back_as_it_was_written(id: str | int) -> None:
    message = read_message(body(id=id, method="m"))
    assert message.id == json.dumps(id).encode()
    answer = json.loads(jsonrpc.result_bytes(message.id, b"{}"))
    assert answer == {"jsonrpc": "2.0", "id": id, "result": {}}


# --- batches ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "batch"), [(b"[]", True), (b" \n\t[1]", True), (b"{}", False), (b"", False)]
)
def test_an_array_is_a_batch(sent: bytes, batch: bool) -> None:
    assert is_batch(sent) is batch


def test_a_batch_keeps_its_order() -> None:
    sent = b"[%b]" % b",".join(body(id=number, method="m") for number in range(50))
    assert [message.id for message in read_batch(sent)] == [b"%d" % n for n in range(50)]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"[", PARSE_ERROR),
        (b"[]", INVALID_REQUEST),
        (b"[%b]" % b",".join([body(method="m")] * 51), INVALID_REQUEST),
        (b"[%b,{}]" % body(id=1, method="m"), INVALID_REQUEST),
        (b"[%b]" % body(id=1, method="m", params={"_meta": 1}), INVALID_PARAMS),
    ],
)
def test_a_batch_is_refused_as_a_whole_and_without_an_id(sent: bytes, code: int) -> None:
    with pytest.raises(Unreadable) as refused:
        read_batch(sent)
    assert (refused.value.code, refused.value.id) == (code, None)


# --- keys and answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'"a"', "a"),
        (b'"\\u0061"', "a"),
        (b"1", 1),
        (b"true", None),
        (b"null", None),
        (b"1.5", None),
        (b"[]", None),
        (b"nonsense", None),
    ],
)
def test_the_key_of_an_id_is_its_value(text: bytes, key: str | int | None) -> None:
    found = key_of(text)
    assert (found, type(found)) == (key, type(key))


@given(message=st.text(), data=st.none() | st.dictionaries(st.text(), st.integers()))
def test_an_error_is_json_whatever_its_words(message: str, data: dict[str, int] | None) -> None:
    answer = json.loads(jsonrpc.error_bytes(b'"x"', -32000, message, data))
    wanted: dict[str, Any] = {"code": -32000, "message": message}
    assert answer == {
        "jsonrpc": "2.0",
        "id": "x",
        "error": wanted if data is None else {**wanted, "data": data},
    }


def test_an_error_without_a_readable_id_has_none() -> None:
    assert "id" not in json.loads(jsonrpc.error_bytes(None, PARSE_ERROR, "no"))


def test_a_refusal_before_the_id_is_known_carries_its_own() -> None:
    refused = Unreadable(INVALID_REQUEST, "no", b"5")
    assert json.loads(jsonrpc.refusal_bytes(refused, None))["id"] == 5


def test_what_the_gateway_says_by_itself_are_messages() -> None:
    note = read_message(jsonrpc.notification_bytes("notifications/x", b'{"a":1}'))
    assert (note.method, note.is_request, bytes(note.params["a"])) == (
        "notifications/x",
        False,
        b"1",
    )
    asked = read_message(jsonrpc.request_bytes("q1", "elicitation/create", b"{}"))
    assert (asked.id, asked.method) == (b'"q1"', "elicitation/create")
