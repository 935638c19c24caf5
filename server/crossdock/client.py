"""A small MCP client over Streamable HTTP, for the commands that call a server from the shell."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import msgspec

from crossdock import __version__
from crossdock.errors import CrossdockError
from crossdock.model import Struct

REVISION = "2026-07-28"
_META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "crossdock", "version": __version__},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Response(Struct, frozen=True, kw_only=True):
    """The answer to one request: its HTTP status and the JSON-RPC message."""

    status: int
    message: dict[str, Any]


class Client:
    """Speaks to one MCP URL. Use as an async context manager."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self._url = url
        self._headers = headers or {}
        self._session: aiohttp.ClientSession | None = None
        self._count = 0

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(self, method: str, params: dict[str, Any]) -> Response:
        """Send one request. Raises CrossdockError when there is no MCP server behind the URL."""
        if self._session is None:
            raise RuntimeError("use `async with`")
        self._count += 1
        message = {
            "jsonrpc": "2.0",
            "id": self._count,
            "method": method,
            "params": {**params, "_meta": _META},
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": REVISION,
            "Mcp-Method": method,
            **self._headers,
        }
        if "name" in params:
            headers["Mcp-Name"] = _header_value(params["name"])
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode(message), headers=headers
            ) as response:
                text = await response.read()
                status = response.status
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise CrossdockError("that is no URL; use https://<gateway>/mcp/<token>") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CrossdockError(f"no answer from the gateway: {type(error).__name__}") from None
        return Response(status=status, message=_message(text, status))

    async def result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its result. Raises CrossdockError in the server's words."""
        response = await self.request(method, params)
        if error := response.message.get("error"):
            raise CrossdockError(f"{error.get('message')} (HTTP {response.status})")
        result: dict[str, Any] = response.message["result"]
        return result


def _message(text: bytes, status: int) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(text)
    except msgspec.DecodeError:
        decoded = None
    if not isinstance(decoded, dict) or "jsonrpc" not in decoded:
        raise CrossdockError(f"the URL answered {status}, but not as an MCP server")
    return decoded


def _header_value(text: str) -> str:
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="
