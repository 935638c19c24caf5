"""list_all_roserocket_objects: a board for the key, filters that work, and pages over a search
that has no pages.

The provider's search takes `limit` only. A page therefore asks for everything up to its end, in a
fixed order, and goes on behind the last record of the page before. Past 1,000 it says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    Page,
    Tool,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    encode,
    unhurried,
)
from crossdock_roserocket.boards import board_for, key_of_board
from crossdock_roserocket.catalogue import fields_of
from crossdock_roserocket.fields import Fields, fields_for
from crossdock_roserocket.filters import Condition, Plan, Reader
from crossdock_roserocket.groups import group_id, many
from crossdock_roserocket.kinds import asked_key, shown
from crossdock_roserocket.moments import Span, zone_of

FARTHEST = 1000
_END = "Rose Rocket's search goes no further than"
_PAST = frozenset({"createdAt", "updatedAt"})


class _Answer(msgspec.Struct):
    results: list[msgspec.Raw]
    total: int | float | None = None


class _Search(msgspec.Struct, frozen=True, kw_only=True):
    """One search, with what is judged here."""

    key: str
    plan: Plan
    order: str
    newest_first: bool
    limit: int
    page: Page
    everything: bool = False

    @property
    def first_only(self) -> Span | None:
        """The span of a date filter whose matches are the first records of this order."""
        if len(self.plan.conditions) == 1 and self.newest_first:
            only = self.plan.conditions[0]
            if only.span is not None and only.field == self.order and _is_open(only):
                return only.span
        return None

    @property
    def asks_for(self) -> int:
        """How many records are asked for."""
        if self.everything or (self.plan.conditions and self.first_only is None):
            return FARTHEST
        return min(self.page.skip + self.limit + 1, FARTHEST)


async def list_objects(call: Call, context: Context) -> Outcome:
    """Search records of one key."""
    board = call.body.get("boardId")
    if "objectKey" in call.body:
        key = asked_key(context, call.body["objectKey"], "object_key")
    elif board is not None:
        key = await key_of_board(context, board)
    else:
        raise InvalidArguments("object_key", "is required, as order or task")
    return await search(call, context, key, call.body.get("filters"))


async def search(
    call: Call,
    context: Context,
    key: str,
    filters: Any,
    arguments: Mapping[str, Any] | None = None,
) -> Outcome:
    """Search records of a key with filters as agents write them, or as arguments of their own.

    Raises InvalidArguments.
    """
    zone = zone_of(call.body.get("timezone"))
    fields = fields_for(context, key)
    plan = _closed(Reader(fields, zone).plan(filters, arguments), call)
    order, order_notes = _order(fields, call.body.get("orderByPath"), plan)
    plan, group_notes = await _with_group_ids(context, plan)
    asked = _Search(
        key=key,
        plan=plan,
        order=order,
        newest_first=call.body.get("orderByDirection", "desc") == "desc",
        limit=call.limit or call.tool.paging.limit.default,
        page=call.page,
    )
    board, notes = await board_for(context, key, call.body.get("boardId"))
    notes += plan.notes + order_notes + group_notes
    reply = await _send(call, context, board.id, asked)
    answer = _decoded(reply)
    if await _lost_its_place(asked, answer):
        # More came in ahead than this page has room for: look for the place in all there is.
        asked = msgspec.structs.replace(asked, everything=True)
        reply = await _send(call, context, board.id, asked)
        answer = _decoded(reply)
    await _check_kinds(key, answer)
    answer.results = [shown(context, record) async for record in unhurried(answer.results)]
    outcome = await _page(asked, answer, reply, notes)
    return msgspec.structs.replace(outcome, view=_view(call.tool, asked))


def _order(fields: Fields, given: str | None, plan: Plan) -> tuple[str, tuple[str, ...]]:
    if given is None:
        return _natural_order(plan), ()
    named = fields.named(given, "order_by_path")
    if named.field is not None and named.field.to:
        raise InvalidArguments(
            "order_by_path",
            f"{named.name} is a connected record; order by a value of {fields.key}, as createdAt",
        )
    return named.name, (named.note,) if named.note else ()


async def _with_group_ids(context: Context, plan: Plan) -> tuple[Plan, tuple[str, ...]]:
    """Put ids of user groups in the place of their names."""
    entries: list[dict[str, Any]] = []
    notes: tuple[str, ...] = ()
    for entry in plan.entries:
        value = entry["value"]
        if entry["path"] in plan.groups and value is not None:
            found = [await group_id(context, one, "filters.user_group") for one in many(value)]
            notes += tuple(note for _, note in found if note)
            ids = [one for one, _ in found]
            entry = {**entry, "value": ids if isinstance(value, list) else ids[0]}
        entries.append(entry)
    return msgspec.structs.replace(plan, entries=entries), notes


class _Kind(msgspec.Struct, rename="camel"):
    object_key: str | None = None


async def _check_kinds(key: str, answer: _Answer) -> None:
    """Refuse a board that shows something else: its records would pass for what was asked."""
    async for record in unhurried(answer.results):
        try:
            found = msgspec.json.decode(record, type=_Kind).object_key
        except msgspec.DecodeError:
            return
        if found is not None and found != key:
            raise InvalidArguments(
                "board_id", f"shows other records than {key}; leave it out and one is found"
            )


async def _send(call: Call, context: Context, board_id: str, asked: _Search) -> UpstreamReply:
    body = {
        "boardId": board_id,
        "filters": asked.plan.entries,
        "filtersOperator": call.body.get("filtersOperator", "and"),
        "orderByPath": asked.order,
        "orderByDirection": "desc" if asked.newest_first else "asc",
        "limit": asked.asks_for,
    }
    if "timezone" in call.body:
        body["timezone"] = call.body["timezone"]
    return await context.send(
        UpstreamRequest(verb="POST", path="/objects/search", body=encode(body), reads=True)
    )


async def _lost_its_place(asked: _Search, answer: _Answer) -> bool:
    anchor = asked.page.anchor
    if anchor is None or len(answer.results) < asked.asks_for or asked.asks_for == FARTHEST:
        return False
    async for record in unhurried(answer.results):
        if _row(record).get("id") == anchor:
            return False
    return True


def _closed(plan: Plan, call: Call) -> Plan:
    """Refuse what would change its meaning when a part is judged here."""
    parts = len(plan.entries) + len(plan.conditions)
    if call.body.get("filtersOperator") == "or" and plan.conditions and parts > 1:
        raise InvalidArguments(
            "filters_operator",
            f"or cannot be combined with {plan.conditions[0].field}, which Rose Rocket cannot "
            "filter by; make one call per filter",
        )
    return plan


def _natural_order(plan: Plan) -> str:
    dated = [condition.field for condition in plan.conditions if condition.span is not None]
    return dated[0] if dated else "createdAt"


def _is_open(condition: Condition) -> bool:
    """Tell whether nothing can lie behind the span: no end, or one that is still to come."""
    until = condition.span.until if condition.span else None
    # Other dates, as dueDate, may well lie in the future.
    return until is None or (condition.field in _PAST and until > datetime.now(UTC))


# --- reading ---------------------------------------------------------------------------------


async def _page(
    asked: _Search, answer: _Answer, reply: UpstreamReply, notes: tuple[str, ...]
) -> Outcome:
    raw, conditions = answer.results, asked.plan.conditions
    rows = [_row(one) async for one in unhurried(raw)] if conditions or asked.page.anchor else []
    fits = [
        all(c.holds(row) for c in conditions) async for row in unhurried(rows if conditions else [])
    ]
    position = _start(asked.page, rows)
    kept: list[msgspec.Raw] = []
    while position < len(raw) and len(kept) < asked.limit:
        if not conditions or fits[position]:
            kept.append(raw[position])
        position += 1
    more = any(fits[position:]) if conditions else position < len(raw)
    full = len(raw) >= asked.asks_for
    if not more and full and asked.asks_for < FARTHEST and not _past(asked, rows):
        more = True  # records came in ahead of this page; the next one asks for more
    following = None
    if more:
        last = _row(raw[position - 1]).get("id") if position else None
        following = Page(skip=position, anchor=last if isinstance(last, str) else None)
    elif full and asked.asks_for == FARTHEST and not _past(asked, rows):
        notes += (f"{_END} {FARTHEST} records; narrow the filters for the rest.",)
    elif not full and answer.total and answer.total > len(raw):
        notes += (
            f"Rose Rocket gave {len(raw)} of about {answer.total:g} matches; narrow the filters.",
        )
    if conditions:
        notes += (_looked(asked, rows),)
    elif more and answer.total:
        notes += (f"About {answer.total:g} records match.",)
    return Outcome(data=kept, next_page=following, rate=reply.rate, notes=notes)


def _view(tool: Tool, asked: _Search) -> tuple[str, ...]:
    """Return what is shown by default: the tool's view, with what was filtered and ordered by;
    all of a kind of which no fields are known."""
    if not fields_of(asked.key) or not tool.view:
        return ("*",)
    used = [entry["path"] for entry in asked.plan.entries]
    used += [condition.field for condition in asked.plan.conditions]
    return tuple(dict.fromkeys([*tool.view, *used, asked.order]))


def _start(page: Page, rows: list[Mapping[str, Any]]) -> int:
    """Find the place again: behind the last record shown, or where it used to be."""
    if page.anchor is not None:
        for index, row in enumerate(rows):
            if row.get("id") == page.anchor:
                return index + 1
    return page.skip


def _past(asked: _Search, rows: list[Mapping[str, Any]]) -> bool:
    """Tell whether the last record already lies before the dates asked for."""
    span = asked.first_only
    return bool(span and rows and span.is_before(rows[-1].get(asked.order)))


def _looked(asked: _Search, rows: list[Mapping[str, Any]]) -> str:
    fields = " and ".join(dict.fromkeys(c.field for c in asked.plan.conditions))
    text = (
        f"Rose Rocket cannot filter by {fields}, so {len(rows)} records were read in the order "
        f"of {asked.order} and compared here"
    )
    if rows and (last := rows[-1].get(asked.order)) is not None:
        text += f", down to {asked.order} {_brief(last)}"
    text += "; no more match." if len(rows) < asked.asks_for or _past(asked, rows) else "."
    if rows and (lacking := _lacking(asked.plan.conditions, rows)):
        text += f" None of them shows {lacking}, so nothing could match it."
    return text


def _lacking(conditions: list[Condition], rows: list[Mapping[str, Any]]) -> str:
    return ", ".join(c.field for c in conditions if not any(c.field in row for row in rows))


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("dateTimeInLocation", "")
    return str(value)[:40]


def _decoded(reply: UpstreamReply) -> _Answer:
    try:
        return msgspec.json.decode(reply.body, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamFailure(
            "upstream_malformed", f"Rose Rocket's search answer cannot be read: {error}"
        ) from None


def _row(record: msgspec.Raw) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
