"""The `used_approvals` table: consent that was acted on, kept for as long as it would be valid."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete
from sqlalchemy.dialects import sqlite

from crossdock.store import tables
from crossdock.store.database import Database

_ROWS = tables.used_approvals


class ApprovalRows:
    """Each approval counts once: for all processes, at the same moment, after a restart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, nonce: bytes, ends_at: datetime) -> bool:
        """Use an approval up; False when it was used before. Written before this returns.

        `ends_at` is when the approval ends by itself; its line can be forgotten then."""

        def work(connection: Connection) -> bool:
            new = self._insert()(_ROWS).values(nonce=nonce, ends_at=ends_at)
            return connection.execute(new.on_conflict_do_nothing()).rowcount > 0

        return await self._database.write(work, quiet=True)

    def _insert(self) -> Any:
        if self._database.is_sqlite:
            return sqlite.insert
        from sqlalchemy.dialects import postgresql  # a seventh of the start, for who has it

        return postgresql.insert

    async def forget(self, before: datetime) -> int:
        """Delete the lines of approvals that ended before this moment: how many there were."""
        return await self._database.write(
            lambda c: c.execute(delete(_ROWS).where(_ROWS.c.ends_at < before)).rowcount,
            quiet=True,
        )
