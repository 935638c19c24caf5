"""The default mapper: Call → UpstreamRequest → Outcome. Bytes in, bytes out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from crossdock.adapter import paging
from crossdock.adapter.bodies import decode, decode_as, encode, malformed
from crossdock.adapter.manifest import PLACEHOLDER
from crossdock.adapter.matching import matcher
from crossdock.adapter.pace import unhurried
from crossdock.adapter.pointers import at_pointer
from crossdock.adapter.polling import outcome_of
from crossdock.adapter.receiving import is_json, read_blocks
from crossdock.adapter.sending import body_of
from crossdock.authoring import Call, Context, Endpoint, Outcome, UpstreamReply, UpstreamRequest
from crossdock.errors import InvalidArguments, UpstreamFailure


def one_segment(value: str) -> str:
    """Percent-encode a value into exactly one path segment. Raises InvalidArguments."""
    if value in ("", ".", ".."):
        raise InvalidArguments("", f"{value!r} cannot be an id")
    return quote(value, safe="")


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[tuple[str, bool], ...]:
    # re.split with a group alternates literal text and placeholder names.
    pieces = PLACEHOLDER.split(template)
    return tuple((piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece)


def path_of(endpoint: Endpoint, values: dict[str, str]) -> str:
    """Fill the path template; each value becomes one encoded segment."""
    return "".join(
        one_segment(values[piece]) if named else piece for piece, named in _parts(endpoint.path)
    )


def request_of(call: Call) -> UpstreamRequest:
    """Shape the request that the tool's endpoint describes, paging left out."""
    endpoint = call.tool.endpoint
    query = [
        (name, "".join(call.path[p] if named else p for p, named in _parts(template)))
        for name, template in endpoint.query
    ]
    for name, value in call.query.items():
        query.extend(_pairs(name, value))
    body, kind = body_of(call)
    return UpstreamRequest(
        verb=endpoint.verb,
        path=path_of(endpoint, call.path),
        query=tuple(query),
        body=body,
        headers=(*_accepted(endpoint), *((("Content-Type", kind),) if kind else ())),
        host=endpoint.host,
    )


def _accepted(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    receive = endpoint.receive
    if receive.as_ == "json" or receive.at:
        return ()
    return (("Accept", ", ".join(receive.types) or "*/*"),)


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list):
        return [pair for one in value for pair in _pairs(name, one)]
    if isinstance(value, str):
        return [(name, value)]
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, encode(value).decode())]


async def rest(call: Call, context: Context) -> Outcome:
    """Send the call as its endpoint says and read the answer."""
    request = request_of(call)
    try:
        if call.tool.lists:
            reply = await context.send(paging.ask(call, request))
            further = call.tool.paging.style == "next_url"
            known = [*hosts_of(call, context).values()] if further else []
            return await paging.read(call, reply, known)
        return await _read(call, await context.send(request), context)
    except UpstreamFailure as failure:
        raise hinted(failure, call) from None


def hosts_of(call: Call, context: Context) -> dict[str, str]:
    """Return the URLs of this account's hosts by their names; that of its base URL is empty."""
    further = {name: str(context.settings[f"{name}_url"]) for name in call.tool.hosts}
    return {"": str(context.settings["base_url"]), **further}


async def _read(call: Call, reply: UpstreamReply, context: Context) -> Outcome:
    """Read an answer; one that was only accepted is waited for."""
    if reply.status == 202 and "location" in reply.headers:
        seen = await outcome_of(call, reply, context, hosts_of(call, context))
        if isinstance(seen, Outcome):
            return seen
        reply = seen
    return await read_record(call, reply)


def hinted(failure: UpstreamFailure, call: Call) -> UpstreamFailure:
    """Say of an id that the provider does not know where to go instead."""
    if failure.kind == "not_found":
        hints = [one.hint for one in call.tool.arguments if one.hint and one.where == "path"]
        if hints:
            failure.args = (" ".join([f"{str(failure).rstrip('.')}.", *hints]),)
    return failure


async def read_record(call: Call, reply: UpstreamReply) -> Outcome:
    """Read an answer that is one record; None stands for a write that was answered without one."""
    if reply.status == 204 or not reply.body.strip():
        if call.tool.effect == "read" and reply.status != 204:
            raise malformed("it is empty")
        return Outcome(data=None, rate=reply.rate)
    if not is_json(call, reply):
        uri = f"crossdock://{call.tool.adapter}{path_of(call.tool.endpoint, call.path)}"
        return read_blocks(call, reply, uri)
    if not call.tool.endpoint.one:
        notes = _partial_errors(call.tool.partial, reply.body)
        return Outcome(data=msgspec.Raw(reply.body), rate=reply.rate, notes=notes)
    return await _only_one(call, reply)


async def _only_one(call: Call, reply: UpstreamReply) -> Outcome:
    """A look-up may answer the record, or a list of what it found; both mean the same."""
    found = decode_as(reply.body, list[msgspec.Raw]) if _is_list(reply.body) else None
    records = [msgspec.Raw(reply.body)] if found is None else found
    fits = matcher(call)
    kept = [one async for one in unhurried(records) if fits is None or fits(decode(one))]
    if not kept:
        sought = ", ".join(call.path.values())
        raise UpstreamFailure("not_found", f"Nothing was found for {sought}", status=reply.status)
    notes: tuple[str, ...] = ()
    if len(kept) > 1:
        notes = (f"{len(kept)} records match; this is the first that the provider listed.",)
    return Outcome(data=kept[0], rate=reply.rate, notes=notes)


def _is_list(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _partial_errors(pointer: str, body: bytes) -> tuple[str, ...]:
    if not pointer:
        return ()
    errors = at_pointer(decode(body), pointer)
    if not isinstance(errors, list) or not errors:
        return ()
    shown = "; ".join(one if isinstance(one, str) else encode(one).decode() for one in errors[:5])
    return (f"The provider accepted this in part only: {shown[:500]}",)
