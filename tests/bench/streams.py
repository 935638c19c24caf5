"""Opens idle event streams at an MCP URL and keeps them until stdin ends.

    python streams.py URL COUNT [--session]

Says `open` once all of them gave their first bytes. With `--session` each belongs to a session of
its own, as clients of 2025-11-25 open theirs.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}
BOTH = {"Accept": "application/json, text/event-stream"}


async def _open(client: aiohttp.ClientSession, url: str, session: bool) -> aiohttp.ClientResponse:
    headers = {"Accept": "text/event-stream"}
    if session:
        async with client.post(url, json=HELLO, headers=BOTH) as reply:
            reply.raise_for_status()
            await reply.read()
            headers["Mcp-Session-Id"] = reply.headers["Mcp-Session-Id"]
            headers["MCP-Protocol-Version"] = "2025-11-25"
        ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        async with client.post(url, json=ready, headers=BOTH | headers | BOTH) as reply:
            reply.raise_for_status()
    stream = await client.get(url, headers=headers)
    stream.raise_for_status()
    if not stream.content_type.startswith("text/event-stream"):
        sys.exit(f"no stream: {stream.status} {json.dumps(dict(stream.headers))}")
    return stream


async def main(url: str, count: int, session: bool) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    never = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=never) as client:
        streams = [await _open(client, url, session) for _ in range(count)]
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for stream in streams:
            stream.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), "--session" in sys.argv))
