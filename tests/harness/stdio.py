"""A host as MCP has them on desktops: starts a program and speaks lines of JSON with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from harness.patience import turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

MODERN_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Host:
    """A program that was started, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: list[dict[str, Any]] = []
        self._count = 0
        self.complaints = ""
        self.lines: list[bytes] = []

    def say(self, message: Any) -> None:
        """Write one line: a message, or text as it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode() + b"\n")

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification."""
        self.say({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method: str, *, id: Any = None, modern: bool = False, **params: Any) -> Any:
        """Send a request and return its id."""
        self._count += 1
        id = self._count if id is None else id
        if modern:
            params["_meta"] = {**MODERN_META, **params.get("_meta", {})}
        self.say({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        return id

    async def heard(self, seconds: float = 20) -> dict[str, Any]:
        """Return the next message that nobody has asked for yet."""
        if self._waiting:
            return self._waiting.pop(0)
        return await self._read(seconds)

    async def answer(self, id: Any, seconds: float = 20) -> dict[str, Any]:
        """Return the answer to a request; what comes in between can be heard later."""
        for message in self._waiting:
            if message.get("id") == id and "method" not in message:
                self._waiting.remove(message)
                return message
        while True:
            message = await self._read(seconds)
            if message.get("id") == id and "method" not in message:
                return message
            self._waiting.append(message)

    async def request(self, method: str, *, modern: bool = False, **params: Any) -> Any:
        """Send a request and return its result; it must have one."""
        answer = await self.answer(self.ask(method, modern=modern, **params))
        assert "result" in answer, answer
        return answer["result"]

    async def refused(self, method: str, *, modern: bool = False, **params: Any) -> dict[str, Any]:
        """Send a request and return its error; it must have one."""
        answer = await self.answer(self.ask(method, modern=modern, **params))
        assert "error" in answer, answer
        error: dict[str, Any] = answer["error"]
        return error

    async def greet(self, version: str = "2025-11-25", **capabilities: Any) -> dict[str, Any]:
        """Shake hands as the older revisions do."""
        client = {"name": "tests", "version": "1"}
        hello: dict[str, Any] = await self.request(
            "initialize", protocolVersion=version, capabilities=capabilities, clientInfo=client
        )
        self.notify("notifications/initialized")
        return hello

    def close(self) -> None:
        """Close stdin, as a host does that wants no more."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def end(self, seconds: float = 20) -> int:
        """Close stdin, read what is left, and return the exit code."""
        self.close()
        with contextlib.suppress(EOFError):
            while True:
                self._waiting.append(await self._read(seconds))
        return await asyncio.wait_for(self._process.wait(), seconds)

    async def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        if not line:
            raise EOFError(f"the program ended; it said {self.complaints!r}")
        self.lines.append(line)
        message: dict[str, Any] = json.loads(line)
        return message

    async def collect_complaints(self) -> None:
        """Read stderr to its end."""
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(4096):
            self.complaints += chunk.decode(errors="replace")


Bridge = Callable[..., AbstractAsyncContextManager[Host]]
"""What the fixture `bridge` gives."""


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], environment: Mapping[str, str] | None = None, secret: str = ""
) -> AsyncIterator[Host]:
    """Start a program and kill it in the end. Nothing it writes may hold the secret."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**kept, "NO_COLOR": "1", "PYTHONUTF8": "1", **(environment or {})},
        limit=32 * 1024 * 1024,
        start_new_session=True,  # what the program starts ends with it
    )
    host = Host(process)
    listening = asyncio.create_task(host.collect_complaints())
    try:
        yield host
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await asyncio.wait_for(listening, 10)
        # The pipes close with the loop's next turns; a loop that ends sooner would complain.
        process._transport.close()  # type: ignore[attr-defined]
        await turns(1)
    if secret:
        assert secret not in host.complaints
        assert not any(secret.encode() in line for line in host.lines)
