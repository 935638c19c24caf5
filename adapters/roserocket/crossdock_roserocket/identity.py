"""Which record is meant: uuids, external ids, and object keys that were left out.

A record id is always a uuid, so anything else in its place can only be a number that people use,
and is looked up as an external id. Nothing is guessed for a deletion.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

import msgspec

from crossdock.adapter import (
    Context,
    InvalidArguments,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    decode,
    one_segment,
)
from crossdock_roserocket.boards import board_for
from crossdock_roserocket.catalogue import is_uuid
from crossdock_roserocket.kinds import (
    allowed,
    asked_key,
    is_hidden,
    key_or_default,
    no_record,
)

_REMEMBERED = 300.0


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A record's uuid and object key, and what was assumed to find it."""

    id: str
    key: str
    notes: tuple[str, ...] = ()


def external_path(key: str, external: str) -> str:
    """Return the path of a record by its external id: one encoded segment, whatever it holds.

    Raises InvalidArguments for what nobody can have meant."""
    if not external.strip() or any(unicodedata.category(one) == "Cc" for one in external):
        raise InvalidArguments("", f"{external!r} cannot be an id: empty, or a control character")
    return f"/objects/{one_segment(key)}/{one_segment(external)}/external"


async def read_external(context: Context, key: str, external: str) -> UpstreamReply:
    """Read a record by its external id. Raises UpstreamFailure, not_found in words of ours."""
    try:
        return await context.send(UpstreamRequest(verb="GET", path=external_path(key, external)))
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
        if "/" in external:
            found = await _searched(context, key, external)
            if found is not None:
                return found
        raise _no_external(key, external, failure) from None


async def _searched(context: Context, key: str, external: str) -> UpstreamReply | None:
    """Find an external id with a slash by search, as some gateways refuse an encoded slash."""
    try:
        board, _ = await board_for(context, key)
    except InvalidArguments:
        return None  # no board shows this key, so it cannot be searched
    body = {
        "boardId": board.id,
        "limit": 2,
        "filters": [
            {
                "filterKey": "externalId",
                "path": "externalId",
                "operator": "equals",
                "value": external,
                "fieldType": "TextField",
            }
        ],
    }
    request = UpstreamRequest(
        verb="POST", path="/objects/search", body=msgspec.json.encode(body), reads=True
    )
    answer = decode((await context.send(request)).body)
    for found in answer.get("results", []) if isinstance(answer, dict) else []:
        if found.get("externalId") == external and is_uuid(found.get("id")):
            return await context.send(UpstreamRequest(verb="GET", path=f"/objects/{found['id']}"))
    return None


def _no_external(key: str, external: str, failure: UpstreamFailure) -> UpstreamFailure:
    return UpstreamFailure(
        "not_found",
        f"No {key} has the external id {external!r}. Capitals and blanks count. The number may "
        "belong to another object_key, or stand in a field: try list_all_roserocket_objects with "
        'a filter, as {"poNum": …} or {"refNum": …} on orders. Ids of Rose Rocket are uuids.',
        status=failure.status,
        rate=failure.rate,
    )


async def key_of_record(context: Context, record_id: str) -> str:
    """Return the object key of a record; it never changes, so it is remembered for minutes.

    Raises UpstreamFailure, not_found for a record that this call may not meet."""

    async def read() -> str:
        return text_of(await read_record(context, record_id), "objectKey")

    key: str = await context.remember(f"key:{record_id}", _REMEMBERED, read)
    if is_hidden(context, key):
        raise no_record(record_id)
    return key


async def read_record(context: Context, record_id: str, paths: Iterable[str] = ()) -> Any:
    """Read a record with these connected records. Raises UpstreamFailure."""
    query = {"paths": ",".join(paths)} if paths else {}
    try:
        return await context.fetch(f"/objects/{one_segment(record_id)}", **query)
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
        raise no_record(record_id, failure) from None


async def locate(
    context: Context, given: str, key: str | None, *, id_argument: str, key_argument: str
) -> Located:
    """Find the record that `given` (a uuid or an external id) and `key` mean."""
    if is_uuid(given):
        if key is None:
            found = await key_of_record(context, given)
            note = f"{key_argument} was not given; the record says it is {found}."
            return Located(id=given, key=found, notes=(note,))
        known = asked_key(context, key, key_argument)
        if allowed(context) is not None:
            await need_kind(context, given, known, key_argument)
        return Located(id=given, key=known)
    known, notes = key_or_default(context, key, key_argument)
    record = decode((await read_external(context, known, given)).body)
    note = f"{id_argument} {given!r} is no uuid; it is the external id of this {known}."
    return Located(id=text_of(record, "id"), key=known, notes=(*notes, note))


async def need_kind(context: Context, record_id: str, key: str, argument: str) -> None:
    """Refuse a record of another kind: many endpoints would take it, or answer with nothing.

    Raises InvalidArguments, or UpstreamFailure."""
    found = await key_of_record(context, record_id)
    if found != key:
        raise InvalidArguments(
            argument, f"is {key}, but the record {record_id} is of kind {found}; pass {found}"
        )


async def user_id(context: Context, given: str, argument: str) -> str:
    """Return a user's uuid, also for an external id. Raises InvalidArguments."""
    if is_uuid(given):
        return given
    if is_hidden(context, "user"):
        raise InvalidArguments(argument, f"{given!r} is no uuid; name the user by uuid")
    try:
        found = await context.fetch(external_path("user", given))
    except UpstreamFailure as failure:
        if failure.kind not in ("not_found", "upstream_rejected"):
            raise
        raise InvalidArguments(
            argument,
            f"{given!r} is no uuid, and no user has it as external id. Find the user with "
            'roserocket_objects_autocomplete {"object_key": "user", "search_term": "<name>"}.',
        ) from None
    return text_of(found, "id")


def need_uuid(given: str, argument: str, remedy: str) -> None:
    """Refuse what can only be a mistake. Raises InvalidArguments."""
    if not is_uuid(given):
        raise InvalidArguments(argument, f"{given!r} is no uuid. {remedy}")


def text_of(record: Any, field: str) -> str:
    """Return a text field of a record. Raises UpstreamFailure (upstream_malformed)."""
    value = record.get(field) if isinstance(record, dict) else None
    if not isinstance(value, str):
        raise UpstreamFailure(
            "upstream_malformed", f"Rose Rocket answered a record without {field}."
        )
    return value
