"""A provider's answer → an outcome: JSON, text, or bytes that become an MCP block."""

from __future__ import annotations

import base64
import binascii
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from crossdock.adapter.bodies import decode, malformed
from crossdock.adapter.pointers import raw_at, without
from crossdock.authoring import Call, Outcome, Receive, UpstreamReply
from crossdock.errors import UpstreamFailure

_OCTETS = "application/octet-stream"
_SIGNS = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"^XA", "application/zpl"),
    (b"PK\x03\x04", "application/zip"),
)


def is_json(call: Call, reply: UpstreamReply) -> bool:
    """Whether an answer is a JSON record, and nothing but that."""
    spec = call.tool.endpoint.receive
    if spec.at:
        return bytes(raw_at(reply.body, spec.at) or b"null") == b"null"
    return spec.as_ == "json" or (spec.as_ == "auto" and _is_json_type(_type_of(reply)))


def read_blocks(call: Call, reply: UpstreamReply, uri: str) -> Outcome:
    """Return an answer that is not just JSON as content; `uri` names it. Raises UpstreamFailure."""
    spec = call.tool.endpoint.receive
    if spec.at:
        return _inside(reply, spec, uri)
    kind = _type_of(reply) or (spec.types[0] if len(spec.types) == 1 else _OCTETS)
    if spec.types and not any(fnmatchcase(kind, one.lower()) for one in spec.types):
        raise UpstreamFailure(
            "upstream_malformed",
            f"The provider answered {kind}, where {' or '.join(spec.types)} belongs.",
            status=reply.status,
            rate=reply.rate,
        )
    if spec.as_ == "text" or (spec.as_ == "auto" and kind.startswith("text/")):
        block = {"type": "text", "text": _text(reply)}
    else:
        block = block_of(reply.body, kind, uri)
    return Outcome(content=(block,), rate=reply.rate)


def block_of(data: bytes, kind: str, uri: str) -> dict[str, Any]:
    """Return bytes as an MCP content block of their media type."""
    text = base64.b64encode(data).decode()
    for family in ("image", "audio"):
        if kind.startswith(f"{family}/"):
            return {"type": family, "data": text, "mimeType": kind}
    return {"type": "resource", "resource": {"uri": uri, "mimeType": kind, "blob": text}}


def _inside(reply: UpstreamReply, spec: Receive, uri: str) -> Outcome:
    """Take base64 text out of JSON: the rest is told as it stands, before the block."""
    told = decode(raw_at(reply.body, spec.at) or b"null")
    text = told if isinstance(told, str) else "?"
    head, comma, tail = text.partition(",")
    encoded = tail if comma and head.startswith("data:") else text
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise malformed(f"its {spec.at} is no base64 text") from None
    rest = msgspec.json.format(without(reply.body, spec.at), indent=-1)
    kind = spec.types[0] if len(spec.types) == 1 else _sniffed(data)
    block = block_of(data, kind, uri)
    return Outcome(content=({"type": "text", "text": rest.decode()}, block), rate=reply.rate)


def _sniffed(data: bytes) -> str:
    return next((kind for sign, kind in _SIGNS if data.startswith(sign)), _OCTETS)


def _text(reply: UpstreamReply) -> str:
    parameters = reply.headers.get("content-type", "").partition(";")[2]
    name, _, charset = parameters.strip().partition("=")
    charset = charset.strip().strip('"') if name.lower() == "charset" else "utf-8"
    try:
        return reply.body.decode(charset)
    except (LookupError, UnicodeDecodeError):
        raise malformed(f"it is no {charset} text") from None


def _type_of(reply: UpstreamReply) -> str:
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_json_type(kind: str) -> bool:
    return kind in ("", "application/json") or kind.endswith("+json")
