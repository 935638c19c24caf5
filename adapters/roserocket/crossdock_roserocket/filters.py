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
from crossdock_roserocket.catalogue import is_uuid, option_of, plain
from crossdock_roserocket.fields import Fields, Named
from crossdock_roserocket.moments import Span, span_of

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
_KIND_OF_TYPE = {"TextField": "text"} | {kind: name for name, kind in _FIELD_TYPES.items()}
_KNOWN_TYPES = frozenset(_KIND_OF_TYPE)
_ENTRY = frozenset({"filterKey", "path", "operator", "value", "fieldType"})
_FOREIGN = frozenset({"field", "property", "column", "attribute", "op", "operator", "comparison"})
_OF_MANY = frozenset({"in", "notIn", "hasSome", "hasEvery"})
SHAPE = (
    'Write {"status": "new"}, {"poNum": {"contains": "44"}}, '
    '{"createdAt": {"from": "2026-11-01"}}, or the provider\'s '
    '{"path": "status", "operator": "in", "value": ["new"]}'
)
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
    folded: frozenset[str] = frozenset()

    def holds(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record fits."""
        held = record.get(self.field)
        if self.span is not None:
            return self.span.holds(held)
        many = {_folded(one) for one in (held if isinstance(held, list) else [held])}
        match self.operator:
            case "empty":
                return held in (None, "", [])
            case "notEmpty":
                return held not in (None, "", [])
            case "between":
                return _number(self.value[0]) <= _number(held) <= _number(self.value[1])
        return _compare(self.operator, many, self.folded)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to the provider, and what is judged here. `groups` are the fields that name a
    user group: their values may be names."""

    entries: list[dict[str, Any]]
    conditions: list[Condition]
    notes: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()


class Reader:
    """Reads the filters of one call."""

    def __init__(self, fields: Fields, zone: tzinfo) -> None:
        self._fields, self._key, self._zone = fields, fields.key, zone
        self._entries: list[dict[str, Any]] = []
        self._conditions: list[Condition] = []
        self._notes: list[str] = []
        self._groups: set[str] = set()

    def plan(self, filters: Any, arguments: Mapping[str, Any] | None = None) -> Plan:
        """Return the plan for `{field: value}`, provider entries, or a mix of both.

        `arguments` are further fields, given as arguments of their own. Raises InvalidArguments.
        """
        for field, value in (arguments or {}).items():
            self._shorthand(field, value, field)
        if isinstance(filters, Mapping):
            self._either(filters, "filters")
        else:
            for number, one in enumerate(filters or []):
                if not isinstance(one, Mapping):
                    raise InvalidArguments(f"filters[{number}]", f"must be an object: {SHAPE}")
                self._either(one, f"filters[{number}]")
        return Plan(
            entries=self._entries,
            conditions=self._conditions,
            notes=tuple(dict.fromkeys(self._notes)),
            groups=frozenset(self._groups),
        )

    def _either(self, one: Mapping[str, Any], place: str) -> None:
        if "path" in one or "filterKey" in one:
            self._entry(one, place)
            return
        if _FOREIGN & set(one) or ("value" in one and {"name", "key", "type"} & set(one)):
            raise InvalidArguments(place, f"has another shape than filters have here. {SHAPE}")
        for field, value in one.items():
            self._shorthand(field, value, f"{place}.{field}")

    def _named(self, given: str, place: str, *, declared: bool = False) -> Named:
        first, _, rest = given.partition(".")
        named = self._fields.named(first, place, declared=declared)
        if rest:
            raise InvalidArguments(place, _no_path(self._key, named, rest))
        if named.note:
            self._notes.append(named.note)
        if named.is_group and named.kind == "link":
            self._groups.add(named.name)
        return named

    # --- {field: value} ----------------------------------------------------------------------

    def _shorthand(self, given: str, value: Any, place: str) -> None:
        named = self._named(given, place)
        field, kind = named.name, named.kind or _guessed(value)
        if kind in ("date", "datetime"):
            self._add_date(field, value, place)
        elif value in ("", [], {}):
            raise InvalidArguments(
                place, "names no value; give one, or null for records where it is empty"
            )
        elif isinstance(value, Mapping) and set(value) != {"id"}:
            for word, operand in value.items():
                self._add(field, kind, _operator(word, place), operand, place)
        elif value is None:
            self._add(field, kind, "empty", None, place)
        elif isinstance(value, list) or kind in ("select", "link", "links"):
            self._add(field, kind, "in", value, place)
        else:
            self._add(field, kind, "equals", value, place)

    # --- the provider's entries --------------------------------------------------------------

    def _entry(self, one: Mapping[str, Any], place: str) -> None:
        if unknown := set(one) - _ENTRY:
            raise InvalidArguments(f"{place}.{min(unknown)}", f"is unknown in a filter. {SHAPE}")
        given, said = str(one.get("path") or one.get("filterKey")), one.get("fieldType")
        if said is not None and said not in _KNOWN_TYPES:
            types = ", ".join(sorted(_KNOWN_TYPES))
            raise InvalidArguments(f"{place}.fieldType", f"{said!r} is none of {types}")
        named = self._named(given, f"{place}.path", declared=said is not None)
        operator = _operator(one.get("operator", "in"), f"{place}.operator")
        value, place = one.get("value"), f"{place}.value"
        kind = named.kind or _KIND_OF_TYPE.get(str(said)) or _guessed(value)
        if kind in ("date", "datetime"):
            self._add_date(named.name, value, place)
        else:
            self._add(named.name, kind, operator, value, place)

    # --- one filter --------------------------------------------------------------------------

    def _add(self, field: str, kind: str, operator: str, value: Any, place: str) -> None:
        if operator in _OF_MANY:
            value = value if isinstance(value, list) else [value]
            if not value:
                raise InvalidArguments(place, "names no value")
        if kind in ("link", "links"):
            operator, value = _link(operator, value, place, named=field in self._groups)
        elif operator not in ("empty", "notEmpty"):
            value = self._operand(field, kind, operator, value, place)
        if kind == "select":
            operator, value = ("in", [value]) if operator == "equals" else (operator, value)
        elif kind not in ("link", "links") and operator == "in" and len(value) == 1:
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
            folded = frozenset(map(_folded, value if isinstance(value, list) else [value]))
            self._conditions.append(
                Condition(field=field, operator=operator, value=value, folded=folded)
            )

    def _operand(self, field: str, kind: str, operator: str, value: Any, place: str) -> Any:
        """Return what a field is compared with, as the field holds it. Raises InvalidArguments."""
        if operator == "between" and not (isinstance(value, list) and len(value) == 2):
            raise InvalidArguments(place, "between takes two values, as [5, 10]")
        if isinstance(value, list):
            each = "equals" if operator in _OF_MANY else "each"
            return [self._operand(field, kind, each, one, place) for one in value]
        if kind == "select" and isinstance(value, str):
            return option_of(self._key, field, value, place, searching=True)
        if kind == "toggle" and not isinstance(value, bool):
            raise InvalidArguments(place, f"{field} is true or false, and {value!r} is neither")
        if kind == "number":
            return _as_number(value, field, place)
        if not isinstance(value, str | int | float):
            raise InvalidArguments(place, f"{value!r} is no value of {field}. {SHAPE}")
        return str(value) if kind == "text" and not isinstance(value, str | bool) else value

    def _add_date(self, field: str, value: Any, place: str) -> None:
        if value is None or (isinstance(value, Mapping) and set(value) <= {"empty", "notEmpty"}):
            operator = "notEmpty" if value and "notEmpty" in value else "empty"
            self._conditions.append(Condition(field=field, operator=operator))
            return
        span = span_of(value, self._zone, place)
        self._conditions.append(Condition(field=field, operator="between", span=span))

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


def _operator(word: Any, place: str) -> str:
    operator = _OPERATORS.get(plain(str(word)))
    if operator is None:
        raise InvalidArguments(place, f"{word!r} is no operator; use {', '.join(_NAMES)}")
    return operator


def _no_path(key: str, named: Named, rest: str) -> str:
    to = named.field.to if named.field else ""
    if not to:
        return f"{named.name} of {key} is a value, not a connected record; filter by {named.name}"
    return (
        f"search filters {key} by its own fields, not by {rest} of its {named.name}. Find the "
        f'{to} with roserocket_objects_autocomplete {{"object_key": "{to}", "search_term": …}}, '
        f'then filter {{"{named.name}": "<its id>"}}'
    )


def _as_number(value: Any, field: str, place: str) -> float:
    try:
        if not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise InvalidArguments(place, f"{field} is a number, and {value!r} is none")


def _link(operator: str, value: Any, place: str, *, named: bool) -> tuple[str, Any]:
    if operator in ("empty", "notEmpty"):
        return operator, None
    operator = {"equals": "in", "hasSome": "in"}.get(operator, operator)
    many = value if isinstance(value, list) else [value]
    ids = [one.get("id") if isinstance(one, Mapping) else one for one in many]
    for one in ids:
        if not is_uuid(one) and not (named and isinstance(one, str)):
            raise InvalidArguments(
                place,
                f"names a connected record by its uuid, and {one!r} is none. Find it with "
                "roserocket_objects_autocomplete",
            )
    return operator, ids


def _guessed(value: Any) -> str:
    """Return the kind of an undocumented field, judged by the value."""
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


def _compare(operator: str, held: set[str], wanted: frozenset[str]) -> bool:
    """Compare folded values; where one is meant `wanted` has one."""
    match operator:
        case "in" | "equals" | "hasSome":
            return not wanted.isdisjoint(held)
        case "notIn" | "notEquals":
            return wanted.isdisjoint(held)
        case "hasEvery":
            return wanted <= held
        case "startsWith":
            return any(one.startswith(tuple(wanted)) for one in held)
        case "endsWith":
            return any(one.endswith(tuple(wanted)) for one in held)
        case _:  # contains, freeText
            return any(part in one for one in held for part in wanted)


def _folded(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value))
    return value.casefold() if isinstance(value, str) else repr(value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
