"""What a database server says of itself: how many sessions it takes, and what time it is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, text

from crossdock.model import Struct
from crossdock.store.database import Database

POOLED_SESSIONS = 5
"""So many sessions a process keeps, beside those for locks and the one that says that it serves."""


class EngineFacts(Struct, frozen=True, kw_only=True):
    """`sessions` is how many may be open in all, `ahead` by how many seconds our clock goes before
    the server's."""

    sessions: int
    ahead: float


async def engine_facts(database: Database, clock: Callable[[], datetime]) -> EngineFacts | None:
    """Ask PostgreSQL; None for SQLite, which is no server."""
    if database.is_sqlite:
        return None

    def ask(connection: Connection) -> EngineFacts:
        connection.execute(text("SELECT 1"))  # the session stands, and the next answer is quick
        before = clock()
        row = connection.execute(text(_ASKED)).one()
        middle = before + (clock() - before) / 2
        return EngineFacts(sessions=row.most, ahead=(middle - row.now).total_seconds())

    return await database.read(ask)


_ASKED = """
SELECT current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int AS most, clock_timestamp() AS now
"""
