"""The reference: an aiohttp server and client with nothing in between, and stored bytes for lists.

python bare.py PORT PROVIDER_URL [TOOLS_FILE]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from aiohttp import web

PORT, PROVIDER = int(sys.argv[1]), sys.argv[2]
TOOLS = Path(sys.argv[3]).read_bytes() if len(sys.argv) > 3 else b"[]"
HEADERS = {"Authorization": "Bearer sk_bench_1234567890"}

Params = msgspec.defstruct("Params", [("name", str, ""), ("arguments", dict, {})])
Request = msgspec.defstruct("Request", [("id", int), ("method", str), ("params", Params)])
decoder = msgspec.json.Decoder(Request)
session = web.AppKey("session", aiohttp.ClientSession)


async def with_session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as app[session]:
        yield


async def handle(request: web.Request) -> web.Response:
    message = decoder.decode(await request.read())
    if message.method == "tools/list":
        return answer(b'{"jsonrpc":"2.0","id":%d,"result":{"tools":%b}}' % (message.id, TOOLS))
    arguments = dict(message.params.arguments)
    path = f"/orders/{arguments.pop('id')}" if "id" in arguments else "/orders"
    async with request.app[session].get(
        PROVIDER + path, params=arguments, headers=HEADERS
    ) as reply:
        body = await reply.read()
    msgspec.json.decode(body, type=msgspec.Raw)
    return answer(
        b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":%b}]}}'
        % (message.id, msgspec.json.encode(body.decode()))
    )


def answer(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b": open\n\n")
    while True:
        await asyncio.sleep(3600)
    return response


app = web.Application()
app.cleanup_ctx.append(with_session)
app.router.add_post("/mcp", handle)
app.router.add_get("/mcp", stream)
web.run_app(
    app, loop=uvloop.new_event_loop(), host="127.0.0.1", port=PORT, access_log=None, print=None
)
