"""Events: the history of a record read without loss or repeat, and notes written as the provider
takes them.

A note is `type: "internal"` with its text in `json.logMessage`; that this key holds the text was
observed, not documented. Before a note is written, equal ones of the last day are looked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Conflict,
    Context,
    InvalidArguments,
    Outcome,
    Page,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    WriteOutcomeUnknown,
    encode,
    unhurried,
)
from crossdock_roserocket.boards import board_for
from crossdock_roserocket.catalogue import plain
from crossdock_roserocket.identity import Located, locate, need_kind, user_id
from crossdock_roserocket.kinds import allowed, is_hidden
from crossdock_roserocket.outcomes import lost

_KINDS = ("create", "mutate", "internal", "widget-open", "widget-close")
_SHOWN = ("create", "mutate", "internal", "order.status-changed")
_TYPES = {plain(kind): kind for kind in _KINDS}
_TEXT_KEYS = ("message", "note", "notes", "description", "text", "reason")
_LOOK_BACK = timedelta(hours=24)
_LANDING = 60.0  # seconds in which a written event may not be readable yet
_COMPARED = 100


class _Answer(msgspec.Struct):
    results: list[msgspec.Raw]


class _Seen(msgspec.Struct, rename="camel"):
    id: str = ""
    created_at: str = ""
    json: Any = None


# --- reading ---------------------------------------------------------------------------------


async def list_events(call: Call, context: Context) -> Outcome:
    """Read one page of a record's history, newest first unless asked otherwise.

    A page goes on behind the last event of the page before (the provider's bookmark), so events
    that arrive meanwhile shift nothing. Whether the bookmark itself is shown again is not
    documented; it is dropped when it is.
    """
    _check_types(call.query)
    found = await locate(
        context,
        call.query["recordId"],
        call.query.get("objectKey"),
        id_argument="record_id",
        key_argument="object_key",
    )
    limit = call.limit or call.tool.paging.limit.default
    query = {
        "orderBy": "createdAt",
        "orderByDirection": "desc",
        **call.query,
        "recordId": found.id,
        "objectKey": found.key,
        # One more shows whether the list goes on, another makes up for a repeated bookmark.
        "limit": limit + 2,
    }
    if "userId" in query:
        query["userId"] = await user_id(context, query["userId"], "user_id")
    if "boardId" in query:
        query["boardId"] = (await board_for(context, found.key, query["boardId"]))[0].id
    if call.page.anchor is not None:
        query |= {"bookmark": call.page.anchor}
        query.pop("offset", None)
    reply = await context.send(_get("/events", query))
    events = _decoded(reply).results
    if call.page.anchor is not None and events and _seen(events[0]).id == call.page.anchor:
        events = events[1:]
    more = len(events) > limit
    kept = events[:limit]
    following = Page(anchor=_seen(kept[-1]).id) if more else None
    notes = found.notes
    if not kept and call.page.anchor is None:
        await need_kind(context, found.id, found.key, "object_key")
        notes += (f"No event of {found.key} {found.id} fits.",)
    kept = [event async for event in unhurried(kept) if not _of_hidden(context, event)]
    return Outcome(data=kept, next_page=following, rate=reply.rate, notes=notes)


def _check_types(query: Mapping[str, Any]) -> None:
    """Refuse types that no event has. Raises InvalidArguments."""
    for argument, name in (
        ("type", "type"),
        ("in_types", "inTypes"),
        ("not_in_types", "notInTypes"),
    ):
        for one in filter(None, str(query.get(name, "")).split(",")):
            if one not in _SHOWN and not (argument == "not_in_types" and one in _KINDS):
                raise InvalidArguments(
                    argument,
                    f"{one!r} is no type that is shown; use {', '.join(_SHOWN)} (a note by a "
                    "person is internal, a change is mutate)",
                )


def _of_hidden(context: Context, event: msgspec.Raw) -> bool:
    json = _seen(event).json if allowed(context) is not None else None
    key = json.get("objectKey") if isinstance(json, dict) else None
    return key is not None and is_hidden(context, key)


def _get(path: str, query: Mapping[str, Any]) -> UpstreamRequest:
    pairs = tuple((name, str(value)) for name, value in query.items())
    return UpstreamRequest(verb="GET", path=path, query=pairs)


def _decoded(reply: UpstreamReply) -> _Answer:
    try:
        return msgspec.json.decode(reply.body, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamFailure(
            "upstream_malformed", f"Rose Rocket's list of events cannot be read: {error}"
        ) from None


def _seen(event: msgspec.Raw) -> _Seen:
    try:
        return msgspec.json.decode(event, type=_Seen)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamFailure(
            "upstream_malformed", f"An event of Rose Rocket cannot be read: {error}"
        ) from None


# --- writing ---------------------------------------------------------------------------------


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """An event about to be written."""

    kind: str
    json: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """What two equal notes share. A digest, so that no text is kept."""
        return _mark(self.json)


async def create_event(call: Call, context: Context) -> Outcome:
    """Log what happened to a record, once."""
    note = _note(call)
    found = await locate(
        context,
        call.body["recordId"],
        call.mapper.get("object_key"),
        id_argument="record_id",
        key_argument="object_key",
    )
    board, board_notes = await board_for(context, found.key, call.body.get("boardId"))
    request = UpstreamRequest(
        verb="POST",
        path="/events",
        body=encode(
            {"recordId": found.id, "boardId": board.id, "type": note.kind, "json": note.json}
        ),
    )
    if call.mapper.get("allow_duplicate") or note.kind != "internal":
        reply = await _post(context, request)
    else:
        async with context.exclusive(f"events:{found.id}"):
            reply = await _post_once(context, request, found, note)
    notes = (*found.notes, *board_notes, *note.notes)
    return Outcome(data=msgspec.Raw(reply.body), rate=reply.rate, notes=notes)


async def _post(context: Context, request: UpstreamRequest) -> UpstreamReply:
    try:
        return await context.send(request)
    except UpstreamFailure as failure:
        raise lost(failure, "Read list_all_roserocket_events before you log it again.") from None


async def _post_once(
    context: Context, request: UpstreamRequest, found: Located, note: _Note
) -> UpstreamReply:
    await _refuse_duplicate(context, found, note)
    written: list[UpstreamReply] = []
    unknown: list[WriteOutcomeUnknown] = []

    async def post() -> str:
        try:
            written.append(await _post(context, request))
        except WriteOutcomeUnknown as error:
            unknown.append(error)
            return ""
        return _seen(msgspec.Raw(written[0].body)).id

    # An event takes seconds to be readable; until then this memory knows that it was written,
    # or that nobody knows whether it was.
    event_id = await context.remember(f"event:{found.id}:{note.mark}", _LANDING, post)
    if unknown:
        raise unknown[0]
    if not written:
        raise _duplicate(event_id, "less than a minute ago")
    return written[0]


async def _refuse_duplicate(context: Context, found: Located, note: _Note) -> None:
    query = {
        "recordId": found.id,
        "objectKey": found.key,
        "type": "internal",
        "orderBy": "createdAt",
        "orderByDirection": "desc",
        "limit": _COMPARED,
    }
    now = datetime.now(UTC)
    for event in _decoded(await context.send(_get("/events", query))).results:
        seen = _seen(event)
        age = _age(seen.created_at, now)
        if age is not None and age <= _LOOK_BACK and _mark(seen.json) == note.mark:
            minutes = max(0, int(age.total_seconds() // 60))
            raise _duplicate(seen.id, f"{minutes} minutes ago")


def _duplicate(event_id: str, when: str) -> Conflict:
    if not event_id:
        return Conflict(
            f"An equal event was sent {when}, and its answer was lost; nothing was written now. "
            "Read list_all_roserocket_events to see whether it is there, or pass "
            "allow_duplicate: true."
        )
    return Conflict(
        f"An equal event was logged {when} (event {event_id}); nothing was written. "
        "If it really happened again, say what is different in message, or pass "
        "allow_duplicate: true.",
        event_id=event_id,
    )


def _age(created_at: str, now: datetime) -> timedelta | None:
    try:
        moment = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    return now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _mark(json: Any) -> str:
    text = json.get("logMessage") if isinstance(json, dict) else None
    folded = " ".join(str(text or "").split()).casefold()
    return hashlib.sha256(folded.encode()).hexdigest()


def _note(call: Call) -> _Note:
    """Return a valid event for what the agent said, `type: "Delay"` and the like included.

    Only what arrives as message, status or severity is worded here; a json.logMessage is stored
    as it is. Raises InvalidArguments.
    """
    json = {name: value for name, value in call.body.get("json", {}).items() if value is not None}
    given = call.body.get("type", "internal")
    kind, status = _TYPES.get(plain(given)), call.mapper.get("status")
    notes: tuple[str, ...] = ()
    if kind is None:
        kind, status = "internal", status or given.strip()
        notes = (f"Rose Rocket has no event type {given!r}; it was logged as an internal note.",)
    message, severity = call.mapper.get("message"), call.mapper.get("severity")
    ready = json.get("logMessage")
    if ready is not None and not (isinstance(ready, str) and ready.strip()):
        raise InvalidArguments("json.logMessage", "must be text, and not empty")
    if ready and message and message != ready:
        raise InvalidArguments("message", "is given, and json.logMessage too; give one of them")
    if kind != "internal":
        return _Note(kind=kind, json=json | ({"logMessage": message} if message else {}))
    if not ready:
        text = message or _text_in(json) or status
        if not text:
            raise InvalidArguments(
                "message", 'is required: say what happened, as {"message": "Delayed by 2 hours"}'
            )
        json |= {"logMessage": _headed(text, status, severity)}
    json |= {name: value for name, value in (("status", status), ("severity", severity)) if value}
    return _Note(kind=kind, json=json, notes=notes)


def _text_in(json: dict[str, Any]) -> str:
    """Find the text in a json that an agent made up."""
    texts = (json[name] for name in _TEXT_KEYS if isinstance(json.get(name), str))
    return next((text for text in texts if text.strip()), "")


def _headed(message: str, status: str | None, severity: str | None) -> str:
    """Put status and severity before the text, as people on the board see nothing else."""
    head = " ".join(part for part in (status, f"({severity})" if severity else "") if part)
    repeats = status and message.casefold().startswith(status.casefold())
    if not head or (repeats and not severity):
        return message
    return f"({severity}) {message}" if repeats else f"{head}: {message}"
