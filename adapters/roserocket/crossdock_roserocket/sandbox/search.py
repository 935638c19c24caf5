"""`POST /objects/search`: an index that lags behind, and filter combinations that answer 500."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossdock_roserocket.sandbox.answers import Refusal
from crossdock_roserocket.sandbox.records import Record, Records, is_uuid
from crossdock_roserocket.sandbox.switches import Switches

_FATAL = {("SelectField", "equals"), ("DateField", "between"), ("DerivedField", "in")}
_FILTER_KEYS = frozenset({"filterKey", "path", "operator", "value", "fieldType"})


class Index:
    """Snapshots of records as search sees them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, dict[str, Any]] = {}
        self._keys: dict[str, str] = {}
        self._due: list[tuple[float, str, str, dict[str, Any] | None]] = []

    def note(self, row: Record, lag: float, *, gone: bool = False) -> None:
        """Let a change be found `lag` seconds from now."""
        snapshot = None if gone else {**row.values, **row.links}
        self._due.append((self._clock() + lag, row.id, row.key, snapshot))

    def of(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """Return what search knows of a key."""
        now = self._clock()
        for due, record_id, record_key, snapshot in self._due:
            if due > now:
                continue
            if snapshot is None:
                self._seen.pop(record_id, None)
            else:
                self._seen[record_id] = snapshot
                self._keys[record_id] = record_key
        self._due = [entry for entry in self._due if entry[0] > now]
        return [(i, values) for i, values in self._seen.items() if self._keys[i] == key]


def search(
    body: dict[str, Any], boards: dict[str, str], index: Index, records: Records, switches: Switches
) -> dict[str, Any]:
    """Answer a search. `boards` gives the object key of each board. Raises Refusal."""
    board = body.get("boardId")
    if not is_uuid(board):
        raise Refusal(400, ["boardId should not be empty", "boardId must be a UUID"])
    if board not in boards:
        raise Refusal(404, f'Board with ID "{board}" not found.')
    limit = body.get("limit", 50)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refusal(400, ["limit must be a positive number"])
    if limit > switches.search_max:
        if switches.search_over_max == "reject":
            raise Refusal(400, [f"limit must not be greater than {switches.search_max}"])
        limit = switches.search_max
    entries = body.get("filters", [])
    combine = any if body.get("filtersOperator", "and") == "or" and entries else all
    found = [
        (record_id, values)
        for record_id, values in index.of(boards[str(board)])
        if combine(_fits(entry, values, switches) for entry in _checked(entries, switches))
    ]
    path = body.get("orderByPath", "createdAt")
    found.sort(key=lambda one: (str(one[1].get(path) or ""), one[0]))
    if body.get("orderByDirection", "desc") == "desc":
        found.reverse()
    shown = []
    for record_id, values in found[:limit]:
        row = records.peek(record_id)
        # The index may still know a record that is gone, and its old values.
        linked = set(row.links) if row else set()
        shown.append({name: value for name, value in values.items() if name not in linked})
    return {"total": len(found), "results": shown}


def _checked(entries: Any, switches: Switches) -> list[dict[str, Any]]:
    if not isinstance(entries, list):
        raise Refusal(400, ["filters must be an array"])
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) - _FILTER_KEYS or "path" not in entry:
            raise Refusal(400, ["each value in filters must be a filter"])
        if switches.search_500 and (entry.get("fieldType"), entry.get("operator")) in _FATAL:
            raise Refusal(500, "Internal server error")
    return entries


def _fits(entry: dict[str, Any], values: dict[str, Any], switches: Switches) -> bool:
    held = values.get(entry["path"])
    wanted: Any = entry.get("value")
    many = held if isinstance(held, list) else [held]
    match entry.get("operator"):
        case "in":
            return any(one in wanted for one in many)
        case "notIn":
            return not any(one in wanted for one in many)
        case "equals":
            return bool(held == wanted)
        case "notEquals":
            return bool(held != wanted)
        case "contains" | "freeText":
            return str(wanted).casefold() in str(held or "").casefold()
        case "startsWith":
            return str(held or "").startswith(str(wanted))
        case "endsWith":
            return str(held or "").endswith(str(wanted))
        case "hasSome":
            return any(one in many for one in wanted)
        case "hasEvery":
            return all(one in many for one in wanted)
        case "empty":
            return held in (None, "", [])
        case "notEmpty":
            return held not in (None, "", [])
        case "between":
            return str(wanted[0]) <= str(held or "") <= str(wanted[1])
        case operator:
            raise Refusal(400, [f"operator {operator} is not supported"])
