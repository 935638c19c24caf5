"""What crosses the bus counts once, while it is young, and only where it was meant for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from crossdock.bus.letters import Letter, Letters
from crossdock.store.sealing import KeyRing


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def ring(state: bytes = b"s") -> KeyRing:
    return KeyRing(pepper=b"p" * 32, cursor_key=b"c" * 32, state_key=state * 32, data={})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def letters(clock: Clock) -> Letters:
    return Letters(ring().messages, clock, 1_000)


def letter(**more: Any) -> Letter:
    return Letter(format=1, sent=0.0, sender="sender00", number=3, kind="k", body=b"b", **more)


def test_a_letter_arrives_as_it_was_sent(letters: Letters, clock: Clock) -> None:
    came = letters.open("here", letters.close("here", letter(once=True)))
    assert came == msgspec.structs.replace(letter(once=True), sent=clock.now)


def test_what_was_changed_cut_moved_or_is_of_another_store_does_not_open(
    letters: Letters, clock: Clock
) -> None:
    sealed = letters.close("here", letter())
    foreign = Letters(ring(b"t").messages, clock, 1_000).close("here", letter())
    broken = [sealed[:cut] for cut in range(len(sealed))]
    broken += [
        bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]]) for at in range(len(sealed))
    ]
    for data in (*broken, sealed + b"x", b"", b"x" * 900, b"x" * 10_000_000, foreign):
        assert letters.open("here", data) is None
    assert letters.open("there", sealed) is None
    assert letters.open("here", sealed) is not None


def test_what_is_larger_than_it_may_be_is_not_even_opened(letters: Letters) -> None:
    big = msgspec.structs.replace(letter(), body=b"b" * 1_000)
    assert letters.open("here", letters.close("here", big)) is None


def test_a_letter_counts_once_however_often_it_comes(letters: Letters, clock: Clock) -> None:
    sealed = letters.close("here", letter())
    assert letters.open("here", sealed) is not None
    for _ in range(130):
        assert letters.open("here", sealed) is None
        clock.now += 1


@pytest.mark.parametrize(("age", "young"), [(59, True), (61, False), (-59, True), (-61, False)])
def test_a_letter_counts_for_a_minute(
    letters: Letters, clock: Clock, age: int, young: bool
) -> None:
    sealed = letters.close("here", letter())
    clock.now += age
    assert (letters.open("here", sealed) is not None) == young
    assert letters.kept("here", sealed) is not None


def test_what_was_seen_is_forgotten_when_it_is_old(letters: Letters, clock: Clock) -> None:
    for _ in range(1_000):
        letters.open("here", letters.close("here", letter()))
        clock.now += 1
    assert len(letters._seen) + len(letters._seen_before) <= 250


def test_of_another_format_one_knows_only_who_asks(letters: Letters, clock: Clock) -> None:
    newer = Letters(ring().messages, clock, 1_000, format=2)
    came = letters.open("here", newer.close("here", letter()))
    assert came is not None
    assert not letters.is_known(came)
    assert (came.sender, came.number, came.kind, came.body) == ("sender00", 3, "", b"")
    assert newer.is_known(letter()) is False


def test_what_is_no_letter_inside_its_seal_does_nothing(letters: Letters) -> None:
    id = bytes(16)
    for inside in (
        b"",
        b"\xc1",
        b"text",
        msgspec.msgpack.encode([1, 2]),
        msgspec.msgpack.encode({}),
    ):
        assert letters.open("here", id + ring().messages.close("here", id, inside)) is None
