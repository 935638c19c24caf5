"""An event stream as a test reads it: event by event, comments included, with an end to patience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import ClientResponse
from harness import shapes
from harness.patience import PATIENCE
from harness.speaking import envelope

if TYPE_CHECKING:
    from harness.running import Running, Server


@dataclass(frozen=True)
class Event:
    """One event, or one comment."""

    name: str = "message"
    data: str = ""
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    @property
    def message(self) -> Any:
        """The JSON-RPC message that the event carries."""
        assert self.name == "message", self
        return json.loads(self.data)


class Stream:
    """An answer that is an event stream."""

    def __init__(self, response: ClientResponse, revision: str = "", method: str = "") -> None:
        self.response = response
        self._spoken = revision, method
        self.status = response.status
        self.headers = response.headers

    async def next(self, patience: float = PATIENCE) -> Event | None:
        """Return the next event or comment; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(patience):
            while line := await self.response.content.readline():
                text = line.decode().rstrip("\r\n")
                if text.startswith(":"):
                    fields["comment"] = text[1:].strip()
                elif text:
                    key, _, value = text.partition(":")
                    fields[key] = value.removeprefix(" ")
                elif fields:
                    return self._held(
                        Event(
                            name=fields.get("event", "message"),
                            data=fields.get("data", ""),
                            id=fields.get("id"),
                            retry=int(fields["retry"]) if "retry" in fields else None,
                            comment=fields.get("comment"),
                        )
                    )
        return None

    def _held(self, event: Event) -> Event:
        revision, method = self._spoken
        if revision and event.data and event.name == "message":
            shapes.check(event.message, revision, method)
        return event

    async def message(self, patience: float = PATIENCE) -> Any:
        """Return the next message; comments and empty events are passed over."""
        while (event := await self.next(patience)) is not None:
            if event.comment is None and event.data:
                return event.message
        raise AssertionError("the stream ended without a message")

    async def rest(self, patience: float = PATIENCE) -> list[Any]:
        """Return all messages until the stream ends."""
        messages = []
        while (event := await self.next(patience)) is not None:
            if event.comment is None and event.data:
                messages.append(event.message)
        return messages


class Talk:
    """A client of one MCP URL that keeps its session and can read streams."""

    def __init__(self, running: Running, server: Server, revision: str) -> None:
        self.http = running.http
        self.server = server
        self.revision = revision
        self.session: str | None = None

    async def initialize(self, **capabilities: Any) -> Talk:
        """Begin a session."""
        params = {
            "protocolVersion": self.revision,
            "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "0"},
        }
        response = await self.server.send("initialize", params, revision=self.revision)
        assert response.result["protocolVersion"] == self.revision
        self.session = response.headers["Mcp-Session-Id"]
        return self

    @property
    def headers(self) -> dict[str, str]:
        """What every request of this session carries."""
        kept = {"MCP-Protocol-Version": self.revision}
        if self.session is not None:
            kept["Mcp-Session-Id"] = self.session
        return kept

    async def send(self, method: str, params: Any = None, *, id: Any = 1, **kw: Any) -> Any:
        """Send a message whose answer is not a stream."""
        given = {} if params is None else params
        return await self.server.send(
            method, given, revision=self.revision, id=id, headers=self.headers, **kw
        )

    async def answer(self, id: Any, result: Any) -> int:
        """Answer a request of the gateway."""
        body = json.dumps({"jsonrpc": "2.0", "id": id, "result": result}).encode()
        return (await self.server.post(body, self.headers)).status

    @asynccontextmanager
    async def call(
        self,
        name: str,
        arguments: Any = None,
        *,
        id: Any = 1,
        meta: Mapping[str, Any] | None = None,
        accept: str = "application/json, text/event-stream",
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> AsyncIterator[Stream]:
        """Call a tool and give the answer while it is still coming."""
        given: dict[str, Any] = {"name": name, "arguments": arguments or {}, **params}
        if meta:
            given["_meta"] = dict(meta)
        async with self.open("tools/call", given, id, accept, headers) as stream:
            yield stream

    @asynccontextmanager
    async def open(
        self,
        method: str,
        params: Any,
        id: Any = 1,
        accept: str = "application/json, text/event-stream",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        """Post a request and give the answer while it is still coming."""
        message, wanted = envelope(method, params, self.revision, id)
        sent = {key: value for key, value in wanted.items() if value is not None}
        if self.session is not None:
            sent |= self.headers
        sent |= {"Accept": accept, "Content-Type": "application/json", **(headers or {})}
        async with self.http.post(
            self.server.url, data=json.dumps(message).encode(), headers=sent
        ) as response:
            yield Stream(response, self.revision, method)

    @asynccontextmanager
    async def listen(self, last: str | None = None) -> AsyncIterator[Stream]:
        """GET: the standalone stream, or the rest of a broken one."""
        sent = {**self.headers, "Accept": "text/event-stream"}
        if last is not None:
            sent["Last-Event-ID"] = last
        async with self.http.get(self.server.url, headers=sent) as response:
            yield Stream(response, self.revision, "tools/call")
