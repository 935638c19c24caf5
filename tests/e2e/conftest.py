"""The external clients, for tests that ask whether a stranger's program can use the gateway."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from types import ModuleType

import pytest
from clients import environments
from harness import far_side, stdio
from harness.canaries import Canaries
from harness.cluster import Cluster, Visitor
from harness.engines import Postgres, Redis
from harness.far_side import FarSide
from harness.stdio import Bridge, Host

from crossdock.web.bundles import ASSETS

# A busy machine may be late; only what a killed node has sent is waited for, so that is short.
CLUSTER_LIMITS = {
    "lock_wait_seconds": 60.0,
    "upstream_total_seconds": 3.0,
    "upstream_idle_seconds": 3.0,
    "shutdown_seconds": 5.0,
}


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


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, bare_engines: tuple[Postgres, Redis]
) -> Iterator[Cluster]:
    """Two nodes that the tests of a file share; they ask for `cluster`."""
    postgres, redis = bare_engines
    made = Cluster(
        tmp_path_factory.mktemp("nodes"),
        postgres=postgres,
        redis=redis,
        settings={"limits": CLUSTER_LIMITS},
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def cluster(nodes: Cluster) -> Cluster:
    """Two nodes behind nginx, with whatever the test before did to them put right."""
    nodes.mend()
    return nodes


@pytest.fixture
async def visitor(cluster: Cluster, canaries: Canaries) -> AsyncIterator[Visitor]:
    """Who speaks to them."""
    async with cluster.visit(canaries) as visiting:
        yield visiting
