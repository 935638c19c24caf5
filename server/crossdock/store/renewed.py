"""Credentials that a provider renewed, in place of the configured ones.

A renewed value counts only as long as the configured one is what it was when it was renewed: who
sets a credential anew means the new one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from crossdock.model import ACCESS_TOKEN, Secret
from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.keys import Keys, names_key
from crossdock.store.sealing import SealBroken

_ROWS = tables.renewed_credentials


class RenewedCredentials:
    """Rotated refresh tokens, of accounts in the store and in config.toml alike."""

    def __init__(self, database: Database, keys: Keys, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock

    async def current(
        self, account_id: str, configured: Mapping[str, Secret]
    ) -> Mapping[str, Secret]:
        """Return the configured credentials with the renewed ones in their place, and with them a
        kept ACCESS_TOKEN.

        Raises SealBroken when a renewed value cannot be read: the configured one is spent."""

        def work(connection: Connection) -> Mapping[str, Secret]:
            query = select(_ROWS).where(_ROWS.c.account_id == account_id)
            renewed = {}
            for row in connection.execute(query):
                if row.configured_hash != self._hash(row.field, configured):
                    continue
                with suppress(SealBroken) if row.field == ACCESS_TOKEN else nullcontext():
                    plain = self._open(connection, account_id, row.field, row.sealed)
                    renewed[row.field] = Secret(plain)
            return {**configured, **renewed}

        return await self._database.read(work)

    async def keep(
        self, account_id: str, configured: Mapping[str, Secret], changed: Mapping[str, str]
    ) -> None:
        """Store renewed values. Use them only after this returned. No other process is woken: each
        reads them before it renews."""

        def work(connection: Connection) -> None:
            key_id = self._keys.active(connection)
            for field, value in changed.items():
                connection.execute(delete(_ROWS).where(_is(account_id, field)))
                connection.execute(
                    insert(_ROWS).values(
                        account_id=account_id,
                        field=field,
                        sealed=self._seal(key_id, account_id, field, value),
                        configured_hash=self._hash(field, configured),
                        updated_at=self._clock(),
                    )
                )

        await self._database.write_in_order(work)

    # --- key rotation ------------------------------------------------------------------------

    def sealed_rows(self, connection: Connection) -> Sequence[tuple[str, ...]]:
        """Return the names of all rows that hold sealed values."""
        query = select(_ROWS.c.account_id, _ROWS.c.field)
        return [(row.account_id, row.field) for row in connection.execute(query)]

    def reseal(self, connection: Connection, row: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        """Seal one row's value with the active key: how many were, and which cannot be read."""
        account_id, field = row
        sealed = connection.execute(
            select(_ROWS.c.sealed).where(_is(account_id, field))
        ).scalar_one_or_none()
        if sealed is None:
            return 0, ()
        try:
            plain = self._open(connection, account_id, field, sealed)
        except SealBroken:
            return 0, (f"{account_id}.{field}",)
        key_id = self._keys.active(connection)
        if names_key(sealed, key_id):
            return 0, ()
        fresh = self._seal(key_id, account_id, field, plain)
        connection.execute(update(_ROWS).where(_is(account_id, field)).values(sealed=fresh))
        return 1, ()

    def names_key(self, connection: Connection, key_id: str) -> bool:
        """Whether any sealed value names this key."""
        rows = connection.execute(select(_ROWS.c.sealed)).scalars()
        return any(names_key(sealed, key_id) for sealed in rows)

    def _hash(self, field: str, configured: Mapping[str, Secret]) -> bytes:
        if field == ACCESS_TOKEN:  # of all of them; each must be what it was
            pairs = sorted((name, secret.reveal()) for name, secret in configured.items())
            value = msgspec.json.encode(pairs).decode()
        else:
            value = configured[field].reveal() if field in configured else ""
        return hmac.digest(self._keys.ring.pepper, f"{field}\0{value}".encode(), "sha256")

    def _seal(self, key_id: str, account_id: str, field: str, plain: str) -> str:
        return self._keys.ring.seal(key_id, _ROWS.name, f"sealed.{field}", account_id, plain)

    def _open(self, connection: Connection, account_id: str, field: str, sealed: str) -> str:
        return self._keys.open(connection, _ROWS.name, f"sealed.{field}", account_id, sealed)


def _is(account_id: str, field: str) -> ColumnElement[bool]:
    return and_(_ROWS.c.account_id == account_id, _ROWS.c.field == field)
