"""Keeps what is in memory, accounts and grants, up to what the store says.

Of a write of our own, what it returned is learned; what somebody else wrote is read again, record
by record, and everything only where nobody can say what it was. All of it happens one after the
other, so what is older never replaces what is newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from typing import Any, TypeVar

from crossdock.access.gate import Access, Caller, Gate
from crossdock.calls.accounts import OpenAccounts
from crossdock.errors import CrossdockError
from crossdock.model import Account, Change, Grant
from crossdock.store import (
    ApiToken,
    Changes,
    Grants,
    Reread,
    Store,
    StoredAccount,
    StoredServer,
    StoreFault,
)

T = TypeVar("T")

_PAGE = 500
_PATIENCE = 4.8  # seconds in all, behind others who write to a store that may be away
_CAUGHT_UP = 3.0  # seconds for an operator's request, which then asks the store itself
_TOLD: tuple[str, ...] = ("account", "server", "token")

Entries = dict[bytes, tuple[Grant, datetime | None]]


class Sync:
    """What the store says, in memory. `told` is called whenever it changed, with what is another
    now, or None where that may be anything.

    After a write whose end is not known, or a reading that failed, `behind` says that all must be
    read again. `opened` are the ids of accounts that were opened; who sees to them takes them out.
    """

    def __init__(
        self,
        store: Store,
        gate: Gate,
        accounts: OpenAccounts,
        *,
        adapters: Collection[str],
        configured: Collection[str],
        told: Callable[[Collection[Change] | None], None],
    ) -> None:
        self._store = store
        self._gate = gate
        self._accounts = accounts
        self._adapters = adapters
        self._configured = configured
        self._told = told
        self._turn = asyncio.Lock()
        self._following = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._wanted = self._done = 0
        self._stored: set[str] = set()
        self._learned: list[Change] = []
        self._writing: set[asyncio.Task[Any]] = set()
        self.behind = False
        self.opened: set[str] = set()

    async def reload(self) -> None:
        """Read everything; in force with the next request.

        Many who ask at once share a reading that began after they asked.
        """
        self._wanted += 1
        mine = self._wanted
        async with self._turn:
            if self._done >= mine:
                return
            until = self._wanted
            self.behind = False
            try:
                await self._reload_accounts()
                self._gate.learn(_access(await self._store.load_grants()))
            except BaseException:
                self.behind = True
                raise
            self._done = until
        self._told(None)

    async def catch_up(self) -> None:
        """Know what somebody else has written until now; in force with the next request.

        Many who ask at once share what begins after they asked, and its failure. What was begun is
        carried out, whether or not its caller waits for it.
        """
        task = self._next
        if task is None or task.done():
            task = self._next = asyncio.create_task(self._catch_up())
            self._writing.add(task)
            task.add_done_callback(self._written)
        await asyncio.shield(task)

    async def catch_up_soon(self) -> None:
        """Catch up for somebody who waits for an answer. Raises StoreFault after three seconds."""
        try:
            async with asyncio.timeout(_CAUGHT_UP):
                await self.catch_up()
        except TimeoutError:
            raise StoreFault(
                "unreachable",
                "The store does not say what other processes wrote. Nothing was changed; ask again "
                "once it answers.",
            ) from None

    async def _catch_up(self) -> None:
        async with self._following:
            self._next = None
            await self._follow(await self._store.changes())

    async def _follow(self, changes: Changes) -> None:
        """Read again what somebody else wrote; in force with the next request."""
        if self.behind or changes.everything:
            await self.reload()
        elif changes.records:
            await self._reread(changes)

    async def _reread(self, changes: Changes) -> None:
        try:
            async with self._turn:
                self._learn(await self._store.reread(changes))
        except BaseException:
            self.behind = True
            raise
        self._told([(kind, id) for kind, id in changes.records if kind in _TOLD])

    def _learn(self, now: Reread) -> None:
        for account_id, account in now.accounts.items():
            if account is not None:
                self._take([account])
            elif account_id not in self._configured:
                self._stored.discard(account_id)
                self._accounts.drop(account_id)
        for server_id, server in now.servers.items():
            self._gate.put_server(server_id, {} if server is None else _entries(server))
        for token_hash, stub in now.stubs.items():
            self._gate.put_stub(token_hash, None if stub is None else stub.expired_at)
        for token_id, token in now.api_tokens.items():
            self._gate.put_caller(token_id, None if token is None else _caller(token))

    async def write(self, verb: Callable[[], Awaitable[T]], learn: Callable[[T], None]) -> T:
        """Make a write of the store and learn what it returned; in force when this returns.

        What was begun is carried out, whether or not its caller waits for it.
        """
        task = asyncio.create_task(self._write(verb, learn))
        self._writing.add(task)
        task.add_done_callback(self._written)
        try:
            async with asyncio.timeout(_PATIENCE if self._store.shared else None):
                return await asyncio.shield(task)
        except TimeoutError:
            if task.done():
                raise
            self.behind = True
            raise StoreFault(
                "unreachable",
                "Others wait for the store as well, and it does not answer. Look whether this "
                "change was made before it is repeated.",
            ) from None

    async def _write(self, verb: Callable[[], Awaitable[T]], learn: Callable[[T], None]) -> T:
        try:
            async with self._turn:
                done = await verb()
                self._learned = []
                learn(done)
                learned = self._learned
        except CrossdockError as error:
            self.behind |= isinstance(error, StoreFault)
            raise
        except BaseException:
            self.behind = True
            raise
        self._told(learned)
        return done

    def _written(self, task: asyncio.Task[Any]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not call it forgotten

    async def close(self) -> None:
        """Let writes end."""
        while self._writing:
            await asyncio.wait(self._writing)

    # --- what a write returned; call these within `write` -------------------------------------

    def learn_account(self, stored: StoredAccount) -> None:
        """Use an account as it was written."""
        self._learned.append(("account", stored.id))
        self._take([stored])

    def drop_account(self, account_id: str, servers: Iterable[str] = ()) -> None:
        """Forget an account, and the MCP servers that went with it."""
        self._learned.append(("account", account_id))
        self._stored.discard(account_id)
        self._accounts.drop(account_id)
        for server_id in servers:
            self.drop_server(server_id)

    def learn_server(self, stored: StoredServer) -> None:
        """Judge by an MCP server as it was written."""
        self._learned.append(("server", stored.id))
        self._gate.put_server(stored.id, _entries(stored))

    def drop_server(self, server_id: str) -> None:
        """Forget an MCP server: its URL opens nothing any more."""
        self._learned.append(("server", server_id))
        self._gate.put_server(server_id, {})

    def learn_token(self, stored: ApiToken) -> None:
        """Judge by an API token as it was written."""
        self._learned.append(("token", stored.id))
        self._gate.put_caller(stored.id, _caller(stored))

    def drop_token(self, token_id: str) -> None:
        """Forget an API token: it opens nothing any more."""
        self._learned.append(("token", token_id))
        self._gate.put_caller(token_id, None)

    # --- reading everything --------------------------------------------------------------------

    async def _reload_accounts(self) -> None:
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self._store.accounts.list(limit=_PAGE, cursor=cursor)
            self._take(page.items)
            seen.update(stored.id for stored in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        for gone in self._stored - seen:
            self._accounts.drop(gone)
        self._stored &= seen

    def _take(self, page: Collection[StoredAccount]) -> None:
        fresh: list[Account] = []
        for stored in page:
            if stored.id in self._configured:
                continue  # moved to config.toml, which wins
            self._stored.add(stored.id)
            known = self._accounts.find(stored.id)
            if why := self._unusable(stored):
                self._accounts.set_aside(stored.id, why)
            elif known is None or known.version != stored.version:
                fresh.append(stored.account())
            self._accounts.note_refusal(stored.id, stored.status == "needs_reauth")
        self._accounts.put(*fresh)
        self.opened.update(account.id for account in fresh)

    def _unusable(self, stored: StoredAccount) -> str:
        if stored.integration not in self._adapters:
            return f"the adapter {stored.integration!r} is not loaded"
        if stored.unreadable:
            names = ", ".join(stored.unreadable)
            return f"its sealed credentials cannot be read ({names}); set them again"
        return ""


def _access(grants: Grants) -> Access:
    known: Entries = {}
    for server in grants.servers:
        known |= _entries(server)
    return Access(
        grants=known,
        expired={stub.token_hash: stub.expired_at for stub in grants.stubs},
        callers=dict(_caller(token) for token in grants.api_tokens),
    )


def _entries(server: StoredServer) -> Entries:
    grant = server.grant()
    entries: Entries = {server.token_hash: (grant, None)}
    if server.previous_token_hash is not None:
        entries[server.previous_token_hash] = (grant, server.previous_expires_at)
    return entries


def _caller(token: ApiToken) -> tuple[bytes, Caller]:
    caller = Caller(id=token.id, name=token.name, role=token.role, expires_at=token.expires_at)
    return token.token_hash, caller
