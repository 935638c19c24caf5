"""The `adapter_states` table: adapters whose code does not fare well, by serving process.

Written by the process itself when that changes; what a killed one left is told from the living by
the `members` table, and on SQLite goes with the next start.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.records import AdapterState

_ROWS = tables.adapter_states


class AdapterStates:
    """What is wrong with adapters while they serve."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, process: str, states: Sequence[AdapterState]) -> None:
        """Replace what is known of one process."""
        mine = delete(_ROWS).where(_ROWS.c.process == process)
        rows = [
            {
                "process": process,
                "adapter": one.adapter,
                "state": one.state,
                "error": one.error,
                "since": one.since,
            }
            for one in states
        ]

        def work(connection: Connection) -> None:
            connection.execute(mine)
            if rows:
                connection.execute(insert(_ROWS), rows)

        await self._database.write(work, quiet=True)

    async def all(self) -> tuple[AdapterState, ...]:
        """Return what is wrong where, in the processes that serve."""
        query = select(_ROWS).order_by(_ROWS.c.adapter, _ROWS.c.since)
        if not self._database.is_sqlite:
            query = query.where(_ROWS.c.process.in_(select(tables.members.c.id)))
        rows = await self._database.read(lambda c: c.execute(query).all())
        return tuple(
            AdapterState(adapter=row.adapter, state=row.state, error=row.error, since=row.since)
            for row in rows
        )

    async def forget(self) -> None:
        """Delete what processes left behind that serve no more; on SQLite nobody else serves."""
        gone = delete(_ROWS)
        if not self._database.is_sqlite:
            gone = gone.where(_ROWS.c.process.not_in(select(tables.members.c.id)))
        await self._database.write(lambda c: c.execute(gone), quiet=True)
