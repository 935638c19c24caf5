"""Notes where this process connects to: an adapter speaks to its provider, at load to nobody."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_listening: list[Connected] = []
_patching = threading.Lock()


class Connected:
    """Addresses `(host, port)` and names that were sought. With `main` those of the main thread
    count as well, which otherwise are the tests' own."""

    def __init__(self, *, main: bool = False) -> None:
        self._main = main
        self.addresses: list[tuple[str, int]] = []

    def note(self, host: object, port: object) -> None:
        """Remember a connection, or a name that was looked up (port 0)."""
        mine = self._main or threading.current_thread() is not threading.main_thread()
        if mine and isinstance(host, str) and isinstance(port, int):
            self.addresses.append((host, port))

    def others(self, *allowed: tuple[str, int]) -> list[str]:
        """Return what was connected to besides these, once each."""
        known = {*allowed, *((host, 0) for host, _ in allowed), ("localhost", 0)}
        found = dict.fromkeys(one for one in self.addresses if one not in known)
        return [f"{host}:{port}" if port else host for host, port in found]


@contextmanager
def noting(outgoing: Connected) -> Iterator[Connected]:
    """Note what happens within."""
    with _patching:
        if not _listening:
            _patch()
        _listening.append(outgoing)
    try:
        yield outgoing
    finally:
        with _patching:
            _listening.remove(outgoing)
            if not _listening:
                _unpatch()


def _told(host: object, port: object) -> None:
    for one in [*_listening]:
        one.note(host, port)


_connect, _connect_ex, _resolve = (
    socket.socket.connect,
    socket.socket.connect_ex,
    socket.getaddrinfo,
)


def _patch() -> None:
    # Python's own sockets, asyncio's and every client's go through these names.
    def connect(sock: socket.socket, address: Any) -> None:
        _note_address(address)
        return _connect(sock, address)

    def connect_ex(sock: socket.socket, address: Any) -> int:
        _note_address(address)
        return _connect_ex(sock, address)

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(host, str) and not _is_address(host):
            _told(host, 0)
        return _resolve(host, *rest, **more)

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign,assignment]
    socket.getaddrinfo = resolve


def _unpatch() -> None:
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _resolve


def _note_address(address: Any) -> None:
    if isinstance(address, tuple):
        _told(address[0], address[1])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
