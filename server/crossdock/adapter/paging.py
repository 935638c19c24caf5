"""Pages of a list: how to ask for one, and how to read where it goes on.

One page per call, no loop, no state. A page that is longer than what was asked for is cut here, and
the cursor remembers the provider's place and how far into its page we are.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import msgspec

from crossdock.adapter.bodies import decode, decode_as, malformed
from crossdock.adapter.matching import matcher
from crossdock.adapter.pace import unhurried
from crossdock.adapter.pointers import raw_at, steps
from crossdock.authoring import Call, Outcome, Page, Paging, UpstreamReply, UpstreamRequest

_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;=]+(?:=(?:\"[^\"]*\"|[^,;]*))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^,;\s]+))", re.IGNORECASE)
_REMEMBERED = 6  # places, besides the one that finds longer circles
_NONE = (None, "", 0, False, "0", "false")
Raws = list[msgspec.Raw]
Pairs = list[tuple[str, str]]


# --- asking ----------------------------------------------------------------------------------


def ask(call: Call, request: UpstreamRequest) -> UpstreamRequest:
    """Return the request for the page that the call points at."""
    spec, place = call.tool.paging, call.page.cursor
    if spec.style == "next_url" and place is not None:
        return _as_told(call, request, parse_qsl(str(place), keep_blank_values=True))
    extra: Pairs = []
    if spec.style == "offset":
        extra.append((spec.ask["offset"], str(place or 0)))
    elif spec.style == "page":
        extra.append((spec.ask["page"], str(_number(call))))
    elif spec.style != "none" and place is not None:
        extra.append((spec.ask["after" if spec.style == "keyset" else "cursor"], str(place)))
    if name := _size_name(spec):
        extra.append((name, str(_asked(call))))
    if not extra:
        return request
    return msgspec.structs.replace(request, query=(*request.query, *extra))


def _as_told(call: Call, request: UpstreamRequest, told: Pairs) -> UpstreamRequest:
    """Use the query of the next page's URL; what it leaves out, as a filter, stays as it was."""
    names = {name for name, _ in told}
    kept = [pair for pair in request.query if pair[0] not in names]
    name = _size_name(call.tool.paging)
    if name and name not in names:
        kept.append((name, str(_asked(call))))
    return msgspec.structs.replace(request, query=(*kept, *told))


def _size_name(spec: Paging) -> str | None:
    return spec.ask.get("size") or spec.ask.get("limit")


def _limit(call: Call) -> int:
    return call.limit or call.tool.paging.limit.default


def _asked(call: Call) -> int:
    """Return the page size to ask for: that with which the list began."""
    spec = call.tool.paging
    if spec.style == "offset":  # any place is a page's start, so the size may change
        ahead = 0 if spec.tell else 1  # without a word of it one more shows that there is more
        return min(_limit(call) + ahead, max(spec.limit.max, _limit(call)))
    return call.page.size or _limit(call)


def _number(call: Call) -> int:
    return call.tool.paging.first if call.page.cursor is None else int(call.page.cursor)


# --- reading ---------------------------------------------------------------------------------


async def read(call: Call, reply: UpstreamReply, known: Sequence[str] = ()) -> Outcome:
    """Read one page: at most `limit` records, and where the list goes on.

    `known` are the URLs of the hosts to which a next page's URL may lead.
    """
    spec, page = call.tool.paging, call.page
    records = items_of(reply.body, spec.items)
    given = len(records)
    if spec.style == "keyset" and page.cursor is not None:
        records = await _behind(records, spec.tell["key"], str(page.cursor))
    start = await _start(records, page, spec)
    kept, dropped, end = await _take(call, records, start, _limit(call))
    if end < len(records):
        following: Page | None = _cut(call, records, end)
    else:
        following = _next(call, reply, records, given, known)
    return _outcome(kept, dropped, following, reply)


def _outcome(kept: Raws, dropped: int, following: Page | None, reply: UpstreamReply) -> Outcome:
    notes: tuple[str, ...] = ()
    if dropped:
        notes = (
            f"The provider ignored the filter: {dropped} records that do not match were dropped.",
        )
    return Outcome(data=kept, next_page=following, rate=reply.rate, notes=notes)


def _cut(call: Call, records: Raws, end: int) -> Page:
    """Return the place within a page of which not everything was shown."""
    spec, page = call.tool.paging, call.page
    if spec.style == "offset":
        return Page(cursor=int(page.cursor or 0) + end)
    size = _kept_size(call)
    if spec.style == "keyset":
        key = _key(records[end - 1], spec.tell["key"])
        return msgspec.structs.replace(page, cursor=key, size=size)
    anchor = _id(records[end - 1], spec.id)
    return msgspec.structs.replace(page, skip=end, anchor=anchor, size=size)


def _next(
    call: Call, reply: UpstreamReply, records: Raws, given: int, known: Sequence[str]
) -> Page | None:
    """Return the page behind this one, of which everything was shown; None at the list's end."""
    spec = call.tool.paging
    if spec.style == "offset":
        return _next_offset(call, reply, given)
    if spec.style == "page":
        return _next_number(call, reply, given)
    more = _more(reply, spec)
    if more is False:
        return None
    place: str | None = None
    if spec.style == "link":
        place = _next_link(reply, spec)
    elif spec.style == "cursor":
        place = _text(raw_at(reply.body, spec.tell["next"]), spec.tell["next"])
    elif spec.style == "next_url":
        place = _query_of(_text(raw_at(reply.body, spec.tell["next"]), spec.tell["next"]), known)
    elif spec.style == "keyset" and records and (more or not _short(call, given)):
        place = _key(records[-1], spec.tell["key"])
    return None if place is None else _onward(call, place)


def _next_offset(call: Call, reply: UpstreamReply, given: int) -> Page | None:
    spec, offset = call.tool.paging, int(call.page.cursor or 0)
    more = _more(reply, spec)
    if (total := _count(reply, spec, "total")) is not None:
        more = offset + given < total
    if more is None and "limit" in spec.ask:
        # The one more that was asked for is not there, unless the provider gives no more at once.
        more = given >= _asked(call)
    # Without a page size only an empty page shows the end, and it ends every list.
    return Page(cursor=offset + given) if given and more is not False else None


def _next_number(call: Call, reply: UpstreamReply, given: int) -> Page | None:
    spec, page, number = call.tool.paging, call.page, _number(call)
    more = _more(reply, spec)
    if (pages := _count(reply, spec, "pages")) is not None:
        more = number - spec.first + 1 < pages
    elif (total := _count(reply, spec, "total")) is not None:
        more = given > 0 and page.count + given < total
    elif more is None:
        more = given > 0 and not _short(call, given)
    if not more:
        return None
    size = _kept_size(call) or given  # what the first page held, where nobody asks for a size
    return Page(cursor=number + 1, size=size, count=page.count + given)


def _kept_size(call: Call) -> int:
    return _asked(call) if _size_name(call.tool.paging) else call.page.size


def _short(call: Call, given: int) -> bool:
    """Whether a page holds less than the provider puts into one, as far as that is known."""
    return given < (_kept_size(call) or 1)


def _more(reply: UpstreamReply, spec: Paging) -> bool | None:
    """Return whether the answer says that there is more; None where it does not say."""
    pointer = spec.tell.get("more")
    told = None if pointer is None else raw_at(reply.body, pointer)
    return None if told is None else decode(told) not in _NONE


def _count(reply: UpstreamReply, spec: Paging, name: str) -> int | None:
    pointer = spec.tell.get(name)
    told = None if pointer is None else raw_at(reply.body, pointer)
    value = None if told is None else decode(told)
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise malformed(f"its {pointer} is no number")
    return value


def _text(told: msgspec.Raw | None, pointer: str) -> str | None:
    """Return a place as text, a number digit for digit; None where there is none."""
    value = None if told is None else decode(told)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise malformed(f"its {pointer} names no place")
    return bytes(told or b"").decode().strip()


def _key(record: msgspec.Raw, pointer: str) -> str:
    key = _text(raw_at(record, pointer), pointer)
    if key is None:
        raise malformed(f"a record has no {pointer}, which tells where the list goes on")
    return key


def _query_of(url: str | None, known: Sequence[str]) -> str | None:
    """Return the query of a next page's URL. Raises UpstreamFailure for one of a foreign host."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise malformed("its next page's URL cannot be read") from None
    if host is not None and host not in {urlsplit(one).hostname for one in known}:
        raise malformed(f"its next page lies on {host}, which is no host of this provider's API")
    if not parts.query:
        raise malformed("its next page's URL has no query")
    return parts.query


# --- places ----------------------------------------------------------------------------------


def _onward(call: Call, place: str) -> Page | None:
    """Return the page at a place; None where the list was there before, or it would never end.

    The last places are remembered, and one that moves away at each power of two (Brent), so that a
    circle of any length is found.
    """
    page, size = call.page, _kept_size(call)
    if page.cursor is None:
        return Page(cursor=place, size=size)
    if place == str(page.cursor):
        return None
    here, count = _digest(str(page.cursor)), page.count + 1
    oldest = here if count & (count - 1) == 0 else page.past[0]
    past = (oldest, *page.past[1:][-_REMEMBERED:], here)
    if _digest(place) in past:
        return None
    return Page(cursor=place, size=size, count=count, past=past)


def _digest(place: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(place.encode()).digest()[:6]).decode()


async def _behind(records: Raws, pointer: str, key: str) -> Raws:
    """Return the records behind a key, which some providers give once more."""
    index = 0
    async for record in unhurried(records):
        index += 1
        if _text(raw_at(record, pointer), pointer) == key:
            return records[index:]
    return records


async def _take(call: Call, records: Raws, start: int, limit: int) -> tuple[Raws, int, int]:
    fits = matcher(call)
    if fits is None:
        end = min(start + limit, len(records))
        return records[start:end], 0, end
    kept: Raws = []
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


async def _start(records: Raws, page: Page, spec: Paging) -> int:
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


def items_of(body: bytes | msgspec.Raw, pointer: str) -> Raws:
    """Return the records of a list answer, undecoded. Raises UpstreamFailure."""
    for name in steps(pointer):
        level = decode_as(body, dict[str, msgspec.Raw])
        if name not in level:
            raise malformed(f"it has no {pointer}")
        body = level[name]
    items: Raws = decode_as(body, list[msgspec.Raw])
    return items


def _next_link(reply: UpstreamReply, spec: Paging) -> str | None:
    for target, parameters in _LINK.findall(reply.headers.get("link", "")):
        relation = _REL.search(parameters)
        if relation and "next" in (relation.group(1) or relation.group(2)).lower().split():
            place = _parameter(target, spec.ask["cursor"])
            if not place:
                raise malformed(f"its Link header names a next page without `{spec.ask['cursor']}`")
            return place
    return None


def _parameter(target: str, wanted: str) -> str:
    """Return a query parameter of a URL, decoded; empty where it has none."""
    for pair in target.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if value and unquote_plus(name) == wanted:
            return unquote_plus(value)
    return ""
