"""What differs between the protocol's revisions, in one table, and which one a message speaks.

Sources: the five published revisions of modelcontextprotocol.io, sections transports and
lifecycle (2024-11-05 … 2025-11-25) and versioning (2026-07-28).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from crossdock.authoring import LogLevel
from crossdock.errors import ProtocolError
from crossdock.model import Struct
from crossdock.protocol.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    UNSUPPORTED_VERSION,
    Message,
    text_of,
)

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"
LOG_LEVELS: tuple[LogLevel, ...] = (
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
)


class Revision(Struct, frozen=True, kw_only=True):
    """One published revision; each flag is a feature that not all of them have."""

    name: str
    modern: bool = False  # no handshake, no session; what a request needs stands in its _meta
    annotations: bool = True  # of tools; progress with words
    audio: bool = True
    links: bool = True  # content blocks of type resource_link
    titles: bool = True
    structured: bool = True
    elicitation: bool = True
    batches: bool = False
    priming: bool = False  # a stream begins with an empty event, so that it can be left and resumed


REVISIONS = {
    revision.name: revision
    for revision in (
        Revision(name="2026-07-28", modern=True),
        Revision(name="2025-11-25", priming=True),
        Revision(name="2025-06-18"),
        Revision(
            name="2025-03-26",
            links=False,
            titles=False,
            structured=False,
            elicitation=False,
            batches=True,
        ),
        Revision(
            name="2024-11-05",
            annotations=False,
            audio=False,
            links=False,
            titles=False,
            structured=False,
            elicitation=False,
        ),
    )
}
SUPPORTED = list(REVISIONS)
LATEST_LEGACY = REVISIONS["2025-11-25"]
ASSUMED = REVISIONS["2025-03-26"]  # what a request without a version header speaks
OLDEST = REVISIONS["2024-11-05"]


class Headers(Struct, frozen=True, kw_only=True):
    """The request headers that the protocol reads; every value that was sent, stripped.

    `values` gives those of any other header, for the few tools that have some.
    """

    version: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    session: str | None = None
    values: Callable[[str], Sequence[str]] = lambda name: ()


def classify(message: Message, headers: Headers) -> Revision:
    """Return the revision a message speaks: the body decides, headers only cross-check.

    Raises ProtocolError with the code and status that the revision prescribes.
    """
    claim = message.meta.get(VERSION_KEY)
    claimed = None if claim is None else text_of(claim)
    if claim is not None and (claimed is None or not _is_legacy(claimed)):
        return _modern(message, headers, claimed)
    if message.method == "initialize":
        if headers.version and not _is_legacy(headers.version[0]):
            raise ProtocolError(
                HEADER_MISMATCH,
                "Header mismatch: initialize belongs to the revisions "
                f"{', '.join(name for name in SUPPORTED if _is_legacy(name))}, but the header "
                "MCP-Protocol-Version names another",
                status=400,
            )
        return LATEST_LEGACY
    if headers.version and (named := REVISIONS.get(headers.version[0])) and named.modern:
        raise ProtocolError(
            INVALID_PARAMS,
            f"params._meta must hold {VERSION_KEY} (string) and {CAPABILITIES_KEY} (object)",
            status=400,
        )
    if not headers.version:
        return ASSUMED
    revision = REVISIONS.get(headers.version[0])
    if revision is None or len(set(headers.version)) > 1:
        raise ProtocolError(
            INVALID_REQUEST,
            "The header MCP-Protocol-Version names a revision that is not served; served are "
            + ", ".join(SUPPORTED),
            status=400,
        )
    return revision


class _Implementation(msgspec.Struct, frozen=True):
    name: str
    version: str


_ASKED: dict[str, tuple[str, msgspec.json.Decoder[Any]]] = {
    "protocolVersion": ("a string", msgspec.json.Decoder(str)),
    "capabilities": ("an object", msgspec.json.Decoder(dict[str, msgspec.Raw])),
    "clientInfo": ("an object with name and version", msgspec.json.Decoder(_Implementation)),
}


def negotiate(params: Mapping[str, msgspec.Raw]) -> Revision:
    """Answer `initialize`: the same revision if it is served, else the newest that has it.

    Raises ProtocolError (-32602) where one of its three parameters is missing or mistyped.
    """
    found: dict[str, Any] = {}
    for name, (kind, decoder) in _ASKED.items():
        try:
            found[name] = decoder.decode(params.get(name, b"null"))
        except (msgspec.DecodeError, RecursionError):
            raise ProtocolError(INVALID_PARAMS, f"params.{name} must be {kind}") from None
    revision = REVISIONS.get(found["protocolVersion"])
    return revision if revision is not None and not revision.modern else LATEST_LEGACY


def level_of(name: str | None) -> LogLevel:
    """Return a log level by its name. Raises ProtocolError (-32602)."""
    for level in LOG_LEVELS:
        if level == name:
            return level
    raise ProtocolError(INVALID_PARAMS, f"level must be one of {', '.join(LOG_LEVELS)}")


def _is_legacy(name: str) -> bool:
    revision = REVISIONS.get(name)
    return revision is not None and not revision.modern


def _modern(message: Message, headers: Headers, claimed: str | None) -> Revision:
    if message.is_request:
        _headers_agree(message, headers, claimed)
    if claimed is None:
        raise ProtocolError(INVALID_PARAMS, f"{VERSION_KEY} must be a string", status=400)
    revision = REVISIONS.get(claimed)
    if revision is None:
        raise ProtocolError(
            UNSUPPORTED_VERSION,
            "Unsupported protocol version",
            status=400,
            data={"supported": SUPPORTED, "requested": claimed},
        )
    capabilities = message.meta.get(CAPABILITIES_KEY)
    if capabilities is None or bytes(capabilities).lstrip()[:1] != b"{":
        raise ProtocolError(
            INVALID_PARAMS, f"params._meta must hold {CAPABILITIES_KEY} (object)", status=400
        )
    level = message.meta.get(LOG_LEVEL_KEY)
    if level is not None and text_of(level) not in LOG_LEVELS:
        raise ProtocolError(
            INVALID_PARAMS, f"{LOG_LEVEL_KEY} must be one of {', '.join(LOG_LEVELS)}", status=400
        )
    return revision


def _headers_agree(message: Message, headers: Headers, claimed: str | None) -> None:
    _equal("MCP-Protocol-Version", headers.version, claimed, VERSION_KEY)
    _equal("Mcp-Method", headers.method, message.method, "method")
    if message.method == "tools/call":
        name = message.params.get("name")
        decoded = tuple(decoded_header(value) for value in headers.name)
        _equal("Mcp-Name", decoded, None if name is None else text_of(name), "params.name")


def _equal(header: str, values: tuple[str, ...], wanted: str | None, place: str) -> None:
    if len(values) == 1 and values[0] == wanted:
        return
    if not values:
        reason = f"{header} is missing"
    elif len(values) > 1:
        reason = f"{header} is given more than once"
    else:
        reason = f"{header} does not match {place}"
    raise ProtocolError(HEADER_MISMATCH, f"Header mismatch: {reason}", status=400)


def decoded_header(value: str) -> str:
    """Undo the base64 sentinel form of a header value. Raises ProtocolError."""
    if not (value.startswith("=?base64?") and value.endswith("?=") and len(value) >= 11):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode("utf-8")
    except ValueError:
        raise ProtocolError(
            HEADER_MISMATCH, "Header mismatch: a base64 value cannot be decoded", status=400
        ) from None
