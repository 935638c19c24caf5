"""The event loop turns for everybody: who holds it up is named, and loops over records yield."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import turns as let_turn
from harness.provider import Provider, reply
from harness.running import MakeGateway

from crossdock.adapter import unhurried

ID = "2b54c1a2-8f6e-4a52-9d5f-6a1c2f3b4d5e"
MANY = 200_000

BLOCKS = '''"""An adapter whose mapper blocks until a file is there."""

import time
from pathlib import Path
from typing import Any

from crossdock.adapter import Outcome, hookimpl, load_adapter


async def block(call, context):
    while not Path(__file__).with_name("go").exists():
        time.sleep(0.01)
    return Outcome(data={"blocked": True})


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers={"items.count": block})
'''


@pytest.mark.requirement("security:loop:watched")
async def test_a_mapper_that_blocks_is_named_while_it_does(
    gateway: MakeGateway, tmp_path: Path, provider: Provider, log_stream: io.StringIO
) -> None:
    folder = acme.write(tmp_path / "gateway-1" / "plugins", python=BLOCKS)
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running.server()
    over, before = threading.Event(), len(log_stream.getvalue())

    def let_go() -> None:
        while '"tool":"acme_items_count","where"' not in log_stream.getvalue()[
            before:
        ] and not over.wait(0.01):
            pass
        (folder / "go").touch()

    helper = threading.Thread(target=let_go)
    helper.start()
    try:
        assert (await server.call("acme_items_count", {})).data == {"blocked": True}
    finally:
        over.set()
        helper.join()
    lines = [json.loads(line) for line in log_stream.getvalue()[before:].splitlines()]
    (told,) = [one for one in lines if one["event"] == "loop.stalled" and one["tool"]]
    assert (told["adapter"], told["tool"]) == ("acme", "acme_items_count")
    assert any(where.startswith("__init__.py:") and "block" in where for where in told["where"])
    metrics = (await running.request("GET", "/metrics")).body.decode()
    assert 'crossdock_loop_stalls_total{adapter="acme",tool="acme_items_count"} 1.0' in metrics


@pytest.mark.requirement("security:loop:yields")
async def test_a_loop_over_many_records_lets_others_have_their_turn() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await let_turn(1)

    task = asyncio.create_task(others())
    rounds = 0
    async for number in unhurried(itertools.count()):
        rounds = number
        if turns >= 5:
            break
    task.cancel()
    assert rounds > turns  # many records between two turns, or it would be slow


@pytest.mark.requirement("security:loop:yields")
async def test_many_filter_values_over_many_rows_stop_nobody(
    gateway: MakeGateway, provider: Provider
) -> None:
    account = {
        "integration": "roserocket",
        "settings": {"base_url": provider.url, "token_url": f"{provider.url}/token"},
        "credentials": {
            "client_id": "c1ient-9a7be2",
            "client_secret": "s3cret-58c1d0",
            "org_id": "0b54c1a2-8f6e-4a52-9d5f-6a1c2f3b4d5e",
            "user_id": "1b54c1a2-8f6e-4a52-9d5f-6a1c2f3b4d5e",
        },
    }
    running = await gateway(adapters=["roserocket"], accounts={"shop": account})
    server = await running.server()
    held = [f"held {n}" for n in range(400)]
    rows = [{"id": str(n), "objectKey": "order", "poNum": held} for n in range(1_000)]

    async def answer(request: Any) -> Any:
        if request.path == "/token":
            return await reply({"access_token": "t0ken-123456", "expires_in": 900})(request)
        if "boards" in request.path.lower():
            board = {"id": ID, "name": "Orders", "objectKey": "order", "isExternal": False}
            return await reply([board])(request)
        return await reply({"results": rows, "total": 1_000})(request)

    provider.plays(answer)
    arguments = {"objectKey": "order", "filters": {"poNum": {"notIn": ["x"] * MANY}}}
    refused = await server.call("list_all_roserocket_objects", arguments)
    assert refused.error["kind"] == "invalid_arguments"
    assert provider.requests == []
    arguments["filters"] = {"poNum": {"hasEvery": [f"no such {n}" for n in range(1_900)]}}
    longest, going = 0.0, True

    async def others() -> None:
        nonlocal longest
        before = time.thread_time()  # not the time that other processes take
        while going:
            await let_turn(1)
            now = time.thread_time()
            longest, before = max(longest, now - before), now

    task = asyncio.create_task(others())
    called = await server.call("list_all_roserocket_objects", arguments)
    going = False
    await task
    assert called.data["result"] == []
    assert "1000 records were read" in called.notes[-1]
    assert longest < 0.09
