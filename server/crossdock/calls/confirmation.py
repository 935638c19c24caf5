"""Asking a human before something is destroyed: servers with `config.confirm = "destructive"`.

Which calls are asked about is the adapter's to say; that they are, the server's. Where nobody can
be asked the call is refused: a missing human is no consent.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter.load import Binding
from crossdock.authoring import Call, Question
from crossdock.errors import CannotAsk, Forbidden
from crossdock.model import Peer

_KEY = "confirm"
_LONGEST = 600
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"confirm": {"type": "boolean", "title": "Yes, do it", "default": False}},
    "required": ["confirm"],
}


async def confirmed(binding: Binding, call: Call, client: Peer) -> None:
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
        answer = (await client.ask((question,)))[_KEY]
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
    """Say in the human's words what is about to happen, and to what."""
    told = []
    for key in binding.places:
        value = _value(binding, call, key)
        if value is not None:
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            told.append(f"{key}: {text}")
    words = "; ".join(told)
    if len(words) > _LONGEST:
        words = f"{words[:_LONGEST]}…"
    return f"{binding.tool.title} ({words}). Do you agree?"
