"""What runs beside the calls: following the store, expiry, and what calls left behind.

Nothing here is on the way of a call; what cannot be done now is done in a later round.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from crossdock.access.clocks import NodeClock
from crossdock.access.gate import Gate
from crossdock.access.sync import Sync
from crossdock.authoring import CallEvent
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.adapter_threads import Fare
from crossdock.calls.catalog import Catalog
from crossdock.control import Control
from crossdock.errors import CrossdockError
from crossdock.log import logger
from crossdock.model import Struct
from crossdock.protocol.subscriptions import Listeners
from crossdock.store import AdapterState, Member, Store, boottime

log = logger(__name__)

_MANY = 50  # accounts; of more at once, all servers are looked through together


class Periods(Struct, frozen=True, kw_only=True):
    """How long a round takes, and after how many rounds what is seen to: expiry, being a member
    of those that serve, clocks, old call logs."""

    seconds: float = 0.25
    tidy_rounds: int = 4
    seen_rounds: int = 16
    clock_rounds: int = 240
    forget_rounds: int = 14_400


class Housekeeping:
    """Rounds of one process. `run` starts them, `close` ends them.

    `unready` says why what is in memory may be stale; empty while the store answers.
    """

    def __init__(
        self,
        store: Store,
        gate: Gate,
        sync: Sync,
        control: Control,
        *,
        catalog: Catalog,
        accounts: OpenAccounts,
        listeners: Listeners,
        each_round: Callable[[], None],
        states: Callable[[], Mapping[str, Fare]],
        me: Callable[[], Member],
        audit_kept: timedelta,
        stale: float,
        node_clock: NodeClock,
        clock: Callable[[], datetime],
        periods: Periods = Periods(),  # noqa: B008 - frozen
    ) -> None:
        self._store = store
        self._gate = gate
        self._sync = sync
        self._control = control
        self._catalog = catalog
        self._accounts = accounts
        self._listeners = listeners
        self._each_round = each_round
        self._me = me
        self._states = states
        self._told_states: list[AdapterState] = []
        self._audit_kept = audit_kept
        self._stale = stale
        self._node_clock = node_clock
        self._clock = clock
        self._periods = periods
        self._running: asyncio.Task[None] | None = None
        self._refusals: dict[str, bool] = {}
        self._adopted: object = None
        self._generations: object = None
        self.unready: list[str] = []

    def run(self) -> None:
        """Start the rounds."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the rounds."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    def note_call(self, event: CallEvent) -> None:
        """Keep in mind whether the provider took the account's credentials."""
        refused = event.outcome == "unauthenticated"
        answered = event.outcome == "ok" and event.upstream_requests > 0
        if (refused or answered) and refused != self._accounts.refused(event.account_id):
            self._refusals[event.account_id] = refused

    async def settle(self) -> None:
        """Write down what calls left behind: when what was used, whose credentials are refused."""
        servers, tokens = self._gate.take_used()
        refusals, self._refusals = self._refusals, {}
        await self._store.servers.touch(servers)
        await self._store.api_tokens.touch(tokens)
        for account_id, refused in refusals.items():
            await self._control.accounts.note_refusal(account_id, refused=refused)

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                await self._round(rounds)
                self.unready = []
            except CrossdockError as error:
                # What is in memory goes on serving; /readyz says that it may be stale.
                if not self.unready:
                    log.error("store.unreachable", error=str(error))
                self.unready = [str(error)]
            except Exception as error:
                log.error("housekeeping.failed", exc_info=error)
            rounds += 1
            await asyncio.sleep(self._periods.seconds)

    async def _round(self, number: int) -> None:
        self._each_round()
        await self._tell_states(first=number == 0)
        await self._look_at_pages()
        asked = boottime()
        await self._sync.catch_up()
        self._heard(asked)
        if number % self._periods.tidy_rounds == 0:
            await self.settle()
            await self._expire()
            await self._adopt_tools()
        if number % self._periods.seen_rounds == 0:
            await self._be_seen()
        if number % self._periods.clock_rounds == 0 and (facts := await self._store.facts()):
            self._node_clock.ahead = facts.ahead
        if number % self._periods.forget_rounds == 0:
            await self._store.audit.forget(self._clock() - self._audit_kept)
            await self._store.approvals.forget(self._clock())
            await self._store.members.forget()
            if self._store.shared:
                await self._store.adapter_states.forget()

    async def _tell_states(self, *, first: bool) -> None:
        """Write down which adapters' code stalls or is left alone, when that changes."""
        if first:
            await self._store.adapter_states.forget()
        states = self._states()
        known = {(one.adapter, one.state): one.since for one in self._told_states}
        fresh = [
            AdapterState(
                adapter=name,
                state=fare.state,
                error=fare.error,
                since=known.get((name, fare.state), self._clock()),
            )
            for name, fare in states.items()
            if fare.state != "ok"
        ]
        if fresh != self._told_states:
            await self._store.adapter_states.put(self._store.members.me.id, fresh)
            self._told_states = fresh

    def _heard(self, asked: float) -> None:
        """Let the gate judge for a while longer by what the store said at this moment.

        A SQLite file is where this process is; a PostgreSQL may be out of reach for this one alone.
        """
        if self._store.shared:
            self._gate.good_until(asked + self._stale)

    async def _be_seen(self) -> None:
        """Tell the other processes that this one serves, and by which pages."""
        me = self._me()
        if me != self._store.members.me:
            await self._store.members.join(me)
        await self._store.members.seen()

    async def _look_at_pages(self) -> None:
        """Read changed pages, and tell who listens, whoever noticed it first.

        The disk is asked in a thread and never by who lists tools: it may be slow.
        """
        if await asyncio.to_thread(self._catalog.outdated):
            self._catalog.refresh()
        if self._catalog.generations != self._generations:
            self._generations = self._catalog.generations
            self._listeners.changed()

    async def _expire(self) -> None:
        if gone := (await self._store.expire()).servers:
            self._gate.expire({stub.token_hash: stub.expired_at for stub in gone})
            self._listeners.changed([("server", stub.server_id) for stub in gone])

    async def _adopt_tools(self) -> None:
        adapters = [(one.version, one.generation) for one in self._catalog.adapters.values()]
        opened = set(self._sync.opened)
        if (adapters == self._adopted and not opened) or not await self._may_adopt():
            return
        if adapters == self._adopted and len(opened) < _MANY:
            for account_id in opened:
                await self._control.servers.adopt_tools(account_id)
        else:
            await self._control.servers.adopt_tools()
        self._adopted = adapters
        self._sync.opened -= opened

    async def _may_adopt(self) -> bool:
        """Whether all that serve show the same tools, and this process is the eldest of them: while
        an upgrade goes from node to node, nobody takes back what another one adopted."""
        members = await self._store.members.all()
        if not members:
            return True
        eldest, mine = members[0], self._me().adapters
        return eldest.id == self._store.members.me.id and all(
            one.adapters == mine for one in members
        )
