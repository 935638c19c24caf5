"""What a provider does on a bad day. Each fault replaces or delays one answer, as told."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import msgspec
from aiohttp import web

from crossdock_malomo.sandbox.switches import Fault, Profile, Switches

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LIMIT = 100
_REMAINING = 42
_CHUNK = b" " * 65536
_HTML = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"


class Faults:
    """The faults in force, with what each has done so far."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._met: Counter[int] = Counter()

    async def apply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Answer the request, wrongly where a fault says so."""
        fault = self._match(request)
        if fault is None:
            reply = await answer(request)
            profile = self._switches.rate_headers
            if profile is not None and reply.status < 300:
                reply.headers.update(rate_headers(profile, 30, _REMAINING))
            return reply
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return await answer(request)
        # A read changes nothing, so its true answer may always be taken to spoil it.
        done = request.method == "GET" or fault.commit
        return await _spoiled(request, fault, await answer(request) if done else None)

    def _match(self, request: web.Request) -> Fault | None:
        if self._switches.fail_reads and request.method == "GET":
            return Fault(kind="error")
        for number, fault in enumerate(self._switches.faults):
            if fault.method not in ("", request.method):
                continue
            if fault.path and not re.fullmatch(fault.path, request.path):
                continue
            self._met[number] += 1
            last = None if fault.times is None else fault.skip + fault.times
            if self._met[number] > fault.skip and (last is None or self._met[number] <= last):
                return fault
        return None


async def _spoiled(
    request: web.Request, fault: Fault, true: web.StreamResponse | None
) -> web.StreamResponse:
    body = true.body if isinstance(true, web.Response) and isinstance(true.body, bytes) else b"{}"
    match fault.kind:
        case "rate_limited":
            return _failed(429, "Too many requests", rate_headers(fault.profile, fault.seconds, 0))
        case "error":
            return _failed(fault.status or 500, "Something went wrong")
        case "redirect":
            return web.Response(status=fault.status or 307, headers={"Location": fault.location})
        case "drop":
            return _dropped(request)
        case "html":
            return web.Response(body=_HTML, content_type="text/html")
        case "huge":
            return await _huge(request, fault.size)
        case "gzip_bomb":
            headers = {"Content-Encoding": "gzip"}
            return web.Response(
                body=_bomb(fault.size), headers=headers, content_type="application/json"
            )
        case "truncated":
            body = body[: len(body) // 2]
        case "empty":
            body = b""
        case "body":
            body = fault.body.encode()
        case _:
            pass
    return web.Response(body=body, content_type="application/json")


def rate_headers(profile: Profile, seconds: float, remaining: int) -> dict[str, str]:
    """Return the headers by which a provider tells its limits."""
    wait, until = str(int(seconds)), str(int(time.time() + seconds))
    names = ("Limit", "Remaining", "Reset")
    match profile:
        case "retry_after":
            return {"Retry-After": wait}
        case "retry_after_date":
            return {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
        case "x_ratelimit_delta" | "x_ratelimit_epoch":
            reset = until if profile == "x_ratelimit_epoch" else wait
            values = (str(_LIMIT), str(remaining), reset)
            return {f"X-RateLimit-{name}": value for name, value in zip(names, values, strict=True)}
        case "ratelimit":
            values = (str(_LIMIT), str(remaining), wait)
            return {f"RateLimit-{name}": value for name, value in zip(names, values, strict=True)}
        case "structured":
            return {
                "RateLimit": f'"default";r={remaining};t={wait}',
                "RateLimit-Policy": f'"default";q={_LIMIT};w=60',
            }
        case "bare":
            return {}


def _failed(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    code = "rate_limited" if status == 429 else "error"
    answer = {"code": code, "message": message, "request_id": str(uuid.uuid4()), "status": status}
    return web.Response(
        body=msgspec.json.encode(answer),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _huge(request: web.Request, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        for _ in range(max(1, size // len(_CHUNK))):
            await response.write(_CHUNK)
        await response.write(b"[]")
        await response.write_eof()
    except ConnectionResetError:
        pass  # the reader had enough, as it should
    return response


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(level=9, wbits=31)
    parts = [packer.compress(_CHUNK) for _ in range(max(1, size // len(_CHUNK)))]
    return b"".join([*parts, packer.compress(b"[]"), packer.flush()])
