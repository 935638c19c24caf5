"""A gateway that listens: start, drain, stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable

from aiohttp import web

from crossdock.errors import ConfigError
from crossdock.gateway import Gateway
from crossdock.log import logger
from crossdock.web.app import build
from crossdock.web.guards import QuietRunner

log = logger(__name__)


class WebRunner:
    """A gateway that listens. `start` it, and `close` it in the end."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        limits = gateway.settings.limits
        self._runner = QuietRunner(
            build(gateway),
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
        self._gateway.run()
        # What start-up made lives as long as the process; the collector need not walk it again.
        gc.collect()
        gc.freeze()
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


async def until_told() -> None:
    """Wait for SIGTERM or SIGINT."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    handlers: list[Callable[[], object]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, told.set)
            handlers.append(lambda n=number: loop.remove_signal_handler(n))  # type: ignore[misc]
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
            pass
    try:
        await told.wait()
    finally:
        for remove in handlers:
            remove()
