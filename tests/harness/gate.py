"""A gate before the scripted provider: what calls ask of it waits until the test opens it."""

from __future__ import annotations

import asyncio

from aiohttp import web
from harness.provider import Provider, reply


class Gate:
    """Holds every request to the provider until it is opened."""

    def __init__(self, provider: Provider) -> None:
        self._open = asyncio.Event()
        self.cancelled = 0
        self.provider = provider
        provider.plays(self._play)

    async def _play(self, request: web.Request) -> web.StreamResponse:
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await reply({"held": True})(request)

    @property
    def reached(self) -> bool:
        """Whether a request is or was held."""
        return bool(self.provider.requests)

    def open(self) -> None:
        """Let everything through."""
        self._open.set()
