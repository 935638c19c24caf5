"""Drives an MCP server with a Python client: one script for mcp 2.x, mcp 1.x and fastmcp.

It runs inside the client's own environment, so it knows nothing of crossdock. From stdin it takes
one JSON object: `url`, `steps`, and if wanted `mode` (auto, legacy, or a revision to insist on),
`transport` (http, sse, stdio), `headers`, and for stdio `command`, a list, with `environment`. To stdout it writes one line of JSON for connecting and one
for each step:

    {"op": "connect", "client": …, "protocol": "2026-07-28", "server": {…}, "seconds": …}
    {"op": "list", "tools": [{"name": …, "inputSchema": …, …}], …}
    {"op": "call", "name": …, "isError": false, "texts": [...], "structured": …, …}

A step is {"op": "list"}, {"op": "call", "name", "arguments"}, or {"op": "parallel", "calls": [...],
"connections": 1}, whose answer has one entry of `results` per call. What fails answers
{"error": {"type", "code", "message", "data"}} instead; the script itself ends with 0.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

SECONDS_TO_CONNECT = 20
SECONDS_PER_STEP = 60


def library() -> str:
    """Name the client of this environment; fastmcp brings mcp along, so ask for it first."""
    for name in ("fastmcp", "mcp"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    raise SystemExit("no MCP client is installed here")


LIBRARY = library()


class Connection:
    """What the steps need of a connected client, whatever its library calls it."""

    def __init__(self, session: Any, protocol: str | None, server: Any) -> None:
        self._session = session
        self.protocol = protocol
        self.server = plain(server)

    async def list(self) -> list[Any]:
        """Walk every page of tools/list."""
        tools: list[Any] = []
        cursor = None
        while True:
            page = plain(await self._page(cursor))
            tools += page["tools"]
            cursor = page.get("nextCursor")
            if cursor is None:
                return tools

    async def _page(self, cursor: str | None) -> Any:
        if LIBRARY.startswith("fastmcp"):
            return await self._session.list_tools_mcp(cursor=cursor)
        if LIBRARY.startswith("mcp 1."):
            from mcp.types import PaginatedRequestParams

            return await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor))
        return await self._session.list_tools(cursor=cursor)

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run one tool and return what a test asks of its result."""
        if LIBRARY.startswith("fastmcp"):
            result = plain(await self._session.call_tool_mcp(name, arguments))
        else:
            result = plain(await self._session.call_tool(name, arguments))
        return {
            "isError": bool(result.get("isError")),
            "texts": [block["text"] for block in result["content"] if block["type"] == "text"],
            "structured": result.get("structuredContent"),
        }


@asynccontextmanager
async def connected(order: dict[str, Any]) -> Any:
    """Open a connection as the order says and close it in the end."""
    url, headers = order["url"], order.get("headers") or {}
    mode, sse = order.get("mode", "auto"), order.get("transport", "http") == "sse"
    async with AsyncExitStack() as stack:
        if order.get("transport") == "stdio":
            yield await _connect_program(stack, order, mode)
            return
        if LIBRARY.startswith("fastmcp"):
            yield await _connect_fastmcp(stack, url, headers, mode, sse)
        elif LIBRARY.startswith("mcp 1."):
            if mode not in ("auto", "legacy"):
                raise ValueError(f"mcp 1.x cannot insist on {mode}")
            yield await _connect_mcp1(stack, url, headers, sse)
        else:
            yield await _connect_mcp2(stack, url, headers, mode, sse)


async def _connect_fastmcp(
    stack: AsyncExitStack, url: str, headers: dict[str, str], mode: str, sse: bool
) -> Connection:
    from fastmcp import Client
    from fastmcp.client.transports import SSETransport, StreamableHttpTransport

    transport = (SSETransport if sse else StreamableHttpTransport)(url, headers=headers)
    client = await stack.enter_async_context(Client(transport, mode=mode))
    return Connection(client, client.protocol_version, client.server_info)


async def _connect_mcp1(
    stack: AsyncExitStack, url: str, headers: dict[str, str], sse: bool
) -> Connection:
    from mcp import ClientSession
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    if sse:
        streams = await stack.enter_async_context(sse_client(url, headers=headers))
    else:
        http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
        streams = await stack.enter_async_context(streamable_http_client(url, http_client=http))
    session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
    hello = await session.initialize()
    return Connection(session, hello.protocolVersion, hello.serverInfo)


async def _connect_mcp2(
    stack: AsyncExitStack, url: str, headers: dict[str, str], mode: str, sse: bool
) -> Connection:
    from mcp import Client
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    if sse:
        transport = sse_client(url, headers=headers)
    else:
        http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
        transport = streamable_http_client(url, http_client=http)
    client = await stack.enter_async_context(Client(transport, mode=mode))
    return Connection(client, client.protocol_version, client.server_info)


async def _connect_program(stack: AsyncExitStack, order: dict[str, Any], mode: str) -> Connection:
    program, *arguments = order["command"]
    environment = order.get("environment") or {}
    if LIBRARY.startswith("fastmcp"):
        from fastmcp import Client
        from fastmcp.client.transports import StdioTransport

        transport = StdioTransport(program, arguments, env=environment)
        client = await stack.enter_async_context(Client(transport, mode=mode))
        return Connection(client, client.protocol_version, client.server_info)
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(command=program, args=arguments, env=environment)
    if LIBRARY.startswith("mcp 1."):
        from mcp import ClientSession

        streams = await stack.enter_async_context(stdio_client(parameters))
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        hello = await session.initialize()
        return Connection(session, hello.protocolVersion, hello.serverInfo)
    from mcp import Client as Client2

    client2 = await stack.enter_async_context(Client2(stdio_client(parameters), mode=mode))
    return Connection(client2, client2.protocol_version, client2.server_info)


async def run(order: dict[str, Any]) -> None:
    """Connect, run the steps one after the other, and say what came of each."""
    started = time.perf_counter()
    hello: dict[str, Any] = {"op": "connect", "client": LIBRARY}
    greeted = False
    try:
        # Closing may wait on the server too, so the whole connection has a deadline of its own.
        async with asyncio.timeout(SECONDS_TO_CONNECT) as deadline, connected(order) as connection:
            deadline.reschedule(None)
            greeted = True
            say({**hello, "protocol": connection.protocol, "server": connection.server}, started)
            for step in order["steps"]:
                await perform(step, connection, order)
            deadline.reschedule(asyncio.get_running_loop().time() + SECONDS_TO_CONNECT)
    except Exception as error:  # noqa: BLE001 - every failure is an answer here
        say({**({"op": "close"} if greeted else hello), "error": told(error)}, started)


async def perform(step: dict[str, Any], connection: Connection, order: dict[str, Any]) -> None:
    started = time.perf_counter()
    answer: dict[str, Any] = {"op": step["op"]}
    try:
        async with asyncio.timeout(SECONDS_PER_STEP):
            if step["op"] == "list":
                answer["tools"] = await connection.list()
            elif step["op"] == "call":
                answer["name"] = step["name"]
                answer |= await connection.call(step["name"], step.get("arguments", {}))
            elif step["op"] == "parallel":
                answer["results"] = await parallel(step, connection, order)
            else:
                raise ValueError(f"no step is called {step['op']!r}")
    except Exception as error:  # noqa: BLE001 - every failure is an answer here
        answer["error"] = told(error)
    say(answer, started)


async def parallel(
    step: dict[str, Any], connection: Connection, order: dict[str, Any]
) -> list[dict[str, Any]]:
    """Make all calls at once, dealt out over as many connections as the step asks for."""
    wanted = step.get("connections", 1)
    calls = list(enumerate(step["calls"]))
    results: list[dict[str, Any]] = [{} for _ in calls]

    async def one(index: int, call: dict[str, Any], own: Connection) -> None:
        try:
            results[index] = await own.call(call["name"], call.get("arguments", {}))
        except Exception as error:  # noqa: BLE001 - every failure is an answer here
            results[index] = {"error": told(error)}

    async def hand(share: list[tuple[int, dict[str, Any]]]) -> None:
        if wanted == 1:
            await asyncio.gather(*(one(index, call, connection) for index, call in share))
            return
        # A connection must be closed by the task that opened it, hence one task for each.
        async with connected(order) as own:
            await asyncio.gather(*(one(index, call, own) for index, call in share))

    await asyncio.gather(*(hand(calls[start::wanted]) for start in range(wanted)))
    return results


def told(error: BaseException) -> dict[str, Any]:
    """Find the error that a person would name in what task groups wrapped around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    inner = getattr(error, "error", None)
    return {
        "type": type(error).__name__,
        "code": getattr(inner, "code", None),
        "message": str(error),
        "data": getattr(inner, "data", None),
    }


def plain(value: Any) -> Any:
    """Turn a library's model into the JSON that stands on the wire."""
    return (
        None if value is None else value.model_dump(mode="json", by_alias=True, exclude_none=True)
    )


def say(answer: dict[str, Any], started: float) -> None:
    print(json.dumps({**answer, "seconds": round(time.perf_counter() - started, 4)}), flush=True)


if __name__ == "__main__":
    asyncio.run(run(json.load(sys.stdin)))
