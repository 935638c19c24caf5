"""Everything but HTTP, opened and closed together: store, plugins, accounts, door, calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime

from crossdock.access.gate import Access, Caller, Gate
from crossdock.accounts import Accounts
from crossdock.calls import Calls
from crossdock.catalog import Catalog
from crossdock.config import Settings, networks
from crossdock.control import Control
from crossdock.cursors import Cursors
from crossdock.errors import CrossdockError
from crossdock.log import logger, redactor
from crossdock.model import Grant
from crossdock.plugins import Plugins, load_plugins
from crossdock.protocol.dispatch import Dispatcher
from crossdock.secrets import MasterKey, resolve_secret
from crossdock.store import Grants, Store, utc_now
from crossdock.upstream import Upstream, UpstreamLimits

_LOOK_SECONDS = 0.25  # how often another process's writes are looked for
_TIDY_ROUNDS = 20
_PAGE = 500
log = logger(__name__)


class Gateway:
    """An open gateway. `open` makes one, `run` keeps it up to date, `close` ends it."""

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        store: Store,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        ring = store.keys.ring
        limits = settings.limits
        self.settings = settings
        self.plugins = plugins
        self.store = store
        self.accounts = Accounts(plugins.adapters)
        self.catalog = Catalog(plugins.adapters, self.accounts)
        self.upstream = Upstream(
            UpstreamLimits(
                connect_seconds=limits.upstream_connect_seconds,
                idle_seconds=limits.upstream_idle_seconds,
                total_seconds=limits.upstream_total_seconds,
                answer_bytes=limits.upstream_answer_bytes,
                connections=limits.upstream_connections,
            ),
            networks(settings.upstream.allow_private, "config", "upstream.allow_private"),
        )
        self.calls = Calls(
            self.catalog,
            self.upstream,
            Cursors(ring.cursor_key),
            store.renewed,
            limits,
            plugins.call_finished,
        )
        self.gate = Gate(ring.pepper, clock)
        self.dispatcher = Dispatcher(self.calls)
        self.control = Control(store, self.catalog, self.accounts, self.reload, clock)
        self._watching: asyncio.Task[None] | None = None
        self._stored: set[str] = set()
        self.unready: list[str] = []

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        plugins: Plugins | None = None,
        master: MasterKey | None = None,
        serving: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> Gateway:
        """Open everything. `serving` takes the lease: one process serves from a store.

        `clock` says what time it is for the door and the store; deadlines do not ask it.
        Raises ConfigError, PluginError or StoreError in words.
        """
        if plugins is None:
            plugins = await asyncio.to_thread(load_plugins, settings)
        store = await Store.open(settings.store.url, folder=settings.folder, clock=clock)
        try:
            if serving:
                await store.lease()
            master = master or MasterKey(
                settings.secrets.key, settings.folder, plugins.resolve_secret
            )
            await store.unlock(master)
            gateway = cls(settings, plugins, store, clock)
            await gateway._open_accounts()
            await gateway.reload()
            await gateway.upstream.start()
        except BaseException:
            await store.close()
            raise
        return gateway

    async def _open_accounts(self) -> None:
        def resolve(value: str, where: str) -> str:
            return resolve_secret(value, where, self.plugins.resolve_secret).reveal()

        configured = self.settings.accounts
        await asyncio.to_thread(self.accounts.open_configured, configured, resolve)
        if self.settings.admin.token:
            token = await asyncio.to_thread(resolve, self.settings.admin.token, "admin.token")
            self.accept_admin(token)

    def accept_admin(self, token: str) -> None:
        """Accept this as an owner's API token for as long as the process lives."""
        redactor.learn([token])
        self.gate.accept_admin(token)

    async def close(self) -> None:
        """Let writes finish, then close everything."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self.calls.drain()
        await self.upstream.close()
        await self.store.close()

    # --- keeping up with the store -----------------------------------------------------------

    def run(self) -> None:
        """Start to follow other processes' writes and to tidy up what expired."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        rounds = 0
        while True:
            try:
                if rounds % _TIDY_ROUNDS == 0 and (await self.store.expire()).servers:
                    await self.reload()
                if await self.store.changes():
                    await self.reload()
                self.unready = []
            except CrossdockError as error:
                # What is in memory goes on serving; /readyz says that it may be stale.
                if not self.unready:
                    log.error("store.unreachable", error=str(error))
                self.unready = [str(error)]
            rounds += 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def reload(self) -> None:
        """Read accounts and grants from the store; in force with the next request."""
        await self._reload_accounts()
        self.gate.learn(_access(await self.store.load_grants()))

    async def _reload_accounts(self) -> None:
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            page = await self.store.accounts.list(limit=_PAGE, cursor=cursor)
            for stored in page.items:
                seen.add(stored.id)
                known = self.accounts.find(stored.id)
                if stored.integration not in self.plugins.adapters:
                    why = f"the adapter {stored.integration!r} is not loaded"
                    self.accounts.set_aside(stored.id, why)
                elif known is None or known.version != stored.version:
                    self.accounts.put(stored.account())
            cursor = page.next_cursor
            if cursor is None:
                break
        for gone in self._stored - seen:
            self.accounts.drop(gone)
        self._stored = seen


def _access(grants: Grants) -> Access:
    known: dict[bytes, tuple[Grant, datetime | None]] = {}
    for server in grants.servers:
        grant = server.grant()
        known[server.token_hash] = (grant, None)
        if server.previous_token_hash is not None:
            known[server.previous_token_hash] = (grant, server.previous_expires_at)
    return Access(
        grants=known,
        expired={stub.token_hash: stub.expired_at for stub in grants.stubs},
        callers={
            token.token_hash: Caller(
                id=token.id, name=token.name, role=token.role, expires_at=token.expires_at
            )
            for token in grants.api_tokens
        },
    )

