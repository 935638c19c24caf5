"""Which field is meant. Every name in filters, orders, paths and writes is judged here, and alike.

No endpoint lists the fields of a kind of record, so the judge is catalogue.toml. It is closed but
for custom fields (ending in __c) and for kinds of which nothing is documented: such names are sent,
and a note says that nobody here knows them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

import msgspec

from crossdock.adapter import Context, InvalidArguments
from crossdock_roserocket.catalogue import (
    CATALOGUE,
    COMMON,
    READ_ONLY,
    Field,
    FieldKind,
    fields_of,
    plain,
)

GROUP_WORDS = frozenset(
    {"usergroup", "usergroupid", "group", "groupid", "assignedgroup", "assignedgroupid", "team"}
)
_TYPO = 0.8  # so like a known name that nothing else can be meant
_NO_GROUP_FIELD = (
    "Rose Rocket documents no field that links a task to a user group. Someone who knows this "
    "organisation has to name it in the account's setting task_group_field; until then use that "
    "field's own name (often a custom field ending in __c), or leave the group out"
)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A field as the provider spells it. `field` is None where nothing is known of it."""

    name: str
    field: Field | None = None
    note: str = ""

    @property
    def kind(self) -> FieldKind | None:
        """What kind of field it is, None when nobody knows."""
        return self.field.kind if self.field else None

    @property
    def is_group(self) -> bool:
        """Whether it names a task's user group."""
        return self.field is not None and self.field.to == "userGroup"


class Fields:
    """The fields of one kind of record; `group_field` is the account's task_group_field."""

    def __init__(self, key: str, group_field: str = "") -> None:
        self.key, self._group_field = key, group_field
        self._closed = bool(fields_of(key))
        self._known = {name: Field(kind=kind) for name, kind in COMMON.items()}
        self._known |= {name: Field(kind="text") for name in READ_ONLY if name not in COMMON}
        self._known |= fields_of(key)
        self._group = ""
        if key == "task" and group_field:
            self._group, _, kind = group_field.partition(":")
            text = kind == "TextField"
            self._known[self._group] = Field(kind="text" if text else "link", to="userGroup")
        self._spelled = {plain(name): name for name in self._known}

    def named(self, given: str, place: str, *, declared: bool = False) -> Named:
        """Return the field that a name means, whatever its case.

        `declared`: the caller said what kind of field it is, so it may be one that nobody
        documents. Raises InvalidArguments with the nearest names.
        """
        if self.key == "task" and plain(given) in GROUP_WORDS:
            if not self._group:
                raise InvalidArguments(place, _NO_GROUP_FIELD)
            return Named(name=self._group, field=self._known[self._group])
        if name := self._spelled.get(plain(given)):
            return Named(name=name, field=self._known[name])
        if given.endswith("__c") or not self._closed:
            return Named(name=given, note=self._unknown(given))
        if declared and not difflib.get_close_matches(plain(given), self._spelled, 1, _TYPO):
            return Named(name=given, note=self._unknown(given))
        raise InvalidArguments(place, self._refusal(given))

    def _unknown(self, given: str) -> str:
        if self._closed:
            return f"No known field of {self.key} has the name {given!r}; it was sent as given."
        return f"No fields of {self.key} are documented; {given!r} was sent as given."

    def _refusal(self, given: str) -> str:
        near = difflib.get_close_matches(plain(given), self._spelled, 3, 0.6)
        hint = f" Did you mean {' or '.join(self._spelled[one] for one in near)}?" if near else ""
        own = [name for name in self._known if name not in READ_ONLY or name in COMMON]
        return (
            f"{self.key} has no field {given!r}.{hint}{self._way_round(given)} "
            f"Fields: {', '.join(own)}; custom ones end in __c."
        )

    def _way_round(self, given: str) -> str:
        """Tell from where the records are reached, if a kind of record was named for a field."""
        other = next((key for key in CATALOGUE if plain(key) == plain(given)), None)
        if other is None:
            return ""
        for name, field in fields_of(other).items():
            if field.to == self.key:
                return (
                    f" Records of kind {other} name theirs: read one with "
                    f'get_single_roserocket_object_by_id and paths "{name}".'
                )
        return ""

    def below(self, key: str) -> Fields:
        """Return the fields of a connected kind of record."""
        return Fields(key, self._group_field)

    def linked(
        self, path: str, place: str, among: Collection[str] | None = None
    ) -> tuple[str, tuple[str, ...]]:
        """Return a dotted path of connected records as the provider spells it, and notes.

        Only records of the kinds `among` these exist. Raises InvalidArguments.
        """
        given, _, rest = path.strip().partition(".")
        found = self.named(given, place)
        notes = (found.note,) if found.note else ()
        to = found.field.to if found.field else ""
        if (found.field is not None and not to) or (among is not None and not self._in(to, among)):
            raise InvalidArguments(
                place, f"{given} is no connected record of {self.key}. {self._links(among)}"
            )
        if not to:
            return (f"{found.name}.{rest}" if rest else found.name), notes
        if not rest:
            return found.name, notes
        below, more = self.below(to).linked(rest, place, among)
        return f"{found.name}.{below}", notes + more

    @staticmethod
    def _in(to: str, among: Collection[str]) -> bool:
        return to == "userGroup" or to in among

    def _links(self, among: Collection[str] | None) -> str:
        links = [
            name
            for name, field in self._known.items()
            if field.to and (among is None or self._in(field.to, among))
        ]
        return f"Connected are: {', '.join(links)}." if links else "It has none."


def fields_for(context: Context, key: str) -> Fields:
    """Return the fields of a kind of record, as this account has them."""
    return Fields(key, context.settings.get("task_group_field") or "")


def nothing_said(value: Any) -> bool:
    """Tell whether a value says nothing: null or an empty object, as form fillers send them."""
    return value is None or value == {}
