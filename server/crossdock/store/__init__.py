"""The store: accounts, servers, tokens, keys and the call log, on SQLite or PostgreSQL.

Rows in, Structs out; sqlalchemy is imported here and nowhere else. No payload of a provider, no
token and no plain credential is ever stored, and no call waits for the database: the door works on
`load_grants`, read again whenever `changes` says that somebody else wrote.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from sqlalchemy import Connection, select

from crossdock.store import version
from crossdock.store.accounts import AccountRows
from crossdock.store.adapter_states import AdapterStates
from crossdock.store.approvals import ApprovalRows
from crossdock.store.audit import AuditRows
from crossdock.store.database import Database, connect
from crossdock.store.engine_facts import EngineFacts, engine_facts
from crossdock.store.intents import MARGIN_SECONDS, OwnOrderLocks, boottime
from crossdock.store.keys import Keys
from crossdock.store.lease import FileLease, PostgresLease
from crossdock.store.master_key import MasterKey
from crossdock.store.members import Members
from crossdock.store.records import (
    AccountInUse,
    AccountStatus,
    AdapterState,
    ApiToken,
    AuditEntry,
    AuditFilter,
    BadCursor,
    Changes,
    Expired,
    Grants,
    KeyInfo,
    Kind,
    Member,
    RecordPage,
    Reread,
    Rotation,
    ServerStub,
    StoredAccount,
    StoredServer,
    StoreFault,
    UnknownAccount,
)
from crossdock.store.renewed import RenewedCredentials
from crossdock.store.sealing import PROCESS_ID, KeyRing, process_id, random_id
from crossdock.store.servers import (
    ServerRows,
    all_servers,
    all_stubs,
    some_servers,
    some_stubs,
)
from crossdock.store.tokens import ApiTokenRows, all_tokens, some_tokens

if TYPE_CHECKING:
    from crossdock.store.order_locks import SharedOrderLocks

__all__ = [
    "PROCESS_ID",
    "AccountInUse",
    "AccountRows",
    "AccountStatus",
    "AdapterState",
    "ApiToken",
    "ApiTokenRows",
    "AuditEntry",
    "AuditFilter",
    "BadCursor",
    "Changes",
    "Expired",
    "Grants",
    "KeyInfo",
    "Member",
    "Members",
    "RecordPage",
    "Reread",
    "Rotation",
    "ServerRows",
    "ServerStub",
    "Store",
    "StoreFault",
    "StoredAccount",
    "StoredServer",
    "UnknownAccount",
    "boottime",
    "current",
    "random_id",
    "upgrade",
]


def utc_now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


class Store:
    """An open store. `open` makes one; `close` it in the end."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], *, node: str, worker: int
    ) -> None:
        self._database = database
        self._lease: FileLease | PostgresLease | None = None
        self.where = database.where
        self._clock = clock
        self.keys = Keys(database, clock)
        self.accounts = AccountRows(database, self.keys, clock)
        self.servers = ServerRows(database, clock)
        self.api_tokens = ApiTokenRows(database)
        self.renewed = RenewedCredentials(database, self.keys, clock)
        self.members = Members(database, Member(id=process_id(), node=node, worker=worker))
        self.audit = AuditRows(database, node, self.members.me.id)
        self.approvals = ApprovalRows(database)
        self.adapter_states = AdapterStates(database)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        folder: Path | None = None,
        clock: Callable[[], datetime] = utc_now,
        node: str = "",
        worker: int = 1,
    ) -> Store:
        """Open `[store] url`. Relative SQLite paths count from `folder`; `node` names this machine,
        its own name unless given, and `worker` counts the processes that serve on it.

        A SQLite store is made and moved on as needed; PostgreSQL must have been upgraded. Raises
        ConfigError for the URL, StoreFault for everything that keeps the store from being used."""
        database = await connect(url, folder or Path())
        try:
            await database.refuse_pooler()
            found = await database.read(lambda c: version.understood(c, database.where))
            if version.judge(found, database.where, may_upgrade=database.is_sqlite):
                await database.write(version.migrate, quiet=True, patient=True)
            await database.write(version.touch, quiet=True)
            await database.changes()  # what was written until now is known
        except BaseException:
            await database.close()
            raise
        return cls(database, clock, node=node or socket.gethostname(), worker=worker)

    async def close(self) -> None:
        """Let running work end, give back the lease and let go of the database."""
        with contextlib.suppress(StoreFault):
            await self.members.leave()
        if self._lease is not None:
            await self._lease.release()
            self._lease = None
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def unlock(self, master: MasterKey) -> KeyRing:
        """Open the key ring; `accounts` and `renewed` need it. See `Keys.unlock`."""
        return await self.keys.unlock(master)

    async def lease(self, *, shared: bool = False) -> None:
        """Become the only process that serves from this store, or on PostgreSQL one of those that
        share it. Raises StoreFault `in_use` where somebody serves in the other way."""
        if self._lease is not None:
            return
        if self._database.is_sqlite:
            if self._database.path is not None:
                self._lease = FileLease(self._database.path)
            return
        lease = PostgresLease(self._database.engine, self.where, shared=shared)
        await lease.verify()
        self._lease = lease

    def order_locks(self, *, request_seconds: float, most: int) -> SharedOrderLocks | OwnOrderLocks:
        """Return the locks on customers' records, of which PostgreSQL holds `most` at a time. A
        request to a provider takes at most `request_seconds`. Whoever asks closes them."""
        process, seconds = self.members.me.id, request_seconds + MARGIN_SECONDS

        def pepper() -> bytes:
            return self.keys.ring.pepper

        if self._database.is_sqlite:
            return OwnOrderLocks(self._database, process, pepper, seconds=seconds)
        from crossdock.store.lock_sessions import LockSessions
        from crossdock.store.order_locks import SharedOrderLocks

        sessions = LockSessions(self._database.connect_for_locks, most)
        return SharedOrderLocks(sessions, process, pepper, seconds=seconds)

    @property
    def shared(self) -> bool:
        """Whether other processes may serve from it, and it may be away while this one serves."""
        return not self._database.is_sqlite

    async def load_grants(self) -> Grants:
        """Read everything the door needs, at one moment."""
        return await self._database.read(_grants, patient=True)

    async def changes(self) -> Changes:
        """Return what somebody else wrote since this was last asked (at first: since `open`).

        Cheap; ask often, and `reread` what it names, or all. Names also what a write of our own
        touched whose caller was cancelled before it heard of it. Raises StoreFault when the
        SQLite file was replaced, or another process took the lease."""
        if self._lease is not None:
            await self._lease.verify()
        return await self._database.changes()

    async def reread(self, changes: Changes) -> Reread:
        """Read the named records again, at one moment."""
        ids: dict[Kind, list[str]] = {}
        for kind, id in changes.records:
            ids.setdefault(kind, []).append(id)
        return await self._database.read(lambda connection: self._reread(connection, ids))

    def _reread(self, connection: Connection, ids: Mapping[Kind, Sequence[str]]) -> Reread:
        hashes = [bytes.fromhex(text) for text in ids.get("stub", ())]
        accounts, servers = ids.get("account", ()), ids.get("server", ())
        tokens = ids.get("token", ())
        return Reread(
            accounts=self.accounts.some(connection, accounts) if accounts else {},
            servers=some_servers(connection, servers) if servers else {},
            stubs=some_stubs(connection, hashes) if hashes else {},
            api_tokens=some_tokens(connection, tokens) if tokens else {},
        )

    async def facts(self) -> EngineFacts | None:
        """Return what PostgreSQL says of itself; None for SQLite."""
        return await engine_facts(self._database, self._clock)

    async def check(self) -> None:
        """Raise StoreFault unless the store answers: for `/readyz` and `doctor`."""
        self._database.still_there()
        await self._database.read(lambda connection: connection.execute(select(1)))

    async def expire(self, now: datetime | None = None) -> Expired:
        """Turn expired servers into stubs and forget old stubs. See `ServerRows.expire`."""
        return await self.servers.expire(now)

    async def rotate_keys(self) -> Rotation:
        """Seal every credential with a new data key, row by row, while others read and write.

        Can be interrupted at any moment; the next call goes on. No URL changes."""
        key_id, resumed = await self._database.write(self.keys.begin_rotation)
        sealed: tuple[_Sealed, ...] = (self.accounts, self.renewed)
        resealed = 0
        unreadable: list[str] = []
        for place in sealed:
            for row in await self._database.read(place.sealed_rows):
                count, broken = await self._database.write(_resealing(place, row))
                resealed += count
                unreadable += broken

        def end(connection: Connection) -> None:
            self.keys.end_rotation(
                connection, lambda old: any(place.names_key(connection, old) for place in sealed)
            )

        await self._database.write(end)
        return Rotation(
            key_id=key_id, resumed=resumed, resealed=resealed, unreadable=tuple(unreadable)
        )


class _Sealed(Protocol):
    """A table with sealed values."""

    def sealed_rows(self, connection: Connection) -> Sequence[tuple[str, ...]]: ...

    def reseal(
        self, connection: Connection, row: tuple[str, ...]
    ) -> tuple[int, tuple[str, ...]]: ...

    def names_key(self, connection: Connection, key_id: str) -> bool: ...


def _resealing(
    place: _Sealed, row: tuple[str, ...]
) -> Callable[[Connection], tuple[int, tuple[str, ...]]]:
    return lambda connection: place.reseal(connection, row)


def _grants(connection: Connection) -> Grants:
    return Grants(
        servers=all_servers(connection),
        stubs=all_stubs(connection),
        api_tokens=all_tokens(connection),
    )


async def upgrade(url: str, *, folder: Path | None = None) -> tuple[str | None, str]:
    """Move a store's tables on to this version: the version before (None: no tables) and after."""
    database = await connect(url, folder or Path())
    try:
        found = await database.read(lambda c: version.understood(c, database.where))
        if version.judge(found, database.where, may_upgrade=True):
            await database.write(version.migrate, quiet=True, patient=True)
        return found, version.HEAD
    finally:
        await database.close()


async def current(url: str, *, folder: Path | None = None) -> tuple[str | None, str]:
    """Return the version of a store's tables (None: no tables) and the one this code needs."""
    database = await connect(url, folder or Path())
    try:
        return await database.read(lambda c: version.stored(c, database.where)), version.HEAD
    finally:
        await database.close()
