"""What a mapper gave → the bytes of the answer. A provider's bytes are checked, never decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.adapter.bodies import malformed
from crossdock.authoring import Call, Outcome, Tool
from crossdock.errors import BadToolOutput

_BLOCKS = ("text", "image", "audio", "resource", "resource_link")


def finished(call: Call, outcome: Outcome, cursor: str | None) -> Outcome:
    """Return the outcome with compact JSON as its data; empty bytes where content replaces them.

    Raises BadToolOutput for what a mapper must not give, UpstreamFailure for bytes of a provider
    that are no JSON.
    """
    tool = call.tool
    if tool.method == "list":
        payload = _list_payload(outcome, cursor, tool)
    elif outcome.data is not None:
        payload = _bytes(outcome.data, tool)
    elif outcome.content:
        payload = b""
    else:
        payload = b'{"deleted":true}' if tool.method == "delete" else b'{"ok":true}'
    if outcome.content:
        _check_content(outcome.content, tool)
    return msgspec.structs.replace(outcome, data=_compact(payload) if payload else b"")


def broken(tool: Tool, why: str) -> BadToolOutput:
    """Return the failure that blames a tool's mapper."""
    return BadToolOutput(f"The adapter's mapper of {tool.name} is broken: {why}")


def _list_payload(outcome: Outcome, cursor: str | None, tool: Tool) -> bytes:
    if not isinstance(outcome.data, list):
        raise broken(tool, "a list tool must give a list of records")
    records = b",".join(_bytes(record, tool) for record in outcome.data)
    following = b"null" if cursor is None else msgspec.json.encode(cursor)
    count = str(len(outcome.data)).encode()
    return b'{"result":[%b],"next_cursor":%b,"result_count":%b}' % (records, following, count)


def _check_content(blocks: tuple[Mapping[str, Any], ...], tool: Tool) -> None:
    for block in blocks:
        if not isinstance(block, Mapping) or block.get("type") not in _BLOCKS:
            raise broken(tool, f"a content block has one of the types {', '.join(_BLOCKS)}")
        _bytes(block, tool)


def _bytes(data: Any, tool: Tool) -> bytes:
    if isinstance(data, (msgspec.Raw, bytes)):
        return bytes(data)
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise broken(tool, f"its data is not JSON: {error}") from None


def _compact(payload: bytes) -> bytes:
    """Check and compact JSON without decoding it, so big integers and spellings survive."""
    try:
        compact = msgspec.json.format(payload, indent=-1)
        compact.decode("utf-8")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise malformed(error) from None
    return compact
