"""A call's context for a mapper that runs on a loop of its own: every step is made on ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

from crossdock.authoring import (
    Context,
    HumanReply,
    LogLevel,
    Question,
    UpstreamReply,
    UpstreamRequest,
)
from crossdock.calls.across import Trip, across
from crossdock.errors import Busy

T = TypeVar("T")


class FarContext:
    """Implements Context. Once `close` was called, nothing goes on for this call any more."""

    def __init__(self, near: Context, home: asyncio.AbstractEventLoop) -> None:
        self._near = near
        self._home = home
        self._closed = False
        self._trips: set[Trip] = set()

    def close(self) -> None:
        """End what the mapper has under way, its locks too: its call is over."""
        self._closed = True
        for trip in tuple(self._trips):
            trip.cancel()

    async def _hop(self, make: Callable[[], Awaitable[T]]) -> T:
        async def unless_over() -> T:
            if self._closed:  # asked on the home loop, so nothing can slip through after `close`
                raise Busy("The call is over; nothing was sent.")
            return await make()

        trip = Trip(self._home, unless_over)
        self._trips.add(trip)
        try:
            answer: T = await trip.answer()
            return answer
        finally:
            self._trips.discard(trip)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The account's settings, defaults included."""
        return self._near.settings

    @property
    def objects(self) -> tuple[str, ...] | None:
        """The kinds of records that the server may see."""
        return self._near.objects

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once. Raises UpstreamFailure for everything but a 2xx answer."""
        return await self._hop(lambda: self._near.send(request))

    async def fetch(self, path: str, **query: str) -> Any:
        """GET `path` and decode the JSON answer."""
        return await self._hop(lambda: self._near.fetch(path, **query))

    def exclusive(self, key: str) -> AbstractAsyncContextManager[None]:
        """Serialise a read-modify-write on this tenant."""
        return self._exclusive(key)

    @asynccontextmanager
    async def _exclusive(self, key: str) -> AsyncIterator[None]:
        # One task there takes the lock and gives it back, whatever becomes of this loop.
        here = asyncio.get_running_loop()
        held: asyncio.Future[None] = here.create_future()
        release = asyncio.Event()

        async def hold() -> None:
            async with self._near.exclusive(key):
                here.call_soon_threadsafe(_done, held)
                await release.wait()

        holding = asyncio.ensure_future(self._hop(hold))
        try:
            await asyncio.wait({holding, held}, return_when=asyncio.FIRST_COMPLETED)
            if holding.done():
                await holding  # it was refused
            yield
        finally:
            self._home.call_soon_threadsafe(release.set)
            if not held.done():
                holding.cancel()
            await asyncio.wait({holding})
            if not holding.cancelled() and (error := holding.exception()) and held.done():
                raise error

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Keep ids and names of this account for `ttl` seconds."""
        here = asyncio.get_running_loop()
        return await self._hop(lambda: self._near.remember(key, ttl, lambda: across(here, make)))

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell the client how far the call is."""
        await self._hop(lambda: self._near.progress(done, total, message))

    async def log(self, level: LogLevel, data: Any) -> None:
        """Send the client a log message, if it wants that level."""
        await self._hop(lambda: self._near.log(level, data))

    def can_ask(self, method: str = "elicitation/create") -> bool:
        """Whether the client can be asked this way."""
        return self._near.can_ask(method)

    async def ask(self, key: str, message: str, schema: Mapping[str, Any]) -> HumanReply:
        """Ask the human for a flat object of this JSON Schema."""
        return await self._hop(lambda: self._near.ask(key, message, schema))

    async def ask_all(self, *questions: Question) -> Mapping[str, Any]:
        """Ask several things at once; return the client's results by key."""
        return await self._hop(lambda: self._near.ask_all(*questions))

    async def release(self) -> None:
        """Let a client that can come back for its answer hang up."""
        await self._hop(self._near.release)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
