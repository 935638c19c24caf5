"""An adapter's tools as an agent has them: called by MCP, over HTTP, through a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

import msgspec

from crossdock.client.http import Client
from crossdock.errors import CrossdockError

T = TypeVar("T")
_MOST_PAGES = 10_000


class ToolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool gave: `data` is decoded JSON (a list tool's holds `result` and `next_cursor`),
    `content` the MCP blocks, `notes` the sentences beside them."""

    data: Any
    content: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> list[Any]:
        """The records of a list tool."""
        found: list[Any] = self.data["result"]
        return found

    @property
    def next_cursor(self) -> str | None:
        """Where a list goes on; None at its end."""
        found: str | None = self.data["next_cursor"]
        return found


class ToolError(CrossdockError):
    """A tool said no. `kind` is the guide's, `error` the error object as agents read it."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('kind')}: {error.get('message')}")
        self.kind = str(error.get("kind"))
        self.error = error


class Loop(Protocol):
    """Where coroutines of the kit run, whichever loop a test has."""

    def submit(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run there; the future is of the caller's loop."""


class AccountTools:
    """The tools of one account. `client` speaks to an MCP URL, in the loop of `loop`."""

    def __init__(self, client: Client, loop: Loop) -> None:
        self._client = client
        self._loop = loop

    async def call(self, name: str, /, **arguments: Any) -> ToolAnswer:
        """Call a tool. Raises ToolError when it says no, or when there is none of this name."""
        return await self._loop.submit(self.called(name, arguments))

    async def walk(self, name: str, /, **arguments: Any) -> list[Any]:
        """Follow a list to its end, and return all records."""
        return [one for page in await self.pages(name, **arguments) for one in page]

    async def pages(self, name: str, /, **arguments: Any) -> list[list[Any]]:
        """Follow a list to its end, and return its pages."""
        return await self._loop.submit(self.walked(name, arguments))

    # --- the same within the kit's own loop --------------------------------------------------

    async def listed(self) -> list[dict[str, Any]]:
        """Return the tools as a client is told of them."""
        found: list[dict[str, Any]] = (await self._client.result("tools/list", {}))["tools"]
        return found

    async def called(self, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Call a tool. Raises ToolError."""
        asked = {"name": name, "arguments": arguments}
        response = await self._client.request("tools/call", asked)
        if "error" in response.message:
            error = response.message["error"]
            raise ToolError({"kind": "refused", "message": str(error.get("message")), **error})
        return read_answer(response.message["result"])

    async def walked(self, name: str, arguments: dict[str, Any]) -> list[list[Any]]:
        """Follow a list to its end. Raises ToolError, AssertionError for a list without an end."""
        pages: list[list[Any]] = []
        cursors: set[str] = set()
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            more = {} if cursor is None else {"next_cursor": cursor}
            answer = await self.called(name, {**arguments, **more})
            pages.append(answer.records)
            cursor = answer.next_cursor
            if cursor is None:
                return pages
            if cursor in cursors:
                break
            cursors.add(cursor)
        raise AssertionError(f"{name}: the list comes back to a place where it was")


def read_answer(result: dict[str, Any]) -> ToolAnswer:
    """Read the result of tools/call. Raises ToolError."""
    content = tuple(result.get("content", ()))
    texts = [block["text"] for block in content if block.get("type") == "text"]
    if result.get("isError"):
        decoded = _decoded(texts[0]) if texts else None
        error = decoded.get("error") if isinstance(decoded, dict) else None
        raise ToolError(error if isinstance(error, dict) else {"kind": "", "message": texts})
    first = content[0] if content else {}
    data = _decoded(first["text"]) if first.get("type") == "text" else None
    notes = [_notes(text) for text in texts[(first.get("type") == "text") :]]
    return ToolAnswer(
        data=data, content=content, notes=tuple(note for some in notes for note in some)
    )


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _notes(text: str) -> list[str]:
    found = _decoded(text)
    return found.get("notes", []) if isinstance(found, dict) else []
