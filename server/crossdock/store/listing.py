"""Keyset paging: a cursor is the place of the last row seen, so rows that come or go elsewhere
neither repeat nor hide others. Cursors hold no secret and are checked, not trusted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, Row, Select, tuple_

from crossdock.store.records import BadCursor, RecordPage

T = TypeVar("T")


class Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on: behind the row made at this moment, with this id."""

    created_at: datetime
    id: str


def encode_cursor(place: Any) -> str:
    """Turn a place into a cursor."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """Turn a cursor back into a place. Raises BadCursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=kind)
    except (binascii.Error, ValueError) as error:
        raise BadCursor("This cursor is not one that this list gave out.") from error


def newest_first(
    query: Select[Any],
    created_at: Column[Any],
    id_column: Column[Any],
    *,
    limit: int,
    cursor: str | None,
) -> Select[Any]:
    """Order and cut a query; one row more than `limit`, which tells whether the list goes on."""
    if cursor is not None:
        place = decode_cursor(cursor, Place)
        if place.created_at.tzinfo is None:
            raise BadCursor("This cursor is not one that this list gave out.")
        query = query.where(tuple_(created_at, id_column) < tuple_(place.created_at, place.id))
    return query.order_by(created_at.desc(), id_column.desc()).limit(limit + 1)


def listing(
    rows: Sequence[Row[Any]], limit: int, place: Callable[[T], Any], build: Callable[[Row[Any]], T]
) -> RecordPage[T]:
    """Turn the rows of a cut query into a page."""
    items = tuple(build(row) for row in rows[:limit])
    more = encode_cursor(place(items[-1])) if len(rows) > limit else None
    return RecordPage(items=items, next_cursor=more)
