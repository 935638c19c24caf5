"""JSON bodies: what goes to a provider, and what comes back and may be anything."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.errors import UpstreamFailure


def encode(value: Any) -> bytes:
    """Return plain values as JSON bytes."""
    return msgspec.json.encode(value)


def decode(body: bytes | msgspec.Raw) -> Any:
    """Decode a provider's JSON. Raises UpstreamFailure (upstream_malformed)."""
    return decode_as(body, Any)


def malformed(error: Exception | str) -> UpstreamFailure:
    """Return the failure for an answer that is not the JSON it should be."""
    if isinstance(error, RecursionError):
        error = "it is nested too deeply"
    return UpstreamFailure(
        "upstream_malformed", f"The provider's answer cannot be used: {error}", retryable=False
    )


def decode_as(body: bytes | msgspec.Raw, kind: Any) -> Any:
    """Decode a provider's JSON into a type. Raises UpstreamFailure (upstream_malformed)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise malformed(error) from None
