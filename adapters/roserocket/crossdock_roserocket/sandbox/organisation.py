"""The organisation behind the sandbox: records, search index, events, boards, groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from crossdock_roserocket.sandbox.events import Events
from crossdock_roserocket.sandbox.groups import Groups
from crossdock_roserocket.sandbox.records import Record, Records, known_id, stamp
from crossdock_roserocket.sandbox.search import Index, search
from crossdock_roserocket.sandbox.switches import Switches
from crossdock_roserocket.sandbox.tokens import USER_ID

SERVICE = {"id": USER_ID, "email": "crossdock@lakeshore.example", "firstName": "Crossdock"}


def wall_clock() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Organisation:
    """Everything the API host shows."""

    def __init__(
        self,
        now: Callable[[], datetime] = wall_clock,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        self.records = Records(now)
        self.index = Index(clock)
        self.events = Events(now, clock)
        self.groups = Groups(now)
        self.boards: list[dict[str, Any]] = []
        self.unlisted_boards: list[dict[str, Any]] = []  # not in the left navigation

    def add_board(
        self, name: str, key: str, at: datetime, *, external: bool = False, listed: bool = True
    ) -> None:
        """Make a board; `listed` ones stand in the left navigation."""
        boards = self.boards if listed else self.unlisted_boards
        boards.append(
            {
                "id": known_id(f"board:{name}"),
                "name": name,
                "icon": None,
                "objectKey": key,
                "createdAt": stamp(at),
                "isExternal": external,
            }
        )

    def create(
        self,
        key: str,
        json: Mapping[str, Any],
        switches: Switches,
        *,
        user: Mapping[str, Any] = SERVICE,
        record_id: str = "",
        at: datetime | None = None,
    ) -> tuple[Record, list[dict[str, Any]]]:
        """Create a record with its event. Raises Refusal."""
        row, errors = self.records.create(
            key, json, user["firstName"], switches, record_id=record_id, at=at
        )
        self._find(row, switches)
        self.events.add(
            row, "create", dict(user), {"$source": "api"}, lag=switches.event_lag, at=at
        )
        return row, errors

    def update(
        self,
        row: Record,
        json: Mapping[str, Any],
        switches: Switches,
        *,
        user: Mapping[str, Any] = SERVICE,
        at: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Update a record with its event; return what was refused. Raises Refusal."""
        changes, errors = self.records.update(row, json, user["firstName"], switches, at=at)
        self._find(row, switches)
        self.events.add(
            row,
            "mutate",
            dict(user),
            {"changedFields": changes, "automationResults": []},
            lag=switches.event_lag,
            at=at,
        )
        return errors

    def delete(self, row: Record, switches: Switches) -> dict[str, Any]:
        """Delete a record; return it as it was."""
        body = self.records.shown(row)
        self.records.drop(row.id)
        self.index.note(row, switches.search_lag, gone=True)
        return body

    def _find(self, row: Record, switches: Switches) -> None:
        # A write may have made children inline, and they are found like any other record.
        children = [child for one in _ids(row) if (child := self.records.peek(one))]
        for one in (row, *children):
            self.index.note(one, switches.search_lag)

    def kinds_of_boards(self) -> dict[str, str]:
        """Return the object key of each board, listed or not."""
        every = (*self.boards, *self.unlisted_boards)
        return {board["id"]: board["objectKey"] for board in every}

    def found(self, body: dict[str, Any], switches: Switches) -> dict[str, Any]:
        """Answer a search. Raises Refusal."""
        return search(body, self.kinds_of_boards(), self.index, self.records, switches)


def _ids(row: Record) -> Iterable[str]:
    for linked in row.links.values():
        yield from [linked] if isinstance(linked, str) else linked or []
