"""The `audit` table: the call log. Lines are added in batches, read, and in time forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.journal import alone
from crossdock.store.listing import decode_cursor, listing
from crossdock.store.records import AuditEntry, AuditFilter, RecordPage

_ROWS = tables.audit
_WRITERS = tables.audit_writers
_EQUAL = ("kind", "actor", "action", "account_id", "server_id", "outcome", "request_id")
_EVERYTHING = AuditFilter()
_NAMES = tuple(name for name in AuditEntry.__struct_fields__ if name != "id")
_VALUES = attrgetter(*_NAMES)
_TIME, _CHANGES, _NODE = map(_NAMES.index, ("time", "changes", "node"))
# With every statement the driver lets go of the interpreter, and a busy loop takes long to give it
# back: a statement has many rows. More than 999 values are too many for an older SQLite.
_BLOCKS = (50, 10, 1)
_UNZONED = len("2026-11-21 12:00:00.000000")


class AuditRows:
    """Who did what to which account, server and token, and how it ended."""

    def __init__(self, database: Database, node: str, process: str) -> None:
        self._database = database
        self._node = node
        self._process = process
        self._stored = 0

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Add lines, all or none. One caller at a time: after a failure it begins with the same
        lines again, and those that PostgreSQL stored without being able to say so are not doubled.
        """
        if not entries:
            return
        if self._database.is_sqlite:  # SQLAlchemy's own way takes four times as long
            rows = [_sqlite_row(entry, self._node) for entry in entries]
            await self._database.write(lambda c: _insert(c, rows), quiet=True)
            return
        values = [
            {**dict(zip(_NAMES, _VALUES(entry), strict=True)), "node": self._node}
            for entry in entries
        ]
        first = self._stored

        def work(connection: Connection) -> None:
            known = self._progress(connection, first + len(values))
            if fresh := values[max(0, known - first) :]:
                connection.execute(insert(_ROWS), fresh)

        await self._database.write(work, quiet=True)
        self._stored += len(values)

    def _progress(self, connection: Connection, lines: int) -> int:
        """Note how many lines of this process are stored; return how many were before."""
        mine = _WRITERS.c.process == self._process
        known = connection.execute(select(_WRITERS.c.lines).where(mine).with_for_update()).scalar()
        to = {"lines": lines, "seen_at": func.now()}
        if known is None:
            connection.execute(insert(_WRITERS).values(process=self._process, **to))
        else:
            connection.execute(update(_WRITERS).where(mine).values(**to))
        return known or 0

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
        """Delete the lines older than `before`: how many there were. One process does at a time."""

        def work(connection: Connection) -> int:
            if not alone(connection, "forget"):
                return 0
            if not self._database.is_sqlite:
                gone = _WRITERS.c.seen_at < func.now() - timedelta(days=1)
                connection.execute(delete(_WRITERS).where(gone))
            return connection.execute(delete(_ROWS).where(_ROWS.c.time < before)).rowcount

        return await self._database.write(work, quiet=True, patient=True)


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


def _insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    row = f"({', '.join('?' * len(_NAMES))})"
    start = 0
    for size in _BLOCKS:
        end = start + (len(rows) - start) // size * size
        if start < end:
            connection.exec_driver_sql(
                f"INSERT INTO audit ({', '.join(_NAMES)}) VALUES {', '.join([row] * size)}",  # noqa: S608 - names of ours
                [tuple(chain(*rows[at : at + size])) for at in range(start, end, size)],
            )
        start = end


def _sqlite_row(entry: AuditEntry, node: str) -> tuple[Any, ...]:
    """Return a line's values as the columns' types in tables.py would hand them to SQLite."""
    values = [*_VALUES(entry)]
    values[_NODE] = node
    values[_TIME] = entry.time.astimezone(UTC).isoformat(" ", "microseconds")[:_UNZONED]
    if entry.changes is not None:
        values[_CHANGES] = msgspec.json.encode(entry.changes).decode()
    return tuple(values)
