"""A small MCP client over Streamable HTTP, and what the bridge reads answers with.

What goes wrong is told in the gateway's own words where it has any, and never with the URL.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp
import msgspec

from crossdock import __version__
from crossdock.client.headers import VERSION_KEY, Mirrored
from crossdock.client.sse import Event, read_events
from crossdock.errors import CrossdockError, code_of
from crossdock.model import Struct

REVISION = "2026-07-28"
UNREACHABLE = 50301
_META = {
    VERSION_KEY: REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "crossdock", "version": __version__},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_STRANGE = "The URL answered, but not as an MCP server; it should be https://<gateway>/mcp/<token>."


class Failed(CrossdockError):
    """A request without a result. `error` is the JSON-RPC error that says so."""

    kind = "failed"

    def __init__(self, code: int, message: str, status: int = 0, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


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
        self._mirrored = Mirrored()
        self._count = 0

    async def __aenter__(self) -> Self:
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
        number = self._count
        message = {
            "jsonrpc": "2.0",
            "id": number,
            "method": method,
            "params": {**params, "_meta": _META},
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **self._mirrored.headers(message),
            **self._headers,
        }
        try:
            async with self._session.post(
                self._url,
                data=msgspec.json.encode(message),
                headers=headers,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    failed = await failure_of(response)
                    return Response(status=response.status, message={"error": failed.error})
                answer = [one async for _, one in messages(response) if _answers(one, number)]
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise CrossdockError("that is no URL; use https://<gateway>/mcp/<token>") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CrossdockError(unreachable(error)) from None
        if not answer:
            raise CrossdockError(_STRANGE)
        if method == "tools/list":
            self._mirrored.learn(answer[0].get("result") or {})
        return Response(status=200, message=answer[0])

    async def result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its result. Raises CrossdockError in the server's words."""
        response = await self.request(method, params)
        if error := response.message.get("error"):
            status = f"(HTTP {response.status})"
            words = str(error.get("message"))
            raise CrossdockError(words if status in words else f"{words} {status}")
        result: dict[str, Any] = response.message["result"]
        return result


# --- reading answers -------------------------------------------------------------------------


async def messages(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[Event, Any]]:
    """Yield what a 200 holds, JSON or event stream: each event with its message, or with None.

    Raises Failed when neither came.
    """
    if response.content_type == "text/event-stream":
        async for event in read_events(response.content.iter_any()):
            yield event, _decoded(event.data) if event.name == "message" else None
        return
    body = await response.read()
    message = _decoded(body)
    if message is None:
        raise Failed(UNREACHABLE, _STRANGE, response.status)
    yield Event(data=body), message


async def failure_of(response: aiohttp.ClientResponse) -> Failed:
    """Return what a status other than 200 means: the gateway's words, else words of ours."""
    status = response.status
    message = _decoded(await response.read())
    error = message.get("error") if isinstance(message, dict) else None
    if isinstance(error, dict) and isinstance(error.get("code"), int) and error.get("message"):
        return Failed(error["code"], str(error["message"]), status, error.get("data"))
    code = code_of(status)
    if 300 <= status < 400:
        return Failed(code, "The URL redirects to another; use that one instead.", status)
    if status >= 500:
        what = f"The gateway or a proxy before it is in trouble (HTTP {status}). Try again later."
        return Failed(code, what, status)
    return Failed(code, f"{_STRANGE[:-1]} (HTTP {status}).", status)


def unreachable(error: Exception) -> str:
    """Return the sentence for a request that found nobody, or lost them."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        why = "its name is not known"
    elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        why = "its certificate is not trusted here"
    elif isinstance(error, aiohttp.ClientConnectorError):
        why = "it does not accept connections"
    elif isinstance(error, TimeoutError):
        why = "it did not answer in time"
    else:
        why = "the connection broke"
    return f"No answer from the gateway: {why}. Is it running, and is this computer online?"


def _decoded(text: bytes) -> Any:
    """Return a JSON-RPC message or batch, None for anything else."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if isinstance(found, dict) and "jsonrpc" in found:
        return found
    return found if isinstance(found, list) else None


def _answers(message: Any, id: int) -> bool:
    return isinstance(message, dict) and "method" not in message and message.get("id") == id
