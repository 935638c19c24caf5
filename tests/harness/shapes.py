"""What a message of the gateway looks like in each revision: every answer in the tests is held to it.

Written after the five published schemas, closed where they are open, so that nothing of a newer
revision leaks into an older one. With the schemas themselves in a folder, as `2025-11-25.json` and so
on, and its name in CROSSDOCK_MCP_SCHEMAS, messages are held to those as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

MODERN = "2026-07-28"
_ORDER = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN)
_TEXT, _ANY = {"type": "string"}, {"type": "object"}
_ID = {"type": ["string", "integer"]}

# method: the name that the published schemas give to its result
RESULTS = {
    "initialize": "InitializeResult",
    "ping": "EmptyResult",
    "logging/setLevel": "EmptyResult",
    "server/discover": "DiscoverResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "subscriptions/listen": "SubscriptionsListenResult",
}
_SENT = {
    "notifications/progress": "ProgressNotification",
    "notifications/message": "LoggingMessageNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
    "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification",
    "elicitation/create": "ElicitRequest",
    "sampling/createMessage": "CreateMessageRequest",
    "roots/list": "ListRootsRequest",
}


def check_body(body: bytes, revision: str, method: str, sent: Mapping[str, Any]) -> None:
    """Hold the JSON answer to a well-formed request to its revision, where that is certain."""
    if not body.startswith(b"{"):
        return
    message = json.loads(body)
    if "X-Crossdock-Show-Request" in sent and "result" in message:
        message["result"]["_meta"].pop("crossdock/requests")  # asked for, and no other's business
    if method == "initialize" and "result" in message:
        revision = message["result"]["protocolVersion"]
    elif "MCP-Protocol-Version" in sent or "Mcp-Session-Id" in sent:
        return  # the test lets the request say something else
    elif revision == "2024-11-05":
        revision = "2025-03-26"  # which is assumed where no header and no session says more
    check(message, revision, method)


def check(message: Any, revision: str, method: str) -> None:
    """Fail unless this is a message of the revision, as an answer to `method` or on its way."""
    if isinstance(message, list):
        for one in message:
            check(one, revision, method)
        return
    _hold(_envelope(message), message)
    if "error" in message:
        return
    name = _SENT[message["method"]] if "method" in message else RESULTS.get(method)
    if name is None:
        return
    body = message["params"] if "method" in message else message["result"]
    if name == "CallToolResult" and body.get("resultType") == "input_required":
        name = "InputRequiredResult"
    shape = _shapes(revision).get(name)
    assert shape is not None, f"{revision} has no {name}"
    _hold(shape, body)
    if official := _official(revision, name):
        _hold(official, message if "method" in message else body)


def _hold(schema: dict[str, Any], value: Any) -> None:
    errors = [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(value)
    ]
    assert not errors, (errors, value)


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": [*required],
        "additionalProperties": False,
    }


def _envelope(message: Any) -> dict[str, Any]:
    version = {"const": "2.0"}
    if "method" in message:
        return _object({"jsonrpc": version, "method": _TEXT}, {"params": _ANY, "id": _ID})
    if "error" in message:
        error = _object({"code": {"type": "integer"}, "message": _TEXT}, {"data": _ANY})
        return _object({"jsonrpc": version, "error": error}, {"id": _ID})
    return _object({"jsonrpc": version, "id": _ID, "result": _ANY})


@cache
def _shapes(revision: str) -> dict[str, Any]:
    since = _ORDER.index(revision)
    annotated, titled, modern = since >= 1, since >= 2, revision == MODERN
    info = _object({"name": _TEXT, "version": _TEXT}, {"title": _TEXT} if titled else {})
    capabilities = _object(
        {"tools": _object({"listChanged": {"const": True}}), "logging": {"const": {}}}
    )
    meta = {"_meta": _object({"io.modelcontextprotocol/serverInfo": info})} if modern else {}
    marked = {"resultType": {"const": "complete"}, **meta} if modern else {}
    cached = {"ttlMs": {"type": "integer", "minimum": 0}, "cacheScope": {"const": "private"}}
    subscribed = {"_meta": _object({"io.modelcontextprotocol/subscriptionId": _ID})}
    hints = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
    annotations = _object(
        {**({} if titled else {"title": _TEXT}), **{hint: {"type": "boolean"} for hint in hints}}
    )
    schema = {"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"]}
    tool = {
        "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
        "description": {"type": "string", "minLength": 1},
        "inputSchema": schema,
        **({"annotations": annotations} if annotated else {}),
        **({"title": _TEXT} if titled else {}),
    }
    data = {"data": _TEXT, "mimeType": _TEXT}
    resource = {"type": "object", "required": ["uri"], "oneOf": [{"required": ["text"]}, {"required": ["blob"]}]}  # fmt: skip
    blocks = [
        _object({"type": {"const": "text"}, "text": _TEXT}),
        _object({"type": {"const": "image"}, **data}),
        _object({"type": {"const": "resource"}, "resource": resource}),
    ]
    if annotated:
        blocks.append(_object({"type": {"const": "audio"}, **data}))
    if titled:
        link = {"type": {"const": "resource_link"}, "uri": _TEXT, "name": _TEXT}
        blocks.append(_object(link, {"title": _TEXT}))
    content = {"type": "array", "items": {"oneOf": blocks}}
    told = {"progressToken": _ID, "progress": {"type": "number"}}
    words = {"total": {"type": "number"}, **({"message": _TEXT} if annotated else {})}
    shapes = {
        "CallToolResult": _object(
            {"content": content, "isError": {"type": "boolean"}, **marked},
            {"structuredContent": _ANY} if titled else {},
        ),
        "ListToolsResult": _object(
            {
                "tools": {"type": "array", "items": _object(tool)},
                **marked,
                **(cached if modern else {}),
            }
        ),
        "ProgressNotification": _object(told, words),
        "LoggingMessageNotification": _object({"level": _TEXT, "logger": _TEXT, "data": {}}),
        "ToolListChangedNotification": _object(subscribed if modern else {}),
    }
    if modern:
        return {
            **shapes,
            "DiscoverResult": _object(
                {
                    "supportedVersions": {"type": "array", "items": {"enum": list(_ORDER)}},
                    "capabilities": capabilities,
                    "instructions": _TEXT,
                    **cached,
                    **marked,
                }
            ),
            "InputRequiredResult": _object(
                {
                    "resultType": {"const": "input_required"},
                    "inputRequests": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": _object({"method": _TEXT, "params": _ANY}),
                    },
                    "requestState": _TEXT,
                    **meta,
                }
            ),
            "SubscriptionsListenResult": _object(
                {"resultType": {"const": "complete"}, **subscribed}
            ),
            "SubscriptionsAcknowledgedNotification": _object({"notifications": _ANY, **subscribed}),
        }
    hello = {
        "protocolVersion": {"const": revision},
        "capabilities": capabilities,
        "serverInfo": info,
    }
    return {
        **shapes,
        "EmptyResult": {"const": {}},
        "InitializeResult": _object(hello, {"instructions": _TEXT}),
        "CreateMessageRequest": _ANY,
        "ListRootsRequest": _ANY,
        **(
            {"ElicitRequest": _object({"message": _TEXT, "requestedSchema": _ANY})}
            if titled
            else {}
        ),
    }


@cache
def _official(revision: str, name: str) -> dict[str, Any] | None:
    folder = os.environ.get("CROSSDOCK_MCP_SCHEMAS")
    if not folder:
        return None
    whole = json.loads((Path(folder) / f"{revision}.json").read_text(encoding="utf-8"))
    place = "$defs" if "$defs" in whole else "definitions"
    return {place: whole[place], "$ref": f"#/{place}/{name}"}
