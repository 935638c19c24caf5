"""A gateway that listens: start, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from crossdock.errors import ConfigError
from crossdock.gateway import Gateway
from crossdock.log import flush, logger
from crossdock.web.app import build
from crossdock.web.connections import BoundedRunner

log = logger(__name__)


class WebRunner:
    """A gateway that listens. `start` it, and `close` it in the end."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        limits = gateway.settings.limits
        self._runner = BoundedRunner(
            build(gateway),
            limits,
            access_log=None,
            handler_cancellation=True,
            auto_decompress=False,  # an encoded body is refused, not unpacked before we see it
            keepalive_timeout=limits.keepalive_seconds,
            shutdown_timeout=limits.shutdown_seconds,
        )
        self.url = ""

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the origin. Raises ConfigError when the port is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; "
                "choose another with --port"
            ) from None
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
        self._gateway.run()
        address = self._runner.addresses[0]
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{name}:{address[1]}"
        log.info("gateway.started", url=self.url)
        return self.url

    async def close(self) -> None:
        """Stop accepting, let running calls end, close the gateway."""
        self._gateway.draining = True
        await self._runner.cleanup()
        await self._gateway.close()
        log.info("gateway.stopped")
        flush()


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
