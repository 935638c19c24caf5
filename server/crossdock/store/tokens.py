"""The `api_tokens` table: hashes and roles, never a token."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.journal import changed
from crossdock.store.listing import Place, listing, newest_first
from crossdock.store.records import ApiToken, RecordPage
from crossdock.store.servers import touch

_ROWS = tables.api_tokens


class ApiTokenRows:
    """API tokens: rows in, records out. An expired one stays listed until it is removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: ApiToken) -> ApiToken:
        """Store a new API token and return it."""
        values = {name: getattr(token, name) for name in token.__struct_fields__}

        def work(connection: Connection) -> None:
            connection.execute(insert(_ROWS).values(**values))
            changed(connection, "token", token.id)

        await self._database.write(work)
        return token

    async def get(self, token_id: str) -> ApiToken | None:
        """Return one API token, None if there is none of this id."""
        query = select(_ROWS).where(_ROWS.c.id == token_id)
        row = await self._database.read(lambda c: c.execute(query).one_or_none())
        return None if row is None else _token(row)

    async def list(self, *, limit: int = 100, cursor: str | None = None) -> RecordPage[ApiToken]:
        """Return API tokens, newest first."""
        query = newest_first(
            select(_ROWS), _ROWS.c.created_at, _ROWS.c.id, limit=limit, cursor=cursor
        )
        return await self._database.read(
            lambda connection: listing(connection.execute(query).all(), limit, _place, _token)
        )

    async def remove(self, token_id: str) -> bool:
        """Delete an API token for good."""

        def work(connection: Connection) -> bool:
            changed(connection, "token", token_id)
            return connection.execute(delete(_ROWS).where(_ROWS.c.id == token_id)).rowcount > 0

        return await self._database.write(work)

    async def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when tokens were last used, many at once; older moments than the noted are void."""
        await touch(self._database, _ROWS, used)


def all_tokens(connection: Connection) -> tuple[ApiToken, ...]:
    """Return every API token, within a transaction."""
    return tuple(_token(row) for row in connection.execute(select(_ROWS)))


def some_tokens(connection: Connection, ids: Collection[str]) -> dict[str, ApiToken | None]:
    """Return these API tokens, within a transaction; None where there is none of an id."""
    rows = connection.execute(select(_ROWS).where(_ROWS.c.id.in_(ids)))
    found = {row.id: _token(row) for row in rows}
    return {id: found.get(id) for id in ids}


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(**row._mapping)


def _place(token: ApiToken) -> Place:
    return Place(token.created_at, token.id)
