"""Sockets that listen: bound before anything is opened, handed on, given up without loss."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from crossdock.errors import ConfigError

BACKLOG = 1_024


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host. Raises ConfigError when that cannot be."""
    found: list[socket.socket] = []
    absent = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    try:
        for address in dict.fromkeys(
            socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            try:
                found.append(_listen(address[0], address[2], address[4]))
            except OSError as error:
                # A name may have an address of a family that this machine does not speak.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
        if not found:
            raise absent
    except OSError as error:
        for one in found:
            one.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port"
        ) from None
    return found


def _listen(family: int, protocol: int, address: Any) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM, protocol)
    try:
        if os.name == "posix":
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one


def origin(listening: socket.socket) -> str:
    """Return the origin under which a socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def take_waiting(listening: Iterable[socket.socket]) -> list[socket.socket]:
    """Return the connections that nobody has accepted yet, and close what listens.

    Who connects from now on is refused at once, so a proxy knows that nothing of the request was
    read and sends it elsewhere.
    """
    waiting: list[socket.socket] = []
    for one in listening:
        with one, suppress(OSError):  # BlockingIOError: nobody waits any more
            while len(waiting) < BACKLOG:
                waiting.append(one.accept()[0])
    return waiting
