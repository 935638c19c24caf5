"""How much of crossdock one request touches: its own files and functions, counted by a profiler.

    python tests/bench/call_path.py            # a table
    python tests/bench/call_path.py --json     # one line of JSON
    python tests/bench/call_path.py --list     # the functions as well

The gateway is the demo's, in this process, on the adapters' sandboxes, answering over a real
socket. Each request is made once to warm up and then several times; what counts is what every one
of those touched, so that work in the background does not. The adapter on the way counts as well,
its sandbox and libraries do not. Nested functions and comprehensions count by themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import aiohttp

import crossdock
from crossdock import log
from crossdock.access.tokens import mint
from crossdock.cli.demo import _start_sandboxes, make_servers
from crossdock.config import LogSettings, Settings, UpstreamSettings
from crossdock.gateway import Gateway
from crossdock.plugins import load_plugins
from crossdock.store.master_key import MasterKey
from crossdock.web.runner import WebRunner

CORE = Path(crossdock.__file__).parent
ADAPTERS = CORE.parent.parent / "adapters"
ROUNDS = 8

Request = Callable[[], Awaitable[None]]
Touched = set[tuple[str, str]]


class Recorder:
    """The code of crossdock that ran while it was switched on."""

    def __init__(self) -> None:
        self._codes: set[CodeType] = set()

    def __enter__(self) -> Recorder:
        self._codes.clear()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            self._codes.add(frame.f_code)

    def touched(self) -> Touched:
        """Return the file and the name of each function."""
        return {
            (code.co_filename, f"{code.co_qualname}:{code.co_firstlineno}")
            for code in self._codes
            if _is_ours(Path(code.co_filename))
        }


def _is_ours(path: Path) -> bool:
    return CORE in path.parents or (ADAPTERS in path.parents and "sandbox" not in path.parts)


async def measure(requests: dict[str, Request]) -> dict[str, Touched]:
    """Return what each request touches every time it is made."""
    recorder = Recorder()
    found: dict[str, Touched] = {}
    for name, request in requests.items():
        await request()
        for _ in range(ROUNDS):
            with recorder:
                await request()
            found[name] = found.get(name, recorder.touched()) & recorder.touched()
    return found


async def demo(stack: AsyncExitStack) -> dict[str, Request]:
    """Open the demo's gateway; return the requests to make to it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    settings = Settings(
        folder=folder,
        upstream=UpstreamSettings(allow_private=["127.0.0.1/32"]),
        log=LogSettings(level="warning"),
    )
    plugins = await asyncio.to_thread(load_plugins, settings)
    sandboxes = await _start_sandboxes(plugins, stack)
    gateway = await Gateway.open(
        settings, plugins=plugins, master=MasterKey.for_this_process(), serving=True
    )
    runner = WebRunner(gateway)
    stack.push_async_callback(runner.close)
    token = mint("api")
    gateway.accept_admin(token)
    origin = await runner.start("127.0.0.1", 0)
    servers = await make_servers(gateway, sandboxes, origin)
    malomo = next(one for one in servers if one["integration"] == "malomo")
    http = await stack.enter_async_context(aiohttp.ClientSession())

    async def post(url: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        async with http.post(url, json=body, headers=headers) as reply:
            answer = json.loads(await reply.text())
            assert reply.ok, answer
            assert not answer.get("result", {}).get("isError"), answer
            return answer

    async def rpc(method: str, params: dict[str, Any]) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await post(malomo["url"], message, {})

    listed = await rpc("tools/call", {"name": "list_all_malomo_orders", "arguments": {"limit": 1}})
    order = json.loads(listed["result"]["content"][0]["text"])["result"][0]
    update = {
        "name": "update_a_malomo_order_by_id",
        "arguments": {
            "id": order["id"],
            "shipments": [{"carrier": "fedex", "tracking_code": "123456789012"}],
        },
    }
    admin = f"{origin}/integrated-account/{malomo['account_id']}/mcp"
    bearer = {"Authorization": f"Bearer {token}"}
    return {
        "update_a_malomo_order_by_id": lambda: rpc("tools/call", update),
        "tools/list": lambda: rpc("tools/list", {}),
        "POST /integrated-account/{id}/mcp": lambda: post(admin, {"name": "path"}, bearer),
    }


async def run() -> dict[str, Touched]:
    """Measure against a gateway that is closed again."""
    async with AsyncExitStack() as stack:
        return await measure(await demo(stack))


def _count(touched: Touched) -> dict[str, int]:
    adapter = [function for file, function in touched if CORE not in Path(file).parents]
    return {
        "files": len({file for file, _ in touched}),
        "functions": len(touched),
        "adapter_functions": len(adapter),
    }


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--list", action="store_true", help="name the functions")
    options = parser.parse_args()
    log.configure("warning")
    found = asyncio.run(run())
    counts = {name: _count(touched) for name, touched in found.items()}
    if options.json:
        print(json.dumps(counts))
        return
    for name, count in counts.items():
        adapter = f"{count['adapter_functions']} of them the adapter's"
        print(f"{name:36} {count['files']:3} files {count['functions']:4} functions, {adapter}")
        if options.list:
            for file, function in sorted(found[name]):
                print(f"    {Path(file).relative_to(CORE.parent.parent)} {function}")


if __name__ == "__main__":
    main()
