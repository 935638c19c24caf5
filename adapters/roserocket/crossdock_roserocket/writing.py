"""Writes that say what they did: merged with what is stored, sent once, and read back.

The provider drops fields that it does not know, and replaces a list of connected records as a
whole. So names are judged before, lists are merged under a lock, and an answer to a write is no
proof: the record is read again, and a field that does not show is named. The provider has no
version check, so a change by others in the last round trip cannot be seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    WriteNotVerified,
)
from crossdock_roserocket.catalogue import READ_ONLY, is_uuid
from crossdock_roserocket.fields import Fields, Named
from crossdock_roserocket.groups import group_id, many
from crossdock_roserocket.identity import read_record
from crossdock_roserocket.kinds import allowed
from crossdock_roserocket.outcomes import answered, noted
from crossdock_roserocket.payload import Prepared, prepared

Send = Callable[[dict[str, Any]], Awaitable[Outcome]]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a call wants to change: fields to set, fields to empty, records to take out of lists."""

    set: Prepared
    clear: dict[str, Named] = {}
    remove: dict[str, list[str]] = {}

    @property
    def names(self) -> list[str]:
        """Every field that it touches."""
        return list(dict.fromkeys([*self.set.json, *self.clear, *self.remove]))

    @property
    def paths(self) -> list[str]:
        """The connected records among them, which a record shows only when they are named."""
        found = {**self.set.named, **self.clear}
        unsure = {name for name, value in self.set.json.items() if _ids(value) is not None}
        linked = {name for name, one in found.items() if one.kind in ("link", "links")}
        return [name for name in self.names if name in linked | unsure | set(self.remove)]


def read_change(context: Context, fields: Fields, call: Call) -> Change:
    """Read `json`, `clear` and `remove` of a call. Raises InvalidArguments."""
    flat = all(argument.key != "json" for argument in call.tool.arguments)
    place = "" if flat else "json"
    given = prepared(fields, call.body.get("json", {}), place, allowed(context))
    change = Change(
        set=given,
        clear=_cleared(fields, call.mapper.get("clear", [])),
        remove=_removed(fields, call.mapper.get("remove", {})),
    )
    if not change.names:
        raise InvalidArguments(place or "arguments", _nothing(fields, given))
    return change


def _nothing(fields: Fields, given: Prepared) -> str:
    words = "holds nothing to write" if given.notes else "is required"
    example = '{"poNum": "44-100"}' if fields.key == "order" else '{"externalId": "A-1"}'
    return f"{words}: give at least one field of {fields.key}, as {example}"


def _cleared(fields: Fields, names: list[str]) -> dict[str, Named]:
    cleared: dict[str, Named] = {}
    for number, given in enumerate(names):
        named = fields.named(given, f"clear[{number}]")
        if named.name in READ_ONLY or named.kind == "derived":
            raise InvalidArguments(f"clear[{number}]", "is set by Rose Rocket and stays")
        cleared[named.name] = named
    return cleared


def _removed(fields: Fields, given: Mapping[str, Any]) -> dict[str, list[str]]:
    removed: dict[str, list[str]] = {}
    for name, value in given.items():
        named = fields.named(name, f"remove.{name}")
        if named.kind not in ("links", None):
            raise InvalidArguments(
                f"remove.{name}", f'is no list; to empty the field pass clear: ["{named.name}"]'
            )
        ids: list[Any] = [one.get("id") if isinstance(one, dict) else one for one in many(value)]
        for one in ids:
            if not is_uuid(one):
                raise InvalidArguments(
                    f"remove.{name}",
                    f"{one!r} is no uuid; read the record with paths {named.name!r} for them",
                )
        removed[named.name] = ids
    return removed


# --- carrying it out -------------------------------------------------------------------------


async def written(
    context: Context, change: Change, before: Mapping[str, Any] | None, send: Send
) -> Outcome:
    """Send a change, read the record back, and note each field before and after.

    `before` is the record with `change.paths` as it is stored, None for one that is to be made.
    Hold the record's lock. Raises WriteNotVerified when nothing of the change shows.
    """
    wanted, notes = _merged(change, before or {})
    if change.set.group:
        wanted, found = await _with_group(context, wanted, change.set.group)
        notes += found
    outcome = await send(wanted)
    notes = change.set.notes + notes
    after, doubt = await _read_back(context, outcome, change)
    if after is None:
        return noted(outcome, (*notes, doubt))
    missing = [name for name, value in wanted.items() if not _shows(value, after.get(name))]
    if missing and len(missing) == len(wanted):
        raise _not_taken(after, missing, wanted, outcome)
    if before is not None:
        notes += tuple(
            _difference(name, before.get(name), after.get(name))
            for name in wanted
            if name not in missing
        )
    if missing:
        notes += (
            "Rose Rocket said yes, but reading back does not show: "
            + ", ".join(f"{one} (it is {brief(after.get(one))})" for one in missing)
            + ".",
        )
    return noted(outcome, notes)


def _merged(change: Change, before: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields to send: lists complete, since the provider replaces them."""
    wanted: dict[str, Any] = {}
    notes: list[str] = []
    for name in change.names:
        given = change.set.json.get(name)
        listed = _ids(given) if isinstance(given, list) else None
        if listed is None and name not in change.remove:
            wanted[name] = given if given is not None else _emptied(change.clear[name])
            continue
        stored = [] if name in change.clear else _ids(before.get(name)) or []
        gone = change.remove.get(name, [])
        if absent := [one for one in gone if one not in stored]:
            notes.append(f"Not in {name}, so not removed: {', '.join(absent)}.")
        kept = [one for one in stored if one not in gone]
        new: list[Any] = []
        for one in given or []:
            if one.get("id") not in kept and one not in new:
                new.append(one)
        wanted[name] = [*({"id": one} for one in kept), *new]
        if kept and new:
            notes.append(f"{name}: {len(kept)} stored before stay.")
    return wanted, tuple(notes)


def _emptied(named: Named) -> Any:
    return [] if named.kind == "links" else None


async def _with_group(
    context: Context, wanted: dict[str, Any], field: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    value = wanted[field]
    if not isinstance(value, dict):  # the account says that this field is text
        return wanted, ()
    found, note = await group_id(context, value["id"], "json.user_group")
    return {**wanted, field: {"id": found}}, (note,) if note else ()


async def _read_back(
    context: Context, outcome: Outcome, change: Change
) -> tuple[Mapping[str, Any] | None, str]:
    try:
        answer = answered(outcome)
        record_id = answer.get("id") if isinstance(answer, dict) else None
        if not is_uuid(record_id):
            return None, "The answer names no id, so nothing was read back."
        record = await read_record(context, str(record_id), change.paths)
    except UpstreamFailure as failure:
        return None, f"Written, but reading back failed ({failure}); read the record to be sure."
    return (record, "") if isinstance(record, dict) else (None, "It cannot be read back.")


def _not_taken(
    after: Mapping[str, Any], missing: list[str], wanted: Mapping[str, Any], outcome: Outcome
) -> WriteNotVerified:
    seen = {name: after.get(name) for name in missing}
    said = "".join(f" {note}" for note in outcome.notes)
    return WriteNotVerified(
        f"Rose Rocket said yes, but reading {after.get('objectKey')} {after.get('id')} back shows "
        f"nothing of it: {', '.join(f'{one} is {brief(after.get(one))}' for one in missing)}."
        f"{said} Check the names with get_single_roserocket_object_by_id; a custom field has to "
        "exist in the organisation, and the role may have to be allowed to write it.",
        expected={name: wanted[name] for name in missing},
        seen=seen,
    )


# --- comparing -------------------------------------------------------------------------------


def _ids(value: Any) -> list[str] | None:
    """Return the ids of connected records, None for any other value."""
    if isinstance(value, list):
        ids = [one.get("id") for one in value if isinstance(one, dict)]
        if value and len(ids) == len(value):
            return [str(one) for one in ids if one is not None]
        return None
    if isinstance(value, dict) and isinstance(value.get("id"), str):
        return [value["id"]]
    return None


def _shows(wanted: Any, held: Any) -> bool:
    """Tell whether a record holds what was written, in the provider's own form."""
    if wanted is None or wanted == []:
        return held in (None, "", [])
    if isinstance(wanted, list) and all(isinstance(one, dict) for one in wanted):
        stored = {one.lower() for one in _ids(held) or []}
        named = {str(one["id"]).lower() for one in wanted if "id" in one}
        return named <= stored and len(stored) == len(wanted)
    if isinstance(wanted, dict):
        if not isinstance(held, dict):
            return False
        return all(_shows(value, held.get(name)) for name, value in wanted.items())
    if isinstance(wanted, str) and isinstance(held, str):
        return wanted.casefold() == held.casefold()
    return bool(wanted == held)


def _difference(name: str, before: Any, after: Any) -> str:
    if brief(before) == brief(after):
        return f"{name}: is {brief(after)}, as before."
    return f"{name}: {brief(before)} → {brief(after)}."


def brief(value: Any) -> str:
    """Return a value as a note names it: connected records by their ids."""
    if (ids := _ids(value)) is not None:
        return ", ".join(ids)
    if isinstance(value, dict) and value.get("dateTimeInLocation"):
        return str(value["dateTimeInLocation"])
    text = "empty" if value in (None, "", []) else str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"
