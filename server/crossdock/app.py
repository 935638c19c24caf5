"""The composition root: an open Gateway → web.Application. Reads as a list."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable

from aiohttp import web

from crossdock.errors import ConfigError
from crossdock.gateway import Gateway
from crossdock.log import logger
from crossdock.web import (
    admin,
    connect,
    health,
    keys,
    legacy_sse,
    listening,
    numbers,
    openapi,
    streamable,
)
from crossdock.web.guards import MIDDLEWARES, QuietRunner, end_outliving
from crossdock.web.origins import Origins
from crossdock.web.pulse import Pulse

log = logger(__name__)


def build(gateway: Gateway) -> web.Application:
    """Return the web application of an open gateway. Its owner closes the gateway."""
    settings = gateway.settings
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=settings.limits.body_bytes)
    app[keys.settings] = settings
    app[keys.gate] = gateway.gate
    app[keys.dispatcher] = gateway.dispatcher
    app[keys.tools] = gateway.calls
    app[keys.origins] = Origins(settings.server)
    app[admin.control_key] = gateway.control
    app[health.ready_key] = lambda: gateway.unready
    app[numbers.text_key] = gateway.metrics.text
    app[openapi.document_key] = openapi.document(admin.ROUTES)
    app[keys.pulse] = Pulse(settings.limits.quiet_seconds, gateway.listeners.check)
    app[keys.outliving] = set()
    app[legacy_sse.streams_key] = {}
    app.on_shutdown.append(_hang_up)
    # The router tries paths in this order, and nearly every request is for the first.
    for path in ("/mcp/{token}", "/mcp", "/mcp/{token}/"):
        app.router.add_post(path, streamable.post)
        app.router.add_get(path, connect.in_browsers(listening.get), allow_head=False)
        app.router.add_delete(path, listening.delete)
        app.router.add_route("OPTIONS", path, streamable.options)
    for path in ("/mcp", "/mcp/{token}"):
        app.router.add_get(f"{path}/sse", legacy_sse.get, allow_head=False)
        app.router.add_post(f"{path}/messages", legacy_sse.post)
        for part in ("sse", "messages"):
            app.router.add_route("OPTIONS", f"{path}/{part}", streamable.options)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz)
    app.router.add_get("/metrics", numbers.metrics)
    app.router.add_get("/openapi.json", openapi.openapi)
    connect.add_routes(app.router)
    admin.add_routes(app.router)
    return app


async def _hang_up(app: web.Application) -> None:
    """End what would keep connections open for ever, so that the rest can finish."""
    dispatcher = app[keys.dispatcher]
    dispatcher.listeners.close()
    dispatcher.streams.close()
    app[keys.pulse].stop()
    await end_outliving(app)


class Listener:
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
        self._gateway.unready = ["the gateway is shutting down"]
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
