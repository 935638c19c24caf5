"""HTTP headers that repeat a message's body, as the revision 2026-07-28 asks of clients."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from crossdock.model import Struct

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
LEGACY = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})
_NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Parameter(Struct, frozen=True, kw_only=True):
    """An argument that a tool wants repeated as a header, and where it lies."""

    header: str
    path: tuple[str, ...]


class Mirrored:
    """Makes the headers of a message; learns from tool lists which arguments belong there."""

    def __init__(self) -> None:
        self._parameters: dict[str, tuple[Parameter, ...]] = {}

    def learn(self, result: Mapping[str, Any]) -> None:
        """Take note of the tools in a result of tools/list."""
        for tool in _objects(result.get("tools")):
            if isinstance(name := tool.get("name"), str):
                self._parameters[name] = tuple(_parameters(tool.get("inputSchema"), ()))

    def headers(self, message: Mapping[str, Any]) -> dict[str, str]:
        """Return the headers that go with a message of the newest era."""
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        method = str(message.get("method", ""))
        headers = {"MCP-Protocol-Version": header_value(str(claimed_version(message)))}
        headers["Mcp-Method"] = header_value(method)
        name = params.get(_NAMED_BY.get(method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = header_value(name)
            if method == "tools/call":
                headers |= self._arguments(name, params.get("arguments"))
        return headers

    def _arguments(self, tool: str, arguments: Any) -> Iterator[tuple[str, str]]:
        for parameter in self._parameters.get(tool, ()):
            value = arguments
            for step in parameter.path:
                value = value.get(step) if isinstance(value, dict) else None
            if isinstance(value, bool):
                value = str(value).lower()
            if isinstance(value, str | int | float):
                yield f"Mcp-Param-{parameter.header}", header_value(str(value))


def claimed_version(message: Mapping[str, Any]) -> str | None:
    """Return the revision that the message itself claims; only the newest era has the claim."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    claim = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return claim if isinstance(claim, str) and claim not in LEGACY else None


def header_value(text: str) -> str:
    """Return text as a header can carry it: in base64 where it is not plain visible ASCII."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _parameters(schema: Any, path: tuple[str, ...]) -> Iterator[Parameter]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, inner in (properties if isinstance(properties, dict) else {}).items():
        header = inner.get("x-mcp-header") if isinstance(inner, dict) else None
        if isinstance(header, str) and _FIELD_NAME.fullmatch(header):
            yield Parameter(header=header, path=(*path, name))
        yield from _parameters(inner, (*path, name))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item
