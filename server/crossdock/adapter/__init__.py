"""The authoring API: all that an adapter imports. Under SemVer."""

from crossdock.adapter.auth import ApiKey, Basic
from crossdock.adapter.bodies import decode, encode
from crossdock.adapter.given import Expansion
from crossdock.adapter.load import Adapter, load_adapter
from crossdock.adapter.pace import unhurried
from crossdock.adapter.rest import one_segment, rest
from crossdock.authoring import (
    Auth,
    Call,
    Context,
    HumanReply,
    LogLevel,
    Mapper,
    Outcome,
    Outgoing,
    Page,
    Question,
    RateLimit,
    Renewal,
    SignsRequests,
    TokenHttp,
    Tool,
    UpstreamReply,
    UpstreamRequest,
    hookimpl,
)
from crossdock.errors import (
    Busy,
    CannotAsk,
    Conflict,
    Forbidden,
    InvalidArguments,
    ToolFailure,
    UpstreamFailure,
    WriteNotVerified,
    WriteOutcomeUnknown,
)

__all__ = [
    "Adapter",
    "ApiKey",
    "Auth",
    "Basic",
    "Busy",
    "Call",
    "CannotAsk",
    "Conflict",
    "Context",
    "Expansion",
    "Forbidden",
    "HumanReply",
    "InvalidArguments",
    "LogLevel",
    "Mapper",
    "Outcome",
    "Outgoing",
    "Page",
    "Question",
    "RateLimit",
    "Renewal",
    "SignsRequests",
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
    "unhurried",
]
