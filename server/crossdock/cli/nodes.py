"""What `crossdock doctor` says of the processes that serve from one store, and what they need."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from crossdock.bus import Away, Bus
from crossdock.cli.doctor import Diagnosis, State
from crossdock.errors import ConfigError
from crossdock.store import Member
from crossdock.store.engine_facts import POOLED_SESSIONS

if TYPE_CHECKING:
    from crossdock.gateway import Gateway

_REACHED_WITHIN, _GLANCE = 3.0, 0.05
_LONG_SILENT = 60.0
_SILENT = 15.0
_SAID, _TOO_MUCH = 2.0, 30.0  # seconds between two clocks


async def processes(gateway: Gateway) -> list[Diagnosis]:
    """Compare those that serve: versions, adapters, configuration, keys, clocks, sums."""
    facts = await gateway.store.facts()
    if facts is None:
        return []  # SQLite is served by one
    members = await gateway.store.members.all(silent=_LONG_SILENT)
    known = sorted(members, key=lambda one: (one.node, one.worker))
    serving = [one for one in known if one.silent < _SILENT]
    found = [_listed(serving)]
    found += [Diagnosis("warn", "process", _silent(one)) for one in known if one not in serving]
    found += _differences(serving, gateway.member())
    found.append(_clock(facts.ahead))
    if gateway.settings.bus.url:
        found.append(await _bus(gateway, serving))
    found += _sums(gateway, max(len(serving), gateway.settings.server.workers), facts.sessions)
    return found


def _name(one: Member) -> str:
    return f"{one.node} {one.worker}"


def _listed(serving: Sequence[Member]) -> Diagnosis:
    if not serving:
        return Diagnosis("ok", "processes", "none serves from this store just now")
    nodes = len({one.node for one in serving})
    names = ", ".join(map(_name, serving))
    return Diagnosis("ok", "processes", f"{len(serving)} on {nodes} nodes: {names}")


def _silent(one: Member) -> str:
    return (
        f"{_name(one)} has said nothing for {one.silent:.0f} s: it was killed, hangs, or cannot "
        "reach the store. Look at that node"
    )


def _differences(serving: Sequence[Member], mine: Member) -> list[Diagnosis]:
    found = []
    if told := _unequal(serving, lambda one: one.version):
        text = f"{told}. Bring the upgrade to its end, node by node"
        found.append(Diagnosis("warn", "versions", text))
    for name in sorted({name for one in serving for name in one.adapters}):
        if told := _unequal(serving, partial(_edition, name)):
            text = f"{told}. Install the same one, with the same pages, on every node"
            found.append(Diagnosis("warn", f"adapter {name}", text))
    if told := _unequal(serving, lambda one: one.configuration):
        text = f"{told}. Only host, port, workers, node, trusted_proxies, [log] may differ"
        found.append(Diagnosis("warn", "configurations", text))
    elif serving and serving[0].configuration != mine.configuration:
        text = "the file here is not what those who serve have read; send them SIGHUP, or restart"
        found.append(Diagnosis("warn", "configurations", text))
    if told := _unequal(serving, lambda one: " ".join(sorted(one.keys))):
        text = f"{told}. Restart those that lack one if this is still so in a minute"
        found.append(Diagnosis("warn", "keys of processes", text))
    return found


def _edition(adapter: str, one: Member) -> str:
    return one.adapters.get(adapter, "none")


def _unequal(serving: Sequence[Member], what: Callable[[Member], str]) -> str:
    """Return who has which, in words; empty where all have the same."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for one in serving:
        groups[what(one)].append(_name(one))
    if len(groups) < 2:
        return ""
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in groups.items())


def _clock(ahead: float) -> Diagnosis:
    off, way = abs(ahead), "ahead of" if ahead > 0 else "behind"
    if off <= _SAID:
        return Diagnosis("ok", "clock", f"{off:.1f} s {way} the store's")
    remedy = "Let this machine and the database's follow a time server"
    state: State = "warn" if off <= _TOO_MUCH else "fail"
    return Diagnosis(state, "clock", f"{off:.0f} s {way} the store's. {remedy}")


async def _bus(gateway: Gateway, serving: Sequence[Member]) -> Diagnosis:
    try:
        bus = await gateway.another_bus()
    except ConfigError as error:
        return Diagnosis("fail", "bus", str(error))
    bus.run()
    try:
        absent = await _absent(bus, serving)
        if absent is None:
            text = f"{bus.trouble}. Calls are served; what has to cross processes is not"
            return Diagnosis("fail", "bus", text)
    finally:
        await bus.close()
    if absent:
        names = ", ".join(map(_name, absent))
        return Diagnosis("warn", "bus", f"not on it: {names}. Do all name the same [bus] url?")
    return Diagnosis("ok", "bus", f"{len(serving)} processes are on it")


async def _absent(bus: Bus, serving: Sequence[Member]) -> list[Member] | None:
    """Return who is not on the bus; None if it cannot be reached."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REACHED_WITHIN):
            while True:
                if not bus.trouble:
                    with contextlib.suppress(Away):
                        absent = await bus.absent([one.id for one in serving])
                        return [one for one in serving if one.id in absent]
                await asyncio.sleep(_GLANCE)
    return None


def _sums(gateway: Gateway, count: int, sessions: int) -> list[Diagnosis]:
    limits = gateway.settings.limits
    each = POOLED_SESSIONS + limits.locks_at_once + 1
    words = f"{count} processes × {each} = {count * each} of {sessions}"
    if count * each > sessions:
        text = f"{words}. Raise PostgreSQL's max_connections, or lower limits.locks_at_once"
        found = [Diagnosis("warn", "store's sessions", text)]
    else:
        found = [Diagnosis("ok", "store's sessions", words)]
    names = ("calls_in_all", "streams_in_all", "connections")
    sums = ", ".join(f"{name} {count * getattr(limits, name)}" for name in names)
    return [*found, Diagnosis("ok", "limits in all", f"of {count} processes: {sums}")]
