"""Opens the configured store for one command, with or without a running gateway beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from crossdock.access.gate import Caller
    from crossdock.config import Settings
    from crossdock.gateway import Gateway


def configured(config: Path | None) -> Settings:
    """Read the configuration, and keep the log quiet: a command speaks for itself."""
    from crossdock import log
    from crossdock.config import load_settings

    settings = load_settings(config)
    log.configure("error", settings.log.format)
    return settings


def with_gateway(config: Path | None, work: Callable[[Gateway], Awaitable[int]]) -> int:
    """Run `work` on an open gateway that does not listen; a serving one sees its writes at once."""
    from crossdock.gateway import Gateway

    settings = configured(config)

    async def run() -> int:
        gateway = await Gateway.open(settings)
        try:
            return await work(gateway)
        finally:
            await gateway.close()

    return asyncio.run(run())


def missing_store(settings: Settings) -> Path | None:
    """Return where the SQLite store will be made; None when it is there, or is no SQLite."""
    kind, _, name = settings.store.url.partition(":///")
    if kind != "sqlite" or name in ("", ":memory:"):
        return None
    path = settings.folder / name
    return None if path.exists() else path


def operator() -> Caller:
    """Return who acts: whoever may read the store and its key is an owner."""
    from crossdock.access.gate import Caller

    return Caller(id="cli", name="command line", role="owner")


async def every(page: Callable[[int, str | None], Awaitable[tuple[Any, str | None]]]) -> list[Any]:
    """Walk a paged list to its end."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        more, cursor = await page(200, cursor)
        found += more
        if cursor is None:
            return found
