"""Everything but HTTP, opened and closed together: store, plugins, accounts, door, calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from crossdock.access.gate import Access, Caller, Gate
from crossdock.accounts import Accounts
from crossdock.audit import AuditLog
from crossdock.calls import Calls
from crossdock.catalog import Catalog
from crossdock.config import Settings, networks
from crossdock.control import Control
from crossdock.cursors import Cursors
from crossdock.discovery import Discovery
from crossdock.errors import CrossdockError, StoreError
from crossdock.log import logger, redactor
from crossdock.metrics import Metrics
from crossdock.model import Account, CallEvent, Grant
from crossdock.plugins import Plugins, load_plugins
from crossdock.protocol.dispatch import Dispatcher
from crossdock.protocol.listening import Listeners
from crossdock.protocol.sessions import Sessions
from crossdock.protocol.states import States
from crossdock.protocol.streams import StreamLimits, Streams
from crossdock.secrets import MasterKey, resolve_secret
from crossdock.store import Grants, Store, StoredAccount, utc_now
from crossdock.upstream import Upstream, UpstreamLimits

_LOOK_SECONDS = 0.25  # how often another process's writes are looked for
_SETTLE_ROUNDS = 4
_TIDY_ROUNDS = 20
_FORGET_ROUNDS = 14_400
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
        self.allow_private = networks(
            settings.upstream.allow_private, "config", "upstream.allow_private"
        )
        self.upstream = Upstream(
            UpstreamLimits(
                connect_seconds=limits.upstream_connect_seconds,
                idle_seconds=limits.upstream_idle_seconds,
                total_seconds=limits.upstream_total_seconds,
                answer_bytes=limits.upstream_answer_bytes,
                connections=limits.upstream_connections,
            ),
            self.allow_private,
        )
        self.calls = Calls(
            self.catalog,
            self.upstream,
            Cursors(ring.cursor_key),
            store.renewed,
            limits,
            self._finished,
        )
        self.gate = Gate(ring.pepper, clock)
        self.audit = AuditLog(store.audit.append, clock)
        self.metrics = Metrics(
            {
                "crossdock_mcp_servers": ("Live MCP servers.", lambda: self.gate.live_servers),
                "crossdock_accounts": ("Usable accounts.", lambda: len(self.accounts.all())),
                "crossdock_calls_running": ("Calls under way.", lambda: self.calls.running),
                "crossdock_audit_dropped_total": (
                    "Audit lines that the store could not take.",
                    lambda: self.audit.dropped,
                ),
            }
        )
        self.tools = Discovery(self.calls)
        self.listeners = Listeners(
            self.tools, limits.streams_per_server, limits.streams_in_all, clock
        )
        self.dispatcher = Dispatcher(
            self.tools,
            Sessions(ring.state_key, clock, limits.session_seconds),
            States(ring.state_key, clock, limits.ask_seconds),
            Streams(
                StreamLimits(
                    seconds=limits.resume_seconds,
                    events=limits.resume_events,
                    bytes_in_all=limits.resume_bytes,
                )
            ),
            self.listeners,
            limits.ask_seconds,
        )
        self.control = Control(
            store,
            self.catalog,
            self.accounts,
            self.changed,
            self.calls.verify,
            self.audit.note,
            self.allow_private,
            clock,
        )
        self._clock = clock
        self._watching: asyncio.Task[None] | None = None
        self._stored: set[str] = set()
        self._refusals: dict[str, bool] = {}
        self._reloading = asyncio.Lock()
        self._wanted = self._done = 0
        self._stale = False
        self._opened = 0
        self._adopted: object = None
        self._generations: object = None
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
        with contextlib.suppress(StoreError):
            await self.settle()
        await self.audit.close()
        await self.store.close()

    # --- keeping up with the store -----------------------------------------------------------

    def run(self) -> None:
        """Start to follow other processes' writes and to tidy up what expired."""
        self.audit.run()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        rounds = 0
        while True:
            try:
                await self._look(rounds)
                self.unready = []
            except CrossdockError as error:
                # What is in memory goes on serving; /readyz says that it may be stale.
                if not self.unready:
                    log.error("store.unreachable", error=str(error))
                self.unready = [str(error)]
            except Exception as error:
                log.error("watch.failed", exc_info=error)
            rounds += 1
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, rounds: int) -> None:
        if self.listeners:
            self._look_at_pages()
        if await self.store.changes():
            await self.reload()
        if rounds % _SETTLE_ROUNDS == 0:
            await self.settle()
        if rounds % _TIDY_ROUNDS == 0:
            if (await self.store.expire()).servers:
                await self.changed()
            await self._adopt()
        if rounds % _FORGET_ROUNDS == 0:
            kept = timedelta(days=self.settings.limits.audit_days)
            await self.store.audit.forget(self._clock() - kept)

    def _look_at_pages(self) -> None:
        """Tell who listens when an adapter's documentation changed, whoever noticed it first."""
        generations = self.catalog.refresh()
        if generations != self._generations:
            self._generations = generations
            self.listeners.changed()

    async def settle(self) -> None:
        """Write down what calls left behind: when what was used, whose credentials are refused."""
        servers, tokens = self.gate.take_used()
        refusals, self._refusals = self._refusals, {}
        await self.store.servers.touch(servers)
        await self.store.api_tokens.touch(tokens)
        for account_id, refused in refusals.items():
            await self.control.note_refusal(account_id, refused=refused)

    async def _adopt(self) -> None:
        adapters = [(one.version, one.generation) for one in self.plugins.adapters.values()]
        seen = (adapters, self._opened)
        if seen != self._adopted:
            await self.control.adopt_tools()
            self._adopted = seen

    def _finished(self, event: CallEvent) -> None:
        self.audit.note_call(event)
        self.metrics.note_call(event)
        refused = event.outcome == "unauthenticated"
        answered = event.outcome == "ok" and event.upstream_requests > 0
        if (refused or answered) and refused != self.accounts.refused(event.account_id):
            self._refusals[event.account_id] = refused
        self.plugins.call_finished(event)

    async def reload(self) -> None:
        """Read accounts and grants from the store; in force with the next request."""
        await self.changed(accounts=True)

    async def changed(self, *, accounts: bool = False) -> None:
        """Read what changed from the store: grants, and accounts where they did.

        Many writers at once share a reading that began after their writes.
        """
        self._wanted += 1
        mine = self._wanted
        self._stale |= accounts
        async with self._reloading:
            if self._done >= mine:
                return
            until, stale, self._stale = self._wanted, self._stale, False
            try:
                if stale:
                    await self._reload_accounts()
                self.gate.learn(_access(await self.store.load_grants()))
                self.listeners.changed()
            except BaseException:
                self._stale |= stale
                raise
            self._done = until

    async def _reload_accounts(self) -> None:
        seen: set[str] = set()
        fresh: list[Account] = []
        cursor: str | None = None
        while True:
            page = await self.store.accounts.list(limit=_PAGE, cursor=cursor)
            for stored in page.items:
                if stored.id in self.settings.accounts:
                    continue  # moved to config.toml, which wins
                seen.add(stored.id)
                known = self.accounts.find(stored.id)
                if why := self._unusable(stored):
                    self.accounts.set_aside(stored.id, why)
                elif known is None or known.version != stored.version:
                    fresh.append(stored.account())
                self.accounts.note_refusal(stored.id, stored.status == "needs_reauth")
            cursor = page.next_cursor
            if cursor is None:
                break
        self.accounts.put(*fresh)
        self._opened += len(fresh)
        for gone in self._stored - seen:
            self.accounts.drop(gone)
        self._stored = seen

    def _unusable(self, stored: StoredAccount) -> str:
        if stored.integration not in self.plugins.adapters:
            return f"the adapter {stored.integration!r} is not loaded"
        if stored.unreadable:
            names = ", ".join(stored.unreadable)
            return f"its sealed credentials cannot be read ({names}); set them again"
        return ""


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

