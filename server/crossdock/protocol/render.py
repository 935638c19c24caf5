"""Answers and failures → MCP results of a revision, and rate-limit headers.

Provider bytes are spliced in as they are: escaped once as text, never decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import http_sf
import msgspec

from crossdock import __version__
from crossdock.authoring import Outcome, Question, RateLimit, Tool
from crossdock.errors import ToolFailure, UpstreamFailure
from crossdock.model import ResultFormat, ToolList
from crossdock.protocol.versions import SUPPORTED, Revision
from crossdock.redaction import redactor

SERVER_INFO = {"name": "crossdock", "title": "crossdock", "version": __version__}
_MODERN_META = b',"_meta":{"io.modelcontextprotocol/serverInfo":%b}' % msgspec.json.encode(
    SERVER_INFO
)
_CAPABILITIES: dict[str, Any] = {"tools": {"listChanged": True}, "logging": {}}

_MOST_IN_FIELD = 999_999_999_999_999  # RFC 9651 has no greater integer, and providers name some

Pairs = tuple[tuple[str, str], ...]


def envelope(revision: Revision, members: bytes) -> bytes:
    """Close a result: the newest revision adds its type and who answered."""
    if revision.modern:
        return b'{"resultType":"complete",%b%b}' % (members, _MODERN_META)
    return b"{%b}" % members


# --- tools/call ------------------------------------------------------------------------------


def answer(outcome: Outcome, format: ResultFormat, revision: Revision) -> bytes:
    """Return the result of a successful call, whose data are bytes of JSON."""
    content: list[bytes] = []
    payload = cast("bytes", outcome.data)
    if outcome.content:
        content.extend(_block(block, revision) for block in outcome.content)
    elif format != "structured" or not revision.structured:
        content.append(_text(payload.decode()))
    if outcome.notes:
        content.append(_text(msgspec.json.encode({"notes": outcome.notes}).decode()))
    members = b'"content":[%b],"isError":false' % b",".join(content)
    if format != "text" and revision.structured and payload:
        if payload[:1] != b"{":
            payload = b'{"result":%b}' % payload
        members += b',"structuredContent":%b' % payload
    return envelope(revision, members)


def failure(failure: ToolFailure, request_id: str, revision: Revision) -> bytes:
    """Return the result of a failed call: words a model can act on, and the same as data."""
    error: dict[str, Any] = {
        "kind": failure.kind,
        "message": str(failure),
        "retryable": failure.retryable,
        "upstream_status": getattr(failure, "status", None),
        "request_id": request_id,
        **failure.details(),
    }
    if isinstance(failure, UpstreamFailure) and failure.kind == "rate_limited":
        rate = failure.rate
        error["retry_after_seconds"] = wait_of(rate)
        error["ratelimit"] = {
            "limit": rate.limit,
            "remaining": rate.remaining,
            "reset": wait_of(rate),
        }
    encoded = redactor.clean_json(msgspec.json.encode({"error": error}))
    members = b'"content":[%b],"isError":true' % _text(encoded.decode())
    if revision.structured:
        members += b',"structuredContent":%b' % encoded
    return envelope(revision, members)


def input_required(questions: tuple[Question, ...], state: str) -> bytes:
    """Return the result that asks the client before the call can go on."""
    asked = {
        question.key: {"method": question.method, "params": question.params}
        for question in questions
    }
    return b'{"resultType":"input_required","inputRequests":%b,"requestState":%b%b}' % (
        msgspec.json.encode(asked),
        msgspec.json.encode(state),
        _MODERN_META,
    )


def _block(block: Mapping[str, Any], revision: Revision) -> bytes:
    """Return a content block; kinds that a revision does not know become words."""
    kind = block.get("type")
    if kind == "audio" and not revision.audio:
        resource = {"uri": "crossdock://audio", "mimeType": block.get("mimeType", "audio/*")}
        resource["blob"] = block.get("data", "")
        return msgspec.json.encode({"type": "resource", "resource": resource})
    if kind == "resource_link" and not revision.links:
        return _text(f"{block.get('title') or block.get('name', '')}: {block.get('uri', '')}")
    return msgspec.json.encode(block)


def _text(text: str) -> bytes:
    return b'{"type":"text","text":%b}' % msgspec.json.encode(text)


# --- limits ----------------------------------------------------------------------------------


def wait_of(rate: RateLimit) -> int | None:
    """Return the longest wait that the provider named, in seconds."""
    waits = [wait for wait in (rate.retry_after, rate.reset) if wait is not None]
    return max(waits) if waits else None


def rate_headers(rate: RateLimit, limited: bool) -> Pairs:
    """Return the provider's limits as HTTP headers: the customary triple and the IETF fields."""
    if not rate:
        return ()
    reset = wait_of(rate) if limited else rate.reset
    headers: list[tuple[str, str]] = []
    for name, value in (("limit", rate.limit), ("remaining", rate.remaining), ("reset", reset)):
        if value is not None:
            headers.append((f"ratelimit-{name}", str(value)))
    if rate.limit is not None:
        headers.append(("RateLimit-Policy", _limit_field(q=rate.limit)))
    remaining = 0 if limited and rate.remaining is None else rate.remaining
    if remaining is not None:
        headers.append(("RateLimit", _limit_field(r=remaining, t=reset)))
    if limited and reset is not None:
        headers.append(("Retry-After", str(reset)))
    return tuple(headers)


def _limit_field(**parameters: int | None) -> str:
    """Return a structured list of one item: the provider's limit, with what is known of it."""
    known = {
        name: min(value, _MOST_IN_FIELD) for name, value in parameters.items() if value is not None
    }
    field: Any = [("provider", known)]  # the library's type has no list of such pairs
    return http_sf.ser(field)


# --- tools/list, initialize, server/discover -------------------------------------------------


def tool_list(listing: ToolList, revision: Revision) -> bytes:
    """Return the result of tools/list; made once per listing and revision."""
    found = listing.rendered.get(revision.name)
    if found is None:
        tools = msgspec.json.encode([_tool(tool, revision) for tool in listing.tools])
        members = b'"tools":%b' % tools
        if revision.modern:
            members += b',"ttlMs":0,"cacheScope":"private"'
        found = envelope(revision, members)
        listing.rendered[revision.name] = found
    return found


def _tool(tool: Tool, revision: Revision) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tool.name}
    if revision.titles:
        shown["title"] = tool.title
    shown["description"] = tool.description
    shown["inputSchema"] = tool.input_schema
    if revision.annotations:
        # Where a tool has a title of its own, a second one would only cost tokens.
        shown["annotations"] = ({} if revision.titles else {"title": tool.title}) | tool.hints
    return shown


def initialize(revision: Revision, instructions: str) -> bytes:
    """Return the result of `initialize`."""
    info = dict(SERVER_INFO)
    if not revision.titles:
        del info["title"]
    return msgspec.json.encode(
        {
            "protocolVersion": revision.name,
            "capabilities": _CAPABILITIES,
            "serverInfo": info,
            "instructions": instructions,
        }
    )


def discover(revision: Revision, instructions: str) -> bytes:
    """Return the result of `server/discover`."""
    members = msgspec.json.encode(
        {
            "supportedVersions": SUPPORTED,
            "capabilities": _CAPABILITIES,
            "instructions": instructions,
            "ttlMs": 0,
            "cacheScope": "private",
        }
    )
    return envelope(revision, members[1:-1])
