"""Records of a sandbox behind REST: made, read, listed in six styles of pages, changed, removed."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal

import msgspec
from aiohttp import web

from crossdock.errors import CrossdockError
from crossdock.testing.recorder import shown

Record = dict[str, Any]
Style = Literal["none", "link", "offset", "page", "cursor", "next_url", "keyset"]
_NEXT_NAME = "page_token"  # of style next_url, where the provider chooses the name


class Refusal(CrossdockError):
    """A refusal of a sandbox: its status, and the body, words or any JSON value."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = {"message": body} if isinstance(body, str) else body


class PagesOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a collection is paged, in the words of `[paging]`. `size` is the provider's own page,
    `most` what it gives at most."""

    style: Style = "none"
    items: str = ""
    ask: Mapping[str, str] = {}
    tell: Mapping[str, str] = {}
    first: int = 1
    size: int = 20
    most: int = 100


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """One page: which records, and how the answer says where the list goes on."""

    start: int
    end: int
    told: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}


records_now: ContextVar[dict[str, dict[str, Record]]] = ContextVar("records of this sandbox")


class Collection:
    """Records of one kind. Inside a route it is the running sandbox's own: `gates.records` maps
    ids to records, in their order."""

    def __init__(
        self,
        name: str,
        seed: Sequence[Record],
        paging: PagesOf,
        *,
        id: str,
        wrap: str,
        replaces: bool,
    ) -> None:
        self.name = name
        self.seed = {str(record[id]): record for record in seed}
        self._paging = paging
        self._id = id
        self._wrap = wrap
        self._replaces = replaces

    @property
    def records(self) -> dict[str, Record]:
        """The records as they stand."""
        return records_now.get()[self.name]

    def fresh(self) -> dict[str, Record]:
        """Return the records of the beginning."""
        return copy.deepcopy(self.seed)

    def find(self, id: str) -> Record:
        """Return a record. Raises Refusal 404."""
        found = self.records.get(id)
        if found is None:
            raise Refusal(404, f"no {self.name} {id!r}")
        return found

    # --- routes ------------------------------------------------------------------------------

    async def list_records(self, request: web.Request) -> web.Response:
        """Answer a page; query parameters that are fields of a record filter by equality."""
        asked = {*self._paging.ask.values(), _NEXT_NAME}
        filters = {name: value for name, value in request.query.items() if name not in asked}
        kept = [one for one in self.records.values() if _fits(one, filters)]
        cut = _SLICES[self._paging.style](self._paging, request, kept)
        page = kept[cut.start : cut.end]
        body: Any = _placed({}, self._paging.items, page) if self._paging.items else page
        for pointer, value in cut.told.items():
            body = _placed(body, pointer, value)
        return shown(body, 200, dict(cut.headers))

    async def get(self, request: web.Request) -> web.Response:
        """Answer one record."""
        return shown(self._wrapped(self.find(request.match_info["id"])))

    async def create(self, request: web.Request) -> web.Response:
        """Make a record; its id is the next number where none is given."""
        fields = await self._fields(request)
        id = str(fields.setdefault(self._id, self._next_id()))
        if id in self.records:
            raise Refusal(409, f"{self.name} {id!r} exists")
        self.records[id] = fields
        return shown(self._wrapped(fields), 201)

    async def update(self, request: web.Request) -> web.Response:
        """Change a record: PATCH merges, PUT does what the collection was told."""
        record = self.find(request.match_info["id"])
        fields = await self._fields(request)
        if request.method == "PUT" and self._replaces:
            kept = record[self._id]
            record.clear()
            record[self._id] = kept
        record.update(fields)
        return shown(self._wrapped(record))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a record."""
        self.find(request.match_info["id"])
        del self.records[request.match_info["id"]]
        return web.Response(status=204)

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes of the collection below `base`."""
        all_of, one = f"{base}/{self.name}", f"{base}/{self.name}/{{id}}"
        return [
            web.get(all_of, self.list_records),
            web.post(all_of, self.create),
            web.get(one, self.get),
            web.put(one, self.update),
            web.patch(one, self.update),
            web.delete(one, self.delete),
        ]

    # --- bodies ------------------------------------------------------------------------------

    async def _fields(self, request: web.Request) -> Record:
        fields = await fields_of(request)
        for name in filter(None, self._wrap.split("/")):
            inner = fields.get(name)
            if not isinstance(inner, dict):
                raise Refusal(422, f"the body has no {name!r}")
            fields = inner
        return fields

    def _wrapped(self, record: Record) -> Any:
        return _placed({}, self._wrap, record) if self._wrap else record

    def _next_id(self) -> str:
        number = len(self.records) + 1
        while f"{self.name}-{number}" in self.records:
            number += 1
        return f"{self.name}-{number}"


async def fields_of(request: web.Request) -> Record:
    """Return the fields of a body: JSON, a form (`a[b]` nested) or multipart. Raises Refusal."""
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        found: Record = {}
        for name, value in (await request.post()).items():
            text = value if isinstance(value, str) else value.file.read().decode(errors="replace")  # type: ignore[union-attr]
            _nest(found, name, text)
        return found
    try:
        fields = msgspec.json.decode(await request.read() or b"{}")
    except msgspec.DecodeError as error:
        raise Refusal(400, f"the body is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Refusal(422, "the body must be an object")
    return fields


def _nest(found: Record, name: str, value: str) -> None:
    first, *rest = name.replace("]", "").split("[")
    if rest == [""]:
        found.setdefault(first, []).append(value)
    elif rest:
        _nest(found.setdefault(first, {}), "[".join(rest), value)
    else:
        found[first] = value


def _fits(record: Record, filters: Mapping[str, str]) -> bool:
    return all(
        name not in record or _text(record[name]) == value for name, value in filters.items()
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _placed(body: Any, pointer: str, value: Any) -> Any:
    """Return a body that holds a value where a JSON Pointer says."""
    *outer, last = pointer.split("/")[1:]
    level = body
    for name in outer:
        level = level.setdefault(name, {})
    level[last] = value
    return body


def _at(record: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        record = record.get(name) if isinstance(record, dict) else None
    return record


# --- pages -----------------------------------------------------------------------------------


def _number(request: web.Request, name: str | None, default: int) -> int:
    text = request.query.get(name, "") if name else ""
    if not text:
        return default
    if not text.isdigit():
        raise Refusal(400, f"{name} is no number")
    return int(text)


def _size(spec: PagesOf, request: web.Request) -> int:
    name = spec.ask.get("limit") or spec.ask.get("size")
    asked = _number(request, name, spec.size)
    if asked < 1:
        raise Refusal(400, f"{name} must be 1 or more")
    return min(asked, spec.most)


def _told(spec: PagesOf, **values: Any) -> dict[str, Any]:
    return {spec.tell[key]: value for key, value in values.items() if key in spec.tell}


def _none(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    return Slice(start=0, end=len(records))


def _link(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    name = spec.ask["cursor"]
    start = _opened(request.query.get(name, ""))
    end = start + _size(spec, request)
    if end >= len(records):
        return Slice(start=start, end=end)
    target = _here(request, name, _sealed(end))
    return Slice(start=start, end=end, headers={"Link": f'<{target}>; rel="next"'})


def _offset(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    start = _number(request, spec.ask["offset"], 0)
    end = start + _size(spec, request)
    told = _told(spec, total=len(records), more=end < len(records))
    return Slice(start=start, end=end, told=told)


def _page(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    size = _size(spec, request)
    number = _number(request, spec.ask["page"], spec.first) - spec.first
    if number < 0:
        raise Refusal(400, f"pages begin with {spec.first}")
    end = (number + 1) * size
    pages = -(-len(records) // size)
    told = _told(spec, pages=pages, total=len(records), more=end < len(records))
    return Slice(start=number * size, end=end, told=told)


def _cursor(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    start = _opened(request.query.get(spec.ask["cursor"], ""))
    end = start + _size(spec, request)
    more = end < len(records)
    told = _told(spec, next=_sealed(end) if more else None, more=more)
    return Slice(start=start, end=end, told=told)


def _next_url(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    start = _opened(request.query.get(_NEXT_NAME, ""))
    end = start + _size(spec, request)
    more = end < len(records)
    following = _here(request, _NEXT_NAME, _sealed(end)) if more else None
    return Slice(start=start, end=end, told=_told(spec, next=following, more=more))


def _keyset(spec: PagesOf, request: web.Request, records: list[Record]) -> Slice:
    after, start = request.query.get(spec.ask["after"]), 0
    if after is not None:
        keys = [_text(_at(record, spec.tell["key"])) for record in records]
        if after not in keys:
            raise Refusal(400, f"{spec.ask['after']} names no record")
        start = keys.index(after) + 1
    end = start + _size(spec, request)
    told = {spec.tell["more"]: end < len(records)} if "more" in spec.tell else {}
    return Slice(start=start, end=end, told=told)


_SLICES: dict[Style, Callable[[PagesOf, web.Request, list[Record]], Slice]] = {
    "none": _none,
    "link": _link,
    "offset": _offset,
    "page": _page,
    "cursor": _cursor,
    "next_url": _next_url,
    "keyset": _keyset,
}


def _here(request: web.Request, name: str, value: str) -> str:
    """Return the URL of a request with one parameter changed: filters and sizes stay."""
    return str(request.url.update_query({name: value}))


def _sealed(place: int) -> str:
    return base64.urlsafe_b64encode(b"%d/place" % place).decode().rstrip("=")


def _opened(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        return int(text.removesuffix("/place"))
    except (binascii.Error, ValueError):
        raise Refusal(400, "the cursor is unknown") from None
