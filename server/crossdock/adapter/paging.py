"""Pages of a list: how to ask for one, and how to read where it goes on.

One page per call, no loop, no state. Where the provider has no page size the page is cut here,
and the cursor remembers the provider's cursor and how far into its page we are.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from crossdock.adapter.bodies import decode, decode_as, malformed
from crossdock.adapter.matching import matcher
from crossdock.adapter.pace import unhurried
from crossdock.authoring import Call, Outcome, Page, Paging, UpstreamReply, UpstreamRequest

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=]+(?:=(?:\"[^\"]*\"|[^,;]*))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^,;\s]+))", re.IGNORECASE)


def ask(call: Call, request: UpstreamRequest) -> UpstreamRequest:
    """Return the request for the page that the call points at."""
    spec, page = call.tool.paging, call.page
    extra: list[tuple[str, str]] = []
    if spec.style == "link" and page.cursor is not None:
        extra.append((spec.ask["cursor"], str(page.cursor)))
    elif spec.style == "offset":
        extra.append((spec.ask["offset"], str(page.cursor or 0)))
        if "limit" in spec.ask:
            extra.append((spec.ask["limit"], str(_limit(call) + 1)))
    if not extra:
        return request
    return msgspec.structs.replace(request, query=(*request.query, *extra))


async def read(call: Call, reply: UpstreamReply) -> Outcome:
    """Read one page: at most `limit` records, and where the list goes on."""
    spec, limit = call.tool.paging, _limit(call)
    records = items_of(reply.body, spec.items)
    if spec.style == "offset":
        return await _read_offset(call, reply, records, limit)
    start = await _start(records, call.page, spec)
    following: Page | None = None
    kept, dropped, end = await _take(call, records, start, limit)
    if end < len(records):
        following = Page(cursor=call.page.cursor, skip=end, anchor=_id(records[end - 1], spec.id))
    else:
        cursor = _next_link(reply, spec) if spec.style == "link" else None
        if cursor is not None and cursor == call.page.cursor:
            cursor = None  # a page that names itself as the next would never end
        if cursor is not None:
            following = Page(cursor=cursor)
    return _outcome(kept, dropped, following, reply)


async def _read_offset(
    call: Call, reply: UpstreamReply, records: list[msgspec.Raw], limit: int
) -> Outcome:
    spec, offset = call.tool.paging, int(call.page.cursor or 0)
    kept, dropped, end = await _take(call, records, 0, limit)
    following = Page(cursor=offset + end) if end < len(records) else None
    if following is None and "limit" not in spec.ask and records:
        # Without a page size only an empty page shows the end.
        following = Page(cursor=offset + end)
    return _outcome(kept, dropped, following, reply)


def _outcome(
    kept: list[msgspec.Raw], dropped: int, following: Page | None, reply: UpstreamReply
) -> Outcome:
    notes: tuple[str, ...] = ()
    if dropped:
        notes = (
            f"The provider ignored the filter: {dropped} records that do not match were dropped.",
        )
    return Outcome(data=kept, next_page=following, rate=reply.rate, notes=notes)


async def _take(
    call: Call, records: list[msgspec.Raw], start: int, limit: int
) -> tuple[list[msgspec.Raw], int, int]:
    fits = matcher(call)
    if fits is None:
        end = min(start + limit, len(records))
        return records[start:end], 0, end
    kept: list[msgspec.Raw] = []
    dropped = 0
    position = start
    async for record in unhurried(records[start:]):
        if len(kept) == limit:
            break
        if fits(decode(record)):
            kept.append(record)
        else:
            dropped += 1
        position += 1
    return kept, dropped, position


def _limit(call: Call) -> int:
    return call.limit or call.tool.paging.limit.default


async def _start(records: list[msgspec.Raw], page: Page, spec: Paging) -> int:
    """Find the place again: behind the last record shown, or where it used to be."""
    if not page.skip:
        return 0
    if page.anchor is not None:
        # Look from the old place outwards: the page rarely moves by more than a few records.
        nearest = sorted(range(len(records)), key=lambda i: abs(i - page.skip + 1))
        async for index in unhurried(nearest):
            if _id(records[index], spec.id) == page.anchor:
                return index + 1
    return min(page.skip, len(records))


def _id(record: msgspec.Raw, field: str) -> str | None:
    if not field:
        return None
    value = decode(record)
    found = value.get(field) if isinstance(value, dict) else None
    return None if found is None else str(found)


def items_of(body: bytes | msgspec.Raw, pointer: str) -> list[msgspec.Raw]:
    """Return the records of a list answer, undecoded. Raises UpstreamFailure."""
    for name in pointer.split("/")[1:]:
        level = decode_as(body, dict[str, msgspec.Raw])
        if name not in level:
            raise malformed(f"it has no {pointer}")
        body = level[name]
    items: list[msgspec.Raw] = decode_as(body, list[msgspec.Raw])
    return items


def at_pointer(value: Any, pointer: str) -> Any:
    """Follow a JSON Pointer through objects; None where it leads nowhere."""
    for name in pointer.split("/")[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _next_link(reply: UpstreamReply, spec: Paging) -> str | None:
    for target, parameters in _LINK.findall(reply.headers.get("link", "")):
        relation = _REL.search(parameters)
        if relation and "next" in (relation.group(1) or relation.group(2)).lower().split():
            values: list[str] | None = parse_qs(urlsplit(target).query).get(spec.ask["cursor"])
            if not values:
                raise malformed(f"its Link header names a next page without `{spec.ask['cursor']}`")
            return values[0]
    return None
