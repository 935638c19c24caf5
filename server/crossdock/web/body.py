"""The body of a request: plain JSON, in time, and not too large."""

from __future__ import annotations

import asyncio

from aiohttp import web

from crossdock.errors import Refused, Rejected
from crossdock.protocol.jsonrpc import Unreadable, read_message
from crossdock.web.replies import JSON

_SECONDS = 30.0
_ID_BYTES = 65_536  # beyond this a refused body is not read for its id


async def body_of(request: web.Request, most: int | None = None) -> bytes:
    """Read the body; the application's own limit of size holds besides `most` bytes.

    Raises Rejected: 415 unless it is plain JSON, 413 when it is too large, 408 if none comes.
    """
    if request.content_type != JSON or "Content-Encoding" in request.headers:
        raise Rejected(
            415,
            "unsupported_media_type",
            "Send the body as Content-Type: application/json, unencoded.",
        )
    if most is not None and (request.content_length or 0) > most:
        raise _too_large(most)
    body = await _read(request)
    if most is not None and len(body) > most:
        raise _too_large(most)
    return body


async def _read(request: web.Request) -> bytes:
    if request.content.is_eof():  # it came in one piece with its head, as small bodies do
        return await request.read()
    try:
        async with asyncio.timeout(_SECONDS):
            return await request.read()
    except TimeoutError:
        raise Rejected(408, "timeout", "The body did not arrive in time.") from None


def _too_large(most: int) -> Rejected:
    return Rejected(413, "too_large", f"The body is larger than {most:,} bytes.")


async def id_of(request: web.Request) -> bytes | None:
    """Read a refused message's id, so that the client can show the refusal to its user."""
    length = request.content_length
    if request.method != "POST" or length is None or length > _ID_BYTES:
        return None
    try:
        return read_message(await _read(request)).id
    except Unreadable as error:
        return error.id
    except Refused:
        return None
