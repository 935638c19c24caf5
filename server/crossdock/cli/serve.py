"""`crossdock serve`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.output import Config
from crossdock.cli.worker import Orders

if TYPE_CHECKING:
    from pathlib import Path

    from crossdock.config import Settings


def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, Parameter(help="Listen here instead of [server] host.")] = None,
    port: Annotated[
        int | None,
        Parameter(help="Listen here instead of [server] port.", validator=Number(gte=0, lte=65535)),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(
            help="Processes, instead of [server] workers. More than one need PostgreSQL and Redis.",
            validator=Number(gte=1),
        ),
    ] = None,
    as_worker: Annotated[str | None, Parameter(show=False)] = None,
) -> int:
    """Run the gateway until SIGTERM or Ctrl-C. On SIGHUP workers are replaced one by one.

    Example: `crossdock serve --config /etc/crossdock/config.toml --port 8787`
    """
    from crossdock import log
    from crossdock.config import check_settings, load_settings

    settings = load_settings(config)
    given = {"host": host, "port": port, "workers": workers}
    changes = {name: value for name, value in given.items() if value is not None}
    if changes:
        server = msgspec.structs.replace(settings.server, **changes)
        settings = msgspec.structs.replace(settings, server=server)
        check_settings(settings, "command line")
    orders = None if as_worker is None else msgspec.json.decode(as_worker, type=Orders)
    # What a start has to say is said by the first worker; the others speak once they stand.
    level = "critical" if orders and orders.number > 1 else settings.log.level
    log.configure(level, settings.log.format, gather=True)
    if settings.server.workers > 1 and orders is None:
        return _serve_by_workers(settings, config)
    _loop().run(_serve(settings, orders))
    return 0


async def _serve(settings: Settings, orders: Orders | None) -> None:
    from crossdock import log
    from crossdock.cli.worker import ParentLine
    from crossdock.gateway import Gateway
    from crossdock.web.runner import WebRunner, Worker, signals

    with signals() as told:
        _outlive_hangup(asyncio.get_running_loop())
        gateway = await Gateway.open(settings, serving=True, worker=orders.number if orders else 1)
        log.configure(settings.log.level, settings.log.format, gather=True)
        line = ParentLine(orders, gateway.metrics.exposition) if orders else None
        gateway.siblings = line.siblings if line else None
        worker = Worker(orders.number, orders.listening) if orders else None
        listener = WebRunner(gateway, worker=worker)
        try:
            await listener.start(settings.server.host, settings.server.port)
            if line:
                await line.open(told.set)
            await told.wait()
        finally:
            await listener.close()
            if line:
                await line.close()


def _outlive_hangup(loop: asyncio.AbstractEventLoop) -> None:
    """Let SIGHUP, which means "reload" to a service, not end the one process that serves."""
    import signal
    import sys

    from crossdock.log import logger

    if sys.platform == "win32" or (sys.stdin is not None and sys.stdin.isatty()):
        return  # a terminal that is closed ends what runs in it
    remedy = "one process serves and nothing is replaced; restart it"
    with contextlib.suppress(ValueError):  # threads but the first get no signal
        loop.add_signal_handler(
            signal.SIGHUP, lambda: logger(__name__).warning("reload.ignored", remedy=remedy)
        )


def _serve_by_workers(settings: Settings, config: Path | None) -> int:
    """Be the parent of workers that get the same words."""
    import sys

    from crossdock.cli.workers import run
    from crossdock.errors import ConfigError
    from crossdock.web.sockets import bind

    if sys.platform == "win32":
        raise ConfigError("several workers need a POSIX system; set server.workers = 1")
    server = settings.server
    words = ["serve", "--host", server.host, "--port", str(server.port)]
    words += ["--workers", str(server.workers)]
    if config is not None:
        words += ["--config", str(config)]
    if "--debug" in sys.argv:
        words.append("--debug")
    return run(words, bind(server.host, server.port), settings)


def _loop() -> asyncio.Runner:
    """Return a runner on uvloop where it is installed: it saves a tenth of every call."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
