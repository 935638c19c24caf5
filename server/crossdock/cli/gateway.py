"""Opens the configured store for one command, with or without a running gateway beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from crossdock.access.gate import Caller
    from crossdock.config import Settings
    from crossdock.gateway import Gateway

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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


def words(text: str) -> tuple[str, ...] | None:
    """Return comma-separated words; None for none."""
    return tuple(word.strip() for word in text.split(",") if word.strip()) or None


def moment(text: str, option: str) -> datetime | None:
    """Read a moment with its zone, or a span from now as `90m`, `12h`, `30d`."""
    from crossdock.errors import CrossdockError

    if not text:
        return None
    if (length := span(text)) is not None:
        return datetime.now(UTC) + length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise CrossdockError(
            f"{option} {text!r} is no moment; write 2027-01-31T00:00:00Z, or 30d for a span"
        )
    return found


def span(text: str) -> timedelta | None:
    """Read a span as `45s`, `90m`, `12h`, `30d` or `2w`; None for anything else."""
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > 6:
        return None
    return timedelta(**{unit: int(number)})


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read NAME=VALUE pairs."""
    from crossdock.errors import CrossdockError

    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CrossdockError(f"{option} takes NAME=VALUE")
        found[name] = value
    return found


async def every(page: Callable[[int, str | None], Awaitable[tuple[Any, str | None]]]) -> list[Any]:
    """Walk a paged list to its end."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        more, cursor = await page(200, cursor)
        found += more
        if cursor is None:
            return found
