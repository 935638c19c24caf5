"""Fixtures of the wire tests.

What a revision says on the wire does not depend on earlier calls, so those tests share one gateway:
a module that uses `server` and `upstream` says `pytestmark = pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from harness import acme, running
from harness.canaries import Canaries, listen
from harness.provider import Provider, reply
from harness.running import Server, Shared


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, log_stream: io.StringIO
) -> AsyncIterator[Shared]:
    """The gateway that tests of the protocol share."""
    async with _served(tmp_path_factory.mktemp("shared"), empty_store, log_stream) as made:
        yield made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def impatient(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, log_stream: io.StringIO
) -> AsyncIterator[Shared]:
    """The same with deadlines that a test can wait for."""
    folder = tmp_path_factory.mktemp("impatient")
    async with _served(folder, empty_store, log_stream, running.SHORT) as made:
        yield made


@asynccontextmanager
async def _served(
    folder: Path,
    empty_store: Path,
    log_stream: io.StringIO,
    limits: Mapping[str, float] = running.SMALL,
) -> AsyncIterator[Shared]:
    listen(log_stream)
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
            settings={"limits": limits},
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
