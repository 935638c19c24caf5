"""The external clients, for tests that ask whether a stranger's program can use the gateway."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import ModuleType

import pytest
from clients import environments
from harness import far_side, stdio
from harness.far_side import FarSide
from harness.stdio import Bridge, Host

from crossdock.web.bundles import ASSETS


@pytest.fixture(scope="session")
def clients() -> ModuleType:
    """Give tests/clients/environments.py: `await clients.drive("mcp2", url, steps)`.

    A client that cannot be installed skips the test that asks for it; in CI it fails the test.
    """
    return environments


@pytest.fixture(params=["python", "node"])
def bridge(request: pytest.FixtureRequest, clients: ModuleType) -> Bridge:
    """Start the bridge: `async with bridge(url, "--header", …) as host`."""
    if request.param == "python":
        command = [sys.executable, "-m", "crossdock", "connect"]
    else:
        command = [str(environments.node()), str(ASSETS / "connect.mjs")]

    def start(url: str, *options: str, **environment: str) -> AbstractAsyncContextManager[Host]:
        return stdio.started(
            [*command, *options],
            {"CROSSDOCK_URL": url, **environment},
            secret=url.rpartition("/")[2],
        )

    return start


@pytest.fixture
async def far() -> AsyncIterator[FarSide]:
    """The far side of a bridge, which answers as the test tells it to."""
    async with far_side.listening() as side:
        yield side
