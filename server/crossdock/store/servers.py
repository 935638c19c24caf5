"""The `mcp_servers` and `server_stubs` tables: live servers, and what is left of expired ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from crossdock.model import Scope
from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.journal import alone, changed
from crossdock.store.listing import Place, listing, newest_first
from crossdock.store.records import (
    Expired,
    RecordPage,
    ServerStub,
    StoredServer,
    StoreFault,
    UnknownAccount,
)

STUBS_KEPT = timedelta(days=30)

_ROWS = tables.mcp_servers
_STUBS = tables.server_stubs

Change = Callable[[StoredServer], StoredServer]


class ServerRows:
    """MCP servers: rows in, records out. Token text never comes here, only its hash."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def add(self, server: StoredServer, *, stored_account: bool = False) -> StoredServer:
        """Store a new server and return it. `stored_account` says that its account is one of the
        store; then UnknownAccount is raised if that was removed meanwhile."""

        def work(connection: Connection) -> None:
            account = tables.accounts.c.id
            query = select(account).where(account == server.account_id)
            if stored_account and connection.execute(query).first() is None:
                raise UnknownAccount(f"There is no integrated account {server.account_id}.")
            connection.execute(insert(_ROWS).values(id=server.id, **_values(server)))
            changed(connection, "server", server.id)

        await self._database.write(work)
        return server

    async def get(self, server_id: str) -> StoredServer | None:
        """Return one server, None if there is none of this id."""
        return await self._database.read(lambda connection: _get(connection, server_id))

    async def list(
        self, *, account_id: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> RecordPage[StoredServer]:
        """Return servers, of one account or all, newest first."""
        query = select(_ROWS)
        if account_id is not None:
            query = query.where(_ROWS.c.account_id == account_id)
        query = newest_first(query, _ROWS.c.created_at, _ROWS.c.id, limit=limit, cursor=cursor)
        return await self._database.read(
            lambda connection: listing(connection.execute(query).all(), limit, _place, _server)
        )

    async def update(
        self, server_id: str, change: Change, *, by_hand: bool = True
    ) -> StoredServer | None:
        """Give the stored server to `change` and store what it returns, in one transaction.

        `change` may set name, scope, expires_at and what is accepted; it must be quick and free of
        effects, since it may run again. What it raises is raised here, and nothing is written.
        Only a change `by_hand` moves `updated_at`."""

        def work(connection: Connection) -> StoredServer | None:
            server = _get(connection, server_id)
            if server is None:
                return None
            wanted = change(server)
            if wanted == server:
                return server
            after = msgspec.structs.replace(
                server,
                name=wanted.name,
                scope=wanted.scope,
                expires_at=wanted.expires_at,
                accepted_tools=wanted.accepted_tools,
                accepted_version=wanted.accepted_version,
                updated_at=self._clock() if by_hand else server.updated_at,
            )
            return _store(connection, after)

        return await self._database.write(work)

    async def rotate(
        self, server_id: str, token_hash: bytes, *, overlap: timedelta = timedelta(0)
    ) -> StoredServer | None:
        """Put a new token's hash in place. The old token stays good for `overlap`; the one before
        it does not."""

        def work(connection: Connection) -> StoredServer | None:
            server = _get(connection, server_id)
            if server is None:
                return None
            now = self._clock()
            overlaps = overlap > timedelta(0)
            after = msgspec.structs.replace(
                server,
                token_hash=token_hash,
                previous_token_hash=server.token_hash if overlaps else None,
                previous_expires_at=now + overlap if overlaps else None,
                updated_at=now,
            )
            return _store(connection, after)

        return await self._database.write(work)

    async def remove(self, server_id: str) -> bool:
        """Delete a server for good: its URL answers like one that never was."""

        def work(connection: Connection) -> bool:
            changed(connection, "server", server_id)
            return connection.execute(delete(_ROWS).where(_ROWS.c.id == server_id)).rowcount > 0

        return await self._database.write(work)

    async def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when servers were last used, many at once; older moments than the noted are void."""
        await touch(self._database, _ROWS, used)

    async def expire(self, now: datetime | None = None) -> Expired:
        """Turn expired servers into stubs, forget old stubs and outlived rotated tokens.

        Writes only when there is something to do and no other process is about it, so it may be
        called often."""
        moment = now or self._clock()
        if not await self._database.read(lambda connection: _overdue(connection, moment)):
            return Expired()
        return await self._database.write(
            lambda connection: (
                expire(connection, moment) if alone(connection, "expire") else Expired()
            )
        )


async def touch(database: Database, rows: Any, used: Mapping[str, datetime]) -> None:
    """Raise `last_used_at` of many rows of one table."""
    if not used:
        return
    when = bindparam("moment", type_=rows.c.last_used_at.type)
    later = (
        update(rows)
        .where(rows.c.id == bindparam("row"))
        .where(or_(rows.c.last_used_at.is_(None), rows.c.last_used_at < when))
        .values(last_used_at=when)
    )
    values = [{"row": row_id, "moment": moment} for row_id, moment in sorted(used.items())]
    await database.write(lambda c: c.execute(later, values), quiet=True)


# --- within a transaction --------------------------------------------------------------------


def all_servers(connection: Connection) -> tuple[StoredServer, ...]:
    """Return every server."""
    return tuple(_server(row) for row in connection.execute(select(_ROWS)))


def some_servers(connection: Connection, ids: Collection[str]) -> dict[str, StoredServer | None]:
    """Return these servers; None where there is none of an id."""
    rows = connection.execute(select(_ROWS).where(_ROWS.c.id.in_(ids)))
    found = {row.id: _server(row) for row in rows}
    return {id: found.get(id) for id in ids}


def some_stubs(connection: Connection, hashes: Collection[bytes]) -> dict[bytes, ServerStub | None]:
    """Return what is left of expired servers, by the hashes of their tokens; None where nothing."""
    rows = connection.execute(select(_STUBS).where(_STUBS.c.token_hash.in_(hashes)))
    found = {row.token_hash: _stub(row) for row in rows}
    return {token_hash: found.get(token_hash) for token_hash in hashes}


def all_stubs(connection: Connection) -> tuple[ServerStub, ...]:
    """Return what is left of expired servers."""
    return tuple(_stub(row) for row in connection.execute(select(_STUBS)))


def ids_of_account(connection: Connection, account_id: str) -> tuple[str, ...]:
    """Return the ids of an account's servers."""
    query = select(_ROWS.c.id).where(_ROWS.c.account_id == account_id)
    return tuple(connection.execute(query.order_by(_ROWS.c.created_at, _ROWS.c.id)).scalars())


def expire(connection: Connection, now: datetime) -> Expired:
    """Do what `ServerRows.expire` says."""
    rows = connection.execute(select(_ROWS).where(_ROWS.c.expires_at <= now)).all()
    stubs = [stub for row in rows for stub in _stubs(row) if stub.expired_at > now - STUBS_KEPT]
    if stubs:
        connection.execute(insert(_STUBS), [msgspec.structs.asdict(stub) for stub in stubs])
    changed(connection, "server", *(row.id for row in rows))
    changed(connection, "stub", *(stub.token_hash.hex() for stub in stubs))
    connection.execute(delete(_ROWS).where(_ROWS.c.expires_at <= now))
    connection.execute(
        update(_ROWS)
        .where(_ROWS.c.previous_expires_at <= now)
        .values(previous_token_hash=None, previous_expires_at=None)
    )
    old = delete(_STUBS).where(_STUBS.c.expired_at <= now - STUBS_KEPT)
    forgotten = connection.execute(old.returning(_STUBS.c.token_hash)).scalars().all()
    changed(connection, "stub", *(token_hash.hex() for token_hash in forgotten))
    return Expired(servers=tuple(stubs), forgotten=len(forgotten))


def _stub(row: Row[Any]) -> ServerStub:
    return ServerStub(server_id=row.server_id, token_hash=row.token_hash, expired_at=row.expired_at)


def _overdue(connection: Connection, now: datetime) -> bool:
    return any(
        connection.execute(select(column).where(column <= before).limit(1)).first() is not None
        for column, before in (
            (_ROWS.c.expires_at, now),
            (_ROWS.c.previous_expires_at, now),
            (_STUBS.c.expired_at, now - STUBS_KEPT),
        )
    )


def _stubs(row: Row[Any]) -> list[ServerStub]:
    hashes = [row.token_hash]
    if row.previous_expires_at is not None and row.previous_expires_at > row.expires_at:
        hashes.append(row.previous_token_hash)  # this token, too, was good until the end
    return [
        ServerStub(server_id=row.id, token_hash=token_hash, expired_at=row.expires_at)
        for token_hash in hashes
    ]


def _get(connection: Connection, server_id: str) -> StoredServer | None:
    row = connection.execute(select(_ROWS).where(_ROWS.c.id == server_id)).one_or_none()
    return None if row is None else _server(row)


def _store(connection: Connection, server: StoredServer) -> StoredServer:
    connection.execute(update(_ROWS).where(_ROWS.c.id == server.id).values(**_values(server)))
    changed(connection, "server", server.id)
    return server


def _server(row: Row[Any]) -> StoredServer:
    try:
        scope = msgspec.convert(row.config, Scope)
    except msgspec.ValidationError as error:
        raise StoreFault(
            "corrupt",
            f"The config of the MCP server {row.id} in the store is not understood ({error}). "
            f"Run `crossdock server revoke {row.id}` and create it again.",
        ) from error
    return StoredServer(
        id=row.id,
        name=row.name,
        account_id=row.account_id,
        scope=scope,
        token_hash=row.token_hash,
        previous_token_hash=row.previous_token_hash,
        previous_expires_at=row.previous_expires_at,
        accepted_tools=None if row.accepted_tools is None else tuple(row.accepted_tools),
        accepted_version=row.accepted_version,
        created_by=row.created_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


def _values(server: StoredServer) -> dict[str, Any]:
    return {
        "name": server.name,
        "account_id": server.account_id,
        "config": server.scope,
        "token_hash": server.token_hash,
        "previous_token_hash": server.previous_token_hash,
        "previous_expires_at": server.previous_expires_at,
        "accepted_tools": server.accepted_tools,
        "accepted_version": server.accepted_version,
        "created_by": server.created_by,
        "created_at": server.created_at,
        "updated_at": server.updated_at,
        "expires_at": server.expires_at,
    }


def _place(server: StoredServer) -> Place:
    return Place(server.created_at, server.id)
