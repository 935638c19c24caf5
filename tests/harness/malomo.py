"""Malomo's sandbox on a real socket, and the switches by which its world is turned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from harness.running import Running, Server

from crossdock_malomo import sandbox

if TYPE_CHECKING:
    from aiohttp import ClientSession

API_KEY = "sk_sandbox_4f1f6d2e9b"


async def start() -> tuple[web.AppRunner, str]:
    """Start a sandbox; whoever started it cleans the runner up."""
    runner = web.AppRunner(
        sandbox.create_app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.05
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


def account(base_url: str, key: str = API_KEY) -> dict[str, Any]:
    """Return an account on a sandbox, as in config.toml but with a plain credential."""
    return {
        "integration": "malomo",
        "name": "Shop",
        "settings": {"base_url": base_url},
        "credentials": {"api_key": key},
    }


class Malomo:
    """A gateway with one Malomo account, `shop`, and an MCP server that may do everything."""

    def __init__(self, running: Running, server: Server, base_url: str) -> None:
        self.running = running
        self.server = server
        self.base_url = base_url
        self.call = server.call
        self.tools = server.tools
        self.names = server.names
        self._http: ClientSession = running.http

    async def switch(self, **switches: Any) -> None:
        """Change how the sandbox behaves; see crossdock_malomo.sandbox.Switches."""
        async with self._http.post(f"{self.base_url}/_sandbox/switches", json=switches) as reply:
            assert reply.status == 200, await reply.text()

    async def fault(self, kind: str, **fault: Any) -> None:
        """Let one kind of fault happen, and forget what was received."""
        await self.switch(faults=[{"kind": kind, **fault}])
        await self.forget()

    async def requests(self, method: str = "") -> list[dict[str, Any]]:
        """Return what the sandbox received."""
        async with self._http.get(f"{self.base_url}/_sandbox/requests") as reply:
            received: list[dict[str, Any]] = await reply.json()
        return [one for one in received if method in ("", one["method"])]

    async def forget(self) -> None:
        """Forget what was received."""
        async with self._http.delete(f"{self.base_url}/_sandbox/requests") as reply:
            assert reply.status < 300

    async def walk(self, tool: str, **arguments: Any) -> list[Any]:
        """Follow next_cursor to the end of a list and return every record."""
        records: list[Any] = []
        cursor = None
        while True:
            given = arguments if cursor is None else {**arguments, "next_cursor": cursor}
            page = (await self.call(tool, given)).data
            assert page["result_count"] == len(page["result"])
            records += page["result"]
            cursor = page["next_cursor"]
            if cursor is None:
                return records
