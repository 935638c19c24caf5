"""A TOML table against a Struct: every key that does not belong, is missing or has a wrong value.

msgspec stops at the first mistake; an author wants all of them, and the rest of the table.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

import msgspec

from crossdock.adapter.findings import Place
from crossdock.errors import Misfit

Kind = Literal["unknown", "absent", "wrong"]


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One key that does not fit. `words` says why, `near` is what was probably meant."""

    kind: Kind
    place: Place
    words: str = ""
    near: str = ""


class _Field(msgspec.Struct, frozen=True, kw_only=True):
    type: Any
    required: bool
    table: type[msgspec.Struct] | None  # the value may be this table
    tables: type[msgspec.Struct] | None  # or a table of such


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for field in msgspec.structs.fields(kind):
        options = typing.get_args(field.type) or (field.type,)
        mapping = typing.get_origin(field.type) is dict
        of = typing.get_args(options[1]) or (options[1],) if mapping else options
        table = next((one for one in of if _is_struct(one)), None)
        found[field.encode_name] = _Field(
            type=field.type,
            required=field.required,
            table=None if mapping else table,
            tables=table if mapping else None,
        )
    return found


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def fitting(
    table: Mapping[str, Any], kind: type[msgspec.Struct], place: Place = ()
) -> tuple[dict[str, Any], list[Mistake]]:
    """Return the keys of `table` that fit `kind`, as they were, and what is wrong with the others.

    Tables in it are judged key by key, too.
    """
    fields = _fields(kind)
    kept: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for name, value in table.items():
        field = fields.get(name)
        if field is None:
            near = difflib.get_close_matches(name, fields, 1)
            mistakes.append(
                Mistake(kind="unknown", place=(*place, name), near=near[0] if near else "")
            )
            continue
        fine, found = _judged(value, field, (*place, name))
        mistakes += found
        if fine is not msgspec.UNSET:
            kept[name] = fine
    mistakes += [
        Mistake(kind="absent", place=(*place, name))
        for name, field in fields.items()
        if field.required and name not in table
    ]
    return kept, mistakes


def _judged(value: Any, field: _Field, place: Place) -> tuple[Any, list[Mistake]]:
    if field.table is not None and isinstance(value, dict):
        return fitting(value, field.table, place)
    if field.tables is not None and isinstance(value, dict):
        kept: dict[str, Any] = {}
        mistakes: list[Mistake] = []
        for name, one in value.items():
            inner = _Field(type=field.tables, required=False, table=field.tables, tables=None)
            if isinstance(one, dict) or not _fits(one, _item_type(field.type)):
                fine, found = _judged(one, inner, (*place, name))
                mistakes += found
            else:
                fine = one
            if fine is not msgspec.UNSET:
                kept[name] = fine
        return kept, mistakes
    found = list(_wrong(value, field.type, place))
    return (msgspec.UNSET, found) if found else (value, [])


def _item_type(mapping: Any) -> Any:
    return typing.get_args(mapping)[1]


def _fits(value: Any, kind: Any) -> bool:
    return not list(_wrong(value, kind, ()))


def _wrong(value: Any, kind: Any, place: Place) -> Iterator[Mistake]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        misfit = Misfit(error)
        inner = tuple(step for step in misfit.steps if not step.startswith("["))
        yield Mistake(kind="wrong", place=(*place, *inner), words=misfit.reason)
