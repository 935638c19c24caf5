"""Objects one at a time: the envelope {objectKey, json}, keys in any case, ids that people use."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    WriteOutcomeUnknown,
    decode,
    rest,
)
from crossdock_roserocket.catalogue import is_uuid, key_of
from crossdock_roserocket.identity import (
    key_or_default,
    locate,
    need_uuid,
    read_external,
    text_of,
)
from crossdock_roserocket.payload import prepared

_FIND_IDS = "Find it with get_single_roserocket_objects_external_by_id."


async def get_object(call: Call, context: Context) -> Outcome:
    """Read a record by its uuid, or by an external id given in its place."""
    given = call.path["id"]
    if is_uuid(given):
        return await rest(call, context)
    key, notes = key_or_default(call.mapper.get("object_key"), "object_key")
    reply = await read_external(context, key, given)
    notes += (f"id {given!r} is no uuid; it is the external id of this {key}.",)
    if not call.query:
        return Outcome(data=msgspec.Raw(reply.body), rate=reply.rate, notes=notes)
    record_id = text_of(decode(reply.body), "id")
    return noted(await rest(_at(call, record_id), context), notes)


async def create_object(call: Call, context: Context) -> Outcome:
    """Create a record from checked fields."""
    call, notes = _checked(call, key_of(call.body["objectKey"], "objectKey"))
    try:
        return noted(await rest(call, context), notes)
    except UpstreamFailure as failure:
        raise lost(
            failure, "Look for the record before you try again; a second create makes a second one."
        ) from None


async def update_object(call: Call, context: Context) -> Outcome:
    """Change fields of a record; its key is read from it when it was left out."""
    found = await locate(
        context,
        call.path["id"],
        call.body.get("objectKey"),
        id_argument="id",
        key_argument="objectKey",
    )
    call, notes = _checked(_at(call, found.id), found.key)
    return noted(await rest(call, context), found.notes + notes)


async def delete_object(call: Call, context: Context) -> Outcome:
    """Delete a record. No key is assumed for it."""
    given, key = call.path["id"], call.mapper.get("object_key")
    if is_uuid(given):
        return await rest(call, context)
    if key is None:
        raise InvalidArguments(
            "object_key",
            f"is needed, because id {given!r} is no uuid: an external id alone "
            "could mean a record of another kind",
        )
    found = await locate(context, given, key, id_argument="id", key_argument="object_key")
    return noted(await rest(_at(call, found.id), context), found.notes)


async def upsert_object(call: Call, context: Context) -> Outcome:
    """Create or update the record with `json.externalId`."""
    call, notes = _checked(call, key_of(call.body["objectKey"], "objectKey"))
    return noted(await rest(call, context), notes)


async def bulk_delete_objects(call: Call, context: Context) -> Outcome:
    """Delete several records of one key."""
    key = key_of(call.body["objectKey"], "objectKey")
    ids = list(dict.fromkeys(call.body["ids"]))
    for number, one in enumerate(ids):
        need_uuid(one, f"ids[{number}]", _FIND_IDS)
    outcome = await rest(call.with_body(objectKey=key, ids=ids), context)
    note = f"{len(ids)} ids were sent. Rose Rocket reports nothing per record: read one to check."
    return noted(outcome, (note,))


async def autocomplete_objects(call: Call, context: Context) -> Outcome:
    """Find records by a label; the answer is a list, whichever way the provider wraps it."""
    call = call.with_query(objectKey=key_of(call.query["objectKey"], "object_key"))
    outcome = await rest(call, context)
    raw, answer = outcome.data, answered(outcome)
    if not isinstance(answer, dict) or not isinstance(raw, msgspec.Raw):
        return outcome
    if "results" in answer:
        found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])["results"]
        return msgspec.structs.replace(outcome, data=found)
    return msgspec.structs.replace(outcome, data=[raw] if answer else [])


# --- by external id --------------------------------------------------------------------------


async def get_external(call: Call, context: Context) -> Outcome:
    """Read the record with an external id; of an order, unless the key is given."""
    key, notes = key_or_default(call.path.get("object_key"), "object_key")
    reply = await read_external(context, key, call.path["id"])
    return Outcome(data=msgspec.Raw(reply.body), rate=reply.rate, notes=notes)


async def update_external(call: Call, context: Context) -> Outcome:
    """Create or update the record with an external id."""
    external = call.path["id"]
    call = _keyed(call)
    call, notes = _checked(call, call.path["object_key"])
    try:
        return noted(await rest(call, context), notes)
    except UpstreamFailure as failure:
        if failure.kind != "not_found" or "/" not in external:
            raise
    # The gateway refused the encoded slash, so nothing was done; the same upsert, id in the body.
    json = {"externalId": external, **call.body["json"]}
    body = msgspec.structs.replace(
        call,
        path={},
        body={**call.body, "json": json},
        tool=msgspec.structs.replace(
            call.tool, endpoint=msgspec.structs.replace(call.tool.endpoint, path="/objects")
        ),
    )
    return noted(await rest(body, context), notes)


async def delete_external(call: Call, context: Context) -> Outcome:
    """Delete the record with an external id."""
    return await rest(_keyed(call), context)


# --- shared ----------------------------------------------------------------------------------


def answered(outcome: Outcome) -> Any:
    """Return the provider's answer as plain values."""
    return decode(outcome.data) if isinstance(outcome.data, msgspec.Raw) else outcome.data


def noted(outcome: Outcome, notes: tuple[str, ...]) -> Outcome:
    """Return the outcome with these notes before its own."""
    return msgspec.structs.replace(outcome, notes=notes + outcome.notes)


def lost(failure: UpstreamFailure, remedy: str) -> Exception:
    """Return what to raise for a write that may not be repeated blindly."""
    if failure.rejected or failure.status is not None:
        return failure
    return WriteOutcomeUnknown(f"{failure} It may have been carried out. {remedy}")


def _at(call: Call, record_id: str) -> Call:
    return msgspec.structs.replace(call, path={**call.path, "id": record_id})


def _keyed(call: Call) -> Call:
    key = key_of(call.path["object_key"], "object_key")
    return msgspec.structs.replace(call, path={**call.path, "object_key": key})


def _checked(call: Call, key: str) -> tuple[Call, tuple[str, ...]]:
    json: dict[str, Any] = call.body.get("json", {})
    written, notes = prepared(key, json)
    return call.with_body(objectKey=key, json=written), notes
