"""The shapes of answers outside MCP results: JSON, admin errors, JSON-RPC refusals at the door."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from crossdock.errors import Refused
from crossdock.protocol.jsonrpc import refusal_bytes

JSON = "application/json"


def json_reply(
    value: Any, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """Return a value as JSON."""
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type=JSON)


def error_reply(
    status: int,
    error: str,
    message: str,
    details: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """Return an error in the shape of the admin API."""
    body: dict[str, Any] = {"statusCode": status, "error": error, "message": message}
    if details is not None:
        body["details"] = details
    return json_reply(body, status, headers)


def refusal_headers(refused: Refused) -> dict[str, str]:
    """Return what a refusal says beside its body: RFC 6750 §3, and when to come again."""
    headers = {}
    if refused.challenge:
        invalid = ' error="invalid_token"' if refused.challenge == "invalid" else ""
        headers["WWW-Authenticate"] = f"Bearer{invalid}"
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    return headers


def refusal(refused: Refused, id: bytes | None = None) -> web.Response:
    """Return a refusal at the MCP door, worded for the person who reads it in a client's log."""
    return web.Response(
        body=refusal_bytes(refused, id),
        status=refused.status,
        headers=refusal_headers(refused),
        content_type=JSON,
    )
