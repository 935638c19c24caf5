"""The event stream of a record. Openings of widgets are never shown; new events land late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crossdock_roserocket.sandbox.answers import Refusal
from crossdock_roserocket.sandbox.records import Record, is_uuid, known_id, stamp
from crossdock_roserocket.sandbox.switches import Switches

TYPES = ("create", "mutate", "internal", "widget-open", "widget-close")
_NEVER = ("widget-open", "widget-close", "widget-skip")
_ORDERS = ("createdAt", "id", "type", "refId", "ownerId")
_MOST = 200


class Events:
    """All events of the organisation."""

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._now, self._clock = now, clock
        self._rows: list[tuple[float, dict[str, Any]]] = []

    def add(
        self,
        row: Record,
        kind: str,
        user: dict[str, Any],
        json: dict[str, Any],
        *,
        lag: float = 0,
        at: datetime | None = None,
        event_id: str = "",
    ) -> dict[str, Any]:
        """Write an event; it can be read `lag` seconds later."""
        event = {
            "id": event_id or known_id(f"event {len(self._rows)}"),
            "type": kind,
            "refId": row.id,
            "ownerId": user["id"],
            "createdAt": stamp(at or self._now()),
            "user": user,
            "json": {
                **json,
                "recordId": row.id,
                "objectKey": row.key,
                "externalId": row.values.get("externalId"),
            },
        }
        self._rows.append((self._clock() + lag, event))
        return event

    def page(self, asked: dict[str, str], switches: Switches) -> dict[str, Any]:
        """Answer `GET /events`. Raises Refusal."""
        wrong = [
            f"{name} must be a UUID"
            for name in ("recordId", "boardId", "userId")
            if (name in asked or name == "recordId") and not is_uuid(asked.get(name))
        ]
        if not asked.get("objectKey"):
            wrong.append("objectKey should not be empty")
        if asked.get("type", "create") not in TYPES:
            wrong.append(f"type must be one of the following values: {', '.join(TYPES)}")
        limit, offset = _number(asked, "limit", _MOST), _number(asked, "offset", 0)
        if limit > _MOST:
            wrong.append(f"limit must not be greater than {_MOST}")
        order = asked.get("orderBy", "createdAt")
        if order not in _ORDERS:
            wrong.append(f"orderBy must be one of the following values: {', '.join(_ORDERS)}")
        if wrong:
            raise Refusal(400, wrong)
        found = [event for event in self._landed() if _fits(event, asked)]
        if not found and switches.events_wrong_key == "404":
            raise Refusal(404, f'Record with ID "{asked["recordId"]}" not found.')
        found.sort(key=lambda event: (str(event[order]), event["id"]))
        if asked.get("orderByDirection", switches.events_direction) == "desc":
            found.reverse()
        total = len(found)
        if bookmark := asked.get("bookmark"):
            places = [i for i, event in enumerate(found) if event["id"] == bookmark]
            if not places:
                raise Refusal(404, f'Event with ID "{bookmark}" not found.')
            found = found[places[0] + (switches.bookmark == "exclusive") :]
        return {"total": total, "results": found[offset : offset + limit]}

    def _landed(self) -> list[dict[str, Any]]:
        now = self._clock()
        return [event for due, event in self._rows if due <= now]


def _fits(event: dict[str, Any], asked: dict[str, str]) -> bool:
    kind = event["type"]
    return (
        event["refId"] == asked["recordId"].lower()
        and event["json"]["objectKey"] == asked["objectKey"]
        and kind not in _NEVER
        and asked.get("type", kind) == kind
        and ("inTypes" not in asked or kind in asked["inTypes"].split(","))
        and kind not in asked.get("notInTypes", "").split(",")
        and asked.get("userId", event["user"]["id"]) == event["user"]["id"]
    )


def _number(asked: dict[str, str], name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not text.isdecimal():
        raise Refusal(400, [f"{name} must be an integer number"])
    return int(text)
