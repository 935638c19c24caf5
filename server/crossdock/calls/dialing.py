"""How a provider is reached: name → addresses → the first that answers, and TLS upon it.

Each address is judged right before it is connected to, and nothing else is connected to: a name
that leads to a private address, or comes to lead to one, gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from aiohappyeyeballs import start_connection
from cachetools import TTLCache

from crossdock.adapter.addresses import is_public, literal, meant_by
from crossdock.calls.targets import Origin
from crossdock.errors import UpstreamFailure

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Spoken = TypeVar("Spoken", bound=asyncio.Protocol)

_STAGGER = 0.25  # seconds until the next address is tried beside the first (RFC 8305)
_NAMES, _NAME_SECONDS = 1000, 10.0

# OpenSSL's numbers of what can be wrong with a certificate.
_CERTIFICATES = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "it comes from an authority that is not known here",
    20: "it comes from an authority that is not known here",
    21: "it comes from an authority that is not known here",
    62: "it is for another host",
    64: "it is for another address",
}


class Dialer:
    """Opens connections, to public addresses by https, and by either inside `allowed`."""

    def __init__(self, allowed: Sequence[Network], seconds: float) -> None:
        self._allowed = tuple(allowed)
        self._seconds = seconds
        self._trust: ssl.SSLContext | None = None
        self._resolving: TTLCache[tuple[str, int], asyncio.Future[list[Any]]] = TTLCache(
            _NAMES, _NAME_SECONDS
        )

    async def connect(self, origin: Origin, protocol: Callable[[], Spoken]) -> Spoken:
        """Return what speaks over a new connection. Raises UpstreamFailure, nothing sent."""
        try:
            async with asyncio.timeout(self._seconds):
                trust = await self._trusted() if origin.secure else None
                sock = await start_connection(
                    self._judged(origin, await self._addresses(origin)),
                    happy_eyeballs_delay=_STAGGER,
                )
                return await self._spoken(origin, sock, trust, protocol)
        except ssl.SSLCertVerificationError as error:
            what = _CERTIFICATES.get(error.verify_code, "it cannot be verified")
            raise unreachable(f"its TLS certificate is not valid: {what}") from None
        except ssl.SSLError:
            raise unreachable("it does not speak TLS as it should") from None
        except socket.gaierror:
            raise unreachable("its name cannot be resolved") from None
        except UnicodeError:
            raise UpstreamFailure(
                "upstream_unreachable",
                "The account's base_url names no host that can be reached; check its spelling.",
                sent=False,
            ) from None
        except (OSError, RuntimeError):  # uvloop says some of it in RuntimeErrors
            raise unreachable("no connection") from None

    def close(self) -> None:
        """Wait for no name any more."""
        for resolving in self._resolving.values():
            resolving.cancel()

    async def _addresses(self, origin: Origin) -> list[Any]:
        """Resolve a name, once for all who ask meanwhile and for a while after."""
        known = self._resolving.get((origin.host, origin.port))
        if known is None or (known.done() and (known.cancelled() or known.exception())):
            known = asyncio.ensure_future(_resolved(origin))
            known.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._resolving[origin.host, origin.port] = known
        return await asyncio.shield(known)

    def _judged(self, origin: Origin, addresses: list[Any]) -> list[Any]:
        """Return those that may be connected to. Raises UpstreamFailure when there is none."""
        hosts = [ipaddress.ip_address(one[4][0].partition("%")[0]) for one in addresses]
        may = self._public if origin.secure else self._inside
        good = [one for one, host in zip(addresses, hosts, strict=True) if may(host)]
        if not good:
            why = "is not a public address"
            if not origin.secure:
                why = "is not inside [upstream] allow_private"
            raise UpstreamFailure(
                "upstream_unreachable",
                f"The account's base_url is refused: {hosts[0]} {why}. "
                "List its network in [upstream] allow_private if that is meant.",
                sent=False,
            )
        return good

    def _public(self, host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return is_public(host) or self._inside(host)

    def _inside(self, host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        meant = meant_by(host)
        return any(meant in network for network in self._allowed)

    async def _spoken(
        self,
        origin: Origin,
        sock: socket.socket,
        trust: ssl.SSLContext | None,
        protocol: Callable[[], Spoken],
    ) -> Spoken:
        """Return what speaks over a socket, which is the event loop's from here on."""
        loop = asyncio.get_running_loop()
        if trust is None:
            return (await loop.create_connection(protocol, sock=sock))[1]
        _, spoken = await loop.create_connection(
            protocol,
            sock=sock,
            ssl=trust,
            server_hostname=origin.host.rstrip("."),
            ssl_handshake_timeout=self._seconds,
        )
        return spoken

    async def _trusted(self) -> ssl.SSLContext:
        """Return what decides whom to trust, with the system's authorities, or SSL_CERT_FILE's."""
        if self._trust is None:
            self._trust = await asyncio.to_thread(_trust)  # there are many to read
        return self._trust


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _resolved(origin: Origin) -> list[Any]:
    flags = socket.AI_ADDRCONFIG if literal(origin.host) is None else 0
    return await asyncio.get_running_loop().getaddrinfo(
        origin.host, origin.port, type=socket.SOCK_STREAM, flags=flags
    )


def unreachable(reason: str) -> UpstreamFailure:
    """Return the failure of a provider to which no connection can be made."""
    return UpstreamFailure(
        "upstream_unreachable",
        f"The provider cannot be reached: {reason}.",
        retryable=True,
        sent=False,
    )
