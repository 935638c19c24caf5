"""What an agent gave, less what a form filler only leaves empty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from crossdock.adapter import Call, InvalidArguments

_FREE = frozenset({"meta", "properties"})
"""Data of the shop's own, in which an empty value means what it says."""


def is_empty(value: Any) -> bool:
    """Whether a value is null, blank text, or a list or object without anything in it."""
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def filled(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that hold something, and the names of those left out as empty."""
    kept: dict[str, Any] = {}
    empty: list[str] = []
    for name, value in given.items():
        if isinstance(value, dict) and name not in _FREE:
            inner = {key: part for key, part in value.items() if not is_empty(part)}
            empty += [f"{name}.{key}" for key in value if key not in inner]
            value = inner
        if is_empty(value):
            empty.append(name)
        else:
            kept[name] = value
    return kept, empty


def left_out(empty: Iterable[str], remedy: str = "") -> list[str]:
    """Say which fields were given empty and therefore not sent."""
    names = ", ".join(empty)
    return [f"Left out, since empty: {names}.{remedy}"] if names else []


def cleared(call: Call, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with null for those that `clear` names. Raises InvalidArguments."""
    names = call.mapper.get("clear") or ()
    for name in names:
        if name in fields:
            raise InvalidArguments("clear", f"{name} is given as well; leave one of them out")
    return {**fields, **dict.fromkeys(names)}


def required(given: Mapping[str, Any], name: str, example: str) -> None:
    """Refuse a call without this field. Raises InvalidArguments."""
    if name not in given:
        raise InvalidArguments(name, f"is empty; give it, e.g. {example}")
