"""Keeps what is in memory, accounts and grants, up to what the store says.

A write of our own is followed by reading that one record again, a write of somebody else by reading
everything. Both happen one after the other, so an older reading never replaces a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime

from crossdock.access.gate import Access, Caller, Gate
from crossdock.calls.accounts import OpenAccounts
from crossdock.model import Account, Grant
from crossdock.store import ApiToken, Grants, Store, StoredAccount, StoredServer

_PAGE = 500

Entries = dict[bytes, tuple[Grant, datetime | None]]


class Following:
    """What the store says, in memory. `told` is called whenever it changed."""

    def __init__(
        self,
        store: Store,
        gate: Gate,
        accounts: OpenAccounts,
        adapters: Collection[str],
        configured: Collection[str],
        told: Callable[[], None],
    ) -> None:
        self._store = store
        self._gate = gate
        self._accounts = accounts
        self._adapters = adapters
        self._configured = configured
        self._told = told
        self._turn = asyncio.Lock()
        self._wanted = self._done = 0
        self._stored: set[str] = set()
        self.behind = False
        self.opened = 0

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
        self._told()

    async def changed(
        self, *, account: str | None = None, server: str | None = None, token: str | None = None
    ) -> None:
        """Read the record that was just written, or everything; in force when this returns.

        If that fails, or its caller is cancelled, `behind` says that all must be read again.
        """
        if account is server is token is None:
            await self.reload()
            return
        try:
            async with self._turn:
                if account is not None:
                    await self._reread_account(account)
                if server is not None:
                    stored = await self._store.servers.get(server)
                    self._gate.put_server(server, {} if stored is None else _entries(stored))
                if token is not None:
                    found = await self._store.api_tokens.get(token)
                    self._gate.put_caller(token, None if found is None else _caller(found))
        except BaseException:
            self.behind = True
            raise
        self._told()

    async def _reread_account(self, account_id: str) -> None:
        stored = await self._store.accounts.get(account_id)
        if stored is None:
            self._stored.discard(account_id)
            self._accounts.drop(account_id)
        else:
            self._take([stored])

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
        self.opened += len(fresh)

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
