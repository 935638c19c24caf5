"""Every way in which a real client reaches an MCP URL: which library, which era, over what.

Libraries are driven by tests/clients. The URL they get is always the same one; `sse` appends the
customary `/sse` in one case and not in the other, since both must work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from clients import environments

from crossdock.web.bundles import ASSETS

if TYPE_CHECKING:
    from harness.running import Server

NEWEST, OLDER = "2026-07-28", "2025-11-25"
CUSTOMER = {"email": "anna@example.com", "first_name": "Anna"}
STEPS: tuple[Mapping[str, Any], ...] = (
    {"op": "list"},
    {"op": "call", "name": "list_all_malomo_orders", "arguments": {"limit": 1}},
    {"op": "call", "name": "create_a_malomo_customer", "arguments": CUSTOMER},
)


class Way(NamedTuple):
    """A client and how it gets to the gateway. `speaks` is the revision that it must end up with;
    `shows` is what of a refusal it shows: the gateway's sentence, or the status alone."""

    client: str
    over: str
    mode: str = "auto"
    speaks: str | None = OLDER
    shows: str = "not valid"

    def __str__(self) -> str:
        mode = "" if self.mode == "auto" else f"-{self.mode}"
        return f"{self.client}{mode}-{self.over}"


WAYS = (
    Way("mcp2", "http", speaks=NEWEST),
    Way("mcp2", "http", "legacy"),
    Way("mcp2", "http", NEWEST, speaks=NEWEST),
    Way("mcp2", "sse", shows="403"),
    Way("mcp1", "http", shows="403"),
    Way("mcp1", "sse-path", shows="403"),
    Way("fastmcp", "http", speaks=NEWEST),
    Way("fastmcp", "http", "legacy"),
    Way("fastmcp", "sse-path", shows="403"),
    Way("client2", "http", speaks=NEWEST),
    Way("client2", "http", "legacy"),
    Way("client2", "sse", shows="403"),
    Way("sdk1", "http"),
    Way("sdk1", "sse-path", shows="403"),
    Way("mcp2", "our bridge", speaks=NEWEST),
    Way("mcp1", "our bridge"),
    Way("client2", "our bridge", speaks=NEWEST),
    Way("mcp2", "our bridge for Node", speaks=NEWEST),
    Way("fastmcp", "our bridge for Node", "legacy"),
    Way("sdk1", "our bridge for Node", speaks=None),
    Way("mcp2", "mcp-remote", speaks=NEWEST, shows=""),
    Way("mcp1", "mcp-remote", shows=""),
    Way("client2", "supergateway", "legacy", shows=""),
    Way("mcp1", "supergateway", shows=""),
    Way("sdk1", "supergateway over SSE", speaks=None, shows="403"),
)


def program(over: str, url: str) -> list[str]:
    """Return the words that start a bridge to a URL."""
    match over:
        case "our bridge":
            return [sys.executable, "-m", "crossdock", "connect"]
        case "our bridge for Node":
            return [str(environments.node()), str(ASSETS / "connect.mjs")]
        case "mcp-remote":
            return [*environments.npm_command("mcp-remote"), url]
        case "supergateway":
            supergateway = environments.npm_command("supergateway")
            return [*supergateway, "--streamableHttp", url, "--logLevel", "none"]
        case "supergateway over SSE":
            return [*environments.npm_command("supergateway"), "--sse", url, "--logLevel", "none"]
        case _:
            raise ValueError(f"there is no bridge {over!r}")


async def go(way: Way, url: str, home: Path, **environment: str) -> list[dict[str, Any]]:
    """Let a client go its way: connect, list, read, write. Return what came of each."""
    given: dict[str, Any] = {"mode": way.mode, "timeout": 90}
    if way.over == "http":
        return await environments.drive(way.client, url, STEPS, **given)
    if way.over in ("sse", "sse-path"):
        path = "/sse" if way.over == "sse-path" else ""
        return await environments.drive(way.client, url + path, STEPS, transport="sse", **given)
    private = {"CROSSDOCK_URL": url, "HOME": str(home), **environment}
    return await environments.drive(
        way.client,
        url,
        STEPS,
        transport="stdio",
        program=program(way.over, url),
        environment=private,
        **given,
    )


async def check(way: Way, answers: list[dict[str, Any]], server: Server) -> None:
    """Check what came of connecting, listing, reading and writing."""
    assert len(answers) == 1 + len(STEPS), answers
    connected, listed, read, written = answers
    assert "error" not in connected, connected
    if way.speaks is not None:
        assert connected["protocol"] == way.speaks
    assert [tool["name"] for tool in listed["tools"]] == await server.names()
    assert read["isError"] is False, read
    assert json.loads(read["texts"][0])["result_count"] == 1
    assert written["isError"] is False, written
    assert json.loads(written["texts"][0])["email"] == CUSTOMER["email"]
