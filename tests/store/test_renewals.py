"""A token that is spent by its renewal: renewed once by all processes, and never lost."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import until
from sqlalchemy import text

from crossdock.adapter import Renewal, load_adapter
from crossdock.calls.credentials import Credentials
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.errors import Busy, UpstreamFailure
from crossdock.model import Account, Secret
from crossdock.store import Store

OpenStore = Callable[..., Coroutine[Any, Any, Store]]
Process = Callable[..., Coroutine[Any, Any, Credentials]]


class Service:
    """A token service that takes each key once; a spent one loses the account."""

    renews = True

    def __init__(self) -> None:
        self.count = 0
        self.life = 900.0
        self.rotates = True
        self.lost = False
        self.goes = asyncio.Event()
        self.goes.set()

    def sign(self, credentials: Any, settings: Any, token: str | None) -> Any:
        return (("Authorization", f"Bearer {token}"),), ()

    async def renew(self, credentials: Mapping[str, str], settings: Any, http: Any) -> Renewal:
        await self.goes.wait()
        if self.rotates and credentials["api_key"] != f"k{self.count}":
            self.lost = True
            raise UpstreamFailure("unauthenticated", "This key was used before.")
        self.count += 1
        changed = {"api_key": f"k{self.count}"} if self.rotates else {}
        return Renewal(token=f"t{self.count}", expires_in=self.life, changed=changed)


@pytest.fixture(params=["postgresql"])
def engine() -> str:
    return "postgresql"


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def module(tmp_path: Path) -> Iterator[str]:
    folder = acme.write(tmp_path, python="")
    spec = importlib.util.spec_from_file_location("acme_renewed", folder / "__init__.py")
    assert spec is not None
    sys.modules["acme_renewed"] = importlib.util.module_from_spec(spec)
    yield "acme_renewed"
    del sys.modules["acme_renewed"]


@pytest.fixture
async def process(open_store: OpenStore, service: Service, module: str) -> AsyncIterator[Process]:
    """Give the account's credentials as another process has them."""
    async with AsyncExitStack() as stack:

        async def make(key: str = "k0") -> Credentials:
            store = await open_store()
            orders = store.order_locks(request_seconds=30, most=8)
            stack.push_async_callback(orders.close)
            account = Account(
                id="a", integration="acme", name="a", settings={},
                credentials={"api_key": Secret(key)},
            )  # fmt: skip
            adapter = load_adapter(module, auth=service)
            upstream = Upstream(UpstreamLimits())  # this scheme asks nobody
            stack.push_async_callback(upstream.close)
            return Credentials(account, adapter, upstream, store.renewed, orders=orders, wait=5)

        yield make


async def token(credentials: Credentials) -> str:
    signature = await credentials.signature()
    return signature.headers["Authorization"].removeprefix("Bearer ")


async def test_one_renewal_serves_all_processes(process: Process, service: Service) -> None:
    many = [await process() for _ in range(4)]
    assert set(await asyncio.gather(*(token(one) for one in many for _ in range(3)))) == {"t1"}
    assert (service.count, service.lost) == (1, False)
    assert await token(await process()) == "t1"


async def test_a_refused_token_is_replaced_by_a_newer_one_of_somebody_else(
    process: Process, service: Service
) -> None:
    many = [await process() for _ in range(4)]
    refused = await asyncio.gather(*(one.signature() for one in many))
    pairs = zip(many, refused, strict=True)
    fresh = await asyncio.gather(*(one.replace(old) for one, old in pairs))
    assert {one.headers["Authorization"] for one in fresh} == {"Bearer t2"}
    assert (service.count, service.lost) == (2, False)


async def test_a_token_that_ended_is_renewed_once_however_many_notice(
    process: Process, service: Service
) -> None:
    service.life = 0.01
    many = [await process() for _ in range(3)]
    await asyncio.gather(*(token(one) for one in many))
    service.life = 900.0
    ended = max(one._ends for one in many) + 0.05  # by the clock of what is kept, too
    await until(lambda: time.monotonic() > ended)
    before = service.count
    for _ in range(2):
        noticed = await asyncio.gather(*(token(one) for one in many for _ in range(3)))
        assert set(noticed) == {f"t{before + 1}"}
    assert (service.count, service.lost) == (before + 1, False)


async def test_another_credential_means_the_new_one_and_no_kept_token(
    process: Process, service: Service
) -> None:
    assert await token(await process()) == "t1"
    service.count = 10
    assert await token(await process("k10")) == "t11"


async def test_what_is_kept_is_sealed(process: Process, service: Service, store: Store) -> None:
    service.count = 10**9  # so long that no chance spells what is kept
    assert await token(await process(f"k{service.count}")) == "t1000000001"
    query = text("SELECT field, sealed FROM oauth_tokens ORDER BY field")
    rows = await store.servers._database.read(lambda c: c.execute(query).all())
    assert [row.field for row in rows] == [":access", "api_key"]
    assert all(str(service.count) not in row.sealed for row in rows)


async def test_without_the_store_nothing_that_rotates_is_renewed(
    process: Process, service: Service
) -> None:
    credentials = await process()
    orders: Any = credentials._orders
    orders._sessions._connect = unreachable
    with pytest.raises(Busy, match="cannot be renewed safely now") as caught:
        await token(credentials)
    assert caught.value.retryable
    assert service.count == 0


async def unreachable() -> None:
    raise OSError("nothing answers")


async def test_what_could_not_be_kept_is_kept_as_soon_as_the_store_is_back(
    process: Process, service: Service, store: Store
) -> None:
    one, other = await process(), await process()
    service.goes.clear()
    renewing = asyncio.create_task(token(one))
    await until(lambda: one._recalled)
    run = store.servers._database.write
    await run(lambda c: c.execute(text("ALTER TABLE oauth_tokens RENAME TO away")), quiet=True)
    service.goes.set()
    with pytest.raises(Exception, match="tables are missing"):
        await renewing
    await run(lambda c: c.execute(text("ALTER TABLE away RENAME TO oauth_tokens")), quiet=True)
    await until(lambda: not one._unkept)
    assert await token(other) == "t1"
    assert (service.count, service.lost) == (1, False)
