"""What a provider accepted for later (202): where its outcome lies, and waiting for it.

What was accepted is never sent again. An outcome that is not there in time is not a failure: the
answer says where it will be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import msgspec

from crossdock.adapter.bodies import decode, encode
from crossdock.adapter.pointers import raw_at
from crossdock.authoring import Call, Context, Outcome, Poll, UpstreamReply, UpstreamRequest
from crossdock.errors import UpstreamFailure, WriteNotVerified

_PORTS = {"http": 80, "https": 443}


async def outcome_of(
    call: Call, reply: UpstreamReply, context: Context, hosts: Mapping[str, str]
) -> UpstreamReply | Outcome:
    """Return the finished record's reply, or an outcome that says where it will be.

    `hosts` are the URLs that may be asked, by the names of their hosts.
    """
    location, poll = reply.headers["location"], call.tool.endpoint.receive.poll
    if poll is None:
        return _located(reply, location, "This was accepted, and is not done yet.")
    request = _request(location, hosts, call.tool.endpoint.host)
    if request is None:
        return _located(reply, location, "Its location lies on a host that is never asked.")
    started = time.monotonic()
    word = ""
    while (passed := time.monotonic() - started) < poll.seconds:
        await context.progress(passed, poll.seconds, f"the provider says: {word or 'accepted'}")
        await asyncio.sleep(min(poll.every, poll.seconds - passed))
        try:
            seen = await context.send(request)
        except UpstreamFailure as failure:
            return _located(reply, location, f"Asking for its outcome failed: {failure}")
        word = _state(seen, poll)
        if word in poll.done:
            return seen
        if word in poll.failed:
            raise _failed(call, seen, word)
    return _located(reply, location, f"It was not done after {poll.seconds:g} s ({word}).")


def _state(seen: UpstreamReply, poll: Poll) -> str:
    told = None if not seen.body.strip() else raw_at(seen.body, poll.state)
    value = None if told is None else decode(told)
    return value if isinstance(value, str) else encode(value).decode()


def _failed(call: Call, seen: UpstreamReply, word: str) -> Exception:
    words = f"The provider accepted this, and then it came to nothing ({word})."
    if call.tool.effect == "read":
        return UpstreamFailure("upstream_rejected", words, status=seen.status, rate=seen.rate)
    return WriteNotVerified(words, seen=decode(seen.body))


def _located(reply: UpstreamReply, location: str, why: str) -> Outcome:
    data: Any = {"location": location}
    if reply.body.strip()[:1] == b"{":
        known = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
        data = {"location": location} | known
    note = f"{why} Read its outcome later; do not send this again."
    return Outcome(data=data, rate=reply.rate, notes=(note,))


def _request(location: str, hosts: Mapping[str, str], asked: str) -> UpstreamRequest | None:
    """Return the request that reads a location; None where it lies on an unknown host."""
    try:
        target = urlsplit(urljoin(f"{hosts[asked]}/", location))
        place = (target.hostname, target.port or _PORTS.get(target.scheme))
    except ValueError:
        return None
    for name, url in hosts.items():
        known = urlsplit(url)
        if place == (known.hostname, known.port or _PORTS.get(known.scheme)):
            query = tuple(parse_qsl(target.query, keep_blank_values=True))
            path = target.path or "/"
            return UpstreamRequest(verb="GET", path=path, query=query, host=name, rooted=True)
    return None
