"""Wrong tokens counted by where they came from: too many in a minute, and more are put off.

Right ones are not asked about, so nobody can shut a door on somebody else. One network is one
IPv4 address or one IPv6 /64, which is what one subscriber has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from cachetools import TTLCache

_NETWORKS = 10_000  # of more than these at a time the least recent are forgotten; `in_all` stays


class _Window:
    """Failures since a moment, until another."""

    __slots__ = ("ends", "failures")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.failures = 0


class Attempts:
    """A budget of `most` failures for each network, and of `in_all`, within `seconds`.

    `clock` gives seconds.
    """

    def __init__(
        self, clock: Callable[[], float], *, most: int, in_all: int, seconds: float = 60.0
    ) -> None:
        self._clock = clock
        self._most = most
        self._in_all = in_all
        self._seconds = seconds
        self._windows: TTLCache[str, _Window] = TTLCache(_NETWORKS, seconds, timer=clock)
        self._all = _Window(clock() + seconds)

    def fail(self, address: IPv4Address | IPv6Address | None) -> int:
        """Count a failure; return how many seconds to wait if the budget was spent before."""
        waits = self.wait(address)
        if not waits:
            self._window(network_of(address)).failures += 1
            self._all.failures += 1
        return waits

    def wait(self, address: IPv4Address | IPv6Address | None) -> int:
        """Return after how many seconds this address may fail again; 0 while it may now."""
        now = self._clock()
        if now >= self._all.ends:
            self._all = _Window(now + self._seconds)
        own = self._windows.get(network_of(address))
        if self._all.failures >= self._in_all:
            return self._left(self._all, now)
        if own is not None and own.failures >= self._most:
            return self._left(own, now)
        return 0

    def _window(self, network: str) -> _Window:
        known = self._windows.get(network)
        if known is None:
            known = self._windows[network] = _Window(self._clock() + self._seconds)
        return known

    def _left(self, window: _Window, now: float) -> int:
        return max(1, math.ceil(min(window.ends - now, self._seconds)))


def network_of(address: IPv4Address | IPv6Address | None) -> str:
    """Return what counts as one place: an IPv4 address, an IPv6 /64, or nowhere known."""
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return "unknown" if address is None else str(address)
