"""Fixtures of the tests with several processes: two gateways on one PostgreSQL and one Redis.

Both run in the process of the test, so that it can look into them; what has to be killed, frozen
or cut off is in `e2e/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from harness import talker
from harness.engines import Postgres, Redis
from harness.pair import Pair
from harness.patience import until
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running

from crossdock.store import upgrade

LIMITS = {"quiet_seconds": 0.1, "shutdown_seconds": 1.0, "ask_seconds": 5.0}


@pytest.fixture(scope="session")
def tables(bare_engines: tuple[Postgres, Redis], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with our tables and nothing in them."""
    postgres, _ = bare_engines
    if not postgres.running:
        postgres.start()
    asyncio.run(upgrade(postgres.create("nodes"), folder=tmp_path_factory.mktemp("nodes")))
    return "nodes"


@pytest.fixture
def redis(bare_engines: tuple[Postgres, Redis]) -> Iterator[Redis]:
    """A Redis without disk, running; what a test does to it is put right afterwards."""
    _, engine = bare_engines
    if not engine.running:
        engine.start()
    yield engine
    if engine.running:
        engine.thaw()


@pytest.fixture
def store_url(bare_engines: tuple[Postgres, Redis], tables: str) -> str:
    """An empty store on PostgreSQL."""
    postgres, _ = bare_engines
    return postgres.create(f"t{uuid4().hex}", tables)


@pytest.fixture
async def pair(
    gateway: MakeGateway, tmp_path: Path, store_url: str, redis: Redis, provider: Provider
) -> AsyncIterator[Pair]:
    """Two gateways whose one adapter talks."""
    folder = tmp_path / "gateway-1"
    talker.write(folder / "plugins")
    provider.plays(reply({"held": True}))

    async def start() -> Running:
        return await gateway(
            folder=folder,
            adapters=["talker"],
            accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
            settings={
                "limits": LIMITS,
                "store": {"url": store_url},
                "bus": {"url": redis.url()},
            },
        )

    a, b = await start(), await start()
    at_a = await a.server()
    both = Pair(a, b, at_a, at_a.at(b), redis, start)
    await until(both.known)
    await both.joined()
    yield both
    if not redis.running:
        redis.start()
