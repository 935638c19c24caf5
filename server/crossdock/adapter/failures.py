"""Status + headers + body of a provider's refusal → a kind, its own words, and its limits."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import http_sf
import msgspec

from crossdock.adapter.manifest import FailuresSpec, RateLimitSpec
from crossdock.adapter.pointers import at_pointer
from crossdock.authoring import NO_RATE_LIMIT, RateLimit
from crossdock.errors import UpstreamFailure

_KINDS = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    408: "upstream_timeout",
    410: "not_found",
    429: "rate_limited",
}
_RETRYABLE = frozenset({"rate_limited", "upstream_error", "upstream_timeout"})
_EPOCH = 1_000_000_000  # a reset larger than this is a point in time, not a wait
_NUMBER = re.compile(r"\s*(-?\d{1,15}(?:\.\d{1,15})?)(?!\d)")
_WORDS = 500


def read_failure(
    status: int, headers: Mapping[str, str], body: bytes, spec: FailuresSpec
) -> UpstreamFailure:
    """Return the failure that a non-2xx answer means."""
    if 300 <= status < 400:
        return UpstreamFailure(
            "upstream_redirect",
            f"The provider answered {status} with a redirect, which is never followed. "
            "Check the account's base_url.",
            status=status,
        )
    kind = spec.status.get(str(status)) or _KINDS.get(status)
    if kind is None:
        kind = "upstream_error" if status >= 500 else "upstream_rejected"
    words = _words(body, spec) or f"The provider answered {status} without a reason."
    return UpstreamFailure(
        kind,
        words,
        status=status,
        rate=read_rate(headers, spec.rate_limit),
        retryable=kind in _RETRYABLE,
    )


def _words(body: bytes, spec: FailuresSpec) -> str:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    pointers = [spec.message] if isinstance(spec.message, str) else spec.message
    for pointer in pointers:
        found = at_pointer(decoded, pointer)
        if isinstance(found, list):
            found = "; ".join(one for one in found if isinstance(one, str))
        if isinstance(found, str) and found.strip():
            return clean(found)
    return ""


def clean(text: str) -> str:
    """Return a provider's words on one line, printable and at most 500 characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _WORDS]).split())
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"


# --- limits ----------------------------------------------------------------------------------


def read_rate(headers: Mapping[str, str], spec: RateLimitSpec) -> RateLimit:
    """Understand Retry-After, RateLimit-*, X-RateLimit-* and the structured RateLimit fields.

    When several waits are given the longest counts. Seconds are rounded up, never below 0.
    """
    names = " ".join(headers)
    if "rate" not in names and "retry" not in names and spec.reset is None:
        return NO_RATE_LIMIT  # most answers say nothing
    now = _now(headers)
    limits: list[int] = []
    left: list[int] = []
    waits: list[int] = []
    for prefix in ("ratelimit-", "x-ratelimit-", "x-rate-limit-"):
        limits += _first_number(headers.get(f"{prefix}limit"))
        left += _first_number(headers.get(f"{prefix}remaining"))
        waits += _wait(headers.get(f"{prefix}reset"), now)
    for limit, remaining, wait in _structured(headers):
        limits += limit
        left += remaining
        waits += wait
    if spec.reset is not None and (hidden := headers.get(spec.reset.header.lower())):
        waits += _date(hidden, now) if spec.reset.as_ == "date" else _wait(hidden, now)
    pause = _retry_after(headers.get("retry-after"), now)
    if not (limits or left or waits or pause):
        return NO_RATE_LIMIT
    return RateLimit(
        limit=limits[0] if limits else None,
        remaining=min(left) if left else None,
        reset=max(waits) if waits else None,
        retry_after=max(pause) if pause else None,
    )


def _now(headers: Mapping[str, str]) -> float:
    # The provider's own clock, where it says it: its dates are then exact whatever ours shows.
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return time.time()


def _seconds(value: float) -> int:
    return max(0, math.ceil(value))


def _first_number(text: str | None) -> list[int]:
    found = _NUMBER.match(text or "")
    return [_seconds(float(found.group(1)))] if found else []


def _wait(text: str | None, now: float) -> list[int]:
    found = _NUMBER.match(text or "")
    if not found:
        return _date(text, now)
    value = float(found.group(1))
    if value >= _EPOCH * 1000:
        value /= 1000
    return [_seconds(value - now if value >= _EPOCH else value)]


def _retry_after(text: str | None, now: float) -> list[int]:
    return _first_number(text) or _date(text, now)


def _date(text: str | None, now: float) -> list[int]:
    if not text:
        return []
    try:
        return [_seconds(parsedate_to_datetime(text).timestamp() - now)]
    except (ValueError, OverflowError):
        return []


def _structured(headers: Mapping[str, str]) -> Iterable[tuple[list[int], list[int], list[int]]]:
    """Read `RateLimit: "default";r=50;t=30` with the quota of `RateLimit-Policy`."""
    quotas = {
        name: quota
        for name, parameters in _items(headers.get("ratelimit-policy"))
        for quota in _integers(parameters, "q")
    }
    for name, parameters in _items(headers.get("ratelimit")):
        own = _integers(parameters, "limit")
        yield (
            [quotas[name]] if name in quotas else own,
            _integers(parameters, "r") or _integers(parameters, "remaining"),
            _integers(parameters, "t") or _integers(parameters, "reset"),
        )


def _integers(parameters: Mapping[str, Any], name: str) -> list[int]:
    value = parameters.get(name)
    return [_seconds(value)] if isinstance(value, (int, float)) else []


def _items(text: str | None) -> list[tuple[str, Mapping[str, Any]]]:
    if not text:
        return []
    try:
        parsed: Any = http_sf.parse(text.encode(), tltype="list")
        return [(str(item), parameters) for item, parameters in parsed]
    except (ValueError, TypeError):
        pass
    try:  # an older draft: limit=100, remaining=50, reset=30
        table: Any = http_sf.parse(text.encode(), tltype="dictionary")
        return [("", {name: pair[0] for name, pair in table.items()})]
    except (ValueError, TypeError):
        return []
