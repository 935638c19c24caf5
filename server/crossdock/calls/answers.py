"""What a mapper gave → the bytes of an answer: cut to the fields asked for, within a budget.

A list that does not fit ends early at a record's border. Its cursor then leads back to the same
page, with the ids shown last, so that nothing is shown twice and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crossdock.adapter.bodies import malformed
from crossdock.adapter.fields import Fields, largest, shortened, view_of
from crossdock.authoring import Call, Outcome, Page, RateLimit, Tool
from crossdock.errors import BadToolOutput

BYTES_PER_TOKEN = 4  # of compact JSON with ids and dates, roughly
_ENVELOPE = 512  # cursor, counts and notes
_REMEMBERED = 3  # ids of records shown last: one of them may be gone by the next call
_LONGEST_ID = 200  # a cursor has to stay short
_BLOCKS = ("text", "image", "audio", "resource", "resource_link")
_EMPTY = msgspec.json.Decoder(dict[str, msgspec.Raw])

CursorOf = Callable[[Page], str]


def resumed(call: Call) -> Call:
    """Return the call that a mapper is given: its page again from the start, with room for more
    than what was shown of it."""
    page = call.page
    if not page.shown:
        return call
    limits = call.tool.paging.limit
    limit = min(limits.max, page.shown + (call.limit or limits.default))
    bare = msgspec.structs.replace(page, shown=0, last=())
    return msgspec.structs.replace(call, page=bare, limit=limit)


def finished(call: Call, outcome: Outcome, tokens: int, cursor_of: CursorOf) -> Outcome:
    """Return the finished outcome: `data` is compact JSON. Raises BadToolOutput."""
    tool = call.tool
    _check_beside(outcome, tool)
    notes = tuple(outcome.notes)
    room = tokens * BYTES_PER_TOKEN
    if tool.lists:
        payload, more = _list(call, outcome, room - _ENVELOPE, cursor_of)
        notes += more
    elif outcome.data is None and outcome.content:
        payload = b""
        if tool.endpoint.receive.as_ != "json":
            content, cut = _cut_texts(outcome.content, room)
            outcome = msgspec.structs.replace(outcome, content=content)
            notes += cut
    elif outcome.data is None:
        payload = b'{"deleted":true}' if tool.method == "delete" else b'{"ok":true}'
    else:
        fields = Fields(call.fields, tool.paging.id)
        payload = _compact(fields.cut(json_of(outcome.data, tool)))
        notes += (*fields.unseen(), *_too_much(payload, room, tool))
    return msgspec.structs.replace(outcome, data=payload, notes=notes)


def _cut_texts(
    content: tuple[Mapping[str, Any], ...], room: int
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """Shorten a provider's text to what an answer may hold; bytes are no tokens."""
    blocks: list[Mapping[str, Any]] = []
    notes: list[str] = []
    for block in content:
        text = block.get("text")
        if block["type"] == "text" and isinstance(text, str) and len(text) > room:
            notes.append(f"These are the first {room:,} of {len(text):,} characters.")
            blocks.append({**block, "text": text[:room]})
        else:
            blocks.append(block)
    return tuple(blocks), tuple(notes)


def weight_of(outcome: Outcome) -> int:
    """Return how many bytes a finished outcome holds, its content included."""
    return len(outcome.data) + sum(_weight(block) for block in outcome.content)


def _weight(block: Mapping[str, Any]) -> int:
    inner = [one for one in block.values() if isinstance(one, Mapping)]
    texts = [one for one in block.values() if isinstance(one, str)]
    return sum(map(len, texts)) + sum(map(_weight, inner))


def _too_much(payload: bytes, room: int, tool: Tool) -> tuple[str, ...]:
    """Say what makes a record large that is shown whole, where less can be asked for."""
    known = any(argument.where == "fields" for argument in tool.arguments)
    if len(payload) <= room or not known:
        return ()
    return (f"This record has {len(payload):,} bytes, {_sizes(payload)}. `fields` shows less.",)


def _sizes(record: bytes) -> str:
    return "most in " + ", ".join(f"{name} ({size:,})" for name, size in largest(record))


# --- lists -----------------------------------------------------------------------------------


def _list(
    call: Call, outcome: Outcome, room: int, cursor_of: CursorOf
) -> tuple[bytes, tuple[str, ...]]:
    tool = call.tool
    if not isinstance(outcome.data, list):
        raise broken(tool, "a list tool must give a list of records")
    records = [json_of(record, tool) for record in outcome.data]
    start = _start(records, call.page, tool.paging.id)
    window = records[start : start + (call.limit or tool.paging.limit.default)]
    view = call.fields or outcome.view or tool.view
    id_field = tool.paging.id
    fields = Fields(call.fields, id_field) if call.fields else view_of(tuple(view), id_field)
    shown: list[bytes] = []
    notes: list[str] = []
    for record in window:
        part = _compact(fields.cut(record))
        if len(part) > room:
            if shown:
                break
            part, why = _fitted(part, room, tool)
            notes.append(why)
        shown.append(part)
        room -= len(part) + 1
    end = start + len(shown)
    if end < len(records):
        following: Page | None = _rest(call.page, records, end, tool.paging.id)
    else:
        following = outcome.next_page
    if len(shown) < len(window):
        notes.append(f"{len(shown)} of {len(window)} shown, call again with next_cursor.")
    if call.fields and shown:
        notes.extend(fields.unseen())
    cursor = b"null" if following is None else msgspec.json.encode(cursor_of(following))
    payload = b'{"result":[%b],"next_cursor":%b,"result_count":%d}'
    return payload % (b",".join(shown), cursor, len(shown)), tuple(notes)


def _fitted(record: bytes, room: int, tool: Tool) -> tuple[bytes, str]:
    cut, left_out = shortened(record, max(room, 0), tool.paging.id)
    id = id_of(record, tool.paging.id)
    why = f"Record {id or ''} has {len(record):,} bytes, {_sizes(record)}".replace("  ", " ")
    why += f"; left out: {', '.join(left_out)}" if left_out else "; long texts are shortened"
    return cut, f"{why}. Ask for a part with `fields`, as {_part(record)}, or read it by its id."


def _part(record: bytes) -> str:
    names = [name for name, _ in largest(record, most=1_000)]
    return msgspec.json.encode(names[-2:]).decode()


def _rest(page: Page, records: list[bytes], end: int, id_field: str) -> Page:
    """Return the cursor of what is left of a page."""
    ids = [id_of(record, id_field) for record in records[max(end - _REMEMBERED, 0) : end]]
    return msgspec.structs.replace(
        page,
        shown=end,
        last=tuple(id for id in ids if id is not None and len(id) <= _LONGEST_ID),
    )


def _start(records: list[bytes], page: Page, id_field: str) -> int:
    """Return how much of a page was shown: behind its last known record, or as many as before."""
    if not page.shown:
        return 0
    places = {id_of(record, id_field): index for index, record in enumerate(records)}
    for id in reversed(page.last):
        if id in places:
            return places[id] + 1
    return min(page.shown, len(records))


def id_of(record: bytes, field: str) -> str | None:
    """Return a record's id as text; None where it has none."""
    try:
        raw = _EMPTY.decode(record).get(field) if field else None
        value = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return None if value is None else str(value)


# --- bytes -----------------------------------------------------------------------------------


def broken(tool: Tool, why: str) -> BadToolOutput:
    """Return the failure of a mapper that gave what cannot be sent."""
    return BadToolOutput(f"The adapter's mapper of {tool.name} is broken: {why}")


def json_of(data: Any, tool: Tool) -> bytes:
    """Return data as JSON; bytes are taken for JSON. Raises BadToolOutput."""
    if isinstance(data, (msgspec.Raw, bytes)):
        return bytes(data)
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise broken(tool, f"its data is not JSON: {error}") from None


def _check_beside(outcome: Outcome, tool: Tool) -> None:
    """Refuse what stands beside the data and is not of its type: nobody else would notice it."""
    if not _all_of(outcome.notes, str):
        raise broken(tool, "notes are a tuple of sentences")
    if not isinstance(outcome.rate, RateLimit):
        raise broken(tool, "rate is the RateLimit of a reply")
    if not _all_of(outcome.content, Mapping):
        raise broken(tool, "content is a tuple of blocks")
    for block in outcome.content:
        if block.get("type") not in _BLOCKS:
            raise broken(tool, f"a content block has one of the types {', '.join(_BLOCKS)}")
        json_of(block, tool)


def _all_of(given: object, kind: type) -> bool:
    return isinstance(given, tuple | list) and all(isinstance(one, kind) for one in given)


def _compact(payload: bytes) -> bytes:
    """Check and compact JSON without decoding it, so big integers and spellings survive."""
    try:
        compact = msgspec.json.format(payload, indent=-1)
        compact.decode("utf-8")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise malformed(error) from None
    return compact
