"""Records of every object key, with the provider's rules for writing and showing them.

Connections are kept apart from values, because a record shows them only when `paths` asks.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from crossdock_roserocket.catalogue import CATALOGUE, READ_ONLY, Field, fields_of
from crossdock_roserocket.sandbox.answers import Refusal
from crossdock_roserocket.sandbox.switches import Switches
from crossdock_roserocket.sandbox.tokens import ORG_ID

_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NAMESPACE = uuid.UUID("6f2a1c39-6c7e-4f0a-9a85-5e6d5b1d9f00")


def known_id(name: str) -> str:
    """Return the uuid that the seed gives to a name: the same in every run."""
    return str(uuid.uuid5(_NAMESPACE, name))


def is_uuid(text: object) -> bool:
    """Tell whether this is a uuid as the provider writes it."""
    return isinstance(text, str) and bool(
        re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)
    )


def stamp(moment: datetime) -> str:
    """Return a moment in the provider's spelling."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Record:
    """A stored record. Mutable: it is the sandbox's row."""

    def __init__(self, record_id: str, key: str, values: dict[str, Any]) -> None:
        self.id, self.key, self.values = record_id, key, values
        self.links: dict[str, str | list[str] | None] = {}


class Records:
    """All records of the organisation."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rows: dict[str, Record] = {}
        self._numbers: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Record]:
        return iter(self._rows.values())

    def get(self, record_id: str, switches: Switches) -> Record:
        """Return a record. Raises Refusal."""
        if not is_uuid(record_id):
            raise Refusal(switches.bad_uuid, ["recordId must be a UUID"])
        found = self._rows.get(record_id.lower())
        if found is None:
            raise Refusal(404, f'Record with ID "{record_id}" not found.')
        return found

    def peek(self, record_id: str) -> Record | None:
        """Return a record, or None."""
        return self._rows.get(record_id)

    def by_external(self, key: str, external: str) -> Record | None:
        """Return the record of this key with this external id: exact, blanks and case included."""
        for row in self._rows.values():
            if row.key == key and row.values.get("externalId") == external:
                return row
        return None

    def drop(self, record_id: str) -> None:
        """Remove a record."""
        self._rows.pop(record_id, None)

    def create(
        self,
        key: str,
        json: Mapping[str, Any],
        author: str,
        switches: Switches,
        *,
        record_id: str = "",
        at: datetime | None = None,
    ) -> tuple[Record, list[dict[str, Any]]]:
        """Add a record; return it and what was refused of it. Raises Refusal."""
        moment = stamp(at or self._now())
        about = CATALOGUE.get(key)
        row = Record(record_id or str(uuid.uuid4()), key, {})
        defaults = {name: field.default for name, field in fields_of(key).items() if field.default}
        values, links, errors = self._read(key, {**defaults, **json}, row, author, switches)
        self._numbers[key] += 1
        prefix = about.prefix if about and about.prefix else key.upper()[:4]
        row.values = {
            "id": row.id,
            "objectKey": key,
            "orgId": ORG_ID,
            "fullId": f"{prefix}-{self._numbers[key]}",
            "externalId": None,
            "source": "api",
            "createdAt": moment,
            "createdBy": author,
            "updatedAt": moment,
            "updatedBy": author,
            "version": 1,
            **values,
        }
        row.links = links
        self._rows[row.id] = row
        return row, errors

    def update(
        self,
        row: Record,
        json: Mapping[str, Any],
        author: str,
        switches: Switches,
        *,
        at: datetime | None = None,
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Merge fields into a record; return the changes and what was refused. Raises Refusal."""
        values, links, errors = self._read(row.key, json, row, author, switches)
        changes = [
            {"field": name, "value": value, "prevValue": before, "type": "update"}
            for name, value in values.items()
            if (before := row.values.get(name)) != value
        ]
        changes += [
            {"field": name, "value": value, "prevValue": row.links.get(name), "type": "update"}
            for name, value in links.items()
            if row.links.get(name) != value
        ]
        row.values |= values
        row.links |= links
        row.values["version"] += 1
        row.values["updatedAt"] = stamp(at or self._now())
        row.values["updatedBy"] = author
        return changes, errors

    def shown(self, row: Record, paths: Iterable[str] = ()) -> dict[str, Any]:
        """Return the record as the provider shows it: connections only where `paths` names them."""
        body = {**row.values, "widgets": [], "widgetToOpen": None}
        deeper: dict[str, list[str]] = {}
        for path in paths:
            first, _, rest = path.strip().partition(".")
            deeper.setdefault(first, []).extend([rest] if rest else [])
        for name, below in deeper.items():
            linked = row.links.get(name)
            if isinstance(linked, list):
                body[name] = [self._linked(one, below) for one in linked]
            elif linked is not None:
                body[name] = self._linked(linked, below)
        return body

    def _linked(self, record_id: str, paths: list[str]) -> dict[str, Any]:
        row = self._rows.get(record_id)
        return {"id": record_id} if row is None else self.shown(row, paths)

    # --- what may be written -------------------------------------------------------------

    def _read(
        self, key: str, json: Mapping[str, Any], row: Record, author: str, switches: Switches
    ) -> tuple[dict[str, Any], dict[str, str | list[str] | None], list[dict[str, Any]]]:
        values: dict[str, Any] = {}
        links: dict[str, str | list[str] | None] = {}
        errors: list[dict[str, Any]] = []
        fields = fields_of(key)
        for name, value in json.items():
            if name == switches.refused_field:
                errors.append({"field": name, "message": "You may not edit this field."})
                continue
            field = fields.get(name)
            if name in READ_ONLY or (field is not None and field.kind == "derived"):
                raise Refusal(400, [f"{name}: derived field cannot be written"])
            if field is None:
                if _fate(key, name, row, switches) == "refuse":
                    raise Refusal(400, [f"property {name} should not exist"])
                if _fate(key, name, row, switches) == "drop":
                    continue
                field = _guessed(value)
            if field.kind == "link" and value is None:
                links[name] = None
                continue
            if field.kind in ("link", "links"):
                links[name] = self._connected(name, value, field, author, switches)
                continue
            wrong = _wrong(name, value, field)
            if wrong and field.kind == "select":
                if switches.wrong_option == "partial":
                    errors.append({"field": name, "message": wrong})
                    continue
                raise Refusal(int(switches.wrong_option), wrong)
            if wrong:
                raise Refusal(400, [wrong])
            values[name] = value
        self._check_external(key, values.get("externalId"), row, switches)
        return values, links, errors

    def _check_external(self, key: str, external: object, row: Record, switches: Switches) -> None:
        if external is None:
            return
        if not isinstance(external, str):
            raise Refusal(400, ["externalId must be a string"])
        taken = self.by_external(key, external)
        if taken is not None and taken is not row:
            words = f'externalId "{external}" is already in use.'
            if switches.taken_external_id == 500:
                words = "Internal server error"
            raise Refusal(switches.taken_external_id, words)

    def _connected(
        self, name: str, value: Any, field: Field, author: str, switches: Switches
    ) -> str | list[str]:
        if field.kind == "links":
            if not isinstance(value, list):
                raise Refusal(400, [f"{name}: Expected array for value"])
            return [self._one_link(name, one, field, author, switches) for one in value]
        return self._one_link(name, value, field, author, switches)

    def _one_link(
        self, name: str, value: Any, field: Field, author: str, switches: Switches
    ) -> str:
        if not isinstance(value, dict):
            raise Refusal(400, [f"{name}: Expected object for value"])
        if "id" not in value:
            child, _ = self.create(
                field.to or value.get("objectKey", "other"), value, author, switches
            )
            return child.id
        if not is_uuid(value["id"]):
            raise Refusal(400, [f"{name}.id must be a UUID"])
        return str(value["id"])


def _fate(key: str, name: str, row: Record, switches: Switches) -> str:
    """Tell what becomes of a field that no page documents. Of some kinds none is documented."""
    if name == "externalId" or name in row.values or name in row.links or not fields_of(key):
        return "store"
    return switches.custom_field if name.endswith("__c") else switches.unknown_field


def _guessed(value: Any) -> Field:
    """Return what an undocumented field must be, judged by what is written into it."""
    if isinstance(value, dict) and "id" in value:
        return Field(kind="link")
    if isinstance(value, list) and value and all(isinstance(v, dict) and "id" in v for v in value):
        return Field(kind="links")
    return Field(kind="money" if isinstance(value, dict) and "amount" in value else "text")


def _wrong(name: str, value: Any, field: Field) -> str:
    if value is None:
        return ""
    if field.kind == "select" and field.options and not field.open and not field.any_case:
        if value not in field.options:
            return f"{name}: {value!r} is not an option. Options: {', '.join(field.options)}"
    elif field.kind == "date" and not (isinstance(value, str) and _DATE.fullmatch(value)):
        return f"{name}: expected YYYY-MM-DD"
    elif field.kind == "datetime":
        inner = value.get("dateTimeInLocation") if isinstance(value, dict) else None
        if not (isinstance(inner, str) and _LOCAL.fullmatch(inner)):
            return f"{name}: dateTimeInLocation must be YYYY-MM-DDTHH:MM:SS without an offset"
    elif field.kind == "money" and not (
        isinstance(value, dict)
        and isinstance(value.get("amount"), int)
        and isinstance(value.get("currencyCode"), str)
    ):
        return f"{name}: expected amount in minor units and currencyCode"
    elif field.kind == "toggle" and not isinstance(value, bool):
        return f"{name}: expected a boolean"
    elif field.kind == "number" and not isinstance(value, int | float):
        return f"{name}: expected a number"
    return ""
