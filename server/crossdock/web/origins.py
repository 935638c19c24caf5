"""Which hosts and pages may speak to the gateway, and under which origin it is known."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import web

from crossdock.config import ServerSettings, networks
from crossdock.model import LOOPBACK

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# RFC 9112 §3.2: a name or a bracketed IPv6 address, and a port; nothing else is a host.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")


class Origins:
    """Checks Host and Origin against DNS rebinding; made once from `[server]`."""

    def __init__(self, settings: ServerSettings) -> None:
        self._public = settings.public_url.rstrip("/")
        # This machine's names stay good beside a list: a health check or a bridge here uses them.
        names = {_host(name) for name in settings.allowed_hosts} | LOOPBACK
        if self._public:
            names.add(urlsplit(self._public).hostname or "")
        self._hosts = names - {""}
        self._pages = {origin.rstrip("/").lower() for origin in settings.allowed_origins}
        self._proxies = networks(settings.trusted_proxies, "config", "server.trusted_proxies")

    def host_fits(self, request: web.BaseRequest) -> bool:
        """Whether the Host header names this gateway."""
        hosts = request.headers.getall("Host", ())
        return len(hosts) == 1 and _host(hosts[0]) in self._hosts

    def page_fits(self, origin: str) -> bool:
        """Whether a browser page of this origin may speak: listed, our own, or on this machine."""
        if self.is_listed(origin):
            return True
        try:
            parts = urlsplit(origin)
            host = parts.hostname
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or host is None:
            return False
        own = urlsplit(self._public)
        if self._public and (parts.scheme, parts.netloc.lower()) == (
            own.scheme,
            own.netloc.lower(),
        ):
            return True
        return host in LOOPBACK and host in self._hosts | LOOPBACK

    def is_listed(self, origin: str) -> bool:
        """Whether `[server] allowed_origins` names this origin."""
        return origin.lower() in self._pages

    @property
    def is_public(self) -> bool:
        """Whether people reach it under a public origin, so that a peer here may be a proxy."""
        return bool(self._public or self._proxies)

    def public_url(self, request: web.BaseRequest) -> str:
        """Return the origin to put into URLs that are handed out."""
        if self._public:
            return self._public
        scheme, host = request.scheme, request.headers.get("Host", "")
        if self.is_proxy(request.remote):
            told = request.headers.get("X-Forwarded-Proto", scheme).lower()
            scheme = told if told in ("http", "https") else scheme
            name = request.headers.get("X-Forwarded-Host", host)
            host = name if _host(name) else host
        return f"{scheme}://{host}"

    def is_proxy(self, address: str | None) -> bool:
        """Whether forwarded headers of this peer count."""
        return self._is_proxy(_address(address))

    def _is_proxy(self, peer: Address | None) -> bool:
        return peer is not None and any(peer in network for network in self._proxies)

    def client(self, request: web.BaseRequest) -> Address | None:
        """Return where a request comes from: the peer, or what trusted proxies say of it.

        Each proxy appends whom it heard from, so the last address that is no proxy of ours counts;
        what stands before it anybody may have invented.
        """
        found = _address(request.remote)
        hops = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while self._is_proxy(found) and hops and hops[-1].strip():
            found = _address(hops.pop().strip())
        return found


def _address(text: str | None) -> Address | None:
    try:
        found = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=256)
def _host(text: str) -> str:
    """Return a Host header's name without its port, in lower case; nothing for no such thing."""
    found = _HOST.fullmatch(text.strip().lower())
    return "" if found is None else found[1] or found[2]
