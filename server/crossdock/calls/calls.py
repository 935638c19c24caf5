"""The way of a call between protocol and provider: find, split, map, read.

Knows no HTTP server and no JSON-RPC. Nothing of a provider's data outlives the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from crossdock.adapter.arguments import OpenCursor, split
from crossdock.authoring import Call, CallEvent, Outcome, Page, Tool, UpstreamRequest
from crossdock.calls.adapter_threads import AdapterThreads
from crossdock.calls.answers import broken, finished, resumed, weight_of
from crossdock.calls.catalog import Bound, Catalog
from crossdock.calls.confirmation import confirmed
from crossdock.calls.connection import Connections, Measured
from crossdock.calls.context import CallContext
from crossdock.calls.cursors import Cursors
from crossdock.calls.deadlines import Deadlines
from crossdock.calls.slots import Slot, Slots
from crossdock.config import LimitSettings
from crossdock.errors import (
    BadToolOutput,
    Conflict,
    CrossdockError,
    ToolFailure,
    UnknownTool,
    UpstreamFailure,
    WriteOutcomeUnknown,
    in_doubt,
)
from crossdock.log import logger
from crossdock.model import Account, Code, Grant, Peer, ToolList

log = logger(__name__)


class Calls:
    """Runs tools. Implements the protocol layer's `Tools`."""

    def __init__(
        self,
        catalog: Catalog,
        connections: Connections,
        cursors: Cursors,
        limits: LimitSettings,
        finished: Callable[[CallEvent], None],
        *,
        room: Callable[[], Awaitable[None]],
        unknown: Callable[[Grant, str, str], None],
        threads: AdapterThreads,
    ) -> None:
        self._catalog = catalog
        self._connections = connections
        self._cursors = cursors
        self._limits = limits
        self._finished = finished
        self._room = room
        self._unknown = unknown
        self._threads = threads
        # The lazy loggers would be made anew for every line.
        self._lines = {ours: logger(__name__, ours=ours).bind() for ours in (False, True)}
        self._slots = Slots(limits)
        self._deadlines = Deadlines()
        self._steps: dict[asyncio.Task[Any] | None, Tool] = {}
        self._writes: set[asyncio.Task[Outcome]] = set()

    def list(self, grant: Grant) -> ToolList:
        """Return the grant's tools."""
        return self._catalog.listing(grant)

    async def call(
        self, grant: Grant, name: str, arguments: msgspec.Raw | None, client: Peer
    ) -> Outcome:
        """Run a tool. Raises UnknownTool, ToolFailure, or what the client raises."""
        try:
            bound = self._catalog.find(grant, name)
        except UnknownTool:
            await self._room()  # it leaves a line as well
            self._unknown(grant, name, client.request_id)
            raise
        if bound.binding.tool.headers:
            client.check_headers(bound.binding.tool.headers, arguments)
        slot = self._slots.enter(grant)
        measured = Measured(slot.read)
        run = self._run(grant, bound, arguments, client, measured, slot)
        if bound.binding.tool.effect == "read":
            outcome = await run
        else:
            outcome = await self._shielded(run, measured, slot)
        slot.weigh(weight_of(outcome))
        client.afterwards(slot.leave)
        return outcome

    @property
    def running(self) -> int:
        """How many calls are under way."""
        return self._slots.running

    def who(self, task: asyncio.Task[Any] | None) -> tuple[str, str]:
        """Return adapter and tool of the call that runs in a task; empty where none does."""
        tool = self._steps.get(task)
        return ("", "") if tool is None else (tool.adapter, tool.name)

    @property
    def bytes(self) -> int:
        """How many bytes large answers hold that are being read or written."""
        return self._slots.bytes

    @property
    def asking(self) -> int:
        """How many calls wait for a human."""
        return self._slots.asking

    async def verify(self, account: Account) -> None:
        """Make the adapter's verification call, `[verify]`, once.

        Raises UpstreamFailure, or ConfigError for an account that cannot be opened.
        """
        adapter = self._catalog.adapters[account.integration]
        verify = adapter.manifest.verify
        if verify is None:
            raise CrossdockError(f"{adapter.name} declares no [verify]")
        path, _, query = verify.get.partition("?")
        request = UpstreamRequest(verb="GET", path=path, query=tuple(parse_qsl(query)))
        try:
            with self._deadlines.within(self._limits.read_seconds):
                await self._connections.of(account, adapter).send(request, Measured())
        except TimeoutError:
            raise UpstreamFailure(
                "upstream_timeout", "The provider did not answer in time.", retryable=True
            ) from None

    async def exchange(self, account: Account, given: Code) -> Mapping[str, str]:
        """Change a person's consent into credentials that are to be kept. Raises UpstreamFailure,
        or ConfigError for an account that cannot be opened."""
        adapter = self._catalog.adapters[account.integration]
        connection = self._connections.of(account, adapter)
        return await connection.connected(given.code, given.verifier, given.redirect)

    async def drain(self) -> None:
        """Wait for the writes whose clients have gone."""
        if self._writes:
            await asyncio.wait(self._writes)

    # --- one call ----------------------------------------------------------------------------

    async def _shielded(
        self, run: Coroutine[Any, Any, Outcome], measured: Measured, slot: Slot
    ) -> Outcome:
        """A write that has begun goes on to its end when its client goes away: half a write, not
        read back, helps nobody. One that has sent nothing yet is given up."""
        task: asyncio.Task[Outcome] = asyncio.create_task(run)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda _: slot.leave())  # nobody is there to take its answer
            if not measured.wrote:
                task.cancel()
            raise

    async def _run(
        self,
        grant: Grant,
        bound: Bound,
        arguments: msgspec.Raw | None,
        client: Peer,
        measured: Measured,
        slot: Slot,
    ) -> Outcome:
        task = asyncio.current_task()
        self._steps[task] = bound.binding.tool
        try:
            await self._room()  # a call whose line could not be kept must not be made
            return await self._noted(grant, bound, arguments, client, measured, slot)
        except BaseException:
            slot.leave()
            raise
        finally:
            del self._steps[task]

    async def _noted(
        self,
        grant: Grant,
        bound: Bound,
        arguments: msgspec.Raw | None,
        client: Peer,
        measured: Measured,
        slot: Slot,
    ) -> Outcome:
        tool = bound.binding.tool
        outcome = "internal"
        try:
            call = split(bound.binding, arguments, self._opener(grant, tool))
            connection = self._connections.of(bound.account, bound.adapter)
            context = CallContext(
                connection, measured, client, objects=grant.scope.objects, lent=slot.lent
            )
            if tool.confirm is not None and grant.scope.confirm == "destructive":
                await confirmed(bound.binding, call, context)
            mapped = await self._mapped(bound, resumed(call), context)
            try:
                answer = connection.hiding(self._answer(grant, call, mapped))
            except ToolFailure as failure:
                raise _honest(failure, tool, measured) from None
            outcome = "ok"
            return answer
        except CrossdockError as error:
            outcome = error.kind
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as error:  # a plugin may raise anything
            log.error("mapper.failed", tool=tool.name, adapter=tool.adapter, exc_info=error)
            failed = _unforeseen(tool, measured)
            outcome = failed.kind
            raise failed from error
        finally:
            self._finish(grant, bound, client.request_id, outcome, measured)

    def _opener(self, grant: Grant, tool: Tool) -> OpenCursor:
        return lambda cursor, chosen: self._cursors.open(cursor, grant.server_id, tool.name, chosen)

    async def _mapped(self, bound: Bound, call: Call, context: CallContext) -> Outcome:
        tool = bound.binding.tool
        limit = self._limits.read_seconds if tool.effect == "read" else self._limits.write_seconds
        try:
            with self._deadlines.within(limit) as deadline:
                context.deadline, context.reads = deadline, tool.effect == "read"
                outcome = await self._ran(bound, call, context)
        except TimeoutError:
            self._threads.overran(bound.adapter, tool, context)
            raise _too_late(tool, context, limit) from None
        except (UpstreamFailure, BadToolOutput) as failure:
            raise _honest(failure, tool, context.measured) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            why = broken(tool, "it cancelled itself")
            raise _honest(why, tool, context.measured) from None
        if not isinstance(outcome, Outcome):
            why = broken(tool, f"it returned {type(outcome).__name__}, not an Outcome")
            raise _honest(why, tool, context.measured)
        return outcome

    async def _ran(self, bound: Bound, call: Call, context: CallContext) -> Outcome:
        thread = self._threads.of(bound.adapter)
        if thread is None:
            return await bound.binding.mapper(call, context)
        return await thread.mapped(bound.binding.mapper, call, context)

    def _answer(self, grant: Grant, call: Call, outcome: Outcome) -> Outcome:
        def seal(page: Page) -> str:
            return self._cursors.seal(page, grant.server_id, call.tool.name, call.filters)

        tokens = grant.scope.answer_tokens or self._limits.answer_tokens
        return finished(call, outcome, tokens, seal)

    def _finish(
        self,
        grant: Grant,
        bound: Bound,
        request_id: str,
        outcome: str,
        measured: Measured,
    ) -> None:
        seconds = time.monotonic() - measured.started
        event = CallEvent(
            request_id=request_id,
            server_id=grant.server_id,
            account_id=grant.account_id,
            adapter=bound.adapter.name,
            tool=bound.binding.tool.name,
            effect=bound.binding.tool.effect,
            outcome=outcome,
            upstream_status=measured.status,
            upstream_requests=measured.requests,
            seconds=seconds,
            upstream_seconds=measured.seconds,
            second_factor=grant.second_factor,
        )
        # The kinds of failures may be an adapter's own words.
        self._lines[outcome == "ok"].info(
            "call.finished",
            request_id=request_id,
            server=event.server_id,
            account=event.account_id,
            tool=event.tool,
            outcome=outcome,
            upstream_status=event.upstream_status,
            upstream_requests=event.upstream_requests,
            ms=round(seconds * 1000, 1),
            upstream_ms=round(event.upstream_seconds * 1000, 1),
        )
        self._finished(event)


def _too_late(tool: Tool, context: CallContext, limit: float) -> ToolFailure:
    if tool.effect != "read" and context.measured.wrote:
        return WriteOutcomeUnknown(in_doubt(f"The call was ended after {limit:g} s."))
    return UpstreamFailure(
        "upstream_timeout", f"The call was ended after {limit:g} s.", retryable=True
    )


def _honest(failure: ToolFailure, tool: Tool, measured: Measured) -> ToolFailure:
    """Say of a call that failed after a write was sent that it may have been carried out."""
    if tool.effect == "read" or not measured.wrote or isinstance(failure, Conflict):
        return failure
    if not isinstance(failure, UpstreamFailure):
        return WriteOutcomeUnknown(in_doubt(failure), cause=failure.kind)
    if failure.rejected and not measured.accepted:
        return failure
    if failure.status is None or measured.accepted:
        return WriteOutcomeUnknown.after(failure)
    return UpstreamFailure(
        failure.kind, in_doubt(failure), status=failure.status, rate=failure.rate
    )


def _unforeseen(tool: Tool, measured: Measured) -> ToolFailure:
    """Return what to say of a fault in a plugin, or in us, whose details are in the log."""
    words = f"The adapter's code of {tool.name} failed."
    if tool.effect != "read" and measured.wrote:
        return WriteOutcomeUnknown(in_doubt(words), cause="internal")
    return ToolFailure(f"{words} Nothing was written; the gateway's log says more.")
