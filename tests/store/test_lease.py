"""One process serves from a store, or several that share a bus; who serves in the other way is
refused with words. On both engines, where both can."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import crossdock.store
from crossdock.store import Store, StoredServer, StoreFault

OpenStore = Callable[..., Coroutine[Any, Any, Store]]

HOLDER = """
import asyncio, sys
from crossdock.store import Store
async def main():
    store = await Store.open(sys.argv[1])
    await store.lease()
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


async def test_a_second_process_is_refused_and_the_first_is_named(
    open_store: OpenStore, url: str, engine: str
) -> None:
    source = str(Path(crossdock.store.__file__).parents[2])
    holder = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDER, url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert holder.stdout
    try:
        assert await asyncio.wait_for(holder.stdout.readline(), 30) == b"held\n"
        store = await open_store()
        with pytest.raises(StoreFault, match="served by another crossdock") as caught:
            await store.lease()
        assert caught.value.reason == "in_use"
        named = f"process {holder.pid}." if engine == "sqlite" else "PostgreSQL session "
        assert named in str(caught.value)
    finally:
        holder.kill()  # however it ends, its lease ends with it
        await holder.wait()
    for attempt in range(200):
        try:
            await store.lease()
            break
        except StoreFault:  # PostgreSQL takes a moment to notice
            assert engine == "postgresql"
            assert attempt < 199
    assert not await store.changes()


async def test_a_closed_store_gives_its_lease_back(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    await one.lease()
    await one.lease()
    with pytest.raises(StoreFault):
        await other.lease()
    await one.close()
    await other.lease()


async def test_commands_need_no_lease(
    open_store: OpenStore, a_server: Callable[..., StoredServer]
) -> None:
    serving, command = await open_store(), await open_store()
    await serving.lease()
    await command.servers.add(a_server(1))
    assert await serving.changes()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_those_that_share_a_bus_serve_together_and_alone_excludes_them(
    open_store: OpenStore,
) -> None:
    one, other, alone = await open_store(), await open_store(), await open_store()
    await one.lease(shared=True)
    await other.lease(shared=True)
    with pytest.raises(StoreFault, match=r"share a \[bus\] url\. Give this one the same") as caught:
        await alone.lease()
    assert caught.value.reason == "in_use"
    await one.close()
    with pytest.raises(StoreFault):
        await alone.lease()
    await other.close()
    await alone.lease()
    late = await open_store()
    with pytest.raises(StoreFault, match=r"which has no \[bus\] url\. Stop it"):
        await late.lease(shared=True)
