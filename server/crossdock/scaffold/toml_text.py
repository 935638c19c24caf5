"""Values → TOML, in the form that people would write: one line each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROLS = re.compile("[\x7f\x85\u2028\u2029]")


def inline(value: Any) -> str:
    """Return a value as TOML writes it in one line. None has no form there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = msgspec.json.encode(value).decode()
        return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key_text(name)} = {inline(one)}" for name, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    return repr(value)


def key_text(name: str) -> str:
    """Return a key, in quotes where it needs them."""
    return name if _BARE.fullmatch(name) else inline(name)


def lines(table: Mapping[str, Any]) -> list[str]:
    """Return the assignments of a table."""
    return [f"{key_text(name)} = {inline(value)}" for name, value in table.items()]
