"""Where requests go, and their heads as bytes: what can be prepared once is not made per call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from yarl import URL

from crossdock import __version__
from crossdock.calls.unpacking import ACCEPTED
from crossdock.model import Struct

_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LINE = re.compile(rb"[A-Z]{1,20} /[!-~]* HTTP/1\.1")
_UNRESERVED = re.compile(r"[0-9A-Za-z_.~-]*")
_AUTHORITY = re.compile(rb"[!-~]+")

# What says where a message ends or whom it is for is the client's own to say.
_FRAMING = {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection"}
_FRAMING |= {"te", "trailer", "transfer-encoding", "upgrade"}
_DEFAULTS = {
    "User-Agent": f"crossdock/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": ACCEPTED,
}


class Origin(Struct, frozen=True, kw_only=True):
    """A scheme, host and port. Connections are shared by requests of one origin only."""

    host: str
    port: int
    secure: bool
    authority: bytes  # the Host header
    key: str


def origin_of(url: URL) -> Origin:
    """Return where a URL leads. Raises ValueError when it names no host by http or https."""
    host, port = url.raw_host, url.port
    if not host or port is None or url.scheme not in _PORTS:
        raise ValueError("not a URL of a host by http or https")
    shown = host.partition("%")[0].rstrip(".")
    shown = f"[{shown}]" if ":" in shown else shown
    if port != _PORTS[url.scheme]:
        shown = f"{shown}:{port}"
    authority = shown.encode("ascii")
    if not _AUTHORITY.fullmatch(authority):
        raise ValueError("not a name of a host")
    return Origin(
        host=host,
        port=port,
        secure=url.scheme == "https",
        authority=authority,
        key=f"{url.scheme}://{host}:{port}",
    )


def header_lines(*sources: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """Return header lines; of a name that several sources give, the last one's. Raises ValueError
    for what is no header, or is not theirs to give."""
    for source in sources:
        for name, value in dict(source).items():
            if not _NAME.fullmatch(name) or name.lower() in _FRAMING:
                raise ValueError(f"{name!r} is no header that a request may carry")
            if _NO_VALUE.search(value):
                raise ValueError(f"the value of the header {name} holds a control character")
    chosen = joined(_DEFAULTS, *sources)
    return "".join(f"{name}: {value}\r\n" for name, value in chosen.items()).encode()


def joined(*sources: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers of several sources; of a name in any case the last one's count."""
    chosen: dict[str, tuple[str, str]] = {}
    for source in sources:
        for name, value in dict(source).items():
            chosen[name.lower()] = (name, value.strip(" \t"))
    return dict(chosen.values())


def request_head(verb: str, origin: Origin, target: str, lines: bytes, body: bytes | None) -> bytes:
    """Return a request's head. `target` is an encoded path with its query. Raises ValueError."""
    if not target.isascii():
        target = "".join([one if one.isascii() else quote(one) for one in target])
    verb = verb.upper()
    line = f"{verb} {target} HTTP/1.1".encode()
    if not _LINE.fullmatch(line):
        raise ValueError("a request is a verb and a percent-encoded path")
    if body is None and verb in ("GET", "HEAD"):
        return b"%b\r\nHost: %b\r\n%b\r\n" % (line, origin.authority, lines)
    length = b"Content-Length: %d\r\n\r\n" % len(body or b"")
    return b"%b\r\nHost: %b\r\n%b%b" % (line, origin.authority, lines, length)


def quoted(text: str) -> str:
    """Return text with every reserved character escaped."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def query_string(pairs: Sequence[tuple[str, str]]) -> str:
    """Return encoded `name=value` pairs; every reserved character is escaped."""
    return "&".join([f"{quoted(name)}={quoted(value)}" for name, value in pairs])
