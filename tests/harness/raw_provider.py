"""A provider that plays bytes: real sockets, no HTTP library, every fault that a wire can have."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

from harness.patience import turns

if TYPE_CHECKING:
    import ssl

Step = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"id":1}'


class RawProvider:
    """Plays one script for each request, in turn, and the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = 0
        self.port = 0
        self._scripts: list[tuple[Step, ...]] = [(OK,)]
        self._serving: set[asyncio.Task[None]] = set()

    def plays(self, *scripts: tuple[Step, ...]) -> None:
        """Answer with these from now on, and forget what was."""
        self._scripts = list(scripts)
        self.requests.clear()
        self.connections = self.gone = 0

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Where it is reached."""
        return f"{scheme}://{host}:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.connections += 1
        try:
            while request := await _request(reader):
                self.requests.append(request)
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                for step in script:
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                        await turns(3)  # so that it goes out by itself
                    else:
                        await step(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the other side had enough, or the test has
        finally:
            self.gone += 1
            self._serving.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def end(self) -> None:
        """Drop whoever is still there."""
        for task in [*self._serving]:
            task.cancel()
        await asyncio.gather(*self._serving)


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = re.search(rb"\r\nContent-Length: (\d+)", head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@contextlib.asynccontextmanager
async def listening(trust: ssl.SSLContext | None = None) -> AsyncIterator[RawProvider]:
    """Listen on a free port of 127.0.0.1, with TLS where a context is given."""
    provider = RawProvider()
    server = await asyncio.start_server(provider._serve, "127.0.0.1", 0, ssl=trust)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()
        await provider.end()
        await server.wait_closed()


# --- steps -----------------------------------------------------------------------------------


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing more."""
    await asyncio.Event().wait()


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up."""
    writer.close()


async def half_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that nothing more comes, and stay."""
    writer.write_eof()
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Drop the connection without a goodbye."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
