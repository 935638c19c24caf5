"""The `audit` table: the call log. Lines are added in batches, read, and in time forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select

from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.listing import decode_cursor, listing
from crossdock.store.records import AuditEntry, AuditFilter, RecordPage

_ROWS = tables.audit
_EQUAL = ("kind", "actor", "action", "account_id", "server_id", "outcome", "request_id")
_EVERYTHING = AuditFilter()


class AuditRows:
    """Who did what to which account, server and token, and how it ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add lines, all or none."""
        values = [
            {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "id"}
            for entry in entries
        ]
        if values:
            await self._database.write(lambda c: c.execute(insert(_ROWS), values), quiet=True)

    async def list(
        self, which: AuditFilter = _EVERYTHING, *, limit: int = 100, cursor: str | None = None
    ) -> RecordPage[AuditEntry]:
        """Return lines, newest first."""
        query = _filtered(select(_ROWS), which)
        if cursor is not None:
            query = query.where(_ROWS.c.id < decode_cursor(cursor, int))
        query = query.order_by(_ROWS.c.id.desc()).limit(limit + 1)
        return await self._database.read(
            lambda connection: listing(connection.execute(query).all(), limit, _place, _entry)
        )

    async def forget(self, before: datetime) -> int:
        """Delete the lines older than `before`: how many there were."""
        return await self._database.write(
            lambda c: c.execute(delete(_ROWS).where(_ROWS.c.time < before)).rowcount, quiet=True
        )


def _filtered(query: Select[Any], which: AuditFilter) -> Select[Any]:
    for name in _EQUAL:
        if (value := getattr(which, name)) is not None:
            query = query.where(_ROWS.c[name] == value)
    if which.since is not None:
        query = query.where(_ROWS.c.time >= which.since)
    if which.until is not None:
        query = query.where(_ROWS.c.time < which.until)
    return query


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)


def _place(entry: AuditEntry) -> int:
    return entry.id
