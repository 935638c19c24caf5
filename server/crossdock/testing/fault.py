"""What a provider does on a bad day: one vocabulary for the kit, sandboxes and their control route.

A fault replaces, spoils or delays the answer to the requests that it matches; the first that
matches counts.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from typing import Any, Literal

import msgspec
from aiohttp import ClientSession, web
from yarl import URL

FaultKind = Literal[
    "status",
    "rate_limited",
    "unauthorized",
    "slow",
    "drop",
    "html",
    "empty",
    "truncated",
    "huge",
    "redirect",
    "echo",
    "lie",
    "elsewhere",
]
Profile = Literal[
    "retry_after",
    "retry_after_date",
    "x_ratelimit_delta",
    "x_ratelimit_epoch",
    "ratelimit",
    "structured",
    "bare",
]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
OTHER_WRITER = "X-Sandbox-Other-Writer"
"""Marks the request that the fault `elsewhere` makes: it is neither recorded nor spoiled."""

_LIMIT = 100
_CHUNK = b" " * 65536
_HTML = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"
_WORDS = {401: "Unauthorized", 403: "Forbidden", 404: "Not found", 429: "Too many requests"}


class OtherWrite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What another writer sends, with the credentials of the request that it comes in between."""

    method: str = "PUT"
    path: str = ""
    json: Any = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that goes wrong for matching requests.

    `method` and `path` choose them ("": all); `path` is a regular expression for the whole path,
    without the query. `skip` lets so many pass first, `times` ends it (None: never). `commit`: the
    write takes place first. `status` and `body` (text, or a JSON value) are of `status`, `status`
    and `location` of `redirect`; `seconds` of `slow` and, with `profile`, of `rate_limited`; `size`
    and `encoding` of `huge`; `write` of `elsewhere`.
    """

    kind: FaultKind
    method: str = ""
    path: str = ""
    times: int | None = None
    skip: int = 0
    commit: bool = False
    status: int | None = None
    body: Any = None
    seconds: float = 30
    profile: Profile = "retry_after"
    size: int = 64 * 1024 * 1024
    encoding: Literal["", "gzip"] = ""
    location: str = "/elsewhere"
    write: OtherWrite = OtherWrite()

    def __post_init__(self) -> None:
        re.compile(self.path)


class Faults:
    """The faults in force, with what each has met so far. `base` is cut from paths if given."""

    def __init__(self, base: str = "") -> None:
        self._base = base
        self._faults: list[Fault] = []
        self._met: list[int] = []

    def add(self, fault: Fault) -> None:
        """Let this happen as well, after those that were there first."""
        self._faults.append(fault)
        self._met.append(0)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Let these happen, and no others."""
        self._faults = [*faults]
        self._met = [0] * len(self._faults)

    def all(self) -> list[Fault]:
        """Return the faults in force."""
        return [*self._faults]

    def match(self, method: str, path: str) -> Fault | None:
        """Return what happens to a request of this path, and count it."""
        paths = {path, path.removeprefix(self._base)}
        for number, fault in enumerate(self._faults):
            if fault.method not in ("", method):
                continue
            if fault.path and not any(re.fullmatch(fault.path, one) for one in paths):
                continue
            self._met[number] += 1
            last = None if fault.times is None else fault.skip + fault.times
            if self._met[number] > fault.skip and (last is None or self._met[number] <= last):
                return fault
        return None

    async def apply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        """Answer a request, wrongly where a fault says so."""
        if OTHER_WRITER in request.headers:
            return await answer(request)
        fault = self.match(request.method, request.path)
        return await (answer(request) if fault is None else spoil(request, fault, answer))


async def spoil(request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse:
    """Answer a request as this fault says."""
    if fault.kind == "slow":
        early = await answer(request) if fault.commit else None
        await asyncio.sleep(fault.seconds)
        return early or await answer(request)
    if fault.kind == "elsewhere":
        reply = await answer(request)
        await _other_writer(request, fault.write)
        return reply
    # A read changes nothing, so its true answer may always be taken to be spoiled.
    done = request.method == "GET" or fault.commit
    true = await answer(request) if done else None
    return await _spoiled(request, fault, true)


async def _spoiled(
    request: web.Request, fault: Fault, true: web.StreamResponse | None
) -> web.StreamResponse:
    body = true.body if isinstance(true, web.Response) and isinstance(true.body, bytes) else b"{}"
    kind = "application/json" if true is None else true.content_type
    match fault.kind:
        case "status":
            return _worded(fault.status or 500, fault.body)
        case "unauthorized":
            return _worded(401, fault.body)
        case "rate_limited":
            return _worded(429, fault.body, rate_headers(fault.profile, fault.seconds, 0))
        case "redirect":
            return web.Response(status=fault.status or 307, headers={"Location": fault.location})
        case "drop":
            return dropped(request)
        case "html":
            return web.Response(body=_HTML, status=fault.status or 200, content_type="text/html")
        case "huge":
            return await _huge(request, fault)
        case "echo":
            return _worded(fault.status or 400, {"message": await _echoed(request)})
        case "truncated":
            body = body[: len(body) // 2]
        case "empty":
            body = b""
        case _:  # a lie: the words of a success
            body = await request.read() or b"{}"
    return web.Response(body=body, content_type=kind)


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


def dropped(request: web.Request) -> web.Response:
    """Hang up without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _worded(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    if body is None:
        words = _WORDS.get(status, "Something went wrong")
        body = {"status": status, "message": words, "code": words.lower().replace(" ", "_")}
    encoded = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return web.Response(
        body=encoded, status=status, headers=headers, content_type="application/json"
    )


async def _echoed(request: web.Request) -> str:
    """Return a request as some providers repeat it in their refusals: whole."""
    lines = [f"{request.method} {request.raw_path}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\n".join([*lines, (await request.read()).decode(errors="replace")])


async def _huge(request: web.Request, fault: Fault) -> web.StreamResponse:
    chunks = max(1, fault.size // len(_CHUNK))
    if fault.encoding == "gzip":
        packer = zlib.compressobj(level=9, wbits=31)
        packed = [packer.compress(_CHUNK) for _ in range(chunks)]
        body = b"".join([*packed, packer.compress(b"[]"), packer.flush()])
        headers = {"Content-Encoding": "gzip"}
        return web.Response(body=body, headers=headers, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        for _ in range(chunks):
            await response.write(_CHUNK)
        await response.write(b"[]")
        await response.write_eof()
    except ConnectionResetError:
        pass  # the reader had enough, as it should
    return response


async def _other_writer(request: web.Request, write: OtherWrite) -> None:
    kept = {"host", "content-length", "content-type", "transfer-encoding"}
    headers = {name: v for name, v in request.headers.items() if name.lower() not in kept}
    headers[OTHER_WRITER] = "1"
    address = request.transport.get_extra_info("sockname") if request.transport else None
    if address is None:
        return  # the client is gone, and with it whoever would be surprised
    target = URL(f"http://{address[0]}:{address[1]}{write.path or request.raw_path}", encoded=True)
    body = None if write.json is None else msgspec.json.encode(write.json)
    if body is not None:
        headers["Content-Type"] = "application/json"
    async with (
        ClientSession() as http,
        http.request(write.method, target, data=body, headers=headers) as reply,
    ):
        await reply.read()
