"""What is written into a record: forgiven where the meaning is plain, refused before the network
where it is not. Null and the empty object say nothing: what is stored stays."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.adapter import InvalidArguments
from crossdock_roserocket.catalogue import READ_ONLY, Field, is_uuid, option_of
from crossdock_roserocket.fields import Fields, Named, nothing_said

_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SHAPE = (
    '{"dateTimeInLocation": "2026-11-21T14:00:00", "dateTimeInLocationEnd": null}, '
    "local time at the place, without Z or offset"
)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """Fields as the provider takes them. `group` is the task field that names a user group, whose
    id may still be a name."""

    json: dict[str, Any]
    named: dict[str, Named]
    notes: tuple[str, ...] = ()
    group: str = ""


def prepared(
    fields: Fields,
    json: Mapping[str, Any],
    argument: str = "json",
    keys: frozenset[str] | None = None,
) -> Prepared:
    """Return the fields as the provider takes them, and notes on what was changed.

    `argument` names the fields' place for refusals, `keys` the kinds that may be created inline.
    Raises InvalidArguments naming the field.
    """
    written: dict[str, Any] = {}
    found: dict[str, Named] = {}
    notes: list[str] = []
    for given, value in json.items():
        place = f"{argument}.{given}" if argument else given
        named = fields.named(given, place)
        name, field = named.name, named.field
        if name in found:
            raise InvalidArguments(place, f"is another spelling of {name}; give one of them")
        found[name] = named
        if name in READ_ONLY or (field is not None and field.kind == "derived"):
            raise InvalidArguments(place, "is set by Rose Rocket and cannot be written")
        if name == "externalId" and value is not None:
            check_external(value, place)
        ready = value if field is None else _value(fields, named, value, place, keys)
        if nothing_said(ready) or ready == []:
            notes.append(f"{given} was {_short(value)} and left out; what is stored stays.")
            continue
        written[name] = ready
        if named.note:
            notes.append(named.note)
        if name != given or written[name] != value:
            notes.append(f"{given} was sent as {name}: {_short(written[name])}.")
    group = next((name for name in written if found[name].is_group), "")
    return Prepared(json=written, named=found, notes=tuple(notes), group=group)


def check_external(value: Any, place: str) -> None:
    """Refuse what can be no external id. Raises InvalidArguments."""
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise InvalidArguments(place, "must be text, and not empty")
    if any(unicodedata.category(one) == "Cc" for one in value):
        raise InvalidArguments(place, "holds a control character, which is never sent")


def _value(
    fields: Fields, named: Named, value: Any, place: str, keys: frozenset[str] | None
) -> Any:
    if nothing_said(value):
        return None
    field = named.field or Field()
    match field.kind:
        case "select":
            if not isinstance(value, str):
                raise InvalidArguments(place, "must be one of its options, as text")
            return option_of(fields.key, named.name, value, place)
        case "link":
            return _link(fields, named, value, place, keys)
        case "links":
            many = value if isinstance(value, list) else [value]
            return [_link(fields, named, one, place, keys) for one in many if not nothing_said(one)]
        case "datetime":
            return _datetime(value, place)
        case "date":
            if not (isinstance(value, str) and _DATE.fullmatch(value)):
                raise InvalidArguments(place, 'must be a date, as "2026-11-21"')
        case "toggle":
            if not isinstance(value, bool):
                raise InvalidArguments(place, "must be true or false")
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidArguments(place, "must be a number")
        case "text":
            if not isinstance(value, str):
                raise InvalidArguments(place, f'must be text, as "{_short(value)}"')
    return value


def _link(fields: Fields, named: Named, value: Any, place: str, keys: frozenset[str] | None) -> Any:
    to = named.field.to if named.field else ""
    inner = value.get("id") if isinstance(value, dict) and "id" in value else value
    if is_uuid(inner) or (named.is_group and isinstance(inner, str)):
        return {"id": inner}
    if isinstance(inner, dict) and not named.is_group and (keys is None or to in keys):
        return prepared(fields.below(to), inner, place, keys).json
    raise InvalidArguments(
        place,
        f'connects a {to}: write {{"id": "<uuid>"}}, not {_short(inner)}. Find the uuid with '
        f'roserocket_objects_autocomplete {{"object_key": "{to}", "search_term": …}}.',
    )


def _datetime(value: Any, place: str) -> Any:
    inner = value.get("dateTimeInLocation") if isinstance(value, dict) else value
    found = _LOCAL.fullmatch(inner) if isinstance(inner, str) else None
    if found is None:
        raise InvalidArguments(place, f"must be {_SHAPE}")
    local = f"{found.group(1)}T{found.group(2)}{found.group(3) or ':00'}"
    end = value.get("dateTimeInLocationEnd") if isinstance(value, dict) else None
    return {"dateTimeInLocation": local, "dateTimeInLocationEnd": end}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
