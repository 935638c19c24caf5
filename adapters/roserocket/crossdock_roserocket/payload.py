"""What is written into a record: forgiven where the meaning is plain, refused before the network
where it is not. Fields that the provider does not document pass untouched."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from crossdock.adapter import InvalidArguments
from crossdock_roserocket.catalogue import READ_ONLY, Field, fields_of, is_uuid, option_of, plain

_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SHAPE = (
    '{"dateTimeInLocation": "2026-11-21T14:00:00", "dateTimeInLocationEnd": null}, '
    "local time at the place, without Z or offset"
)


def prepared(
    key: str, json: Mapping[str, Any], argument: str = "json"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields as the provider takes them, and notes on what was changed.

    `argument` names the fields' place for refusals; "" when they are arguments themselves.
    Raises InvalidArguments naming the field.
    """
    known = fields_of(key)
    spelled = {plain(name): name for name in known}
    written: dict[str, Any] = {}
    notes: list[str] = []
    for given, value in json.items():
        name = given if given in known else spelled.get(plain(given), given)
        place = f"{argument}.{given}" if argument else given
        if name in written:
            raise InvalidArguments(place, f"is another spelling of {name}; give one of them")
        field = known.get(name)
        if name in READ_ONLY or (field is not None and field.kind == "derived"):
            raise InvalidArguments(place, "is set by Rose Rocket and cannot be written")
        if name == "externalId":
            _check_external(value, place)
        written[name] = value if field is None else _value(key, name, field, value, place)
        if name != given or (written[name] != value and value is not None):
            notes.append(f"{given} was sent as {name}: {_short(written[name])}.")
    return written, tuple(notes)


def _check_external(value: Any, place: str) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value.strip():
        raise InvalidArguments(place, "must be text, and not empty")
    if any(unicodedata.category(one) == "Cc" for one in value):
        raise InvalidArguments(place, "holds a control character, which is never sent")


def _value(key: str, name: str, field: Field, value: Any, place: str) -> Any:
    if value is None:
        return None
    match field.kind:
        case "select":
            if not isinstance(value, str):
                raise InvalidArguments(place, "must be one of its options, as text")
            return option_of(key, name, value, place)
        case "link":
            return _link(field, value, place)
        case "links":
            many = value if isinstance(value, list) else [value]
            return [_link(field, one, place) for one in many]
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
    return value


def _link(field: Field, value: Any, place: str) -> Any:
    if isinstance(value, dict):
        if "id" in value and not is_uuid(value["id"]):
            raise InvalidArguments(place, f"{value['id']!r} is no uuid of a record")
        return value
    if is_uuid(value):
        return {"id": value}
    raise InvalidArguments(
        place,
        f'connects a {field.to}: write {{"id": "<uuid>"}}. Find the uuid with '
        f"roserocket_objects_autocomplete and object_key {field.to}.",
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
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
