"""Calls without a pause, made while something else happens, and what came of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientError
from harness.patience import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.cluster import ClusterServer

CALLERS = 4


class Load:
    """Reads of a server of Malomo's sandbox, by a few callers at once."""

    def __init__(self, server: ClusterServer) -> None:
        self._server = server
        self._over = False
        self.made = 0
        self.failed: list[str] = []

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Call until the block ends."""
        callers = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        try:
            await self.more()
            yield
            await self.more()
        finally:
            self._over = True
            await asyncio.gather(*callers)

    async def more(self) -> None:
        """Wait until as many calls were made as there are callers, twice."""
        enough = self.made + 2 * CALLERS
        await until(lambda: self.made >= enough, 60)

    async def _call(self) -> None:
        while not self._over:
            self.made += 1
            try:
                called = await self._server.call("list_all_malomo_orders", {"limit": 1})
                if called.is_error:
                    self.failed.append(called.text)
            except (ClientError, TimeoutError, AssertionError) as error:
                self.failed.append(repr(error)[:300])
