"""Characters that nobody sees or that turn the text around them, and how text is shown without."""

from __future__ import annotations

import re

import msgspec

# C0, C1, soft hyphen, Arabic letter mark, Mongolian separator, zero width, bidi, line and paragraph
# separators, invisible operators, byte order mark, annotation marks, surrogates, controls of
# hieroglyphs, shorthand and musical beams, tag characters.
UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN = re.compile(f"[{UNSEEN}]")


def shown(value: object) -> str:
    """Return a JSON value as text in which every character can be seen; strings are quoted."""
    text = msgspec.json.encode(value).decode("utf-8", "replace")
    return _UNSEEN.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
