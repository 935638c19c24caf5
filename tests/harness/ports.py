"""Ports of this machine: one that is free, and waiting until somebody listens on one."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

from harness.patience import PATIENCE, until

_chance = random.SystemRandom()  # tests are given the same seed, in each worker of a run


def free_port() -> int:
    """Return a port on which nobody listens right now.

    It is none of those that the system gives to clients, which might take it before its listener.
    """
    while True:
        port = _chance.randrange(10_000, 32_000)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


async def accepts(port: int, patience: float = PATIENCE) -> None:
    """Wait until somebody listens on a port of this machine."""

    async def knock() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    await until(knock, patience)
