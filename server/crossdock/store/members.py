"""The `members` table: the processes that serve from this store.

A row is renewed every few seconds by PostgreSQL's clock and goes with its process; one that was
killed is silent. A SQLite file is served by one process, which knows itself without a row.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Float, cast, delete, func, insert, select, update

from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.records import Member

SILENT_SECONDS = 15.0
"""A process of which nothing was heard for so long does not serve any more."""

_FORGOTTEN = timedelta(hours=1)
_ROWS = tables.members
_NOW = func.clock_timestamp()


class Members:
    """The processes that serve, and among them `me`: what the others see of this one."""

    def __init__(self, database: Database, me: Member) -> None:
        self._database = database
        self._joined = False
        self.me = me

    async def join(self, me: Member) -> None:
        """Be a member from now on, or be seen differently; `me` keeps id and node."""
        self.me = me
        if not self._database.is_sqlite:
            await self._database.write(self._enter, quiet=True)
        self._joined = True

    async def seen(self) -> None:
        """Say that this process still serves."""
        if not self._joined or self._database.is_sqlite:
            return
        mine = update(_ROWS).where(_ROWS.c.id == self.me.id).values(seen_at=_NOW)

        def work(connection: Connection) -> None:
            if connection.execute(mine).rowcount == 0:  # it was silent until it was forgotten
                self._enter(connection)

        await self._database.write(work, quiet=True)

    async def all(self, *, silent: float = SILENT_SECONDS) -> tuple[Member, ...]:
        """Return those that serve, the oldest first; with more `silent` seconds also the dead."""
        if self._database.is_sqlite:
            return (self.me,) if self._joined else ()
        age = cast(func.extract("epoch", _NOW - _ROWS.c.seen_at), Float).label("silent")
        query = select(_ROWS, age).order_by(_ROWS.c.started_at, _ROWS.c.id)
        rows = await self._database.read(lambda c: c.execute(query).all())
        return tuple(_member(row) for row in rows if row.silent < silent)

    async def leave(self) -> None:
        """Be no member any more."""
        joined, self._joined = self._joined, False
        if joined and not self._database.is_sqlite:
            mine = delete(_ROWS).where(_ROWS.c.id == self.me.id)
            await self._database.write(lambda c: c.execute(mine), quiet=True)

    async def forget(self) -> None:
        """Delete the rows of processes that were killed long ago."""
        if not self._database.is_sqlite:
            dead = delete(_ROWS).where(_ROWS.c.seen_at < _NOW - _FORGOTTEN)
            await self._database.write(lambda c: c.execute(dead), quiet=True)

    def _enter(self, connection: Connection) -> None:
        me = self.me
        connection.execute(delete(_ROWS).where(_ROWS.c.id == me.id))
        connection.execute(
            insert(_ROWS).values(
                id=me.id,
                node=me.node,
                worker=me.worker,
                version=me.version,
                adapters=me.adapters,
                configuration=me.configuration,
                keys=me.keys,
                started_at=_NOW,
                seen_at=_NOW,
            )
        )


def _member(row: Any) -> Member:
    return Member(
        id=row.id,
        node=row.node,
        worker=row.worker,
        version=row.version,
        adapters=row.adapters,
        configuration=row.configuration,
        keys=tuple(row.keys),
        started_at=row.started_at,
        silent=row.silent,
    )
