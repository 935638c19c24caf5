"""Heads as bytes: nothing that is put into them ends a line, a head or a request."""

from __future__ import annotations

import pytest
from yarl import URL

from crossdock.calls.targets import header_lines, origin_of, query_string, request_head

SHOP = origin_of(URL("https://api.shop.example/v2"))


@pytest.mark.parametrize(
    ("url", "authority", "key"),
    [
        ("https://shop.example/x", b"shop.example", "https://shop.example:443"),
        ("https://shop.example:443", b"shop.example", "https://shop.example:443"),
        ("http://shop.example:443", b"shop.example:443", "http://shop.example:443"),
        ("http://SHOP.example.", b"shop.example", "http://shop.example.:80"),
        ("https://[::1]:8080/", b"[::1]:8080", "https://::1:8080"),
        ("https://größe.example/", b"xn--gre-6ka8i.example", "https://xn--gre-6ka8i.example:443"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, authority: bytes, key: str) -> None:
    origin = origin_of(URL(url))
    assert (origin.authority, origin.key) == (authority, key)


@pytest.mark.parametrize("url", ["", "/x", "shop.example", "ftp://shop.example", "mailto:a@b.c"])
def test_what_names_no_host_is_no_origin(url: str) -> None:
    with pytest.raises(ValueError, match="host"):
        origin_of(URL(url))


def test_of_two_headers_of_a_name_the_last_counts_however_it_is_spelled() -> None:
    lines = header_lines({"Accept": "a", "X-One": "1"}, (("accept", " b\t"), ("x-two", "é")))
    assert lines.decode().split("\r\n")[1:] == [
        "accept: b", "Accept-Encoding: gzip, deflate", "X-One: 1", "x-two: é", "",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x1fb", "a\x7f"])
def test_a_value_cannot_end_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="X-Key") as caught:
        header_lines({"X-Key": value})
    assert value not in str(caught.value)  # it may be a secret


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a\r\nb", "é", "Content-Length", "transfer-encoding", "HOST", "TE"]
)
def test_a_name_is_a_token_and_says_nothing_of_where_a_message_ends(name: str) -> None:
    with pytest.raises(ValueError, match="no header"):
        header_lines({name: "1"})


@pytest.mark.parametrize(
    "target",
    ["", "x", "*", "http://other/", "/a b", "/a\r\nX: y", "/a\nb", "/a\x00", "/a\tb", "/a\x7f"],
)
def test_a_target_is_one_path(target: str) -> None:
    with pytest.raises(ValueError, match="path"):
        request_head("GET", SHOP, target, b"", None)


@pytest.mark.parametrize("verb", ["", "GET /x", "GET\r\n", "G:T", "É", "x" * 30])
def test_a_verb_is_a_word(verb: str) -> None:
    with pytest.raises(ValueError, match="verb"):
        request_head(verb, SHOP, "/", b"", None)


def test_letters_beyond_ascii_are_escaped_in_a_target() -> None:
    head = request_head("get", SHOP, "/größe?a=%20", b"", None)
    assert head == b"GET /gr%C3%B6%C3%9Fe?a=%20 HTTP/1.1\r\nHost: api.shop.example\r\n\r\n"


def test_every_reserved_character_of_a_query_is_escaped() -> None:
    pairs = (("a", "plain-._~9"), ("b[]", "x&y=z #?/%+é"), ("", ""))
    assert query_string(pairs) == "a=plain-._~9&b%5B%5D=x%26y%3Dz%20%23%3F%2F%25%2B%C3%A9&="
