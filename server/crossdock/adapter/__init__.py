"""The authoring API: all that an adapter imports. Under SemVer."""

from crossdock.adapter.auth import ApiKey, Basic
from crossdock.adapter.bodies import decode, encode
from crossdock.adapter.load import Adapter, Expansion, load_adapter
from crossdock.adapter.rest import one_segment, rest
from crossdock.errors import (
    Busy,
    Conflict,
    InvalidArguments,
    ToolFailure,
    UpstreamFailure,
    WriteNotVerified,
    WriteOutcomeUnknown,
)
from crossdock.hookspecs import hookimpl
from crossdock.model import (
    Auth,
    Call,
    Context,
    Mapper,
    Outcome,
    Page,
    RateLimit,
    Renewal,
    Tool,
    TokenHttp,
    UpstreamReply,
    UpstreamRequest,
)

__all__ = [
    "Adapter",
    "ApiKey",
    "Auth",
    "Basic",
    "Busy",
    "Call",
    "Conflict",
    "Context",
    "Expansion",
    "InvalidArguments",
    "Mapper",
    "Outcome",
    "Page",
    "RateLimit",
    "Renewal",
    "TokenHttp",
    "Tool",
    "ToolFailure",
    "UpstreamFailure",
    "UpstreamReply",
    "UpstreamRequest",
    "WriteNotVerified",
    "WriteOutcomeUnknown",
    "decode",
    "encode",
    "hookimpl",
    "load_adapter",
    "one_segment",
    "rest",
]
