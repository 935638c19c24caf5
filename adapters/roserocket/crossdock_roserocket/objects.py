"""Objects one at a time: the envelope {objectKey, json}, keys in any case, ids that people use."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    WriteNotVerified,
    decode,
    rest,
    unhurried,
)
from crossdock_roserocket.catalogue import is_uuid
from crossdock_roserocket.fields import GROUP_WORDS, Fields, fields_for
from crossdock_roserocket.identity import (
    key_of_record,
    locate,
    need_kind,
    need_uuid,
    read_external,
    read_record,
    text_of,
)
from crossdock_roserocket.kinds import (
    allowed,
    asked_key,
    is_hidden,
    key_or_default,
    no_record,
    shown,
)
from crossdock_roserocket.outcomes import answered, lost, noted
from crossdock_roserocket.payload import check_external
from crossdock_roserocket.writing import read_change, written

_FIND_IDS = "Find it with get_single_roserocket_objects_external_by_id."
_OF_EXTERNAL = ("externalId", "external_id")


# --- reading ---------------------------------------------------------------------------------


async def get_object(call: Call, context: Context) -> Outcome:
    """Read a record by its uuid, or by an external id given in its place."""
    given = call.path["id"]
    notes: tuple[str, ...] = ()
    if not is_uuid(given):
        key, notes = key_or_default(context, call.mapper.get("object_key"), "object_key")
        reply = await read_external(context, key, given)
        notes += (f"id {given!r} is no uuid; it is the external id of this {key}.",)
        if not call.query:
            return Outcome(data=msgspec.Raw(reply.body), rate=reply.rate, notes=notes)
        call = _at(call, text_of(decode(reply.body), "id"))
    elif (said := call.mapper.get("object_key")) is not None:
        await need_kind(context, given, asked_key(context, said, "object_key"), "object_key")
    call = _with_paths(call, context)
    try:
        outcome = await rest(call, context)
        paths, path_notes = _judged_by(context, outcome, call)
        if paths != call.query.get("paths", ""):
            outcome = await rest(call.with_query(paths=paths), context)
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
        raise no_record(given, failure) from None
    return noted(_shown(context, outcome), notes + path_notes)


def _with_paths(call: Call, context: Context) -> Call:
    """Put the account's field in the place of user_group; the rest is judged by the answer."""
    if "paths" not in call.query:
        return call
    group = (context.settings.get("task_group_field") or "").partition(":")[0]
    steps = [
        ".".join(group if group and _is_group(step) else step for step in path.strip().split("."))
        for path in call.query["paths"].split(",")
    ]
    return call.with_query(paths=",".join(steps))


def _is_group(step: str) -> bool:
    return step.replace("_", "").casefold() in GROUP_WORDS


def _judged_by(context: Context, outcome: Outcome, call: Call) -> tuple[str, tuple[str, ...]]:
    """Judge the paths by the kind that the record turned out to be; return them as the provider
    spells them, and notes. Raises InvalidArguments, or not_found for a kind out of sight."""
    asked = call.query.get("paths", "")
    if not asked and allowed(context) is None:
        return asked, ()
    record = answered(outcome)
    key = record.get("objectKey") if isinstance(record, dict) else None
    if is_hidden(context, key):
        raise no_record(call.path["id"])
    given = [one.strip() for one in asked.split(",") if one.strip()]
    right, notes = _judged(context, fields_for(context, str(key)), given)
    if right == given and (absent := [p for p in right if p.partition(".")[0] not in record]):
        notes += (f"Nothing is connected as {', '.join(absent)}.",)
    return (asked if right == given else ",".join(right)), notes


def _judged(
    context: Context, fields: Fields, paths: list[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Return paths as the provider spells them, and notes. Raises InvalidArguments."""
    found = [fields.linked(path, "paths", allowed(context)) for path in paths]
    return [path for path, _ in found], tuple(note for _, notes in found for note in notes)


# --- writing ---------------------------------------------------------------------------------


async def create_object(call: Call, context: Context) -> Outcome:
    """Create a record from checked fields, and see whether they took."""
    key = asked_key(context, call.body["objectKey"], "object_key")
    call, fields = _enveloped(call, context, key)
    change = read_change(context, fields, call)

    async def send(json: dict[str, Any]) -> Outcome:
        try:
            return await rest(call.with_body(json=json), context)
        except UpstreamFailure as failure:
            raise lost(
                failure,
                "Look for the record before you try again; a second create makes a second one.",
            ) from None

    return _shown(context, await written(context, change, None, send))


async def update_object(call: Call, context: Context) -> Outcome:
    """Change fields of a record; its key is read from it when it was left out."""
    given = call.body.get("objectKey")
    if given is not None:  # whatever is wrong is said before anything is sent
        read_change(context, fields_for(context, asked_key(context, given, "object_key")), call)
    found = await locate(
        context, call.path["id"], given, id_argument="id", key_argument="object_key"
    )
    call, fields = _enveloped(_at(call, found.id), context, found.key)
    change = read_change(context, fields, call)

    async def send(json: dict[str, Any]) -> Outcome:
        return await rest(call.with_body(json=json), context)

    async with context.exclusive(f"object:{found.id}"):
        before = await read_record(context, found.id, change.paths)
        _check_kind(before, found.key)
        outcome = await written(context, change, before, send)
    return noted(_shown(context, outcome), found.notes)


def _check_kind(record: Any, key: str) -> None:
    found = record.get("objectKey") if isinstance(record, dict) else None
    if found not in (None, key):
        raise InvalidArguments(
            "object_key", f"is {key}, but the record is of kind {found}; pass {found}"
        )


async def upsert_object(call: Call, context: Context) -> Outcome:
    """Create or update the record with `json.externalId`."""
    json = call.body["json"]
    name = next((one for one in _OF_EXTERNAL if one in json), "")
    if not name or json[name] is None:
        raise InvalidArguments(
            "json.externalId",
            'is required: the other system\'s number, as {"externalId": "ERP-9921", "poNum": "1"}',
        )
    key = asked_key(context, call.body["objectKey"], "object_key")
    check_external(json[name], "json.externalId")
    return await _upserted(call, context, key, json[name])


async def _upserted(call: Call, context: Context, key: str, external: str) -> Outcome:
    call, fields = _enveloped(call, context, key)
    change = read_change(context, fields, call)

    async def send(json: dict[str, Any]) -> Outcome:
        return await _sent_upsert(call.with_body(json=json), context, external)

    async with context.exclusive(f"external:{key}:{external}"):
        stored = await _stored(context, key, external)
        if stored is None:
            outcome = await written(context, change, None, send)
            return noted(_shown(context, outcome), (f"No {key} had {external!r}: created.",))
        async with context.exclusive(f"object:{stored}"):
            before = await read_record(context, stored, change.paths)
            outcome = await written(context, change, before, send)
    return noted(_shown(context, outcome), (f"The {key} with {external!r} was there: updated.",))


async def _stored(context: Context, key: str, external: str) -> str | None:
    try:
        return text_of(decode((await read_external(context, key, external)).body), "id")
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
    return None


async def _sent_upsert(call: Call, context: Context, external: str) -> Outcome:
    try:
        return await rest(call, context)
    except UpstreamFailure as failure:
        if failure.kind != "not_found" or "/" not in external or not call.path:
            raise
    # The gateway refused the encoded slash, so nothing was done; the same upsert, id in the body.
    body = msgspec.structs.replace(
        call,
        path={},
        body={**call.body, "json": {"externalId": external, **call.body["json"]}},
        tool=msgspec.structs.replace(
            call.tool, endpoint=msgspec.structs.replace(call.tool.endpoint, path="/objects")
        ),
    )
    return await rest(body, context)


# --- deleting --------------------------------------------------------------------------------


async def delete_object(call: Call, context: Context) -> Outcome:
    """Delete a record. No key is assumed for it."""
    given, key = call.path["id"], call.mapper.get("object_key")
    if not is_uuid(given) and key is None:
        raise InvalidArguments(
            "object_key",
            f"is needed, because id {given!r} is no uuid: an external id alone "
            "could mean a record of another kind",
        )
    notes: tuple[str, ...] = ()
    if not is_uuid(given):
        found = await locate(context, given, key, id_argument="id", key_argument="object_key")
        given, notes = found.id, found.notes
    elif key is not None:
        await need_kind(context, given, asked_key(context, key, "object_key"), "object_key")
    elif allowed(context) is not None:
        await key_of_record(context, given)
    try:
        return noted(await rest(_at(call, given), context), notes)
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
        raise no_record(given, failure) from None


async def bulk_delete_objects(call: Call, context: Context) -> Outcome:
    """Delete several records of one key; the provider says nothing of each, so they are looked for
    before and after."""
    key = asked_key(context, call.body["objectKey"], "object_key")
    given = list(dict.fromkeys(call.body["ids"]))
    for number, one in enumerate(given):
        need_uuid(one, f"ids[{number}]", _FIND_IDS)
    there = await asyncio.gather(*(_is_there(context, one, key) for one in given))
    ids = [one for one, found in zip(given, there, strict=True) if found]
    if not ids:
        raise no_record(given[0])
    outcome = await rest(call.with_body(objectKey=key, ids=ids), context)
    left = await asyncio.gather(*(_is_left(context, one) for one in ids))
    if still := [one for one, found in zip(ids, left, strict=True) if found]:
        raise WriteNotVerified(
            f"Rose Rocket said yes, but {len(still)} of {len(ids)} can still be read: "
            f"{', '.join(still)}. The others are gone.",
            seen=still,
        )
    gone = f"{len(ids)} records were deleted, and none of them can be read any more."
    unknown = [one for one in given if one not in ids]
    lacking = (f"No record had the id {', '.join(unknown)}.",) if unknown else ()
    return noted(outcome, (gone, *lacking))


async def _is_there(context: Context, record_id: str, key: str) -> bool:
    try:
        await need_kind(context, record_id, key, "object_key")
    except UpstreamFailure as failure:
        if failure.kind != "not_found":
            raise
        return False
    return True


async def _is_left(context: Context, record_id: str) -> bool:
    try:
        await read_record(context, record_id)
    except UpstreamFailure as failure:
        return failure.kind != "not_found"
    return True


# --- finding ---------------------------------------------------------------------------------


async def autocomplete_objects(call: Call, context: Context) -> Outcome:
    """Find records by a label; the answer is a list, whichever way the provider wraps it."""
    key = asked_key(context, call.query["objectKey"], "object_key")
    call = call.with_query(objectKey=key)
    for one in filter(None, call.query.get("ids", "").split(",")):
        need_uuid(one.strip(), "ids", _FIND_IDS)
    notes: tuple[str, ...] = ()
    if label := call.query.get("labelPath"):
        named = fields_for(context, key).named(label, "label_path")
        call = call.with_query(labelPath=named.name)
        notes = (named.note,) if named.note else ()
    pairs = tuple((name, str(value)) for name, value in call.query.items())
    reply = await context.send(
        UpstreamRequest(verb="GET", path="/objects/autocomplete", query=pairs)
    )
    data = [shown(context, one) async for one in unhurried(_unwrapped(reply))]
    return Outcome(data=data, rate=reply.rate, notes=notes)


class _Wrapped(msgspec.Struct):
    results: list[msgspec.Raw]


def _unwrapped(reply: UpstreamReply) -> list[msgspec.Raw]:
    """Return the records of a list, of `{results}`, or of a single record."""
    answer = decode(reply.body)
    if isinstance(answer, list):
        return msgspec.json.decode(reply.body, type=list[msgspec.Raw])
    if isinstance(answer, dict) and isinstance(answer.get("results"), list):
        return msgspec.json.decode(reply.body, type=_Wrapped).results
    return [msgspec.Raw(reply.body)] if answer else []


# --- by external id --------------------------------------------------------------------------


async def get_external(call: Call, context: Context) -> Outcome:
    """Read the record with an external id; of an order, unless the key is given."""
    key, notes = key_or_default(context, call.path.get("object_key"), "object_key")
    reply = await read_external(context, key, call.path["id"])
    data = shown(context, msgspec.Raw(reply.body))
    return Outcome(data=data, rate=reply.rate, notes=notes)


async def update_external(call: Call, context: Context) -> Outcome:
    """Create or update the record with an external id."""
    call = _keyed(call, context)
    external = call.path["id"]
    named = [call.body["json"][one] for one in _OF_EXTERNAL if one in call.body["json"]]
    if any(one not in (None, external) for one in named):
        raise InvalidArguments("json.externalId", "differs from id; leave it out")
    return await _upserted(call, context, call.path["object_key"], external)


async def delete_external(call: Call, context: Context) -> Outcome:
    """Delete the record with an external id."""
    return await rest(_keyed(call, context), context)


# --- shared ----------------------------------------------------------------------------------


def _at(call: Call, record_id: str) -> Call:
    return msgspec.structs.replace(call, path={**call.path, "id": record_id})


def _keyed(call: Call, context: Context) -> Call:
    key = asked_key(context, call.path["object_key"], "object_key")
    return msgspec.structs.replace(call, path={**call.path, "object_key": key})


def _enveloped(call: Call, context: Context, key: str) -> tuple[Call, Fields]:
    """Spell the key and the paths as the provider does. Raises InvalidArguments."""
    fields = fields_for(context, key)
    changed: dict[str, Any] = {"objectKey": key}
    if paths := call.body.get("paths"):
        changed["paths"], _ = _judged(context, fields, paths)
    return call.with_body(**changed), fields


def _shown(context: Context, outcome: Outcome) -> Outcome:
    if isinstance(outcome.data, msgspec.Raw):
        return msgspec.structs.replace(outcome, data=shown(context, outcome.data))
    return outcome
