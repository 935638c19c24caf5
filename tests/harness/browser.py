"""A headless Chromium, driven over its own protocol: what a person's browser makes of a page."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from harness.patience import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SECONDS = 30


class Tab:
    """One page. `complaints` is what the console would show, `requested` every URL it fetched."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        self.requested: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says, until it closes."""
        async for message in self._socket:
            if message.type == WSMsgType.TEXT:
                self._take(message.json())

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers.pop(message["id"]).set_result(message)
            return
        params = message["params"]
        match message["method"]:
            case "Page.loadEventFired":
                self._loaded.set()
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])

    async def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Give an order and return its result."""
        self._count += 1
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._count] = answer
        await self._socket.send_json({"id": self._count, "method": method, "params": params})
        message: dict[str, Any] = await asyncio.wait_for(answer, _SECONDS)
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""
        for domain in ("Page", "Log", "Runtime", "Network"):
            await self.tell(f"{domain}.enable")
        self._loaded.clear()
        await self.tell("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), _SECONDS)

    async def find(self, expression: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        told = await self.tell(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def picture(self, scheme: str) -> bytes:
        """Return a PNG of the page in a colour scheme, light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.tell("Emulation.setEmulatedMedia", features=[feature])
        shot = await self.tell("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])


def program() -> str:
    """Return the path of Chromium; where there is none the test is skipped, and in CI it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.environ.get("CI") == "true":
        pytest.fail("chromium is not installed", pytrace=False)
    pytest.skip("chromium is not installed")


@contextlib.asynccontextmanager
async def started(folder: Path, http: ClientSession) -> AsyncIterator[Tab]:
    """Start a browser with a fresh profile in `folder`, and end it."""
    quiet = ("--no-first-run", "--disable-background-networking", "--disable-component-update")
    process = await asyncio.create_subprocess_exec(
        program(),
        "--headless",
        "--no-sandbox",  # root, as in containers, may not have one
        "--disable-gpu",
        "--disable-dev-shm-usage",
        *quiet,
        "--window-size=1300,1500",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _port(folder / "DevToolsActivePort")
        async with http.get(f"http://127.0.0.1:{port}/json/list") as reply:
            pages = [one for one in await reply.json() if one["type"] == "page"]
        async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            listening = asyncio.create_task(tab.listen())
            yield tab
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"id": 0, "method": "Browser.close"})
            listening.cancel()
        await asyncio.wait_for(process.wait(), _SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _port(path: Path) -> int:
    def written() -> int:
        with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
            return int(path.read_text(encoding="utf-8").splitlines()[0])
        return 0

    port: int = await until(written, _SECONDS)
    return port
