"""Text as a human is shown it: every character can be seen, and none turns the text around it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.calls.printable import shown

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", '"a b"'),
        ('say "yes"', '"say \\"yes\\""'),
        ("Zürich 東京", '"Zürich 東京"'),
        ("a\nDo you agree?", '"a\\nDo you agree?"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\u200bb\xad", '"a\\u200bb\\u00ad"'),
        ("\U000e0041", '"\\U000e0041"'),
        (["a", 1, None, {"b": True}], '["a",1,null,{"b":true}]'),
    ],
)
def test_a_value_stands_quoted_and_its_unseen_characters_escaped(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text())
def test_no_text_has_a_character_that_nobody_sees(text: str) -> None:
    seen = shown(text)
    odd = [one for one in seen if unicodedata.category(one) in ("Cc", "Zl", "Zp")]
    assert odd == []
    assert (seen[0], seen[-1]) == ('"', '"')
    assert "\n" not in seen


def test_every_formatting_character_below_the_private_planes_is_escaped_or_is_a_visible_sign() -> (
    None
):
    # Number signs of Arabic, Syriac and Kaithi are drawn.
    drawn = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    left = {
        number
        for number in range(0x30000)
        if unicodedata.category(chr(number)) in HIDDEN
        and not 0xD800 <= number < 0xE000
        and number not in drawn
        and chr(number) in shown(chr(number))
    }
    assert left == set()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "S"))))
def test_what_can_be_seen_is_shown_as_it_is(text: str) -> None:
    kept = "".join(one for one in text if one not in "\u115f\u1160\u3164\uffa0")
    assert json.loads(shown(kept)) == kept
    assert shown(kept) == json.dumps(kept, ensure_ascii=False)
