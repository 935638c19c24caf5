"""Days and moments as people write them → spans of time, since the provider's search cannot
compare dates (it answers 500)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from crossdock.adapter import InvalidArguments

_FROM = ("from", "after", "since", "start", "gte", "gt")
_TO = ("to", "before", "until", "end", "lte", "lt")
_WORDS = {"today": 0, "yesterday": -1, "tomorrow": 1}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A span of time; an end that is None is open. `until` is not part of it."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, value: Any) -> bool:
        """Tell whether a record's date or moment lies in the span."""
        moment = _read(value)
        if moment is None:
            return False
        since, until = self.since, self.until
        if moment.tzinfo is None:  # local to a place: compared as it stands
            since = since and since.replace(tzinfo=None)
            until = until and until.replace(tzinfo=None)
        return (since is None or moment >= since) and (until is None or moment < until)

    def is_before(self, value: Any) -> bool:
        """Tell whether a value lies before the span, so that older ones need no look."""
        moment = _read(value)
        if moment is None or self.since is None:
            return False
        since = self.since if moment.tzinfo else self.since.replace(tzinfo=None)
        return moment < since


def zone_of(name: str | None) -> tzinfo:
    """Return an IANA zone, UTC for none. Raises InvalidArguments."""
    if name is None or name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArguments(
            "timezone", f"{name!r} is no IANA zone; write it as America/Chicago"
        ) from None


def span_of(value: Any, zone: tzinfo, place: str, now: datetime | None = None) -> Span:
    """Return the span that a filter value means: a day, a moment, or {from, to}.

    Raises InvalidArguments.
    """
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    if isinstance(value, Mapping):
        return _between(value, zone, today, place)
    if isinstance(value, list):
        if len(value) != 2:
            raise InvalidArguments(place, "takes two dates, from and to")
        return _between({"from": value[0], "to": value[1]}, zone, today, place)
    since, until = _bounds(value, zone, today, place)
    return Span(since=since, until=until)


def _between(value: Mapping[str, Any], zone: tzinfo, today: date, place: str) -> Span:
    since = until = None
    for name, bound in value.items():
        if name not in _FROM + _TO:
            raise InvalidArguments(place, f'{name!r} is unknown; use {{"from": …, "to": …}}')
        if bound is None:
            continue
        first, last = _bounds(bound, zone, today, place)
        if name in _FROM:
            since = last if name in ("after", "gt") else first
        else:
            until = first if name in ("before", "lt") else last
    if since is None and until is None:
        raise InvalidArguments(place, 'names no date; use {"from": …, "to": …}')
    return Span(since=since, until=until)


def _bounds(value: Any, zone: tzinfo, today: date, place: str) -> tuple[datetime, datetime]:
    """Return first and last of what one word means: a day has 24 hours, a moment none."""
    if isinstance(value, str):
        if (shift := _WORDS.get(value.strip().casefold())) is not None:
            return _day(today + timedelta(days=shift), zone)
        try:
            if len(value) <= 10:
                return _day(date.fromisoformat(value), zone)
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
            return moment, moment + timedelta(microseconds=1)
    raise InvalidArguments(
        place,
        f'{value!r} is no date; write "today", "yesterday", "2026-11-21", '
        '"2026-11-21T14:00:00Z" or {"from": …, "to": …}',
    )


def _day(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    return (
        datetime.combine(day, time(), zone),
        datetime.combine(day + timedelta(days=1), time(), zone),
    )


def _read(value: Any) -> datetime | None:
    """Return what a record holds: a moment, a local moment, or the start of a day."""
    if isinstance(value, Mapping):
        value = value.get("dateTimeInLocation")
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
