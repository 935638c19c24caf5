"""The only HTTP client that speaks to providers: send once, cap sizes, never follow.

Nothing here retries. Private addresses are refused on the connected address, so a name that
resolves to one cannot slip through.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from crossdock import __version__
from crossdock.adapter.addresses import is_public, meant_by
from crossdock.adapter.failures import read_failure, read_rate
from crossdock.adapter.manifest import FailuresSpec
from crossdock.authoring import UpstreamReply
from crossdock.calls.pools import Pools
from crossdock.errors import UpstreamFailure
from crossdock.model import Struct
from crossdock.redaction import redactor

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ERROR_BYTES = 65_536
_COUNTED = 65_536  # smaller answers are not worth counting
_IDLE_SECONDS = 10  # longer-lived idle connections meet a provider that just closed them


Read = Callable[[int, int], None]


class UpstreamLimits(Struct, frozen=True, kw_only=True):
    """Seconds and bytes of one request to a provider."""

    connect_seconds: float = 5.0
    idle_seconds: float = 15.0
    total_seconds: float = 30.0
    answer_bytes: int = 8 * 1024 * 1024
    connections: int = 64


class PrivateAddress(OSError):
    """The provider's name leads to an address that is not public."""


class Upstream:
    """Sends for all accounts, each over connections of its own. `close` it in the end."""

    def __init__(self, limits: UpstreamLimits, allow_private: Sequence[Network] = ()) -> None:
        self._limits = limits
        self._allowed = tuple(allow_private)
        self._pools = Pools(self._session, _IDLE_SECONDS)

    @property
    def pools(self) -> int:
        """How many pools of connections are open."""
        return len(self._pools)

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    def _session(self, public: bool) -> aiohttp.ClientSession:
        """Open a pool for https, or for plain http inside `[upstream] allow_private`."""
        connector = aiohttp.TCPConnector(
            limit=self._limits.connections,
            keepalive_timeout=_IDLE_SECONDS,
            socket_factory=self._public_socket if public else self._private_socket,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self._limits.total_seconds,
                sock_connect=self._limits.connect_seconds,
                sock_read=self._limits.idle_seconds,
            ),
            headers={"User-Agent": f"crossdock/{__version__}"},
            auto_decompress=True,
            trust_env=False,
        )
        # aiohttp repeats GET, PUT and DELETE on a dropped connection, and there is no public
        # switch: a lost answer to a PUT would become a second write. A test with a provider
        # that drops connections guards this line.
        session._retry_connection = False
        return session

    def _public_socket(self, address: Any) -> socket.socket:
        host = ipaddress.ip_address(address[4][0].partition("%")[0])
        if not is_public(host) and not self._inside(host):
            raise PrivateAddress(f"{host} is not a public address")
        return _socket(address)

    def _private_socket(self, address: Any) -> socket.socket:
        host = ipaddress.ip_address(address[4][0].partition("%")[0])
        if not self._inside(host):
            raise PrivateAddress(f"{host} is not inside [upstream] allow_private")
        return _socket(address)

    def _inside(self, host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        meant = meant_by(host)
        return any(meant in network for network in self._allowed)

    async def send(
        self,
        verb: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        failures: FailuresSpec,
        *,
        account: str,
        read: Read | None = None,
    ) -> UpstreamReply:
        """Send one request and read the whole answer, within time and size limits.

        `account` is the id of the one whose connections are used. `read` is called with the number
        of bytes and the status before more of a large answer is kept; what it raises ends that.

        Raises UpstreamFailure for everything but a 2xx answer. A refusal has its `status` and is
        read as `failures` says; without a usable answer it is upstream_unreachable,
        upstream_timeout, upstream_too_large or upstream_malformed; `sent` is False only when
        the request certainly did not leave.
        """
        try:
            with self._pools.session(account, public=url.scheme == "https") as session:
                async with session.request(
                    verb, url, headers=headers, data=body, allow_redirects=False
                ) as response:
                    content = await self._read(response, read)
        except (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise _no_answer(error) from None
        status, told = response.status, _joined(response.headers)
        if not 200 <= status < 300:
            raise _cleaned(read_failure(status, told, content, failures))
        rate = read_rate(told, failures.rate_limit)
        return UpstreamReply(status=status, headers=told, body=content, rate=rate)

    async def _read(self, response: aiohttp.ClientResponse, read: Read | None) -> bytes:
        # An error page is read for its words only; a good answer is read whole or refused.
        good = response.status < 300
        most = self._limits.answer_bytes if good else _ERROR_BYTES
        chunks: list[bytes] = []
        size = counted = 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > most:
                response.close()  # the rest is not worth reading
                if good:
                    raise UpstreamFailure(
                        "upstream_too_large",
                        f"The provider's answer is larger than {most:,} bytes; ask for less.",
                        status=response.status,
                    )
                break
            chunks.append(chunk)
            if read is not None and size > _COUNTED:
                try:
                    read(size - counted, response.status)
                except UpstreamFailure:
                    response.close()
                    raise
                counted = size
        return b"".join(chunks)


def _socket(address: Any) -> socket.socket:
    return socket.socket(family=address[0], type=address[1], proto=address[2])


def _joined(headers: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _cleaned(failure: UpstreamFailure) -> UpstreamFailure:
    """A provider may echo a credential; nobody else may see it."""
    failure.args = (redactor.clean(str(failure)),)
    return failure


def _no_answer(error: Exception) -> UpstreamFailure:
    """Name what happened without echoing a URL or a header."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PrivateAddress):
            return UpstreamFailure(
                "upstream_unreachable",
                f"The account's base_url is refused: {cause}. "
                "List its network in [upstream] allow_private if that is meant.",
                sent=False,
            )
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(error, aiohttp.InvalidURL):
        return UpstreamFailure(
            "upstream_unreachable",
            "The account's base_url names no host that can be reached; check its spelling.",
            sent=False,
        )
    if isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError)):
        if isinstance(error, (aiohttp.ClientConnectorCertificateError, ssl.SSLError)):
            reason = "its TLS certificate is not valid"
        elif isinstance(error, aiohttp.ClientConnectorDNSError):
            reason = "its name cannot be resolved"
        else:
            reason = "no connection"
        return UpstreamFailure(
            "upstream_unreachable",
            f"The provider cannot be reached: {reason}.",
            retryable=True,
            sent=False,
        )
    if isinstance(error, TimeoutError):
        return UpstreamFailure(
            "upstream_timeout", "The provider did not answer in time.", retryable=True
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return UpstreamFailure("upstream_malformed", "The provider's answer is not valid HTTP.")
    if isinstance(error, aiohttp.ClientPayloadError):
        return UpstreamFailure(
            "upstream_malformed", "The provider's answer broke off or cannot be decompressed."
        )
    return UpstreamFailure(
        "upstream_unreachable",
        "The provider closed the connection without an answer.",
        retryable=True,
    )


def query_string(pairs: Sequence[tuple[str, str]]) -> str:
    """Return encoded `name=value` pairs; every reserved character is escaped."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
