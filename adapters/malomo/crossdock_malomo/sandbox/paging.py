"""Pages as Malomo cuts them: bare arrays, and cursors in a header that belong to one query."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from crossdock_malomo.sandbox.shop import Record, Refusal
from crossdock_malomo.sandbox.switches import Switches

_KEY = b"cursors of the sandbox"
Place = list[Any]


def page(
    request: web.Request,
    switches: Switches,
    records: list[tuple[Place, Record]],
    *,
    newest_first: bool,
) -> web.Response:
    """Answer the page that `next` or `prev` asks for. Each record comes with its unique place."""
    records = sorted(records, key=lambda pair: pair[0], reverse=newest_first)
    filters = sorted(pair for pair in request.query.items() if pair[0] not in ("next", "prev"))
    query = f"{request.path.rstrip('/')}?{urlencode(filters)}"
    ahead, back = request.query.get("next"), request.query.get("prev")
    if ahead is not None and back is not None:
        raise Refusal(400, "bad_request", "give next or prev, not both")
    start, end = 0, switches.page_size
    if ahead is not None:
        place = _open(ahead, query, switches)
        start = sum(_before_or_at(one, place, newest_first) for one, _ in records)
        end = start + switches.page_size
    elif back is not None:
        place = _open(back, query, switches)
        end = sum(_before_or_at(one, place, newest_first) for one, _ in records if one != place)
        start = max(0, end - switches.page_size)
    shown = records[start:end]
    cursors = {}
    if shown and end < len(records):
        cursors["next"] = _seal(query, shown[-1][0])
    if shown and start > 0:
        cursors["prev"] = _seal(query, shown[0][0])
    headers = _headers(request, switches, filters, cursors)
    body = msgspec.json.encode([record for _, record in shown])
    return web.Response(body=body, content_type="application/json", headers=headers)


def _headers(
    request: web.Request,
    switches: Switches,
    filters: list[tuple[str, str]],
    cursors: dict[str, str],
) -> dict[str, str]:
    if switches.cursor_header == "x-next-cursor":
        return {"X-Next-Cursor": cursors["next"]} if "next" in cursors else {}
    here = f"{request.url.origin()}{request.path}"
    links = [
        f'<{here}?{urlencode([*filters, (name, cursor)])}>; rel="{name}"'
        for name, cursor in cursors.items()
    ]
    return {"Link": ", ".join(links)} if links else {}


def _before_or_at(one: Place, place: Place, newest_first: bool) -> bool:
    return one >= place if newest_first else one <= place


def _seal(query: str, place: Place) -> str:
    inner = msgspec.json.encode([query, time.time(), place])
    mark = hmac.digest(_KEY, inner, hashlib.sha256)[:8]
    return base64.urlsafe_b64encode(mark + inner).decode().rstrip("=")


def _open(cursor: str, query: str, switches: Switches) -> Place:
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        sealed = b""
    mark, inner = sealed[:8], sealed[8:]
    if not inner or not hmac.compare_digest(mark, hmac.digest(_KEY, inner, hashlib.sha256)[:8]):
        raise Refusal(400, "invalid_cursor", "the cursor is not valid")
    asked, made, place = msgspec.json.decode(inner)
    if asked != query:
        raise Refusal(400, "invalid_cursor", "the cursor belongs to another query")
    if switches.cursor_seconds is not None and time.time() - made > switches.cursor_seconds:
        raise Refusal(400, "invalid_cursor", "the cursor has expired")
    return list(place)
