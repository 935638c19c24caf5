"""Everything but HTTP, opened and closed together. (long: the one place where all parts meet)"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from crossdock import __version__
from crossdock.access.attempts import Attempts
from crossdock.access.clocks import NodeClock
from crossdock.access.gate import Address, Gate
from crossdock.access.sync import Sync
from crossdock.authoring import CallEvent
from crossdock.bus import Bus, LocalBus
from crossdock.bus.census import Census
from crossdock.bus.choice import open_bus
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.adapter_threads import AdapterThreads, Lasting, Who
from crossdock.calls.calls import Calls
from crossdock.calls.catalog import Catalog
from crossdock.calls.connection import Connections
from crossdock.calls.cursors import Cursors
from crossdock.calls.discovery import Discovery
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.config import LimitSettings, Settings, agreed, check_admin_token, networks
from crossdock.control import Control
from crossdock.errors import Denied, Refused, StoreError, TooManyFailures
from crossdock.gauges import gauges
from crossdock.housekeeping import Housekeeping
from crossdock.observe.audit import AuditLog
from crossdock.observe.denials import Denials
from crossdock.observe.metrics import Metrics, merged
from crossdock.observe.watchdog import Watchdog
from crossdock.plugins import Plugins, load_plugins
from crossdock.protocol.dispatch import Dispatcher
from crossdock.protocol.questions import Questions
from crossdock.protocol.replay import StreamLimits, Streams
from crossdock.protocol.request_state import States
from crossdock.protocol.resumption import Resumption
from crossdock.protocol.sessions import Sessions
from crossdock.protocol.subscriptions import Listeners
from crossdock.redaction import redactor
from crossdock.secrets import resolve_secret
from crossdock.store import Member, Store, utc_now
from crossdock.store.master_key import MasterKey


class Gateway:
    """An open gateway. `open` makes one, `run` keeps it up to date, `close` ends it."""

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        store: Store,
        clock: Callable[[], datetime] = utc_now,
        *,
        bus: Bus,
        node_clock: NodeClock,
    ) -> None:
        ring = store.keys.ring
        limits = settings.limits
        self.settings = settings
        self.plugins = plugins
        self.store = store
        self.members = store.members
        self.process = store.members.me.id
        self.bus = bus
        self.census = Census(bus, store.members.all)
        self.clock = node_clock
        self.accounts = OpenAccounts(plugins.adapters)
        self.catalog = Catalog(plugins.adapters, self.accounts)
        private = networks(settings.upstream.allow_private, "config", "upstream.allow_private")
        self.upstream = Upstream(_upstream_limits(limits), private)
        self.orders = store.order_locks(
            request_seconds=limits.upstream_total_seconds, most=limits.locks_at_once
        )
        self.audit = self._audit_log(clock)
        self.threads = AdapterThreads(limits.calls_per_adapter, self._watching)
        self.calls = self._calls()
        self.gate = Gate(ring.pepper, clock)
        self.denials = Denials(self.audit.note, clock)
        self.attempts = self._attempts(clock)
        self.metrics = Metrics(gauges(self))
        self.watchdog = Watchdog(self.calls.who, self.metrics.note_stall)
        self.tools = Discovery(self.calls)
        self.listeners = Listeners(
            self.tools, limits.streams_per_server, limits.streams_in_all, clock
        )
        self._open_protocol(clock)
        self.sync = self._sync()
        self.control = Control(
            store,
            self.sync,
            self.catalog,
            self.accounts,
            verify=self.calls.verify,
            exchange=self.calls.exchange,
            note=self.audit.note,
            allow_private=private,
            clock=clock,
            mint=self.clock.mint,
        )
        self.housekeeping = self._housekeeping(clock)
        self.draining = False
        self.siblings: Callable[[], Awaitable[dict[str, str]]] | None = None

    def _sync(self) -> Sync:
        return Sync(
            self.store,
            self.gate,
            self.accounts,
            adapters=self.plugins.adapters,
            configured=self.settings.accounts,
            told=self.listeners.changed,
        )

    def _calls(self) -> Calls:
        limits = self.settings.limits
        return Calls(
            self.catalog,
            Connections(
                self.upstream,
                self.store.renewed,
                limits.lock_wait_seconds,
                self.orders,
                threads=self.threads,
            ),
            Cursors(self.store.keys.ring.cursor_key),
            limits,
            self._finished,
            room=self.audit.room,
            unknown=lambda grant, tool, request_id: self.audit.note_unknown(
                grant.server_id, grant.account_id, tool, request_id
            ),
            threads=self.threads,
        )

    def _watching(self, who: Who, lasting: Lasting) -> Watchdog:
        return Watchdog(who, self.metrics.note_stall, lasting=lasting)

    def _audit_log(self, clock: Callable[[], datetime]) -> AuditLog:
        limits = self.settings.limits
        return AuditLog(
            self.store.audit.append,
            clock,
            most=limits.audit_lines,
            patience=limits.lock_wait_seconds,
        )

    def _attempts(self, clock: Callable[[], datetime]) -> Attempts:
        limits = self.settings.limits
        return Attempts(
            lambda: clock().timestamp(), most=limits.wrong_tokens, in_all=limits.wrong_tokens_in_all
        )

    def _open_protocol(self, clock: Callable[[], datetime]) -> None:
        limits, key = self.settings.limits, self.store.keys.ring.state_key
        self.sessions = Sessions(key, clock, limits.session_seconds, self.bus, mint=self.clock.mint)
        self.streams = Streams(
            StreamLimits(
                seconds=limits.resume_seconds,
                events=limits.resume_events,
                bytes_in_all=limits.resume_bytes,
            ),
            self.bus,
        )
        self.resumption = Resumption(self.bus, self.streams)
        states = States(
            key, clock, limits.ask_seconds, use=self.store.approvals.use, mint=self.clock.mint
        )
        self.dispatcher = Dispatcher(
            self.tools,
            self.sessions,
            Questions(states, limits.ask_seconds, self.bus),
            self.streams,
            self.listeners,
            bus=self.bus,
        )

    def _housekeeping(self, clock: Callable[[], datetime]) -> Housekeeping:
        return Housekeeping(
            self.store,
            self.gate,
            self.sync,
            self.control,
            catalog=self.catalog,
            accounts=self.accounts,
            listeners=self.listeners,
            each_round=self.denials.settle,
            states=self.threads.fares,
            audit_kept=timedelta(days=self.settings.limits.audit_days),
            stale=self.settings.limits.stale_seconds,
            node_clock=self.clock,
            me=self.member,
            clock=clock,
        )

    @classmethod
    async def open(
        cls,
        settings: Settings,
        *,
        plugins: Plugins | None = None,
        master: MasterKey | None = None,
        serving: bool = False,
        worker: int = 1,
        clock: Callable[[], datetime] = utc_now,
    ) -> Gateway:
        """Open everything. `serving` takes the lease: one process serves from a store, or with a
        [bus] url several, of which this is the `worker`-th on its machine.

        `clock` says what time it is for the door and the store; deadlines do not ask it.
        Raises ConfigError, PluginError or StoreError in words.
        """
        if plugins is None:
            plugins = await asyncio.to_thread(load_plugins, settings)
        store = await Store.open(
            settings.store.url,
            folder=settings.folder,
            clock=clock,
            node=settings.server.node,
            worker=worker,
        )
        try:
            if serving:
                await store.lease(shared=bool(settings.bus.url))
            master = master or MasterKey(
                settings.secrets.key, settings.folder, plugins.resolve_secret
            )
            await store.unlock(master)
            alone = LocalBus(store.members.me.id)
            node_clock = NodeClock()

            def now() -> float:
                return clock().timestamp() - node_clock.ahead

            bus = await _bus(settings, plugins, store, now) if serving else alone
            gateway = cls(settings, plugins, store, clock, bus=bus, node_clock=node_clock)
            await gateway._open_accounts(serving=serving)
            await gateway.sync.reload()
            if serving:
                await gateway.orders.recall()
                await gateway.members.join(gateway.member())
        except BaseException:
            await store.close()
            raise
        return gateway

    def _prime(self) -> None:
        for account in self.accounts.all():
            self.plugins.adapters[account.integration].prime(account.settings)

    async def _open_accounts(self, *, serving: bool) -> None:
        def resolve(value: str, where: str) -> str:
            return resolve_secret(value, where, self.plugins.resolve_secret).reveal()

        configured = self.settings.accounts
        await asyncio.to_thread(
            self.accounts.open_configured, configured, resolve, lenient=not serving
        )
        if self.settings.admin.token and serving:
            token = await asyncio.to_thread(resolve, self.settings.admin.token, "admin.token")
            check_admin_token(token)
            self.accept_admin(token)

    def member(self) -> Member:
        """Return how the other processes that serve from the store see this one."""
        ring = self.store.keys.ring
        agreed_in = hmac.digest(ring.pepper, agreed(self.settings), "sha256")
        return msgspec.structs.replace(
            self.members.me,
            version=__version__,
            adapters={one.name: one.edition for one in self.plugins.adapters.values()},
            configuration=agreed_in.hex()[:16],
            keys=ring.ids,
        )

    def accept_admin(self, token: str) -> None:
        """Accept this as an owner's API token for as long as the process lives."""
        redactor.pin("admin.token", [token])
        self.gate.accept_admin(token)

    def deny(self, door: str, denied: Denied, address: Address | None) -> Refused:
        """Write a denial down; return it, or what is told in its place when too many came before.

        Each API token that does not pass counts, or a right one would be told from a wrong one.
        """
        self.denials.note(door, denied, address)
        waits = self.attempts.fail(address) if denied.challenge == "invalid" else 0
        return TooManyFailures(waits) if waits else denied

    def run(self) -> None:
        """Start to follow other processes' writes, to store the call log and to tidy up."""
        self.audit.run()
        self.bus.run()
        if self.settings.bus.url:
            self.census.run()
        self.housekeeping.run()
        self.watchdog.run()

    async def numbers(self) -> bytes:
        """Return what Prometheus reads: of this process and of its siblings on this machine."""
        own = self.metrics.exposition()
        if self.siblings is None:
            return own
        return merged({**await self.siblings(), str(self.store.members.me.worker): own.decode()})

    async def another_bus(self) -> Bus:
        """Return the configured bus, to look at who is on it; run it, and close it in the end.

        Raises ConfigError."""
        return await _bus(self.settings, self.plugins, self.store, time.time)

    @property
    def unready(self) -> list[str]:
        """Why no new work should be sent here; empty when all is well."""
        if self.draining:
            return ["the gateway is shutting down"]
        return self.housekeeping.unready

    @property
    def degraded(self) -> dict[str, str]:
        """What does not work though calls are served, and why; empty when all is well."""
        found = {"audit": self.audit.degraded, "clock": self.clock.trouble}
        if self.bus.trouble:
            found["bus"] = f"The gateway's processes cannot reach each other: {self.bus.trouble}."
        elif self.census.missing:
            found["bus"] = (
                "More members in PostgreSQL than on the bus: do all name the same [bus] url? "
                f"Missing here: {', '.join(self.census.missing)}."
            )
        return {what: why for what, why in found.items() if why}

    async def close(self) -> None:
        """Let writes finish, then close everything."""
        self.draining = True
        await self.watchdog.close()
        await self.housekeeping.close()
        await self.calls.drain()
        await self.threads.close()
        await self.upstream.close()
        await self.census.close()
        await self.bus.close()
        await self.orders.close()
        await self.sync.close()
        self.denials.settle(ending=True)
        with contextlib.suppress(StoreError):
            await self.housekeeping.settle()
        await self.audit.close()
        await asyncio.to_thread(self.plugins.close)
        await self.store.close()

    def _finished(self, event: CallEvent) -> None:
        self.audit.note_call(event)
        self.metrics.note_call(event)
        self.housekeeping.note_call(event)
        self.plugins.call_finished(event)


async def _bus(settings: Settings, plugins: Plugins, store: Store, now: Callable[[], float]) -> Bus:
    password = ""
    if reference := settings.bus.password:
        found = await asyncio.to_thread(
            resolve_secret, reference, "bus.password", plugins.resolve_secret
        )
        password = found.reveal()
        redactor.pin("bus.password", [password])
    return open_bus(
        store.members.me.id,
        store.keys.ring,
        now,
        url=settings.bus.url,
        password=password,
        body_bytes=settings.limits.body_bytes,
    )


def _upstream_limits(limits: LimitSettings) -> UpstreamLimits:
    return UpstreamLimits(
        connect_seconds=limits.upstream_connect_seconds,
        idle_seconds=limits.upstream_idle_seconds,
        total_seconds=limits.upstream_total_seconds,
        answer_bytes=limits.upstream_answer_bytes,
        connections=limits.upstream_connections,
    )
