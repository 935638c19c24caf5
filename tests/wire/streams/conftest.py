"""Fixtures of the tests of streams: a gateway whose tools talk, and a gate that holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import talker
from harness.gate import Gate
from harness.provider import Provider
from harness.running import Running, Server
from harness.streaming import Talk

SHORT = {"quiet_seconds": 0.1, "shutdown_seconds": 1.0, "ask_seconds": 5.0, "resume_events": 6}


@pytest.fixture
def gate(provider: Provider) -> Gate:
    """The provider answers when this is opened, not before."""
    return Gate(provider)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The talking adapter's folder of pages, before the gateway starts."""
    return talker.write(tmp_path / "gateway-1" / "plugins") / "docs"


@pytest.fixture
async def talking(gateway: Callable[..., Any], pages: Path, provider: Provider) -> Running:
    """A gateway whose one adapter talks; its streams are quiet for a tenth of a second at most."""
    running: Running = await gateway(
        adapters=["talker"],
        accounts={"shop": {"integration": "talker", "settings": {"base_url": provider.url}}},
        settings={"limits": SHORT},
    )
    return running


@pytest.fixture
async def server(talking: Running) -> Server:
    """An MCP server of the talking gateway that may do everything."""
    return await talking.server()


Begin = Callable[..., Any]


@pytest.fixture
def talk(talking: Running, server: Server) -> Begin:
    """Begin to speak a revision: `await talk("2025-11-25", elicitation={})`."""

    async def begin(revision: str, **capabilities: Any) -> Talk:
        client = Talk(talking, server, revision)
        return client if revision == "2026-07-28" else await client.initialize(**capabilities)

    return begin
