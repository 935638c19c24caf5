"""Which bus a process has: Redis where one is configured, else none to speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from crossdock.bus import Bus, LocalBus
from crossdock.bus.letters import Letters, Sealer
from crossdock.errors import ConfigError

_AROUND_A_BODY = 1024 * 1024  # what crosses the bus beside an MCP message


class Shared(Protocol):
    """What only processes of one store know."""

    @property
    def store_id(self) -> str:
        """A name for the store."""

    @property
    def messages(self) -> Sealer:
        """The seal of their messages."""


def open_bus(
    process: str,
    shared: Shared,
    clock: Callable[[], float],
    *,
    url: str,
    password: str,
    body_bytes: int,
) -> Bus:
    """Return the bus at a URL, not yet connected; without one a process serves alone.

    `clock` gives Unix time. Raises ConfigError where the library is not installed.
    """
    if not url:
        return LocalBus(process)
    try:
        from crossdock.bus.redis import Link, RedisBus
    except ModuleNotFoundError as error:
        raise ConfigError(
            "[bus] url names Redis, and its library is not installed. "
            "Install crossdock with the extra `redis`."
        ) from error
    letters = Letters(shared.messages, clock, body_bytes + _AROUND_A_BODY)
    return RedisBus(process, shared.store_id, letters, Link(url=url, password=password))
