"""Asking a human before something is destroyed: servers with `config.confirm = "destructive"`.

Which calls are asked about is the adapter's to say; that they are, the server's. Where nobody can
be asked the call is refused: a missing human is no consent.
"""

from __future__ import annotations

from typing import Any

from crossdock.adapter.binding import Binding
from crossdock.authoring import Call, Context, Question
from crossdock.calls.printable import shown
from crossdock.errors import CannotAsk, Forbidden, InvalidArguments

_KEY = "confirm"
_WHOLE = 4_000  # characters of what is destroyed
_EACH = 120  # characters of each other value
_OTHERS = 20
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": ["confirm"],
}


async def confirmed(binding: Binding, call: Call, context: Context) -> None:
    """Return once a human agreed to this call, or at once where none has to. Raises Forbidden."""
    tool = binding.tool
    if tool.confirm and not any(_given(_value(binding, call, key)) for key in tool.confirm):
        return
    question = Question(
        key=_KEY,
        method="elicitation/create",
        params={"message": _message(binding, call), "requestedSchema": _SCHEMA},
    )
    try:
        answer = (await context.ask_all(question))[_KEY]
    except CannotAsk as failure:
        raise Forbidden(
            f"A human has to agree before {tool.name} may run here, and this client cannot ask "
            "one: it does not offer the elicitation capability. Use a client that does, or a "
            "server without confirm. Nothing was sent.",
            **failure.details(),
        ) from None
    content = answer.get("content")
    agreed = isinstance(content, dict) and content.get("confirm") is True
    if answer.get("action") != "accept" or not agreed:
        raise Forbidden("The human did not agree, so nothing was sent. Do not repeat it unasked.")


def _value(binding: Binding, call: Call, key: str) -> Any:
    argument = binding.places[key]
    placed = {"path": call.path, "query": call.query, "body": call.body, "mapper": call.mapper}
    return placed.get(argument.where, {}).get(argument.name)


def _given(value: Any) -> bool:
    """An empty list names nothing."""
    return value is not None and value is not False and value not in ("", [], {})


def _message(binding: Binding, call: Call) -> str:
    """Say what is about to happen, and to what: what is destroyed first, whole and counted.

    Values stand quoted and escaped, so none of them can pass for words of this gateway. Raises
    InvalidArguments where the human could not be shown all that goes.
    """
    tool = binding.tool
    given = {key: _value(binding, call, key) for key in binding.places}
    given = {key: value for key, value in given.items() if value is not None}
    gone = [key for key in tool.confirm or () if key in given and _given(given[key])]
    gone += [key for key in given if binding.places[key].where == "path"]
    gone = gone or [*given]
    lost = [f"{key}{_count(given[key])}: {shown(given[key])}" for key in gone]
    if sum(map(len, lost)) > _WHOLE:
        raise InvalidArguments(
            gone[0],
            "names more than a human can be shown at once "
            f"({_WHOLE:,} characters); make several calls of it. Nothing was sent.",
        )
    rest = [key for key in given if key not in gone]
    told = [f"{key}: {_short(given[key])}" for key in rest[:_OTHERS]]
    if len(rest) > _OTHERS:
        told.append(f"and {len(rest) - _OTHERS} more")
    besides = [f"Besides: {'; '.join(told)}"] if told else []
    return "\n".join([f"{tool.title} with", *lost, *besides, "Do you agree?"])


def _count(value: Any) -> str:
    return f" ({len(value)})" if isinstance(value, (list, dict)) else ""


def _short(value: Any) -> str:
    text = shown(value)
    return text if len(text) <= _EACH else f"{text[:_EACH]}… ({len(text):,} characters)"
