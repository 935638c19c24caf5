"""Peers in Python at their best documented setting: the MCP SDK 2.x or FastMCP, stateless JSON.

python python_sdk.py mcp|fastmcp PORT PROVIDER_URL TOOLS
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import uvicorn
from pydantic import Field

KIND, PORT, PROVIDER, TOOLS = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
HEADERS = {"Authorization": "Bearer sk_bench_1234567890"}

if KIND == "fastmcp":
    from fastmcp import FastMCP

    server: Any = FastMCP("bench")
else:
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("bench", log_level="WARNING")

try:
    import httpx2 as httpx
except ImportError:
    import httpx  # type: ignore[no-redef]

client = httpx.AsyncClient(
    base_url=PROVIDER,
    headers=HEADERS,
    limits=httpx.Limits(max_connections=1000, max_keepalive_connections=1000),
)


async def orders(customer_email: Annotated[str, Field(description="Complete address.")]) -> str:
    """Find orders of a customer."""
    return (await client.get("/orders", params={"customer_email": customer_email})).text


async def order(id: Annotated[str, Field(description="The order's id.")]) -> str:
    """Read one order whole."""
    return (await client.get(f"/orders/{id}")).text


async def another(id: Annotated[str, Field(description="The order's id.")]) -> str:
    """Read one order whole, with every scan of each of its shipments, by the id of the provider."""
    return (await client.get(f"/orders/{id}")).text


def add(function: Any, name: str) -> None:
    if KIND == "fastmcp":
        from fastmcp.tools import Tool

        server.add_tool(Tool.from_function(function, name=name, output_schema=None))
    else:
        server.add_tool(function, name=name, structured_output=False)


add(orders, "list_all_malomo_orders")
add(order, "get_single_malomo_order_by_id")
for number in range(TOOLS - 2):
    add(another, f"bench_gates_verb_{number}")

if KIND == "fastmcp":
    app = server.http_app(path="/mcp", stateless_http=True, json_response=True)
else:
    app = server.streamable_http_app(stateless_http=True, json_response=True)
uvicorn.run(
    app,
    host="127.0.0.1",
    port=PORT,
    log_level="error",
    access_log=False,
    loop="uvloop",
    http="httptools",
)
