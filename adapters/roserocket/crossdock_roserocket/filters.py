"""Filters as agents write them → filters that the provider is known to answer.

What it cannot answer (dates, derived fields, other operators) becomes a condition that is judged
here, over the records that search gave. Nothing is sent that is known to end in a 500.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

import msgspec

from crossdock.adapter import InvalidArguments
from crossdock_roserocket.catalogue import (
    COMMON,
    fields_of,
    is_uuid,
    kind_of,
    option_of,
    plain,
)
from crossdock_roserocket.moments import Span, span_of

_GROUP_WORDS = frozenset(
    {"usergroup", "usergroupid", "group", "groupid", "assignedgroup", "assignedgroupid", "team"}
)
_NAMES = (
    "in",
    "notIn",
    "equals",
    "notEquals",
    "contains",
    "startsWith",
    "endsWith",
    "hasEvery",
    "hasSome",
    "empty",
    "notEmpty",
    "freeText",
    "between",
)
_OTHER_NAMES = {
    "not": "notEquals",
    "eq": "equals",
    "ne": "notEquals",
    "nin": "notIn",
    "like": "contains",
}
_OPERATORS = {plain(name): name for name in _NAMES} | _OTHER_NAMES
_FIELD_TYPES = {
    "select": "SelectField",
    "link": "ConnectionField",
    "links": "ConnectionField",
    "toggle": "ToggleField",
    "number": "NumberField",
    "date": "DateField",
    "datetime": "DateField",
    "derived": "DerivedField",
}
_SENT_AS_THEY_ARE = frozenset(
    {
        ("TextField", "equals"),
        ("TextField", "contains"),
        ("TextField", "freeText"),
        ("ToggleField", "equals"),
        ("SelectField", "in"),
        ("ConnectionField", "in"),
        ("ConnectionField", "empty"),
        ("ConnectionField", "notEmpty"),
    }
)


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A filter judged here."""

    field: str
    operator: str
    value: Any = None
    span: Span | None = None

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record fits."""
        held = record.get(self.field)
        if self.span is not None:
            return self.span.holds(held)
        return _compare(self.operator, held, self.value)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to the provider, and what is judged here."""

    entries: list[dict[str, Any]]
    conditions: list[Condition]


class Reader:
    """Reads the filters of one call."""

    def __init__(self, key: str, zone: tzinfo, group_field: str) -> None:
        self._key, self._zone = key, zone
        self._group_field, _, self._group_type = group_field.partition(":")
        self._entries: list[dict[str, Any]] = []
        self._conditions: list[Condition] = []

    def plan(self, filters: Any, place: str = "filters") -> Plan:
        """Return the plan for `{field: value}`, provider entries, or a mix of both.

        Raises InvalidArguments."""
        if isinstance(filters, Mapping):
            self._either(filters, place)
        else:
            for number, one in enumerate(filters or []):
                if not isinstance(one, Mapping):
                    raise InvalidArguments(f"{place}[{number}]", "must be an object")
                self._either(one, f"{place}[{number}]")
        return Plan(entries=self._entries, conditions=self._conditions)

    def _either(self, one: Mapping[str, Any], place: str) -> None:
        if ("path" in one or "filterKey" in one) and ("operator" in one or "fieldType" in one):
            self._entry(one, place)
            return
        for field, value in one.items():
            self._shorthand(field, value, f"{place}.{field}")

    # --- {field: value} ----------------------------------------------------------------------

    def _shorthand(self, given: str, value: Any, place: str) -> None:
        field, kind = self._named(given, value, place)
        if kind in ("date", "datetime"):
            self._add_date(field, value, place)
            return
        if isinstance(value, Mapping) and set(value) != {"id"}:
            for word, operand in value.items():
                operator = _OPERATORS.get(plain(word))
                if operator is None:
                    raise InvalidArguments(
                        place, f"{word!r} is no operator; use {', '.join(_NAMES)}"
                    )
                self._add(field, kind, operator, operand, place)
        elif value is None:
            self._add(field, kind, "empty", None, place)
        elif isinstance(value, list) or kind in ("select", "link", "links"):
            self._add(field, kind, "in", value, place)
        else:
            self._add(field, kind, "equals", value, place)

    def _named(self, given: str, value: Any, place: str) -> tuple[str, str]:
        known = fields_of(self._key)
        spelled = {plain(name): name for name in (*COMMON, *known)}
        field = given if given in known else spelled.get(plain(given), given)
        kind = kind_of(self._key, field)
        if kind is None and self._key == "task" and plain(given) in _GROUP_WORDS:
            if not self._group_field:
                raise InvalidArguments(
                    place,
                    "Rose Rocket documents no field that links a task to a user group. Someone "
                    "who knows this organisation has to name it in the account's setting "
                    "task_group_field (often a custom field ending in __c); until then filter "
                    "by that field itself, or list the tasks without the group",
                )
            field = self._group_field
            kind = "text" if self._group_type == "TextField" else "link"
        return field, kind or _guessed(field, value)

    # --- the provider's entries --------------------------------------------------------------

    def _entry(self, one: Mapping[str, Any], place: str) -> None:
        field = str(one.get("path") or one.get("filterKey"))
        kind = kind_of(self._key, field) or _guessed(field, one.get("value"))
        field_type = one.get("fieldType") or _FIELD_TYPES.get(kind, "TextField")
        operator = _OPERATORS.get(plain(str(one.get("operator", "in"))))
        if operator is None:
            choices = ", ".join(_NAMES)
            raise InvalidArguments(place, f"{one['operator']!r} is no operator; use {choices}")
        value = one.get("value")
        if field_type == "DateField" and operator == "between":
            self._add_date(field, value, place)
        elif field_type == "DerivedField" and operator == "in":
            self._conditions.append(Condition(field=field, operator="in", value=value))
        elif field_type == "SelectField" and operator in ("equals", "in"):
            self._add(field, "select", "in", value, place)
        else:
            self._send(field, field_type, operator, value)

    # --- one filter --------------------------------------------------------------------------

    def _add(self, field: str, kind: str, operator: str, value: Any, place: str) -> None:
        if operator in ("in", "notIn"):
            value = value if isinstance(value, list) else [value]
        if kind == "select":
            value = self._options(field, value, place)
            operator, value = ("in", [value]) if operator == "equals" else (operator, value)
        elif kind in ("link", "links"):
            operator, value = _link(operator, value, place)
        elif operator == "in" and len(value) == 1:
            operator, value = "equals", value[0]
        field_type = _FIELD_TYPES.get(kind, "TextField")
        if (field_type, operator) in _SENT_AS_THEY_ARE:
            self._send(field, field_type, operator, value)
        elif field_type == "ConnectionField":
            raise InvalidArguments(
                place,
                f"{operator} is not known to work on connected records; use an id, a list "
                'of ids, null (empty) or {"notEmpty": true}',
            )
        else:
            self._conditions.append(Condition(field=field, operator=operator, value=value))

    def _add_date(self, field: str, value: Any, place: str) -> None:
        span = span_of(value, self._zone, place)
        self._conditions.append(Condition(field=field, operator="between", span=span))

    def _options(self, field: str, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [self._options(field, one, place) for one in value]
        return option_of(self._key, field, value, place) if isinstance(value, str) else value

    def _send(self, field: str, field_type: str, operator: str, value: Any) -> None:
        self._entries.append(
            {
                "filterKey": field,
                "path": field,
                "operator": operator,
                "value": None if operator in ("empty", "notEmpty") else value,
                "fieldType": field_type,
            }
        )


def _link(operator: str, value: Any, place: str) -> tuple[str, Any]:
    if operator in ("empty", "notEmpty"):
        return operator, None
    operator = {"equals": "in", "hasSome": "in"}.get(operator, operator)
    many = value if isinstance(value, list) else [value]
    ids = [one.get("id") if isinstance(one, Mapping) else one for one in many]
    for one in ids:
        if not is_uuid(one):
            raise InvalidArguments(
                place,
                f"names a connected record by its uuid, and {one!r} is none. Find it with "
                "roserocket_objects_autocomplete",
            )
    return operator, ids


def _guessed(field: str, value: Any) -> str:
    """Return the kind of an undocumented field, judged by its name and the value."""
    one = value[0] if isinstance(value, list) and value else value
    if isinstance(one, Mapping) and set(one) & {"from", "to", "after", "before", "since", "until"}:
        return "datetime"
    if isinstance(one, str) and one.casefold() in ("today", "yesterday", "tomorrow"):
        return "datetime"
    if is_uuid(one) or (isinstance(one, Mapping) and "id" in one):
        return "link"
    if isinstance(one, bool):
        return "toggle"
    return "number" if isinstance(one, int | float) else "text"


def _compare(operator: str, held: Any, wanted: Any) -> bool:
    many = held if isinstance(held, list) else [held]
    folded = [_folded(one) for one in many]
    match operator:
        case "in":
            return any(_folded(one) in folded for one in wanted)
        case "notIn":
            return not any(_folded(one) in folded for one in wanted)
        case "equals":
            return _folded(wanted) in folded
        case "notEquals":
            return _folded(wanted) not in folded
        case "contains" | "freeText":
            return any(_folded(wanted) in one for one in folded)
        case "startsWith":
            return any(one.startswith(_folded(wanted)) for one in folded)
        case "endsWith":
            return any(one.endswith(_folded(wanted)) for one in folded)
        case "hasSome":
            return any(_folded(one) in folded for one in wanted)
        case "hasEvery":
            return all(_folded(one) in folded for one in wanted)
        case "empty":
            return held in (None, "", [])
        case "notEmpty":
            return held not in (None, "", [])
        case _:  # between
            return _number(wanted[0]) <= _number(held) <= _number(wanted[1])


def _folded(value: Any) -> str:
    return value.casefold() if isinstance(value, str) else repr(value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
