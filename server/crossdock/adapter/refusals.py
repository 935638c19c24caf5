"""What a validator found → words that lead to a call that fits."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crossdock.errors import InvalidArguments

LONGEST_VALUE = 300
_MOST_OPTIONS = 1_000  # characters; a model that is shown all of them needs no third try
_FORMS = {
    "date": "2026-11-21",
    "date-time": "2026-11-21T14:00:00Z",
    "time": "14:00:00Z",
    "email": "jane@example.com",
    "uri": "https://example.com/path",
    "uuid": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
}


def explain(error: Any, schema: Mapping[str, Any], call: str = "") -> InvalidArguments:
    """Return the refusal for the first thing that does not fit.

    `call` is a call that does, shown where something is missing.
    """
    path = [str(part) for part in error.instance_path]
    kind = type(error.kind).__name__.rpartition("_")[2]
    if kind in ("AnyOf", "OneOfNotValid"):
        return _of_branches(error, schema, call)
    if kind == "Required":
        missing = ".".join([*path, str(error.kind.property)])
        return InvalidArguments(missing, f"is required{f', as in {call}' if call else ''}")
    if kind == "AdditionalProperties":
        name = str(next(iter(error.kind.unexpected)))
        known = list(_around(error, schema).get("properties", {}))
        place = ".".join([*path, name])
        return InvalidArguments(
            place, f"is unknown here{near(name, known)}; known: {known_as(known)}"
        )
    return InvalidArguments(".".join(path), _words(kind, error))


def _of_branches(error: Any, schema: Mapping[str, Any], call: str) -> InvalidArguments:
    """Explain the branch whose type fits: of the others only the type could be said."""
    firsts = [branch[0] for branch in error.kind.context if branch]
    deepest = max(firsts, key=_closeness, default=None)
    if deepest is not None and _closeness(deepest)[0]:
        found = explain(deepest, {}, call)
        path = ".".join(str(part) for part in error.instance_path)
        known = found.argument if found.argument.startswith(path) else f"{path}.{found.argument}"
        return InvalidArguments(known.strip("."), found.why)
    types = [kind for one in firsts for kind in getattr(one.kind, "types", ())]
    path = ".".join(str(part) for part in error.instance_path)
    forms = " or ".join(dict.fromkeys(types)) or "one of the documented forms"
    return InvalidArguments(path, f"is {brief(error.instance)}; it must be of type {forms}")


def _closeness(error: Any) -> tuple[bool, int]:
    fits = not type(error.kind).__name__.endswith("Type") or bool(len(error.instance_path))
    return fits, len(error.instance_path)


def _words(kind: str, error: Any) -> str:
    given, rule = brief(error.instance), error.kind
    if kind == "Enum":
        options = [one if isinstance(one, str) else brief(one) for one in rule.options]
        return f"{given} is none of its values{near(error.instance, options)}; {_listed(options)}"
    if kind == "Maximum" and error.instance_path == ["limit"]:
        return (
            f"{given} is above the maximum of {rule.limit}; ask for {rule.limit} and go on with "
            "next_cursor"
        )
    if kind == "Pattern":
        return f"{given} does not have the required form {rule.pattern}"
    if kind == "Format" and rule.format in _FORMS:
        return f'{given} is not a "{rule.format}", as {_FORMS[rule.format]}'
    message = str(error.message)
    return message if len(message) <= LONGEST_VALUE else f"{message[:LONGEST_VALUE]}…"


def near(name: Any, known: Iterable[str]) -> str:
    """Return the nearest of the known names as a question, or nothing."""
    spelled = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(str(name).casefold(), spelled, 1, 0.6)
    return f"; did you mean {spelled[found[0]]}?" if found else ""


def known_as(names: Iterable[str]) -> str:
    """Return names in one line."""
    return ", ".join(names) or "none"


def _listed(options: list[str]) -> str:
    text, left = "", len(options)
    for option in options:
        if len(text) + len(option) > _MOST_OPTIONS:
            return f"allowed are {text}, and {left} more"
        text, left = f"{text}, {option}" if text else option, left - 1
    return f"allowed are {text}"


def brief(value: Any) -> str:
    """Return a value as JSON, shortened."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _around(error: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema in which the violated keyword stands."""
    part: Any = schema
    for step in list(error.schema_path)[:-1]:
        if isinstance(part, list):
            part = part[step] if isinstance(step, int) and step < len(part) else {}
        else:
            part = part.get(step, {})
    return part if isinstance(part, Mapping) else {}
