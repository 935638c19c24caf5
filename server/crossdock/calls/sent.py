"""A request as people may see it who write an adapter: what was sent, with credentials as `***`."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl, quote

import msgspec

from crossdock.authoring import UpstreamRequest
from crossdock.model import SentRequest
from crossdock.redaction import MARK, redactor

HIDDEN = "***"
_OURS = {"accept", "accept-encoding", "content-type", "user-agent"}
_MOST = 4_000  # characters of a body that are shown


def sent_request(
    request: UpstreamRequest, url: str, lines: bytes, declared: Iterable[str]
) -> SentRequest:
    """Return a request that is not answered yet. `lines` are its headers as they are sent.

    Shown are the headers that are `declared`, the mapper's and ours, and the query that was asked
    for: whatever else there is was added to prove who we are.
    """
    plain = _OURS | {name.lower() for name in (*declared, *dict(request.headers))}
    return SentRequest(
        verb=request.verb,
        url=_clean(_url(url, {name for name, _ in request.query})),
        headers=_headers(lines, plain),
        body=_text(request.body or b""),
        status=None,
        ms=0.0,
    )


def answered(sent: SentRequest, status: int | None, seconds: float, body: bytes) -> SentRequest:
    """Return the same with its answer; a status of None says that none came."""
    return msgspec.structs.replace(
        sent, status=status, ms=round(seconds * 1000, 1), reply=_text(body)
    )


def _url(url: str, asked: set[str]) -> str:
    target, mark, query = url.partition("?")
    if not mark:
        return url
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = [
        f"{quote(name, safe='')}={quote(value, safe='') if name in asked else HIDDEN}"
        for name, value in pairs
    ]
    return f"{target}?{'&'.join(shown)}"


def _headers(lines: bytes, plain: set[str]) -> dict[str, str]:
    found = {}
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name] = _clean(value.strip()) if name.lower() in plain else HIDDEN
    return found


def _text(body: bytes) -> str:
    try:
        text = body[: _MOST * 4].decode()
    except UnicodeDecodeError:
        return f"({len(body):,} bytes)"
    shown = _clean(text)
    return shown if len(shown) <= _MOST else f"{shown[:_MOST]}… ({len(body):,} bytes)"


def _clean(text: str) -> str:
    return redactor.clean(text).replace(MARK, HIDDEN)
