"""What a mapper gave → the bytes of the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crossdock.authoring import Call, Endpoint, Outcome, Page, RateLimit, Tool
from crossdock.calls.answers import finished
from crossdock.errors import BadToolOutput, UpstreamFailure

BIG = b'{"id":123456789012345678901234567890,"at":1.50}'


def _call(method: str = "get") -> Call:
    tool = Tool(
        name=f"{method}_acme_item",
        title="",
        description="",
        adapter="acme",
        resource="items",
        method=method,
        effect="read",
        tags=(),
        endpoint=Endpoint(verb="GET", path="/"),
        arguments=(),
        input_schema={},
        idempotent=True,
        source="",
        lists=method == "list",
    )
    return Call(tool=tool)


def _finished(outcome: Outcome, method: str = "get") -> Outcome:
    return finished(_call(method), outcome, 6000, lambda page: f"on from {page.cursor}")


def _data(outcome: Outcome, method: str = "get") -> bytes:
    data: bytes = _finished(outcome, method).data
    return data


def test_a_providers_bytes_are_compacted_and_keep_their_spelling() -> None:
    loose = BIG.replace(b",", b" ,\n ").replace(b":", b" : ")
    assert _data(Outcome(data=msgspec.Raw(loose))) == BIG


def test_a_list_says_where_it_goes_on_and_how_many_records_it_has() -> None:
    records = [msgspec.Raw(BIG), {"id": 2}]
    assert _data(Outcome(data=records, next_page=Page(cursor=7)), "list") == (
        b'{"result":[%b,{"id":2}],"next_cursor":"on from 7","result_count":2}' % BIG
    )
    empty = b'{"result":[],"next_cursor":null,"result_count":0}'
    assert _data(Outcome(data=[]), "list") == empty


@pytest.mark.parametrize(("method", "said"), [("delete", b"deleted"), ("update", b"ok")])
def test_an_empty_answer_says_that_it_was_done(method: str, said: bytes) -> None:
    assert _data(Outcome(), method) == b'{"%b":true}' % said


def test_content_stands_in_place_of_data_and_the_rest_stays_as_it_was() -> None:
    block = {"type": "text", "text": "a"}
    given = Outcome(content=(block,), notes=("n",), rate=RateLimit(limit=3))
    assert _finished(given) == msgspec.structs.replace(given, data=b"")


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("list", Outcome(data={"id": 1})),
        ("get", Outcome(data=object())),
        ("get", Outcome(content=({"type": "video"},))),
        ("get", Outcome(content=({"type": "text", "text": object()},))),
    ],
)
def test_what_a_mapper_must_not_give_is_blamed_on_it(method: str, given: Outcome) -> None:
    with pytest.raises(BadToolOutput, match=f"mapper of {method}_acme_item is broken"):
        _finished(given, method)


@pytest.mark.parametrize("body", [b"{", b"<html>", b'"\xff"', b"[" * 100_000])
def test_bytes_that_are_no_json_are_blamed_on_the_provider(body: Any) -> None:
    with pytest.raises(UpstreamFailure) as failed:
        _finished(Outcome(data=msgspec.Raw(body)))
    assert failed.value.kind == "upstream_malformed"
