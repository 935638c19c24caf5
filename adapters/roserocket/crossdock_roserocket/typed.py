"""Exact tools per object key, for accounts with `settings.object_tools`: the same endpoints, with
that key's fields and options, so that a wrong status is refused before the network.

All of it is made from the catalogue. Keys of an organisation's own (`…__c`) have no page there and
stay with the generic tools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from crossdock.adapter import Call, Context, Expansion, InvalidArguments, Mapper, Outcome
from crossdock_roserocket import objects
from crossdock_roserocket.catalogue import CATALOGUE, Field, ObjectKey, fields_of, is_uuid, key_of
from crossdock_roserocket.identity import key_of_record
from crossdock_roserocket.moments import span_of, zone_of
from crossdock_roserocket.search import search
from crossdock_roserocket.typed_pages import MORE, page

_SHOWN_FIRST = ("fullId", "externalId")


def expand(settings: Mapping[str, Any]) -> Iterator[Expansion]:
    """Contribute the tool sets that an account asks for. Raises InvalidArguments."""
    wanted = [key_of(str(one), "settings.object_tools") for one in settings["object_tools"]]
    for key in dict.fromkeys(wanted):
        found = CATALOGUE.get(key)
        if found is None:
            raise InvalidArguments(
                "settings.object_tools",
                f"{key} is not documented, so its fields are unknown; use the generic tools",
            )
        yield Expansion(
            resources={found.plural: _resource(found)},
            page_name=f"object_tools/{found.plural}.md",
            page=page(found),
            mappers={f"{found.plural}.{method}": make(key) for method, make in _MAKERS.items()},
        )


def _resource(key: ObjectKey) -> dict[str, Any]:
    paging = {"items": "/results", "limit": {"default": 25, "max": 100}}
    return {
        "tags": ["logistics"],
        "singular": key.singular,
        "object": key.key,
        "view": [*_SHOWN_FIRST, *_values(key), "createdAt", "updatedAt"],
        "methods": {
            "list": {"http": "POST /objects/search", "paging": paging},
            "get": "GET /objects/{id}",
            "create": "POST /objects",
            "update": "PUT /objects/{id}",
            "delete": "DELETE /objects/{id}",
            "upsert": {"http": "PATCH /objects", "idempotent": True},
        },
    }


def _values(key: ObjectKey) -> list[str]:
    apart = ("link", "links", "derived")
    return [name for name, field in key.fields.items() if field.kind not in apart]


# --- mappers ---------------------------------------------------------------------------------


def _list(key: str) -> Mapper:
    async def list_records(call: Call, context: Context) -> Outcome:
        given = dict(call.mapper)
        more = given.pop("filters", None)
        span = {}
        for name, bound in (("created_from", "from"), ("created_to", "to")):
            if name in given:
                span[bound] = given.pop(name)
                span_of({bound: span[bound]}, zone_of(call.body.get("timezone")), name)
        if span:
            given["createdAt"] = span
        return await search(call, context, key, more, given)

    return list_records


def _get(key: str) -> Mapper:
    async def get_record(call: Call, context: Context) -> Outcome:
        await _check_kind(context, key, call.path["id"])
        return await objects.get_object(_with_key(call, key), context)

    return get_record


def _create(key: str) -> Mapper:
    async def create_record(call: Call, context: Context) -> Outcome:
        return await objects.create_object(_enveloped(call, key), context)

    return create_record


def _update(key: str) -> Mapper:
    async def update_record(call: Call, context: Context) -> Outcome:
        await _check_kind(context, key, call.path["id"])
        return await objects.update_object(_enveloped(call, key), context)

    return update_record


def _delete(key: str) -> Mapper:
    async def delete_record(call: Call, context: Context) -> Outcome:
        await _check_kind(context, key, call.path["id"])
        return await objects.delete_object(_with_key(call, key), context)

    return delete_record


def _upsert(key: str) -> Mapper:
    async def upsert_record(call: Call, context: Context) -> Outcome:
        return await objects.upsert_object(_enveloped(call, key), context)

    return upsert_record


_MAKERS: dict[str, Callable[[str], Mapper]] = {
    "list": _list,
    "get": _get,
    "create": _create,
    "update": _update,
    "delete": _delete,
    "upsert": _upsert,
}


async def _check_kind(context: Context, key: str, record_id: str) -> None:
    """Refuse a record of another kind: the endpoint would take it. Raises InvalidArguments."""
    if is_uuid(record_id) and (found := await key_of_record(context, record_id)) != key:
        raise InvalidArguments("id", f"is the id of a record of kind {found}, not {key}")


def _with_key(call: Call, key: str) -> Call:
    return msgspec.structs.replace(call, mapper={**call.mapper, "object_key": key})


def _enveloped(call: Call, key: str) -> Call:
    """Put the flat fields into the provider's envelope."""
    fields = dict(call.mapper)
    apart = {name: fields.pop(name) for name in ("clear", "remove") if name in fields}
    more = fields.pop(MORE, {})
    if twice := sorted(set(fields) & set(more)):
        raise InvalidArguments(f"{MORE}.{twice[0]}", f"is an argument of its own: {twice[0]}")
    json = {name: _written(fields_of(key).get(name), value) for name, value in fields.items()}
    body = {**call.body, "objectKey": key, "json": {**json, **more}}
    return msgspec.structs.replace(call, body=body, mapper=apart)


def _written(field: Field | None, value: Any) -> Any:
    if field is None:
        return value
    if field.kind == "link":
        return {"id": value}
    if field.kind == "links":
        return [{"id": one} for one in value]
    if field.kind == "datetime":
        return {"dateTimeInLocation": value, "dateTimeInLocationEnd": None}
    return value
