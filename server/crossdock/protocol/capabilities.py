"""What a client says it can do, as far as a tool may ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.authoring import Question

_KNOWN = {
    "elicitation": ("form", "url"),
    "sampling": ("tools", "context"),
    "roots": ("listChanged",),
}
_NEEDED = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


def essential(declared: msgspec.Raw | None) -> dict[str, Any]:
    """Return the declared capabilities that count here, without anything else."""
    try:
        found = msgspec.json.decode(declared or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {
        name: {part: {} for part in parts if part in found[name]}
        for name, parts in _KNOWN.items()
        if isinstance(found.get(name), dict)
    }


def has(declared: Mapping[str, Any], method: str, mode: str = "form") -> bool:
    """Whether a client with these capabilities takes requests of `method`."""
    name = _NEEDED.get(method)
    if name is None or name not in declared:
        return False
    if name != "elicitation":
        return True
    # An empty object stands for forms: that is what the capability meant when it was new.
    return mode in declared[name] or (mode == "form" and not declared[name])


def needed(questions: tuple[Question, ...]) -> dict[str, Any]:
    """Return the capabilities that a client must declare to be asked this."""
    found: dict[str, Any] = {}
    for question in questions:
        name = _NEEDED.get(question.method, question.method)
        found.setdefault(name, {})
        if name == "elicitation":
            found[name][str(question.params.get("mode", "form"))] = {}
    return found
