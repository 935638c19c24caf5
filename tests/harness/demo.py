"""`crossdock demo --json` as a program of its own, as a newcomer would start it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

READY_SECONDS = 30
END_SECONDS = 10


class Demo:
    """A demo that is up: what it printed, and how it ended."""

    def __init__(self, process: asyncio.subprocess.Process, line: bytes, folder: Path) -> None:
        self.process = process
        self.line = line
        self.folder = folder
        self.ready: dict[str, Any] = json.loads(line)
        self.out = b""
        self.err = b""

    def server(self, integration: str = "malomo") -> str:
        """Return the MCP URL of an adapter's sandbox."""
        (url,) = [one["url"] for one in self.ready["servers"] if one["integration"] == integration]
        return str(url)

    def sandbox(self, integration: str = "malomo") -> str:
        """Return the base URL of an adapter's sandbox."""
        (url,) = [
            one["base_url"] for one in self.ready["sandboxes"] if one["integration"] == integration
        ]
        return str(url)

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Tell the program to end; return its exit code, with the rest of its output kept."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(END_SECONDS):
            self.out, self.err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def running(folder: Path, *options: str) -> AsyncIterator[Demo]:
    """Start a demo in an empty folder; its temporary files land below that folder too."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CROSSDOCK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", "demo", "--json", "--port", "0", *options),
        cwd=folder / "home",
        env={**kept, "TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            line = await process.stdout.readline()
        if not line:
            _, complaint = await process.communicate()
            raise AssertionError(f"the demo did not start:\n{complaint.decode()}")
        yield Demo(process, line, folder)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
