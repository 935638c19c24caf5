"""A pooler between us and PostgreSQL that takes a session away after each transaction.

Through such a one two processes are both told that they hold the same lock, without an error. So it
is looked for at the start: one session asks who serves it, another one opens a transaction, and the
first asks again. Served by somebody else now, or by whom the other is served, it was no session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from crossdock.errors import ConfigError

_PATIENCE = 2.0
_ASKED = "SELECT pg_backend_pid()"

Connect = Callable[[], Awaitable[Any]]


async def refuse_pooler(connect: Connect) -> None:
    """Raise ConfigError where sessions are not what they seem.

    `connect` opens a session without settings of its own, which some poolers refuse.
    """
    async with AsyncExitStack() as stack:
        one, other = await _opened(stack, connect), await _opened(stack, connect)
        before = await _served(one)
        async with other.transaction():
            theirs = await other.fetchval(_ASKED)
            try:
                async with asyncio.timeout(_PATIENCE):
                    after = await _served(one)
            except TimeoutError:  # the pool has no other session to give
                after = theirs
        if after != before or after == theirs:
            raise ConfigError(
                "[store] url leads to a pooler that shares sessions between clients (pgbouncer "
                "with pool_mode = transaction): locks would be held by two processes at once. "
                "Let it lead to PostgreSQL itself, or set pool_mode = session."
            )


async def _opened(stack: AsyncExitStack, connect: Connect) -> Any:
    connection = await connect()
    stack.callback(connection.terminate)
    return connection


async def _served(connection: Any) -> int:
    async with connection.transaction():
        return int(await connection.fetchval(_ASKED))
