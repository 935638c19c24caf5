"""Token text: what is minted is accepted, and nothing else is."""

from __future__ import annotations

import re
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access.tokens import (
    PATTERN,
    PREFIXES,
    TokenKind,
    hash_token,
    last4,
    mint,
    same,
    well_formed,
)

KINDS: list[TokenKind] = ["mcp", "api"]
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_minted_token_is_well_formed_and_found_by_scanners(kind: TokenKind) -> None:
    for _ in range(200):
        token = mint(kind)
        assert well_formed(kind, token)
        assert token.startswith(PREFIXES[kind])
        assert PATTERN.fullmatch(token)
        assert len(token) == 53


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_one_kind_are_refused_as_the_other(kind: TokenKind) -> None:
    other: TokenKind = "api" if kind == "mcp" else "mcp"
    assert not well_formed(other, mint(kind))


def test_minted_tokens_differ_and_use_the_whole_alphabet() -> None:
    tokens = {mint("mcp") for _ in range(300)}
    assert len(tokens) == 300
    assert set("".join(token[4:47] for token in tokens)) == set(BASE62)


def checked(text: str) -> str:
    """Append the checksum, computed by another way than the code's."""
    digits, number = "", crc32(text.encode())
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = BASE62[digit] + digits
    return text + digits


TOKENS = st.text(alphabet=BASE62, min_size=43, max_size=43).map(lambda body: checked("cdm_" + body))


@given(TOKENS)
def test_every_body_with_its_checksum_is_well_formed(token: str) -> None:
    assert well_formed("mcp", token)


def test_what_is_minted_carries_the_checksum_that_is_expected_here() -> None:
    token = mint("mcp")
    assert token == checked(token[:-6])


@given(TOKENS, st.data())
def test_any_single_changed_character_is_refused(token: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(BASE62 + "_-é\n\0/%").filter(lambda c: c != token[place]))
    assert not well_formed("mcp", token[:place] + other + token[place + 1 :])


# The swap across the seam of body and checksum changes both, so a CRC does not rule it out for sure.
@given(TOKENS, st.integers(0, 51).filter(lambda place: place != 46))
def test_swapped_neighbours_are_refused(token: str, place: int) -> None:
    swapped = token[:place] + token[place + 1] + token[place] + token[place + 2 :]
    assert swapped == token or not well_formed("mcp", swapped)


@given(st.text())
def test_random_text_is_refused_and_never_raises(text: str) -> None:
    assert not well_formed("mcp", text)
    assert not well_formed("mcp", "cdm_" + text)


@given(TOKENS, st.text(alphabet=BASE62, min_size=6, max_size=6))
def test_an_invented_checksum_is_refused(token: str, invented: str) -> None:
    assert well_formed("mcp", token[:-6] + invented) == (token[-6:] == invented)


@pytest.mark.parametrize("body", ["A" * 42, "A" * 44, "A" * 43 + "\n", "A" * 42 + "é"])
def test_a_right_checksum_does_not_excuse_another_form(body: str) -> None:
    assert well_formed("mcp", checked("cdm_" + "A" * 43))
    assert not well_formed("mcp", checked("cdm_" + body))


@pytest.mark.parametrize("around", ["{}\n", " {}", "{} ", "{}\0", "{}/", "\ufeff{}", "{}\u2028"])
def test_only_the_whole_text_counts(around: str) -> None:
    assert not well_formed("mcp", around.format(mint("mcp")))


def test_the_pattern_finds_tokens_within_other_text() -> None:
    one, two = mint("mcp"), mint("api")
    assert re.findall(PATTERN, f"GET /mcp/{one}/sse?x={two}&y") == [one, two]


def test_the_hash_depends_on_every_part_and_holds_no_token() -> None:
    token, other = checked("cdm_" + "A" * 43), checked("cdm_" + "B" * 43)
    digest = hash_token(b"pepper", token)
    assert len(digest) == 32
    assert digest == hash_token(b"pepper", token)
    assert digest != hash_token(b"Pepper", token)
    assert digest != hash_token(b"pepper", other)
    assert token[4:8].encode() not in digest


def test_same_compares_the_whole_of_both() -> None:
    digest = hash_token(b"pepper", checked("cdm_" + "A" * 43))
    assert same(digest, bytes(digest))
    assert not same(digest, digest[:-1])
    assert not same(digest, bytes([digest[0] ^ 1]) + digest[1:])


def test_what_lists_show_is_checksum_only() -> None:
    token = mint("api")
    assert last4(token) == token[49:] == checked(token[:-6])[49:]
