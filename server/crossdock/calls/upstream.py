"""The only HTTP client that speaks to providers: send once, cap sizes, never follow.

Nothing here or below retries. How a provider is reached is `dialing.py`, what is sent `targets.py`,
what comes back `http_connection.py` and `http_reader.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from crossdock.adapter.failures import read_failure, read_rate
from crossdock.adapter.manifest import FailuresSpec
from crossdock.authoring import UpstreamReply
from crossdock.calls.dialing import Dialer, Network
from crossdock.calls.http_connection import HttpConnection
from crossdock.calls.http_reader import AnswerReader, Read
from crossdock.calls.pools import Pool, Pools
from crossdock.calls.targets import Origin, request_head
from crossdock.errors import UpstreamFailure
from crossdock.model import Struct
from crossdock.redaction import redactor

_IDLE_SECONDS = 10  # longer-lived idle connections meet a provider that just closed them

Ready = Callable[[], Awaitable[None]]


class UpstreamLimits(Struct, frozen=True, kw_only=True):
    """Seconds and bytes of one request to a provider."""

    connect_seconds: float = 5.0
    idle_seconds: float = 15.0
    total_seconds: float = 30.0
    answer_bytes: int = 8 * 1024 * 1024
    connections: int = 64


class Upstream:
    """Sends for all accounts, each over connections of its own. `close` it in the end."""

    def __init__(self, limits: UpstreamLimits, allow_private: Sequence[Network] = ()) -> None:
        self._limits = limits
        self._dialer = Dialer(allow_private, limits.connect_seconds)
        self._pools = Pools(self._dial, connections=limits.connections, idle=_IDLE_SECONDS)

    @property
    def pools(self) -> int:
        """How many pools of connections are open."""
        return len(self._pools)

    async def close(self) -> None:
        """Close all connections."""
        self._dialer.close()
        await self._pools.close()

    async def send(
        self,
        verb: str,
        origin: Origin,
        target: str,
        lines: bytes,
        body: bytes | None,
        failures: FailuresSpec,
        *,
        account: str,
        read: Read | None = None,
        ready: Ready | None = None,
    ) -> UpstreamReply:
        """Send one request and read the whole answer, within time and size limits.

        `target` is an encoded path with its query, `lines` are the prepared headers
        (`targets.header_lines`), `account` is the id of the one whose connections are used. `read`
        is called with the number of bytes and the status before more of a large answer is kept;
        what it raises ends that. `ready` is called once there is a connection; the request leaves
        with its return, and what it raises is raised and nothing sent.

        Raises UpstreamFailure for everything but a 2xx answer. A refusal has its `status` and is
        read as `failures` says; without a usable answer it is upstream_unreachable,
        upstream_timeout, upstream_too_large or upstream_malformed; `sent` is False only when
        the request certainly did not leave.
        """
        head = request_head(verb, origin, target, lines, body)
        loop = asyncio.get_running_loop()
        now = loop.time()
        ends = now + self._limits.total_seconds
        pool = self._pools.of(account)
        connection = pool.take(origin, now) or await _connected(pool, origin, ends)
        try:
            if ready is not None:
                await ready()
            answer = await connection.exchange(
                head, body, ends, read, bodiless=head.startswith(b"HEAD ")
            )
        finally:
            pool.give(connection, origin, loop.time())
        status, headers, content = answer.status, answer.headers, answer.body
        if not 200 <= status < 300:
            raise _cleaned(read_failure(status, headers, content, failures))
        rate = read_rate(headers, failures.rate_limit)
        return UpstreamReply(status=status, headers=headers, body=content, rate=rate)

    async def _dial(self, origin: Origin) -> HttpConnection:
        limits = self._limits
        return await self._dialer.connect(
            origin,
            lambda: HttpConnection(
                AnswerReader(limits.answer_bytes), limits.idle_seconds, _IDLE_SECONDS
            ),
        )


async def _connected(pool: Pool, origin: Origin, ends: float) -> HttpConnection:
    try:
        async with asyncio.timeout_at(ends):
            return await pool.connected(origin)
    except TimeoutError:
        raise UpstreamFailure(
            "upstream_timeout",
            "The account's connections are all in use, and none became free in time.",
            retryable=True,
            sent=False,
        ) from None


def _cleaned(failure: UpstreamFailure) -> UpstreamFailure:
    """A provider may echo a credential; nobody else may see it."""
    failure.args = (redactor.clean(str(failure)),)
    return failure
