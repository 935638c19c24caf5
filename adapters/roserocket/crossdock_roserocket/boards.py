"""Boards: the list tool, and the board that the provider insists on though the key says enough.

Only ids, names and keys of boards are remembered, for five minutes per account.
"""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    Page,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    encode,
)
from crossdock_roserocket.catalogue import is_uuid, key_of, plain

_REMEMBERED = 300.0
_PATH = "/boards/nav"


class Board(msgspec.Struct, frozen=True, rename="camel"):
    """What is remembered of a board."""

    id: str
    name: str = ""
    object_key: str = ""
    is_external: bool = False


async def board_for(
    context: Context, key: str, given: str | None = None
) -> tuple[Board, tuple[str, ...]]:
    """Return the board to work through for a key, and a note on the choice.

    `given` is what the agent passed: an id, sent as it is, or a board's name.
    Raises InvalidArguments when the navigation has no such board.
    """
    if given is not None and is_uuid(given):
        return Board(id=given), ()
    known = await _boards(context)
    if given is not None:
        named = [board for board in known if plain(board.name) == plain(given)]
        if not named:
            raise InvalidArguments("boardId", f"no board is called {given!r}. {_listed(known)}")
        return named[0], (f"boardId {given!r} is the board {named[0].id}.",)
    fitting = sorted((b for b in known if b.object_key == key), key=lambda b: b.is_external)
    if not fitting:
        raise InvalidArguments(
            "boardId",
            f"no board in the navigation shows {key}, so none can be found by itself; pass one. "
            f"{_listed(known)}",
        )
    board, *others = fitting
    note = f"Board: {board.name} ({board.id})."
    if others:
        note += f" Others for {key}: {', '.join(other.name for other in others)}."
    return board, (note,)


async def key_of_board(context: Context, board_id: str) -> str:
    """Return the object key that a board shows. Raises InvalidArguments."""
    for board in await _boards(context):
        if board.id == board_id or plain(board.name) == plain(board_id):
            return board.object_key
    raise InvalidArguments("objectKey", "is needed: the board is not in the navigation")


def _listed(boards: list[Board]) -> str:
    names = ", ".join(f"{board.name} ({board.object_key})" for board in boards[:20])
    return f"Boards: {names or 'none that this account may see'}."


async def _boards(context: Context) -> list[Board]:
    async def read() -> list[dict[str, Any]]:
        reply = await context.send(_request(context, None))
        return [msgspec.to_builtins(board) for board in _decoded(reply, Board)]

    return msgspec.convert(await context.remember("boards", _REMEMBERED, read), list[Board])


def _request(context: Context, key: str | None) -> UpstreamRequest:
    asked = {} if key is None else {"objectKey": key}
    body = encode(asked) if context.settings.get("boards_body") else None
    return UpstreamRequest(verb="GET", path=_PATH, query=tuple(asked.items()), body=body)


def _decoded(reply: UpstreamReply, kind: Any) -> Any:
    try:
        return msgspec.json.decode(reply.body, type=list[kind])
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamFailure(
            "upstream_malformed", f"Rose Rocket's list of boards cannot be read: {error}"
        ) from None


async def list_boards(call: Call, context: Context) -> Outcome:
    """List boards; the provider may ignore the key, so it is looked at again here."""
    given = call.query.get("objectKey")
    key = None if given is None else key_of(given, "objectKey")
    reply = await context.send(_request(context, key))
    raw: list[msgspec.Raw] = _decoded(reply, msgspec.Raw)
    rows = list(zip(raw, _decoded(reply, dict[str, Any]), strict=True))
    if key is not None:
        rows = [row for row in rows if row[1].get("objectKey") == key]
    if order := call.mapper.get("orderBy"):
        rows.sort(key=lambda row: str(row[1].get(order, "")).casefold())
    if call.mapper.get("orderByDirection") == "desc":
        rows.reverse()
    start = call.page.skip or call.mapper.get("offset", 0)
    end = start + (call.limit or call.tool.paging.limit.default)
    return Outcome(
        data=[record for record, _ in rows[start:end]],
        next_page=Page(skip=end) if end < len(rows) else None,
        rate=reply.rate,
    )
