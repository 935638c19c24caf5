"""Fixtures of the whole suite: a real gateway, its clock, Malomo's sandbox, a scripted provider.

Nothing of ours is mocked. Whatever a gateway of these fixtures wrote (answers, log lines, files) is
searched for every token and credential in the end, so that each of these tests guards redaction.
"""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import acme, cluster, engines, malomo, running
from harness.canaries import Canaries, console, listen, sweep
from harness.malomo import Malomo
from harness.provider import Provider
from harness.running import Clock, MakeGateway, Running
from hypothesis import HealthCheck, settings

from crossdock.store import upgrade

# Every run makes the same examples, so that the suite is green for everybody or for nobody, and no
# machine is too slow for them. `--hypothesis-profile=searching` looks for new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture
def clock() -> Clock:
    """A clock that goes only when told to; give it to `gateway(clock=…)`."""
    return Clock()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without a record: migrating one for each test would take most of the test's time."""
    folder = tmp_path_factory.mktemp("store")
    asyncio.run(upgrade("sqlite:///crossdock.db", folder=folder))
    return folder / "crossdock.db"


@pytest.fixture(scope="session")
def log_stream() -> Iterator[io.StringIO]:
    """Where every gateway of this run logs to."""
    stream = io.StringIO()
    yield stream
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if hasattr(handler, "_crossdock"):
            root.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def swept(log_stream: io.StringIO, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In the end, no secret of any test stands in anything that the run left."""
    yield
    logged = {"the log": log_stream.getvalue(), "the console": console.getvalue()}
    assert sweep(logged, tmp_path_factory.getbasetemp()) == []


@pytest.fixture
def canaries(log_stream: io.StringIO) -> Iterator[Canaries]:
    """The secrets of this test; they are looked for in everything that was written."""
    listen(log_stream)
    watched = Canaries(log_stream)
    yield watched
    watched.check()


@pytest.fixture
async def gateway(
    tmp_path: Path, empty_store: Path, canaries: Canaries
) -> AsyncIterator[MakeGateway]:
    """Start gateways: `await gateway(adapters=["malomo"], accounts={…}, settings={…}, clock=…)`.

    `adapters` are names of installed or dropped-in plugins, `accounts` as in config.toml but with
    plain credentials, `settings` the other sections of config.toml. Each gateway has its own
    folder under tmp_path (`gateway-1`, …), which may hold `plugins/` before it starts.
    """
    count = 0
    async with AsyncExitStack() as stack:

        async def make(*, folder: Path | None = None, **given: Any) -> Running:
            nonlocal count
            count += 1
            place = folder or tmp_path / f"gateway-{count}"
            return await running.start(stack, place, empty_store, canaries, **given)

        yield make


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """Malomo's sandbox: its base URL."""
    runner, url = await malomo.start()
    yield url
    await runner.cleanup()


@pytest.fixture
async def malomo_gateway(gateway: MakeGateway, shop: str) -> Running:
    """A gateway with the account `shop` on Malomo's sandbox."""
    return await gateway(accounts={"shop": malomo.account(shop)})


@pytest.fixture(name="malomo")
async def malomo_fixture(malomo_gateway: Running, shop: str) -> Malomo:
    """The same with an MCP server that may do everything, and the sandbox's switches."""
    return Malomo(malomo_gateway, await malomo_gateway.server(), shop)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A scripted provider; it answers {"ok": true} until told otherwise."""
    scripted = Provider()
    runner = await scripted.start()
    yield scripted
    await runner.cleanup()


@pytest.fixture
def acme_folder(tmp_path: Path) -> Path:
    """The test adapter's folder, dropped into `gateway-1/plugins`."""
    plugins = tmp_path / "gateway-1" / "plugins"
    return acme.write(plugins)


@pytest.fixture
async def acme_gateway(gateway: MakeGateway, acme_folder: Path, provider: Provider) -> Running:
    """A gateway with the account `shop` on the scripted provider, through the test adapter."""
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": running.SMALL},
    )


@pytest.fixture(scope="session")
def bare_engines() -> Iterator[tuple[engines.Postgres, engines.Redis]]:
    """A PostgreSQL and a Redis of this run's own; each cluster has a database in it."""
    own = engines.Postgres(), engines.Redis()
    yield own
    for engine in own:
        engine.remove()


@pytest.fixture
def make_cluster(
    tmp_path: Path, bare_engines: tuple[engines.Postgres, engines.Redis]
) -> Iterator[Callable[..., cluster.Cluster]]:
    """Start clusters: `make_cluster(nodes=2, workers=1, settings={…})`; see harness/cluster.py.

    Engines that a test left dead or frozen are put right for the next one.
    """
    made: list[cluster.Cluster] = []

    def make(*, start: bool = True, **given: Any) -> cluster.Cluster:
        for engine in bare_engines:
            if engine.running:
                engine.thaw()
        postgres, redis = bare_engines
        folder = tmp_path / f"cluster-{len(made)}"
        made.append(cluster.Cluster(folder, postgres=postgres, redis=redis, **given))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()
