"""User groups and their members."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from crossdock_roserocket.sandbox.answers import Refusal
from crossdock_roserocket.sandbox.records import is_uuid, stamp
from crossdock_roserocket.sandbox.switches import Switches


class Groups:
    """The organisation's user groups."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._groups: dict[str, dict[str, Any]] = {}
        self._members: dict[str, dict[str, dict[str, Any]]] = {}

    def all(self) -> list[dict[str, Any]]:
        """Return every group."""
        return list(self._groups.values())

    def create(self, body: dict[str, Any], group_id: str = "") -> dict[str, Any]:
        """Add a group. Raises Refusal."""
        name = body.get("name")
        if not isinstance(name, str) or not name.strip():
            raise Refusal(400, ["name should not be empty"])
        if any(group["name"] == name for group in self._groups.values()):
            raise Refusal(409, "Group name is already in use.")
        group = {"id": group_id or str(uuid.uuid4()), "name": name, "type": "local"}
        if body.get("description"):
            group["description"] = body["description"]
        self._groups[group["id"]] = group
        self._members[group["id"]] = {}
        return group

    def search(self, body: dict[str, Any], switches: Switches) -> dict[str, Any]:
        """Answer a search by name and ids."""
        found = self.all()
        if ids := body.get("ids"):
            found = [group for group in found if group["id"] in ids]
        if name := body.get("name"):
            found = [group for group in found if _named(group["name"], name, switches)]
        offset, limit = int(body.get("offset", 0)), int(body.get("limit", 50))
        return {"total": len(found), "results": found[offset : offset + limit]}

    def members(self, group_id: str) -> dict[str, Any]:
        """Return a group's members. Raises Refusal."""
        return {"members": list(self._of(group_id).values())}

    def change(
        self,
        group_id: str,
        body: dict[str, Any],
        by: str,
        known: Callable[[str], bool],
        switches: Switches,
    ) -> dict[str, int]:
        """Add and remove members; removal wins. Raises Refusal."""
        members = self._of(group_id)
        add, remove = body.get("add", []), body.get("remove", [])
        for name, ids in (("add", add), ("remove", remove)):
            if not isinstance(ids, list) or not all(is_uuid(one) for one in ids):
                raise Refusal(400, [f"each value in {name} must be a UUID"])
        if switches.unknown_member == "400" and (new := [one for one in add if not known(one)]):
            raise Refusal(400, [f"user {new[0]} does not exist"])
        removed = [one for one in dict.fromkeys(remove) if members.pop(one, None)]
        added = [one for one in dict.fromkeys(add) if one not in members and one not in set(remove)]
        for one in added:
            members[one] = {"id": one, "addedAt": stamp(self._now()), "addedBy": by}
        return {"added": len(added), "removed": len(removed)}

    def _of(self, group_id: str) -> dict[str, dict[str, Any]]:
        if group_id not in self._members:
            raise Refusal(404, f'User group with ID "{group_id}" not found.')
        return self._members[group_id]


def _named(name: str, wanted: str, switches: Switches) -> bool:
    if not switches.group_match_case:
        name, wanted = name.casefold(), wanted.casefold()
    if switches.group_match == "exact":
        return name == wanted
    if switches.group_match == "prefix":
        return name.startswith(wanted)
    return wanted in name
