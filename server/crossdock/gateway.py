"""Everything but HTTP, opened and closed together: store, plugins, accounts, door, calls."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from crossdock.access.gate import Gate
from crossdock.access.sync import Following
from crossdock.authoring import CallEvent
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.calls import Calls
from crossdock.calls.catalog import Catalog
from crossdock.calls.cursors import Cursors
from crossdock.calls.discovery import Discovery
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.config import Settings, networks
from crossdock.control import Control
from crossdock.errors import CrossdockError, StoreError
from crossdock.log import logger
from crossdock.observe.audit import AuditLog
from crossdock.observe.metrics import Metrics
from crossdock.plugins import Plugins, load_plugins
from crossdock.protocol.dispatch import Dispatcher
from crossdock.protocol.replay import StreamLimits, Streams
from crossdock.protocol.request_state import States
from crossdock.protocol.sessions import Sessions
from crossdock.protocol.subscriptions import Listeners
from crossdock.redaction import redactor
from crossdock.secrets import MasterKey, resolve_secret
from crossdock.store import Store, utc_now

_LOOK_SECONDS = 0.25  # how often another process's writes are looked for
_TIDY_ROUNDS = 4
_FORGET_ROUNDS = 14_400
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
        self.accounts = OpenAccounts(plugins.adapters)
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
        self.following = Following(
            store,
            self.gate,
            self.accounts,
            plugins.adapters,
            settings.accounts,
            self.listeners.changed,
        )
        self.control = Control(
            store,
            self.catalog,
            self.accounts,
            self.following.changed,
            self.calls.verify,
            self.audit.note,
            self.allow_private,
            clock,
        )
        self._clock = clock
        self._watching: asyncio.Task[None] | None = None
        self._refusals: dict[str, bool] = {}
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
            await gateway._open_accounts(serving=serving)
            await gateway.reload()
            await gateway.upstream.start()
        except BaseException:
            await store.close()
            raise
        return gateway

    async def _open_accounts(self, *, serving: bool) -> None:
        def resolve(value: str, where: str) -> str:
            return resolve_secret(value, where, self.plugins.resolve_secret).reveal()

        configured = self.settings.accounts
        await asyncio.to_thread(
            self.accounts.open_configured, configured, resolve, lenient=not serving
        )
        if self.settings.admin.token and serving:
            token = await asyncio.to_thread(resolve, self.settings.admin.token, "admin.token")
            self.accept_admin(token)

    def accept_admin(self, token: str) -> None:
        """Accept this as an owner's API token for as long as the process lives."""
        redactor.pin("admin.token", [token])
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
        if await self.store.changes() or self.following.behind:
            await self.reload()
        if rounds % _TIDY_ROUNDS == 0:
            await self.settle()
            if gone := (await self.store.expire()).servers:
                self.gate.expire({stub.token_hash: stub.expired_at for stub in gone})
                self.listeners.changed()
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
        seen = (adapters, self.following.opened)
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
        await self.following.reload()
