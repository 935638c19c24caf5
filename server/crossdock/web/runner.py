"""A gateway that listens: start, drain, stop.

A stop is to be noticed by nobody who comes through a proxy that knows another process. So what
was sent here is answered here: first nothing new is taken in, while for a moment whatever comes
over open connections is served; then streams are told to come back, and calls get to end.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from aiohttp import web

from crossdock.gateway import Gateway
from crossdock.log import flush, logger
from crossdock.web.app import build, hang_up, say_farewell
from crossdock.web.connections import BoundedRunner
from crossdock.web.sockets import BACKLOG, bind, origin, take_waiting

log = logger(__name__)

LINGER_SECONDS = 1.0
"""So long a connection goes on being served, and an idle one may still be used by a proxy."""

_CANCELLED_SECONDS = 0.5  # what is cancelled in the end may take so long to say so


class Worker(NamedTuple):
    """One of several processes behind one port: its number, and the sockets that its parent
    listens with, by their descriptors."""

    number: int
    listening: Sequence[int]


class WebRunner:
    """A gateway that listens. `start` it, and `close` it in the end."""

    def __init__(
        self, gateway: Gateway, *, linger: float = LINGER_SECONDS, worker: Worker | None = None
    ) -> None:
        self._gateway = gateway
        self._linger = linger
        self._worker = worker
        self._limits = limits = gateway.settings.limits
        self._app = build(gateway)
        self._runner = BoundedRunner(
            self._app,
            limits,
            access_log=None,
            handler_cancellation=True,
            auto_decompress=False,  # an encoded body is refused, not unpacked before we see it
            keepalive_timeout=limits.keepalive_seconds,
            shutdown_timeout=_CANCELLED_SECONDS,
        )
        self._listening: list[socket.socket] = []
        self.url = ""

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the origin. Raises ConfigError when the port is taken."""
        if self._worker is None:
            self._listening = bind(host, port)
        else:
            self._listening = [socket.socket(fileno=one) for one in self._worker.listening]
        await self._runner.setup()
        for one in self._listening:
            await web.SockSite(self._runner, one, backlog=BACKLOG).start()
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
        self._gateway.run()
        self.url = origin(self._listening[0])
        self._say("started", url=self.url)
        return self.url

    async def close(self) -> None:
        """Stop without a failed call; see above. In the end the gateway is closed."""
        self._gateway.draining = True  # /readyz says so, and answers close their connections
        await self._accept_no_more()
        await self._runner.bounds.deserted(self._linger)
        say_farewell(self._app)
        await self._runner.bounds.deserted(self._limits.shutdown_seconds, idle=self._linger)
        await hang_up(self._app)
        await self._runner.cleanup()
        await self._gateway.close()
        self._say("stopped")
        flush()

    def _say(self, what: str, **more: str) -> None:
        """Log it; where there are several workers, their parent speaks for the gateway."""
        who, known = "gateway", dict[str, Any](more)
        if self._worker is not None:
            who, known = "worker", {"worker": self._worker.number}
        event = f"{who}.{what}"
        log.info(event, **known)

    async def _accept_no_more(self) -> None:
        """Take what has connected already; let nobody else."""
        if self._runner.server is None:
            return
        spare = [one.dup() for one in self._listening]
        for site in self._runner.sites:
            await site.stop()
        loop = asyncio.get_running_loop()
        for one in take_waiting(spare):
            with suppress(OSError):  # it has gone meanwhile
                one.setblocking(False)
                await loop.connect_accepted_socket(self._runner.server, one)


@contextmanager
def signals() -> Iterator[asyncio.Event]:
    """Within this, SIGTERM and SIGINT set the event and interrupt nothing.

    Enter it before anything is opened: a start that was torn could not close what it opened.
    """
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    handled: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # On Windows Ctrl-C raises KeyboardInterrupt instead; threads but the first get no signal.
        with suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(number, told.set)
            handled.append(number)
    try:
        yield told
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
