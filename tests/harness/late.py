"""A provider's doorman: passes requests on, and writes only when told to, whoever still waits.

As a provider that got a write and carries it out later, although its sender is dead by then.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientSession, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Doorman:
    """Stands before a sandbox, at `url`. While `holding`, each PUT waits for `let_in`."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._http: ClientSession | None = None
        self.url = ""
        self.arrived = 0
        self.done = 0

    def hold(self) -> None:
        """Keep writes back from now on."""
        self._open.clear()

    def let_in(self) -> None:
        """Carry out what was kept back."""
        self._open.set()

    async def _pass(self, request: web.Request) -> web.Response:
        body = await request.read()
        # Whoever asked may go: what has arrived is carried out.
        return await asyncio.shield(asyncio.create_task(self._carried_out(request, body)))

    async def _carried_out(self, request: web.Request, body: bytes) -> web.Response:
        if request.method == "PUT":
            self.arrived += 1
            await self._open.wait()
        kept = {"Authorization", "Content-Type"}
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        assert self._http is not None
        async with self._http.request(
            request.method, self._target + request.path_qs, data=body, headers=headers
        ) as reply:
            answer = web.Response(
                status=reply.status,
                body=await reply.read(),
                headers={"Content-Type": reply.headers.get("Content-Type", "application/json")},
            )
        self.done += request.method == "PUT"
        return answer


@asynccontextmanager
async def standing(target: str) -> AsyncIterator[Doorman]:
    """Have a doorman before the sandbox at `target`."""
    doorman = Doorman(target)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", doorman._pass)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    doorman.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with ClientSession() as doorman._http:
        yield doorman
        doorman.let_in()
        await runner.cleanup()
