"""`crossdock serve`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.output import Config


def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, Parameter(help="Listen here instead of [server] host.")] = None,
    port: Annotated[
        int | None,
        Parameter(help="Listen here instead of [server] port.", validator=Number(gte=0, lte=65535)),
    ] = None,
    workers: Annotated[
        int | None, Parameter(help="Processes; only 1 for now.", validator=Number(gte=1))
    ] = None,
) -> int:
    """Run the gateway until SIGTERM or Ctrl-C.

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
    log.configure(settings.log.level, settings.log.format, gather=True)
    _loop().run(_serve(settings))
    return 0


async def _serve(settings: object) -> None:
    from crossdock.config import Settings
    from crossdock.gateway import Gateway
    from crossdock.web.runner import WebRunner, signals

    assert isinstance(settings, Settings)
    with signals() as told:
        gateway = await Gateway.open(settings, serving=True)
        listener = WebRunner(gateway)
        try:
            await listener.start(settings.server.host, settings.server.port)
            await told.wait()
        finally:
            await listener.close()


def _loop() -> asyncio.Runner:
    """Return a runner on uvloop where it is installed: it saves a tenth of every call."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)
