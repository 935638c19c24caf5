"""The `accounts` table. Credentials are sealed field by field, each bound to its account."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from crossdock.model import Secret
from crossdock.store import servers, tables
from crossdock.store.database import Database
from crossdock.store.journal import changed
from crossdock.store.keys import Keys, names_key
from crossdock.store.listing import Place, listing, newest_first
from crossdock.store.records import AccountInUse, RecordPage, StoredAccount
from crossdock.store.sealing import SealBroken, random_id

_ROWS = tables.accounts

Change = Callable[[StoredAccount], StoredAccount]


class AccountRows:
    """Integrated accounts: rows in, opened accounts out."""

    def __init__(self, database: Database, keys: Keys, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    async def add(
        self,
        *,
        integration: str,
        name: str,
        settings: Mapping[str, Any],
        credentials: Mapping[str, Secret],
    ) -> StoredAccount:
        """Store a new account under an id of its own."""
        now = self._clock()
        account = StoredAccount(
            id=random_id("acc_"),
            integration=integration,
            name=name,
            settings=settings,
            credentials=credentials,
            created_at=now,
            updated_at=now,
        )

        def work(connection: Connection) -> None:
            sealed = self._seal_changed(connection, account, {}, {})
            connection.execute(insert(_ROWS).values(id=account.id, **_values(account, sealed)))
            changed(connection, "account", account.id)

        await self._database.write(work)
        return account

    async def get(self, account_id: str) -> StoredAccount | None:
        """Return one account, None if there is none of this id."""
        return await self._database.read(lambda connection: self._get(connection, account_id)[0])

    async def list(
        self, *, limit: int = 100, cursor: str | None = None, integration: str | None = None
    ) -> RecordPage[StoredAccount]:
        """Return accounts, newest first."""
        query = select(_ROWS)
        if integration is not None:
            query = query.where(_ROWS.c.integration == integration)
        query = newest_first(query, _ROWS.c.created_at, _ROWS.c.id, limit=limit, cursor=cursor)

        def work(connection: Connection) -> RecordPage[StoredAccount]:
            rows = connection.execute(query).all()
            return listing(rows, limit, _place, lambda row: self._opened(connection, row))

        return await self._database.read(work)

    async def update(self, account_id: str, change: Change) -> StoredAccount | None:
        """Give the stored account to `change` and store what it returns, in one transaction.

        `change` may set name, settings, credentials and status, and drop names from `unreadable` to
        drop those credentials; it must be quick and free of effects, since it may run again. What
        it raises is raised here, and nothing is written. `version` rises when the connection to
        the provider is affected."""

        def work(connection: Connection) -> StoredAccount | None:
            account, sealed = self._get(connection, account_id)
            if account is None:
                return None
            wanted = change(account)
            if wanted == account:
                return account
            connects = (wanted.settings, wanted.credentials, wanted.unreadable) != (
                account.settings,
                account.credentials,
                account.unreadable,
            )
            after = msgspec.structs.replace(
                wanted,
                id=account.id,
                integration=account.integration,
                created_at=account.created_at,
                updated_at=self._clock(),
                version=account.version + connects,
                unreadable=tuple(n for n in wanted.unreadable if n not in wanted.credentials),
            )
            kept = self._seal_changed(connection, after, account.credentials, sealed)
            connection.execute(
                update(_ROWS).where(_ROWS.c.id == account_id).values(**_values(after, kept))
            )
            changed(connection, "account", account_id)
            return after

        return await self._database.write(work)

    async def remove(self, account_id: str, *, cascade: bool = False) -> tuple[str, ...] | None:
        """Delete an account: the ids of its MCP servers that went with it, None if there is none.

        Raises AccountInUse while it has live servers, unless `cascade`."""

        def work(connection: Connection) -> tuple[str, ...] | None:
            found = select(_ROWS.c.id).where(_ROWS.c.id == account_id)
            if connection.execute(found).first() is None:
                return None
            servers.expire(connection, self._clock())
            live = servers.ids_of_account(connection, account_id)
            if live and not cascade:
                raise AccountInUse(live)
            for table in (tables.mcp_servers, tables.renewed_credentials):
                connection.execute(delete(table).where(table.c.account_id == account_id))
            connection.execute(delete(_ROWS).where(_ROWS.c.id == account_id))
            changed(connection, "account", account_id)
            changed(connection, "server", *live)
            return live

        return await self._database.write(work)

    # --- key rotation ------------------------------------------------------------------------

    def sealed_rows(self, connection: Connection) -> Sequence[tuple[str, ...]]:
        """Return the names of all rows that hold sealed values."""
        return [(row.id,) for row in connection.execute(select(_ROWS.c.id)).all()]

    def reseal(self, connection: Connection, row: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        """Seal one row's values with the active key: how many were, and which cannot be read."""
        account, sealed = self._get(connection, row[0])
        if account is None:
            return 0, ()
        key_id = self._keys.active(connection)
        old = {n: text for n, text in sealed.items() if not names_key(text, key_id)}
        fresh = {
            name: self._seal(connection, account.id, name, secret)
            for name, secret in account.credentials.items()
            if name in old
        }
        if fresh:
            connection.execute(
                update(_ROWS)
                .where(_ROWS.c.id == account.id)
                .values(credentials={**sealed, **fresh})
            )
            changed(connection, "account", account.id)
        return len(fresh), tuple(f"{account.id}.{name}" for name in account.unreadable)

    def names_key(self, connection: Connection, key_id: str) -> bool:
        """Whether any sealed value names this key."""
        rows = connection.execute(select(_ROWS.c.credentials)).scalars()
        return any(names_key(text, key_id) for sealed in rows for text in sealed.values())

    # --- rows --------------------------------------------------------------------------------

    def _get(
        self, connection: Connection, account_id: str
    ) -> tuple[StoredAccount | None, dict[str, str]]:
        row = connection.execute(select(_ROWS).where(_ROWS.c.id == account_id)).one_or_none()
        return (None, {}) if row is None else (self._opened(connection, row), row.credentials)

    def some(self, connection: Connection, ids: Collection[str]) -> dict[str, StoredAccount | None]:
        """Return these accounts, within a transaction; None where there is none of an id."""
        rows = connection.execute(select(_ROWS).where(_ROWS.c.id.in_(ids)))
        found = {row.id: self._opened(connection, row) for row in rows}
        return {id: found.get(id) for id in ids}

    def _opened(self, connection: Connection, row: Row[Any]) -> StoredAccount:
        credentials, unreadable = {}, []
        for name, sealed in row.credentials.items():
            try:
                plain = self._keys.open(
                    connection, "accounts", f"credentials.{name}", row.id, sealed
                )
                credentials[name] = Secret(plain)
            except SealBroken:
                unreadable.append(name)
        return StoredAccount(
            id=row.id,
            integration=row.integration,
            name=row.name,
            settings=row.settings,
            credentials=credentials,
            unreadable=tuple(unreadable),
            status=row.status,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def _seal_changed(
        self,
        connection: Connection,
        account: StoredAccount,
        before: Mapping[str, Secret],
        sealed: Mapping[str, str],
    ) -> dict[str, str]:
        result = {name: sealed[name] for name in account.unreadable}
        for name, secret in account.credentials.items():
            result[name] = (
                sealed[name]
                if before.get(name) == secret
                else self._seal(connection, account.id, name, secret)
            )
        return result

    def _seal(self, connection: Connection, account_id: str, name: str, secret: Secret) -> str:
        key_id = self._keys.active(connection)
        column = f"credentials.{name}"
        return self._keys.ring.seal(key_id, "accounts", column, account_id, secret.reveal())


def _values(account: StoredAccount, sealed: Mapping[str, str]) -> dict[str, Any]:
    return {
        "integration": account.integration,
        "name": account.name,
        "settings": account.settings,
        "credentials": sealed,
        "status": account.status,
        "version": account.version,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }


def _place(account: StoredAccount) -> Place:
    return Place(account.created_at, account.id)
