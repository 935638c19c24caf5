"""The fields an update was given: merged into what is stored, and found again afterwards.

Malomo replaces an object such as `meta` as a whole. So an object is always sent complete: what is
stored, changed where something was given, less the keys that were given as null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crossdock.adapter import encode

Path = tuple[str, ...]
MOST_NOTES = 20
_LONGEST_VALUE = 120
_OWN = frozenset({"id", "created_at", "updated_at"})
_UNASKED_DEPTH = 2


def patched(stored: msgspec.Raw | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete object to be sent; parts that stay are the stored bytes."""
    complete = _object(stored)
    for name, value in given.items():
        if value is None:
            complete.pop(name, None)
        elif isinstance(value, dict):
            if value or name not in complete:
                inner = complete.get(name)
                complete[name] = patched(inner if isinstance(inner, msgspec.Raw) else None, value)
        else:
            complete[name] = value
    return complete


def without_own(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the fields that Malomo gives and does not take."""
    return {name: value for name, value in fields.items() if name not in _OWN}


def _object(stored: msgspec.Raw | None) -> dict[str, Any]:
    if stored is None or not bytes(stored).lstrip().startswith(b"{"):
        return {}
    return {**msgspec.json.decode(stored, type=dict[str, msgspec.Raw])}


class Given(msgspec.Struct, frozen=True):
    """What was given, as an object: null stands for what is to go."""

    fields: dict[str, Any]

    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Go through the single values; UNSET is a value that is to go."""
        yield from _leaves(self.fields, ())

    def untaken(self, seen: Mapping[str, Any]) -> list[Path]:
        """Return the paths at which a record does not show what was given."""
        return [path for path, value in self.leaves() if not _took(value, at(seen, path), path)]

    def ignored(self, before: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
        """Whether a given field still shows what it showed before.

        A field that shows something third is the provider's spelling; one that the provider does
        not show at all cannot be judged.
        """
        return any(
            path[0] in seen and _equal(at(seen, path), at(before, path))
            for path in self.untaken(seen)
        )

    def told(self, before: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
        """Say what became of each given field, and what changed besides."""
        try:
            told = [*dict.fromkeys(self._asked(before, seen)), *self._unasked(before, seen)]
        except RecursionError:
            return ["A stored field is nested too deeply to tell what changed."]
        more = len(told) - MOST_NOTES
        return [*told[:MOST_NOTES], f"And {more} more."] if more > 0 else told

    def _asked(self, before: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
        untaken = set(self.untaken(seen))
        told: list[str] = []
        already: list[str] = []
        for path, _ in self.leaves():
            old, new = at(before, path), at(seen, path)
            if path in untaken:
                told.append(_unshown(path, seen))
            elif _gone(old) and _gone(new):
                told.append(f"{dotted(path)} is not there, so nothing was removed.")
            elif _equal(old, new):
                already.append(dotted(path))
            else:
                told.append(_changed(path, old, new))
        if already:
            told.append(f"Already as given: {', '.join(already[:MOST_NOTES])}.")
        return told

    def _unasked(self, before: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
        given = [path for path, _ in self.leaves()]
        return [
            f"{dotted(path)} went from {_short(old)} to {_short(new)}, which this update did not "
            "ask for: someone else changed it meanwhile, or Malomo did."
            for path, old, new in _differences(before, seen, ())
            if not any(_overlap(path, one) for one in given)
        ]


def dotted(path: Path) -> str:
    """Return a path as people write it."""
    return ".".join(path)


def at(record: Any, path: Path) -> Any:
    """Return the value at a path of a record, UNSET where there is none."""
    for name in path:
        if not isinstance(record, dict) or name not in record:
            return msgspec.UNSET
        record = record[name]
    return record


def _leaves(given: Mapping[str, Any], prefix: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in given.items():
        path = (*prefix, name)
        if isinstance(value, dict) and value:
            yield from _leaves(value, path)
        elif value is None:
            yield path, msgspec.UNSET
        elif value != {}:  # an empty object given inside another changes nothing that is stored
            yield path, value


def _took(given: Any, stored: Any, path: Path) -> bool:
    """Judge text loosely, since its case and outer blanks are the provider's; `meta` is exact."""
    if given is msgspec.UNSET:
        return _gone(stored)
    if path[0] != "meta" and isinstance(given, str) and isinstance(stored, str):
        return given.strip().casefold() == stored.strip().casefold()
    return _equal(given, stored)


def _gone(value: Any) -> bool:
    return value is msgspec.UNSET or value is None or value == {}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _overlap(one: Path, other: Path) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def _differences(before: Any, seen: Any, prefix: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Go through what two readings of a record differ in, down to the keys of its objects."""
    for name in before.keys() & seen.keys() if not prefix else {**before, **seen}:
        path = (*prefix, name)
        old, new = before.get(name, msgspec.UNSET), seen.get(name, msgspec.UNSET)
        if path[0] in _OWN or path[0] == "shipments" or _equal(old, new):
            continue
        if isinstance(old, dict) and isinstance(new, dict) and len(path) < _UNASKED_DEPTH:
            yield from _differences(old, new, path)
        else:
            yield path, old, new


def _unshown(path: Path, seen: Mapping[str, Any]) -> str:
    if path[0] not in seen:
        return f"Malomo shows {path[0]} nowhere, so it is unconfirmed."
    return f"Malomo shows {dotted(path)} otherwise than given."


def _changed(path: Path, old: Any, new: Any) -> str:
    if _gone(new):
        return f"Removed {dotted(path)}; it was {_short(old)}."
    if _gone(old):
        return f"Set {dotted(path)} to {_short(new)}; it had no value."
    return f"Changed {dotted(path)} from {_short(old)} to {_short(new)}."


def _short(value: Any) -> str:
    if _gone(value):
        return "nothing"
    text = encode(value).decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
