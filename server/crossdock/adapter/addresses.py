"""Which hosts and addresses are public: judged alike for what is typed and what is connected to."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# Ranges whose last 32 bits are an IPv4 address that a translator on the way may connect to:
# RFC 6052 (well-known and local-use prefix), RFC 2765 (IPv4-translated), RFC 4291 (compatible).
_EMBEDDING = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::ffff:0:0:0/96"),
    IPv6Network("::/96"),
)
_LOCAL_USE = IPv6Network("64:ff9b:1::/48")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, whatever it is wrapped in."""
    if address in _LOCAL_USE:  # RFC 8215: used inside one network, wherever it leads
        return False
    meant = meant_by(address)
    return meant.is_global and not meant.is_multicast


def meant_by(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one leads to: mapped, 6to4, NAT64 and the like."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def literal(host: str) -> Address | None:
    """Return the address that a URL's host spells, this machine's names included; else None."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return ip_address(name.partition("%")[0])
    except ValueError:
        return None


def is_name(host: str) -> bool:
    """Whether this can be a DNS name: labels of 1 to 63 characters, none of them a number last."""
    try:
        name = host.rstrip(".") if host.isascii() else host.encode("idna").decode()
        for label in name.split("."):
            if label.lower().startswith("xn--"):
                label.encode().decode("idna")
    except UnicodeError:
        return False
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return False
    # Some resolvers read what ends in a number as an address: 127.1, 0x7f000001.
    return not re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1], re.IGNORECASE)
