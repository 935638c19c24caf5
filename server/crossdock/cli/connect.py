"""`crossdock connect`: stdio ⇄ gateway, for hosts that only start processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from cyclopts import Parameter

from crossdock.cli.options import headers_of, mcp_url
from crossdock.model import LOOPBACK

_Client = Literal[
    "claude",
    "claude-desktop",
    "claude-code",
    "chatgpt",
    "cursor",
    "vscode",
    "codex",
    "gemini",
    "windsurf",
    "goose",
    "other",
]


def connect(
    url: Annotated[
        str, Parameter(env_var="CROSSDOCK_URL", help="The MCP URL; also as CROSSDOCK_URL.")
    ],
    *,
    header: Annotated[
        list[str] | None,
        Parameter(
            help="A further header, as 'X-Api-Token: ${TOKEN}'; ${…} is read from the environment.",
            negative="",
        ),
    ] = None,
    print: Annotated[
        _Client | None, Parameter(help="Print the set-up of a client instead, URL included.")
    ] = None,
    name: Annotated[str, Parameter(help="The server's name in that set-up.")] = "crossdock",
    check: Annotated[
        bool, Parameter(help="List the tools once, and say what came.", negative="")
    ] = False,
) -> int:
    """Bridge an MCP URL to stdin and stdout. An API token may also come as CROSSDOCK_API_TOKEN.

    The URL never shows in what this prints, but for --print.
    Example: `CROSSDOCK_URL=… crossdock connect --check`
    """
    target = mcp_url(url)
    if print is not None:
        return _print(print, target, name)
    headers = headers_of(header)
    if (token := os.environ.get("CROSSDOCK_API_TOKEN", "")) and not token.startswith("${"):
        headers.setdefault("X-Api-Token", token)
    if check:
        return asyncio.run(_check(target, headers))
    parts = urlsplit(target)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        _complain("The URL is http, so its token travels unprotected; use https.")
    asyncio.run(_bridge(target, headers))
    return 0


def _print(client: str, url: str, name: str) -> int:
    from crossdock.client.setups import Target, setup, slug

    made = setup(client, Target(url=url, name=slug(name)))
    parts = [f"{made.title}: {made.steps}"]
    parts += [f"# {snippet.where}\n{snippet.text}" for snippet in made.snippets]
    if made.link is not None:
        parts.append(f"# {made.link[0]}\n{made.link[1]}")
    sys.stdout.write("\n\n".join(parts) + "\n")
    return 0


async def _check(url: str, headers: dict[str, str]) -> int:
    from crossdock.cli.output import print_table
    from crossdock.client.http import Client

    async with Client(url, headers) as client:
        tools: list[dict[str, Any]] = (await client.result("tools/list", {}))["tools"]
    effects = [_effect(tool.get("annotations") or {}) for tool in tools]
    counts = [(effects.count(one), one) for one in ("read", "write", "destructive")]
    shares = ", ".join(f"{count} {effect}" for count, effect in counts if count)
    sys.stdout.write(f"The URL works: {len(tools)} tools ({shares or 'none'}).\n")
    rows = [(tool["name"], effect) for tool, effect in zip(tools, effects, strict=True)]
    print_table(("tool", "effect"), rows)
    return 0


def _effect(hints: dict[str, Any]) -> str:
    if hints.get("readOnlyHint"):
        return "read"
    return "destructive" if hints.get("destructiveHint", True) else "write"


async def _bridge(url: str, headers: dict[str, str]) -> None:
    from crossdock.client.bridge import Bridge

    lines = _Lines()

    def write(line: bytes) -> None:
        try:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        except (BrokenPipeError, ValueError):  # the host is gone, whatever it wanted
            lines.end()

    await Bridge(url, headers, write, _complain).run(lines.read())


class _Lines:
    """Lines of stdin, read by a thread: that works for pipes, files and consoles everywhere."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the lines until stdin ends."""
        while (line := await self._queue.get()) is not None:
            yield line

    def end(self) -> None:
        """Act as if stdin had ended."""
        self._queue.put_nowait(None)

    def _work(self) -> None:
        # os.read, because a thread blocked in sys.stdin would hinder the interpreter's exit.
        rest = b""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            with contextlib.suppress(OSError):
                while chunk := os.read(0, 1 << 16):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._loop.call_soon_threadsafe(self._queue.put_nowait, line)
            self._loop.call_soon_threadsafe(self._queue.put_nowait, rest)
            self._loop.call_soon_threadsafe(self._queue.put_nowait, None)


def _complain(text: str) -> None:
    from crossdock.redaction import redactor

    sys.stderr.write(f"crossdock: {redactor.clean(text)}\n")
    sys.stderr.flush()
