"""Middlewares in front of every route: request id, plain paths, Host and Origin, last resort.

The request line holds the URL token, so nothing here logs or echoes it.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from crossdock.errors import CrossdockError, Refused
from crossdock.log import logger
from crossdock.redaction import redactor
from crossdock.web import app_keys
from crossdock.web.body import id_of
from crossdock.web.replies import JSON, error_reply, refusal, refusal_headers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ORIGIN = re.compile(r"[a-z]+://[^/]*", re.IGNORECASE)  # of a request target in absolute form
_SLASH = re.compile("/|%2f", re.IGNORECASE)
_SUSPECT = ("/.", "//", "%", "#")
_PROBES = frozenset({"/healthz", "/readyz"})  # asked by address; they say nothing worth stealing
log = logger(__name__)


def is_mcp(request: web.BaseRequest) -> bool:
    """Whether refusals of this request are read by an MCP client."""
    return request.path == "/mcp" or request.path.startswith("/mcp/")


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every request an id, and its answer too."""
    request_id = identified(request)
    response = await handler(request)
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
    return response


def identified(request: web.BaseRequest) -> str:
    """Give a request an id and return it; a proper one that came along is kept."""
    given = request.headers.get("X-Request-Id")
    # It goes into the log and the audit, so one that holds a secret is not a proper one.
    if given and _REQUEST_ID.fullmatch(given) and redactor.clean(given) == given:
        request_id = given
    else:
        request_id = next(_ids)
    request[app_keys.request_id] = request_id
    return request_id


def _made() -> Iterator[str]:
    while True:  # the system is asked once for many
        block = os.urandom(16 * 64).hex()
        for start in range(0, len(block), 32):
            yield block[start : start + 32]


_ids = _made()


@web.middleware
async def last_resort(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what nobody else answered into JSON: never a traceback, never the request line."""
    try:
        return await handler(request)
    except Exception as error:
        return await answer_to(request, error)


async def answer_to(request: web.Request, error: Exception) -> web.Response:
    """Return what is replied to a request that ended with this error."""
    if isinstance(error, web.HTTPException):
        return _http_error(request, error)
    if isinstance(error, Refused):
        if is_mcp(request):
            # A body that did not come is not waited for again.
            return refusal(error, None if error.status == 408 else await id_of(request))
        headers = refusal_headers(error)
        return error_reply(error.status, error.error, str(error), error.details, headers)
    request_id = request.get(app_keys.request_id, "")
    told = isinstance(error, CrossdockError)
    log.error("request.failed", request_id=request_id, exc_info=not told and error)
    return error_reply(500, "internal", f"Internal error (request {request_id})")


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    words = {
        404: "There is nothing at this path.",
        405: "This method is not allowed here.",
        413: "The body is too large.",
    }
    message = words.get(error.status, error.reason or "")
    if is_mcp(request) and error.status in (405, 413):
        response = refusal(Refused(error.status, message))
    else:
        name = (error.reason or "error").lower().replace(" ", "_")
        response = error_reply(error.status, name, message)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


@web.middleware
async def plain_path(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse paths that a proxy may read in another way than the router does.

    A proxy that resolves `/integrated-account/../mcp` applies the limits of `/mcp` to it.
    """
    if is_ambiguous(request.raw_path):
        raise Refused(
            400, "The path holds an empty or a dot segment, plain or encoded, or a #; leave it out."
        )
    return await handler(request)


def is_ambiguous(target: str) -> bool:
    """Whether a request target's path has segments that normalising would take away."""
    path = target.partition("?")[0]
    if not any(mark in path for mark in _SUSPECT):
        return False
    first, *segments = _SLASH.split(_ORIGIN.sub("", path, 1).lower().replace("%2e", "."))
    return "#" in path or first != "" or "" in segments[:-1] or not {".", ".."}.isdisjoint(segments)


@web.middleware
async def same_site(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests under a foreign name and from foreign pages (DNS rebinding, CSRF)."""
    origins = request.app[app_keys.origins]
    if not origins.host_fits(request) and request.path not in _PROBES:
        raise Refused(
            421, "The Host header names no host of this gateway; add it to [server] allowed_hosts."
        )
    origin = request.headers.get("Origin")
    if origin is not None and not origins.page_fits(origin):
        raise Refused(403, "Pages of this origin may not call; add it to [server] allowed_origins.")
    response = await handler(request)
    if origin is not None and not response.prepared:
        response.headers.update(cross_origin(request))
    return response


def cross_origin(request: web.Request) -> dict[str, str]:
    """Return the headers that let a listed page read the answer."""
    origin = request.headers.get("Origin")
    if origin is None or not request.app[app_keys.origins].is_listed(origin):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": (
            "Mcp-Session-Id, WWW-Authenticate, Retry-After, X-Request-Id, "
            "ratelimit-limit, ratelimit-remaining, ratelimit-reset"
        ),
        "Vary": "Origin",
    }


MIDDLEWARES = (identify, last_resort, plain_path, same_site)


async def end_outliving(app: web.Application) -> None:
    """Cancel the requests that outlived their connections; nobody can fetch their answers now."""
    tasks = [*app[app_keys.outliving]]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class QuietHandler(RequestHandler):
    """aiohttp's own error page and error log repeat the request line; these do not.

    A request whose client goes away is cancelled, unless its answer can be fetched later.
    """

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of the connection, and of its request unless that outlives it."""
        request, task = self._current_request, self._task_handler
        if isinstance(request, web.Request) and app_keys.outlives in request and task is not None:
            outliving = request.app[app_keys.outliving]
            outliving.add(task)
            task.add_done_callback(outliving.discard)
            self._task_handler = None  # or it would be cancelled
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed with fixed words, and close."""
        log.info("http.refused", status=status, reason=type(exc).__name__ if exc else "")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun")
        response = web.Response(
            status=status,
            text='{"statusCode":%d,"error":"bad_request","message":"Not a valid HTTP request."}'
            % status,
            content_type=JSON,
            headers={"Server": "crossdock", "Cache-Control": "no-store"},
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log the kind of error alone: its text may hold the request line."""
        error = kwargs.get("exc_info")
        log.warning("http.failed", reason=type(error).__name__ if error else "")
