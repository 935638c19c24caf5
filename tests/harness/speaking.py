"""A raw MCP client for tests: sends exactly what it is told, and shows exactly what came back."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness import shapes

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from aiohttp import ClientSession
    from harness.canaries import Canaries

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
REVISIONS = (MODERN, *LEGACY)
STRUCTURED = (MODERN, "2025-11-25", "2025-06-18")
META = "io.modelcontextprotocol/"
_ABSENT: Any = object()


@dataclass(frozen=True)
class Response:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON and say so."""
        assert self.headers.get("Content-Type", "").startswith("application/json"), self
        return json.loads(self.body)

    @property
    def result(self) -> Any:
        """The JSON-RPC result; there must be one."""
        assert self.status == 200, self
        assert "result" in self.json, self.json
        return self.json["result"]

    @property
    def error(self) -> Any:
        """The JSON-RPC error; there must be one."""
        assert "error" in self.json, self.json
        return self.json["error"]


@dataclass(frozen=True)
class Called:
    """What came of tools/call."""

    response: Response
    result: dict[str, Any] = field(repr=False)

    @property
    def is_error(self) -> bool:
        return bool(self.result["isError"])

    @property
    def text(self) -> str:
        """The first text block."""
        return str(self.result["content"][0]["text"])

    @property
    def data(self) -> Any:
        """The payload of a success."""
        assert not self.is_error, self.text
        return json.loads(self.text)

    @property
    def notes(self) -> list[str]:
        """Sentences for the model, from the second block."""
        blocks = [json.loads(block["text"]) for block in self.result["content"][1:]]
        return [note for block in blocks for note in block["notes"]]

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a failure."""
        assert self.is_error, self.text
        error: dict[str, Any] = json.loads(self.text)["error"]
        return error


class Speaker:
    """One MCP URL. Every body that comes back is searched for secrets in the end."""

    def __init__(
        self,
        http: ClientSession,
        url: str,
        canaries: Canaries,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._http = http
        self._canaries = canaries
        self._headers = dict(headers or {})
        self.url = url

    async def request(
        self, verb: str, url: str, body: bytes | None = None, headers: Any = ()
    ) -> Response:
        """Send a request as it is; `headers` may be pairs, so that one can be sent twice."""
        pairs = list(headers.items() if hasattr(headers, "items") else headers)
        # aiohttp warns of a large body in one piece, and a piece by piece one has no length.
        data = io.BytesIO(body) if body is not None and len(body) > 2**20 else body
        async with self._http.request(
            verb, url, data=data, headers=[*self._headers.items(), *pairs], allow_redirects=False
        ) as reply:
            response = Response(reply.status, reply.headers.copy(), await reply.read())
        self._canaries.saw(response.body, str(response.headers))
        return response

    async def post(self, body: bytes, headers: Any = ()) -> Response:
        """POST to the MCP URL as application/json unless the headers say otherwise."""
        pairs = list(headers.items() if hasattr(headers, "items") else headers)
        if not any(name.lower() == "content-type" for name, _ in pairs):
            pairs.append(("Content-Type", "application/json"))
        return await self.request("POST", self.url, body, pairs)

    async def send(
        self,
        method: str,
        params: Any = _ABSENT,
        *,
        revision: str = MODERN,
        id: Any = 1,
        headers: Mapping[str, str | None] | None = None,
    ) -> Response:
        """Send one well-formed request of a revision; a header of None is left out.

        With `id=None` it is a notification.
        """
        message, wanted = envelope(method, params, revision, id)
        for name, value in (headers or {}).items():
            wanted[name] = value
        kept = {name: value for name, value in wanted.items() if value is not None}
        response = await self.post(json.dumps(message).encode(), kept)
        if response.headers.get("Content-Type", "").startswith("application/json"):
            shapes.check_body(response.body, revision, method, headers or {})
        return response

    async def tools(self, revision: str = MODERN) -> list[dict[str, Any]]:
        """List the tools."""
        response = await self.send("tools/list", revision=revision)
        listed: list[dict[str, Any]] = response.result["tools"]
        return listed

    async def names(self, revision: str = MODERN) -> list[str]:
        """List the names of the tools, in order."""
        return [tool["name"] for tool in await self.tools(revision)]

    async def call(
        self,
        name: str,
        arguments: Any = _ABSENT,
        *,
        revision: str = MODERN,
        headers: Mapping[str, str | None] | None = None,
    ) -> Called:
        """Call a tool, which must exist."""
        response = await self.attempt(name, arguments, revision=revision, headers=headers)
        return Called(response, response.result)

    async def attempt(
        self,
        name: str,
        arguments: Any = _ABSENT,
        *,
        revision: str = MODERN,
        headers: Mapping[str, str | None] | None = None,
    ) -> Response:
        """Call a tool that may not exist."""
        params = {"name": name} if arguments is _ABSENT else {"name": name, "arguments": arguments}
        return await self.send("tools/call", params, revision=revision, headers=headers)


def envelope(
    method: str, params: Any = _ABSENT, revision: str = MODERN, id: Any = 1
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Return a message of a revision, and the headers that belong to it."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if id is not None:
        message["id"] = id
    if params is not _ABSENT:
        message["params"] = params
    headers: dict[str, str | None] = {"Accept": "application/json, text/event-stream"}
    if revision == MODERN:
        known = {} if params is _ABSENT else dict(params)
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
        message["params"] = {**known, "_meta": {**meta, **known.get("_meta", {})}}
        headers["MCP-Protocol-Version"] = MODERN
        headers["Mcp-Method"] = method
        if method == "tools/call" and isinstance(known.get("name"), str):
            headers["Mcp-Name"] = header_value(known["name"])
    elif method != "initialize" and revision not in ("2025-03-26", "2024-11-05"):
        headers["MCP-Protocol-Version"] = revision
    return message, headers


def header_value(text: str) -> str:
    """Return a header value in the form that the newest revision prescribes."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


async def raw_exchange(
    url: str, request: bytes, seconds: float = 5, trust: ssl.SSLContext | None = None
) -> bytes:
    """Send bytes that need not be HTTP to the host of `url`; return all until it closes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=trust)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()
        await asyncio.wait_for(_closed(writer), seconds)


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.wait_closed()
    except ConnectionError:
        pass
