"""Flat arguments: placed as documented, or refused by name before anything is sent."""

from __future__ import annotations

import json
import unicodedata
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest
from harness import acme
from harness.provider import Provider, Received, raw
from harness.running import Server
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.asyncio(loop_scope="session")
RELAXED = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
AWKWARD = [
    "a/b", "../orders", "..", ".", "a b", " ", "a%2fb", "%2e%2e", "a?b=c", "a#b", "a&b", "a=b", "a+b",
    "a;b", "a\\b", "a\r\nHost: evil", "a\x00b", "a\tb", "\x7f", "\u2028", "\u202e", "\u200b", "\ufeff",
    "ü", "e\u0301", "漢字", "𝄞", "\ud7ff", "{id}", "{0}", "%", "%zz", "~", "a:b", "//evil.example/x",
    "http://evil.example", "@", "x" * 5000, "-", "0", "null", "*", "'", '"', "<", "[x]", "|", "^", "`",
    "\u3000", "a\u00a0b",
]  # fmt: skip


async def _one(upstream: Provider) -> Received:
    (request,) = upstream.requests
    return request


def _refused(called: Any, argument: str) -> str:
    error = called.error
    assert error["kind"] == "invalid_arguments"
    assert error["argument"] == argument
    assert argument in error["message"]
    assert error["retryable"] is False
    return str(error["message"])


def _may_be_typed(text: str) -> bool:
    """What the contract lets people use as an id: visible characters and blanks."""
    if not text.strip() or text.strip() in (".", ".."):
        return False
    return all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text)


# --- ids -------------------------------------------------------------------------------------


@pytest.mark.requirement("tools:ids:one-segment")
@RELAXED
@given(id=st.text(min_size=0, max_size=30) | st.sampled_from(AWKWARD))
async def test_any_text_as_an_id_is_one_segment_or_a_refusal(
    server: Server, upstream: Provider, id: str
) -> None:
    upstream.requests.clear()
    called = await server.call("get_single_acme_label_by_id", {"id": id})
    if not _may_be_typed(id):
        _refused(called, "id")
        assert upstream.requests == []
        return
    assert not called.is_error, called.text
    request = await _one(upstream)
    before, label, segment = request.target.rpartition("/")
    assert (before, label) == ("/labels", "/")
    assert unquote(segment, errors="strict") == id
    assert not set(segment) & set("/?#\\ \r\n")
    assert request.method == "GET"


@pytest.mark.requirement("tools:ids:one-segment")
@RELAXED
@given(id=st.text(min_size=1, max_size=30) | st.sampled_from(AWKWARD))
async def test_any_text_between_two_segments_stays_between_them(
    server: Server, upstream: Provider, id: str
) -> None:
    upstream.requests.clear()
    called = await server.call("delete_a_acme_label_by_id", {"id": id})
    if not _may_be_typed(id):
        _refused(called, "id")
        assert upstream.requests == []
        return
    empty, labels, segment, now = (await _one(upstream)).target.split("/")
    assert (empty, labels, now) == ("", "labels", "now")
    assert unquote(segment, errors="strict") == id


@pytest.mark.requirement("tools:ids:one-segment")
@RELAXED
@given(id=st.text(min_size=1, max_size=30) | st.sampled_from(AWKWARD))
async def test_any_text_in_a_look_up_is_one_query_value(
    server: Server, upstream: Provider, id: str
) -> None:
    upstream.requests.clear()
    called = await server.call("get_single_acme_code_by_id", {"id": id})
    if not _may_be_typed(id):
        _refused(called, "id")
        assert upstream.requests == []
        return
    request = await _one(upstream)
    assert request.path == "/codes/"
    name, equals, value = request.query.partition("=")
    assert (name, equals) == ("code", "=")
    assert not set(value) & set("&=#?+; ")
    assert unquote_to_bytes(value).decode() == id


@pytest.mark.requirement("tools:ids:one-segment")
@RELAXED
@given(id=st.text(min_size=0, max_size=20) | st.sampled_from(AWKWARD))
async def test_an_id_that_the_provider_makes_is_held_to_a_stricter_form(
    server: Server, upstream: Provider, id: str
) -> None:
    upstream.requests.clear()
    called = await server.call("get_single_acme_item_by_id", {"id": id})
    strict = _may_be_typed(id) and not any(c in "/\\?#%" or c.isspace() for c in id)
    if not strict:
        _refused(called, "id")
        assert upstream.requests == []
        return
    assert unquote((await _one(upstream)).target.removeprefix("/items/")) == id


@pytest.mark.requirement("tools:ids:one-segment")
@RELAXED
@given(colour=st.text(min_size=0, max_size=30) | st.sampled_from(AWKWARD))
@example(colour="a&open=true")
async def test_any_text_as_a_filter_is_one_query_value(
    server: Server, upstream: Provider, colour: str
) -> None:
    upstream.requests.clear()
    called = await server.call("list_all_acme_items", {"colour": colour, "ids": ["a&b", "c=d"]})
    typed = bool(colour.strip()) and all(
        c.isprintable() or unicodedata.category(c) == "Zs" for c in colour
    )
    if not typed:
        _refused(called, "colour")
        assert upstream.requests == []
        return
    pairs = (await _one(upstream)).query.split("&")
    found = dict(pair.split("=") for pair in pairs)
    assert unquote(found["colour"]) == colour
    assert unquote(found["ids"]) == "a&b,c=d"


@pytest.mark.requirement("tools:ids:one-segment")
@pytest.mark.parametrize("surrogate", ["\\ud800", "a\\udfffb"])
async def test_half_a_character_is_refused_before_anything_is_sent(
    server: Server, upstream: Provider, surrogate: str
) -> None:
    body = (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        '{"name":"get_single_acme_label_by_id","arguments":{"id":"%s"}}}' % surrogate
    )
    response = await server.post(body.encode())
    assert response.status < 500
    assert upstream.requests == []


# --- wrong, missing, unknown -----------------------------------------------------------------

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("get_single_acme_item_by_id", {}, "id", "required"),
    ("get_single_acme_item_by_id", {"id": None}, "id", "required"),
    ("get_single_acme_item_by_id", {"id": 5}, "id", "string"),
    ("get_single_acme_item_by_id", {"id": ["a"]}, "id", "string"),
    ("get_single_acme_item_by_id", {"id": {"a": 1}}, "id", "string"),
    ("get_single_acme_item_by_id", {"id": "a", "color": "red"}, "color", "unknown"),
    ("get_single_acme_item_by_id", {"ID": "a", "id": "b"}, "ID", "unknown"),
    ("get_single_acme_item_by_id", {"id": "a", "next_cursor": "x"}, "next_cursor", "unknown"),
    ("get_single_acme_item_by_id", {"id": "a", "": 1}, "", "unknown"),
    ("create_a_acme_item", {}, "title", "required"),
    ("create_a_acme_item", {"title": ""}, "title", "1 character"),
    ("create_a_acme_item", {"title": "x", "kind": "box"}, "kind", "crate"),
    ("create_a_acme_item", {"title": "x", "itemKind": "crate"}, "itemKind", "unknown"),
    ("create_a_acme_item", {"title": "x", "size": {"depth": 1}}, "size.depth", "unknown"),
    ("create_a_acme_item", {"title": "x", "size": {"width": "1"}}, "size.width", "integer"),
    ("create_a_acme_item", {"title": "x", "size": []}, "size", "object"),
    ("create_a_acme_item", {"title": "x", "notify": "yes"}, "notify", "boolean"),
    ("list_all_acme_items", {"open": 1}, "open", "boolean"),
    ("list_all_acme_items", {"ids": "a"}, "ids", "array"),
    ("list_all_acme_items", {"ids": ["a", 7]}, "ids.1", "string"),
    ("list_all_acme_items", {"ids": [""]}, "ids", "empty"),
    ("list_all_acme_items", {"sizes": [1.5]}, "sizes.0", "integer"),
    ("list_all_acme_items", {"cursor": "x"}, "cursor", "unknown"),
    ("acme_items_count", {"x": 1}, "x", "none"),
]


@pytest.mark.requirement("tools:arguments:refused", "mcp:tools:is-error")
@pytest.mark.parametrize(("tool", "arguments", "named", "rule"), WRONG, ids=lambda v: str(v)[:40])
async def test_a_bad_argument_is_named_with_its_rule_and_nothing_is_sent(
    server: Server, upstream: Provider, tool: str, arguments: dict[str, Any], named: str, rule: str
) -> None:
    called = await server.call(tool, arguments)
    error = called.error
    assert error["kind"] == "invalid_arguments"
    assert error.get("argument", "") == named
    assert rule in error["message"]
    assert upstream.requests == []


@pytest.mark.requirement("tools:arguments:refused")
async def test_an_unknown_argument_is_answered_with_those_that_there_are(server: Server) -> None:
    called = await server.call("list_all_acme_items", {"colr": "red"})
    assert "colour, ids, open, sizes, limit, next_cursor" in called.error["message"]


@pytest.mark.requirement("tools:arguments:refused")
@RELAXED
@given(
    arguments=st.dictionaries(
        st.sampled_from(["id", "title", "size", "limit", "x", "__proto__", "next_cursor"]),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=6,
        ),
        max_size=4,
    ),
    tool=st.sampled_from(acme.TOOLS),
)
async def test_no_arguments_whatsoever_are_a_server_error(
    server: Server, upstream: Provider, tool: str, arguments: dict[str, Any]
) -> None:
    upstream.requests.clear()
    called = await server.call(tool, arguments)
    if called.is_error and called.error["kind"] == "invalid_arguments":
        assert upstream.requests == []
    else:
        assert len(upstream.requests) == 1


@pytest.mark.requirement("tools:arguments:refused")
async def test_arguments_that_are_nested_without_end_are_refused(
    server: Server, upstream: Provider
) -> None:
    deep = b"[" * 3000 + b"]" * 3000
    for depth in (deep, b'{"a":' * 3000 + b"1" + b"}" * 3000):
        body = (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"create_a_acme_item",'
            b'"arguments":{"title":"x","size":' + depth + b"}}}"
        )
        response = await server.post(body)
        assert response.status in (200, 400)
        assert b"internal" not in response.body.lower()
        assert upstream.requests == []


# --- what hosts send, and what repairs a call --------------------------------------------------


@pytest.mark.requirement("tools:arguments:null")
async def test_null_means_left_out_at_the_top_and_in_described_objects(
    server: Server, upstream: Provider
) -> None:
    size = {"width": 2.0, "height": None}
    given = {"title": "x", "size": size, "kind": None, "notify": None}
    assert not (await server.call("create_a_acme_item", given)).is_error
    request = await _one(upstream)
    assert request.target == "/items"
    assert request.json == {"title": "x", "size": {"width": 2}}
    assert b"2.0" not in request.body


@pytest.mark.requirement("tools:arguments:null")
async def test_a_list_takes_null_for_all_and_a_whole_float_for_its_limit(
    server: Server, upstream: Provider
) -> None:
    upstream.plays(raw(b'[{"id":1},{"id":2},{"id":3}]'))
    arguments = {"colour": None, "ids": None, "open": None, "limit": 2.0, "next_cursor": None}
    called = await server.call("list_all_acme_items", arguments)
    assert (await _one(upstream)).target == "/items"
    assert called.data["result_count"] == 2


REPAIRED: list[tuple[str, dict[str, Any], str]] = [
    ("create_a_acme_item", {}, 'create_a_acme_item {"title":"Box 7"}'),
    ("create_a_acme_item", {"title": "x", "kind": "palet"}, "did you mean pallet?"),
    ("create_a_acme_item", {"title": "x", "kind": "box"}, "allowed are crate, pallet"),
    ("create_a_acme_item", {"title": "x", "size": {"widht": 1}}, "did you mean width?"),
    ("create_a_acme_item", {"title": "x", "size": {"depth": 1}}, "known: width, height"),
    ("list_all_acme_items", {"color": "red"}, "did you mean colour?"),
    ("list_all_acme_items", {"limit": 99}, "maximum of 50; ask for 50 and go on with next_cursor"),
    ("get_single_acme_item_by_id", {}, 'get_single_acme_item_by_id {"id":"<id>"}'),
]


@pytest.mark.requirement("tools:arguments:repairable")
@pytest.mark.parametrize(("tool", "arguments", "remedy"), REPAIRED, ids=lambda v: str(v)[:40])
async def test_a_refusal_says_what_would_fit(
    server: Server, upstream: Provider, tool: str, arguments: dict[str, Any], remedy: str
) -> None:
    error = (await server.call(tool, arguments)).error
    assert remedy in error["message"]
    assert upstream.requests == []


@pytest.mark.requirement("tools:arguments:bounded")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"ids":[' + ",".join(['"a"'] * 3000) + "]}", "ids: holds more than 2,000 values"),
        ('{"colour":"' + "x" * 300_000 + '"}', "send at most 262,144"),
        ('{"ids":' + "[" * 40 + "]" * 40 + "}", "ids: is nested deeper than 32 levels"),
        ('{"limit":1e400}', "out of range"),
        ('{"limit":' + "9" * 5000 + "}", "out of range"),
        ('{"limit":' + "9" * 300 + "}", "above the maximum of 50"),
        ('{"limit":1e300}', "above the maximum of 50"),
        ('{"limit":-1e300}', "minimum of 1"),
    ],
    ids=lambda v: v[:30],
)
async def test_arguments_without_measure_are_refused_in_words(
    server: Server, upstream: Provider, arguments: str, words: str
) -> None:
    body = (
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
        '{"name":"list_all_acme_items","arguments":%s}}' % arguments
    )
    response = await server.post(body.encode())
    assert words in response.body.decode()
    assert b"invalid_arguments" in response.body
    assert upstream.requests == []


# --- placed as documented --------------------------------------------------------------------


@pytest.mark.requirement("tools:arguments:flat")
async def test_arguments_reach_path_query_and_body_as_documented(
    server: Server, upstream: Provider
) -> None:
    await server.call(
        "create_a_acme_item",
        {"title": "Ü 1", "kind": "crate", "size": {"width": 2**60}, "notify": True},
    )
    request = await _one(upstream)
    assert (request.method, request.target) == ("POST", "/items?notify=true")
    assert request.json == {"title": "Ü 1", "itemKind": "crate", "size": {"width": 2**60}}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.headers["x-api-key"] == acme.API_KEY
    assert request.headers["user-agent"].startswith("crossdock/")


@pytest.mark.requirement("tools:arguments:flat")
async def test_an_argument_that_is_not_given_is_not_sent(
    server: Server, upstream: Provider
) -> None:
    await server.call("update_a_acme_item_by_id", {"id": "a"})
    request = await _one(upstream)
    assert (request.method, request.target, request.json) == ("PUT", "/items/a", {})


@pytest.mark.requirement("tools:arguments:flat")
async def test_arrays_and_booleans_become_query_values(server: Server, upstream: Provider) -> None:
    await server.call(
        "list_all_acme_items", {"ids": ["a", "b"], "open": False, "sizes": [1, 2], "limit": 5}
    )
    request = await _one(upstream)
    assert request.query == "ids=a%2Cb&open=false&size%5B%5D=1&size%5B%5D=2"
    assert request.body == b""


@pytest.mark.requirement("tools:arguments:flat")
async def test_reading_and_deleting_send_no_body(server: Server, upstream: Provider) -> None:
    for tool in ("get_single_acme_item_by_id", "delete_a_acme_item_by_id"):
        upstream.requests.clear()
        await server.call(tool, {"id": "a"})
        assert (await _one(upstream)).body == b""


@pytest.mark.requirement("tools:arguments:flat")
async def test_another_spelling_of_an_argument_is_understood_but_not_both(
    server: Server, upstream: Provider
) -> None:
    await server.call("get_single_acme_label_by_id", {"labelName": "a b"})
    assert (await _one(upstream)).target == "/labels/a%20b"
    upstream.requests.clear()
    both = await server.call("get_single_acme_label_by_id", {"labelName": "a", "id": "b"})
    _refused(both, "labelName")
    assert upstream.requests == []


@pytest.mark.requirement("tools:arguments:flat")
async def test_what_a_model_writes_into_a_body_is_sent_as_it_is(
    server: Server, upstream: Provider
) -> None:
    title = "line\nbreak \x00 \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
    await server.call("create_a_acme_item", {"title": title})
    assert (await _one(upstream)).json == {"title": title}
    assert json.loads((await _one(upstream)).body)["title"] == title
