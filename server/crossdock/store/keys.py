"""The `keys` table: the ring's keys, each wrapped by the master key.

Which data key seals is read from the table within the transaction that writes what was sealed, so
a rotation by another process can never retire a key that is being used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from crossdock.errors import ConfigError, StoreError
from crossdock.store import tables
from crossdock.store.database import Database
from crossdock.store.master_key import MasterKey
from crossdock.store.records import KeyInfo, StoreFault
from crossdock.store.sealing import (
    KeyPurpose,
    KeyRing,
    SealBroken,
    UnknownKey,
    fingerprint,
    key_id_of,
    new_key,
    random_id,
    unwrap,
    wrap,
)

_FOREVER: dict[KeyPurpose, str] = {
    "canary": "the canary",
    "pepper": "the key of token hashes",
    "cursor": "the key of cursors",
    "state": "the key of sessions",
}

_OTHER_MASTER = (
    "The store's keys were wrapped by another master key meanwhile. Mend [secrets] key and start "
    "crossdock again."
)

_ROWS = tables.keys


class Keys:
    """Opens the ring once; afterwards seals and opens for the other tables."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._master = b""
        self._ring: KeyRing | None = None

    @property
    def ring(self) -> KeyRing:
        """The unwrapped keys."""
        if self._ring is None:
            raise StoreError("The store's keys are not open; `unlock` comes first.")
        return self._ring

    async def unlock(self, master: MasterKey) -> KeyRing:
        """Open the ring; in a new store make it, and the master key's file with it.

        Raises ConfigError for a missing or wrong master key, StoreFault for damaged rows."""
        rows = await self._database.read(_all)
        if not rows:
            await self._database.read(self._refuse_lost_keys)
            fresh = await asyncio.to_thread(master.read_or_create)
            await self._database.write(lambda c: self._make(c, fresh))
            rows = await self._database.read(_all)
        key = await asyncio.to_thread(master.read)
        if key is None:
            raise ConfigError(
                f"The master key {master.name} is missing, and the store {self._database.where} "
                f"was sealed with it: without it nobody can read {await self._at_stake()}. "
                "Restore the file from its backup."
            )
        await self._refuse_wrong(rows, key, master.name)
        fixed = {purpose: self._forever(rows, purpose, key) for purpose in _FOREVER}
        self._master = key
        self._ring = KeyRing(
            pepper=fixed["pepper"],
            cursor_key=fixed["cursor"],
            state_key=fixed["state"],
            data=_data_keys(rows, key),
        )
        return self._ring

    async def list(self) -> tuple[KeyInfo, ...]:
        """Return what may be shown of the keys, oldest first."""
        rows = await self._database.read(_all)
        return tuple(
            KeyInfo(id=row.id, purpose=row.purpose, status=row.status, created_at=row.created_at)
            for row in rows
        )

    async def rewrap(self, to: MasterKey) -> int:
        """Wrap all keys by another master key, in one transaction; its file is made if missing.

        Afterwards only that key opens the store, so `[secrets] key` must name it. The keys
        themselves stay, and so do all URLs."""
        self.ring  # noqa: B018  raises unless the ring is open
        fresh = await asyncio.to_thread(to.read_or_create)

        def work(connection: Connection) -> int:
            plain = [(row, self._plain(row)) for row in _all(connection)]
            whole = [(row, key) for row, key in plain if key is not None]
            for row, key in whole:
                text = wrap(fresh, row.id, row.purpose, key)
                connection.execute(update(_ROWS).where(_ROWS.c.id == row.id).values(wrapped=text))
            return len(whole)

        count = await self._database.write(work)
        self._master = fresh
        return count

    # --- within a transaction ----------------------------------------------------------------

    def active(self, connection: Connection) -> str:
        """Return the id of the data key that seals now."""
        ring = self.ring
        query = select(_ROWS.c.id).where(_ROWS.c.purpose == "data", _ROWS.c.status == "active")
        key_id = connection.execute(query).scalar_one_or_none() or "that seals"
        if not ring.holds(key_id):
            self._learn(connection)
        if not ring.holds(key_id):
            raise StoreError(
                f"The data key {key_id} is damaged in the store. Run `crossdock keys rotate`, then "
                "set the credentials that are named as unreadable again."
            )
        return str(key_id)

    def open(self, connection: Connection, table: str, column: str, row: str, sealed: str) -> str:
        """Open a sealed value, also one sealed meanwhile by another process with a newer key."""
        try:
            return self.ring.open(table, column, row, sealed)
        except UnknownKey:
            self._learn(connection)
            return self.ring.open(table, column, row, sealed)

    def begin_rotation(self, connection: Connection) -> tuple[str, bool]:
        """Make a new data key active, unless a rotation is under way: its id, and which it was."""
        retiring = select(_ROWS.c.id).where(_ROWS.c.status == "retiring").limit(1)
        if connection.execute(retiring).first() is not None:
            return self.active(connection), True
        connection.execute(
            update(_ROWS)
            .where(_ROWS.c.purpose == "data", _ROWS.c.status == "active")
            .values(status="retiring")
        )
        key_id = self._add(connection, "data", self._master)
        self._learn(connection)
        return key_id, False

    def end_rotation(self, connection: Connection, in_use: Callable[[str], bool]) -> None:
        """Delete the old data keys; one that something unreadable still names is kept."""
        old = select(_ROWS.c.id).where(_ROWS.c.purpose == "data", _ROWS.c.status != "active")
        for key_id in connection.execute(old).scalars().all():
            if in_use(key_id):
                kept = update(_ROWS).where(_ROWS.c.id == key_id).values(status="kept")
                connection.execute(kept)
            else:
                connection.execute(delete(_ROWS).where(_ROWS.c.id == key_id))
        self._learn(connection)

    def _learn(self, connection: Connection) -> None:
        self.ring.learn(_data_keys(_all(connection), self._master))

    def _make(self, connection: Connection, master: bytes) -> None:
        if _all(connection):
            return  # another process was quicker; its keys are judged like any others
        for purpose in (*_FOREVER, "data"):
            self._add(connection, purpose, master)

    def _add(self, connection: Connection, purpose: KeyPurpose, master: bytes) -> str:
        key_id = random_id("k", 6)
        connection.execute(
            insert(_ROWS).values(
                id=key_id,
                purpose=purpose,
                status="active",
                wrapped=wrap(master, key_id, purpose, new_key()),
                created_at=self._clock(),
            )
        )
        return key_id

    # --- what may be wrong -------------------------------------------------------------------

    def _plain(self, row: Row[Any]) -> bytes | None:
        """Unwrap a key; None for an old data key that is damaged: it opens nothing any more."""
        try:
            return unwrap(self._master, row.id, row.purpose, row.wrapped)
        except UnknownKey:
            if row.purpose == "data" and row.status != "active":
                return None
            raise StoreError(_OTHER_MASTER) from None
        except SealBroken:
            if row.purpose == "data" and row.status != "active":
                return None
            raise StoreFault(
                "corrupt",
                f"The key {row.id} ({row.purpose}) of the store {self._database.where} is damaged; "
                "nothing was changed. Restore a backup, or run `crossdock keys rotate` for a key "
                "of the kind `data`.",
            ) from None

    def _forever(self, rows: Sequence[Row[Any]], purpose: KeyPurpose, master: bytes) -> bytes:
        for row in rows:
            if row.purpose == purpose:
                try:
                    return unwrap(master, row.id, purpose, row.wrapped)
                except SealBroken:
                    break
        raise StoreFault(
            "corrupt",
            f"In the store {self._database.where} {_FOREVER[purpose]} is damaged or missing. "
            "Restore a backup.",
        )

    async def _refuse_wrong(self, rows: Sequence[Row[Any]], key: bytes, name: str) -> None:
        for row in rows:
            if row.purpose != "canary":
                continue
            try:
                unwrap(key, row.id, "canary", row.wrapped)
            except UnknownKey as error:
                raise ConfigError(
                    f"{name} is not the master key of the store {self._database.where}: the store "
                    f"needs {error.key_id}, this is {fingerprint(key)}. With it nobody can read "
                    f"{await self._at_stake()}. Put the right key there."
                ) from None
            except SealBroken:
                return  # a damaged row, not another key; told as such afterwards

    def _refuse_lost_keys(self, connection: Connection) -> None:
        if any(count for _, count in _sealed_things(connection)):
            raise StoreFault(
                "corrupt",
                f"The store {self._database.where} has lost its keys: its table `keys` is empty, "
                "but other tables are not. Restore a backup.",
            )

    async def _at_stake(self) -> str:
        counts = await self._database.read(_sealed_things)
        parts = [f"{count} {name}{'s' * (count != 1)}" for name, count in counts if count]
        return "the hashes and credentials of " + (", ".join(parts) or "a store still empty")


def _all(connection: Connection) -> Sequence[Row[Any]]:
    return connection.execute(select(_ROWS).order_by(_ROWS.c.created_at, _ROWS.c.id)).all()


def _data_keys(rows: Sequence[Row[Any]], master: bytes) -> Mapping[str, bytes]:
    """Unwrap the data keys. A damaged one is left out: what it sealed shows as unreadable."""
    found = {}
    for row in rows:
        if row.purpose != "data":
            continue
        try:
            found[row.id] = unwrap(master, row.id, "data", row.wrapped)
        except SealBroken as error:
            if isinstance(error, UnknownKey) and row.status == "active":
                raise StoreError(_OTHER_MASTER) from None
    return found


def _sealed_things(connection: Connection) -> list[tuple[str, int]]:
    counted = (
        ("account", tables.accounts),
        ("MCP server", tables.mcp_servers),
        ("API token", tables.api_tokens),
        ("renewed credential", tables.renewed_credentials),
    )
    return [
        (name, connection.execute(select(func.count()).select_from(table)).scalar_one())
        for name, table in counted
    ]


def names_key(sealed: str, key_id: str) -> bool:
    """Whether a sealed text says that it was sealed with this key."""
    try:
        return key_id_of(sealed) == key_id
    except SealBroken:
        return False
