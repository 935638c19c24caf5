"""Fixtures of the wire tests.

What a revision says on the wire does not depend on earlier calls, so those tests share one gateway:
a module that uses `server` and `upstream` says `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from harness import acme, running
from harness.canaries import Canaries
from harness.provider import Provider, reply
from harness.running import Running, Server

from crossdock import log


class Shared(NamedTuple):
    """One gateway with the account `shop` on a scripted provider, through the test adapter."""

    running: Running
    provider: Provider
    server: Server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, log_stream: io.StringIO
) -> AsyncIterator[Shared]:
    """The gateway that tests of the protocol share."""
    log.configure("debug", "json", log_stream)
    folder = tmp_path_factory.mktemp("shared")
    acme.write(folder / "plugins")
    canaries = Canaries(log_stream)
    async with AsyncExitStack() as stack:
        provider = Provider()
        runner = await provider.start()
        stack.push_async_callback(runner.cleanup)
        gateway = await running.start(
            stack,
            folder,
            empty_store,
            canaries,
            adapters=["acme"],
            accounts={"shop": acme.account(provider.url)},
            settings={"limits": running.SHORT},
        )
        yield Shared(gateway, provider, await gateway.server())
    canaries.check()


@pytest.fixture
def upstream(shared: Shared) -> Provider:
    """The scripted provider behind `server`, with nothing told and nothing received."""
    shared.provider.plays(reply({"ok": True}))
    return shared.provider


@pytest.fixture
def server(shared: Shared, upstream: Provider) -> Server:
    """An MCP server that may do everything with the scripted provider."""
    return shared.server
