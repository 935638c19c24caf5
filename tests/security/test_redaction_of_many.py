"""Redaction forgets nothing that lasts, knows how a secret is spelt, and stays quick."""

from __future__ import annotations

import base64
import json
import random
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.redaction import MARK, Redactor, spellings

pytestmark = pytest.mark.requirement("door:token:never-logged")


def secret_of(number: int) -> str:
    return "".join(random.Random(number).choices(string.ascii_letters + string.digits, k=40))


def test_a_pinned_secret_is_known_after_any_number_of_others() -> None:
    one = Redactor()
    one.pin("account shop", ["sk_live_the-configured-key"])
    one.learn(f"access-token-{number:06}" for number in range(5_000))
    assert one.clean("key sk_live_the-configured-key") == f"key {MARK}"
    assert one.clean("access-token-004999") == MARK
    assert one.clean("access-token-000000") == "access-token-000000"  # long out of use


def test_as_many_secrets_as_there_are_accounts_can_be_pinned() -> None:
    one = Redactor()
    for number in range(3_000):
        one.pin(f"account {number}", [secret_of(number)])
    assert all(one.clean(f"x{secret_of(number)}y") == f"x{MARK}y" for number in range(3_000))


def test_what_an_owner_had_before_is_hidden_for_a_while_and_then_let_go() -> None:
    one = Redactor()
    one.pin("token shop", ["the-first-token"])
    one.pin("token shop", ["the-second-token"])
    assert one.clean("the-first-token the-second-token") == f"{MARK} {MARK}"
    one.learn(f"access-token-{number:06}" for number in range(1_000))
    assert one.clean("the-first-token the-second-token") == f"the-first-token {MARK}"


def test_a_secret_that_two_owners_hold_is_hidden_until_both_let_go() -> None:
    one = Redactor()
    one.pin("account a", ["the-shared-secret"])
    one.pin("account b", ["the-shared-secret"])
    one.pin("account a", [])
    one.learn(f"access-token-{number:06}" for number in range(2_000))
    assert one.clean("the-shared-secret") == MARK


def test_tokens_that_come_and_go_for_ever_take_no_more_memory() -> None:
    one = Redactor()
    for number in range(6_000):
        one.pin("token shop", [secret_of(number)])
    assert len(one._words) < 6 * 1_100
    assert sum(len(index._blocks) for index in one._indexes) < 200_000


@pytest.mark.parametrize(
    "written",
    [
        json.dumps,
        lambda s: json.dumps({"a": [s]}, ensure_ascii=False),
        lambda s: repr({"key": s}),
        quote,
        lambda s: quote(s, safe=""),
        quote_plus,
        lambda s: s.replace("/", "\\/"),
        *(
            lambda s, n=n: base64.b64encode(b"u" * n + b":" + s.encode() + b"!").decode()
            for n in range(4)
        ),
        *(
            lambda s, n=n: base64.urlsafe_b64encode(b"u" * n + s.encode()).decode()
            for n in range(3)
        ),
    ],
)
@pytest.mark.parametrize(
    "secret", ['he said "a/b\\c" + é~?>', "sk_live_0123456789abcdef", "pass w"]
)
def test_every_spelling_of_a_secret_is_hidden(written, secret: str) -> None:
    one = Redactor()
    one.pin("x", [secret])
    text = f"before {written(secret)} after"
    shown = one.clean(text)
    assert MARK in shown
    assert not any(way in shown for way in spellings(secret))


@given(
    secrets=st.lists(st.text(min_size=6, max_size=40), min_size=1, max_size=8),
    around=st.lists(st.text(max_size=30), min_size=9, max_size=9),
)
def test_no_secret_is_left_in_any_text(secrets: list[str], around: list[str]) -> None:
    one = Redactor()
    one.learn(secrets)
    text = "".join(part for pair in zip(around, secrets, strict=False) for part in pair)
    shown = one.clean(text)
    assert not any(secret in part for secret in secrets for part in shown.split(MARK))


def test_json_stays_json_when_a_secret_in_it_is_hidden() -> None:
    one = Redactor()
    one.pin("x", ["8128361902", 'a "quoted" secret', "plain-secret"])
    value = {"n": 8128361902, "m": [1, 2.5, None], 'a "quoted" secret': "xplain-secretx", "t": True}
    cleaned = json.loads(one.clean_json(json.dumps(value).encode()))
    assert cleaned == {"n": MARK, "m": [1, 2.5, None], MARK: f"x{MARK}x", "t": True}
    untouched = b'{ "n":\n1 }'
    assert one.clean_json(untouched) is untouched
