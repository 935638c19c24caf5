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
    unhurried,
)
from crossdock_roserocket.catalogue import is_uuid, plain
from crossdock_roserocket.kinds import allowed, asked_key, is_hidden

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

    `given` is what the agent passed: a board's id or its name. An id that is not in the navigation
    is sent as it is, unless the server sees certain kinds only. Raises InvalidArguments.
    """
    known = await _boards(context)
    if given is not None:
        named = [one for one in known if one.id == given or plain(one.name) == plain(given)]
        fitting = [one for one in named if one.object_key == key]
        if fitting:
            note = f"board_id {given!r} is the board {fitting[0].id}."
            return fitting[0], () if is_uuid(given) else (note,)
        if named:
            raise InvalidArguments(
                "board_id",
                f"{given!r} is a board of {named[0].object_key}, not of {key}; leave it out and "
                "the board is found",
            )
        if is_uuid(given) and allowed(context) is None:
            return Board(id=given), ()
        raise InvalidArguments("board_id", f"there is no board {given!r}. {_listed(known)}")
    fitting = sorted((b for b in known if b.object_key == key), key=lambda b: b.is_external)
    if not fitting:
        raise InvalidArguments(
            "board_id",
            f"no board in the navigation shows {key}, so none can be found by itself; pass one. "
            f"{_listed(known)}",
        )
    board, *others = fitting
    note = f"Board: {board.name} ({board.id})."
    if others:
        note += f" Others for {key}: {', '.join(other.name for other in others)}."
    return board, (note,)


async def key_of_board(context: Context, given: str) -> str:
    """Return the object key that a board shows. Raises InvalidArguments."""
    for board in await _boards(context):
        if board.id == given or plain(board.name) == plain(given):
            return board.object_key
    raise InvalidArguments("object_key", "is needed: the board is not in the navigation")


def _listed(boards: list[Board]) -> str:
    names = ", ".join(f"{board.name} ({board.object_key})" for board in boards[:20])
    return f"Boards: {names or 'none that this account may see'}."


async def _boards(context: Context) -> list[Board]:
    async def read() -> list[dict[str, Any]]:
        reply = await context.send(_request(context, None))
        return [msgspec.to_builtins(board) for board in _decoded(reply, Board)]

    every = msgspec.convert(await context.remember("boards", _REMEMBERED, read), list[Board])
    return [board for board in every if not is_hidden(context, board.object_key)]


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
    key = None if given is None else asked_key(context, given, "object_key")
    reply = await context.send(_request(context, key))
    raw: list[msgspec.Raw] = _decoded(reply, msgspec.Raw)
    rows = list(zip(raw, _decoded(reply, dict[str, Any]), strict=True))
    if key is not None:
        rows = [row async for row in unhurried(rows) if row[1].get("objectKey") == key]
    rows = [row async for row in unhurried(rows) if not is_hidden(context, row[1].get("objectKey"))]
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
