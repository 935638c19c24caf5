"""Two gateways on one store and one bus, as one client sees them whom no proxy sticks to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from harness.engines import Redis
from harness.patience import until
from harness.running import Running, Server
from harness.streaming import Talk


class Pair(NamedTuple):
    """Two gateways, and an MCP server that both know, spoken to at each."""

    a: Running
    b: Running
    at_a: Server
    at_b: Server
    redis: Redis
    start: Callable[[], Awaitable[Running]]

    async def known(self) -> bool:
        """Whether B has heard of the MCP server."""
        return (await self.at_b.send("tools/list")).status == 200

    async def talks(self, revision: str, **capabilities: Any) -> tuple[Talk, Talk]:
        """Begin a session at A; return it as it is spoken at A and at B."""
        first = Talk(self.a, self.at_a, revision)
        if revision != "2026-07-28":
            await first.initialize(**capabilities)
        second = Talk(self.b, self.at_b, revision)
        second.session = first.session
        return first, second

    async def joined(self) -> None:
        """Wait until both reach each other."""
        for one in (self.a, self.b):
            await until(lambda one=one: not one.gateway.bus.trouble)

    async def parted(self) -> None:
        """Wait until both know that they do not reach each other."""
        for one in (self.a, self.b):
            await until(lambda one=one: one.gateway.bus.trouble)
