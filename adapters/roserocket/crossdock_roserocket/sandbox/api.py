"""The API host's routes. Paths are taken apart by hand, because an external id is one encoded
segment and must be decoded exactly once."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from crossdock_roserocket.catalogue import CATALOGUE
from crossdock_roserocket.sandbox.answers import Refusal, answer
from crossdock_roserocket.sandbox.events import TYPES
from crossdock_roserocket.sandbox.organisation import SERVICE, Organisation
from crossdock_roserocket.sandbox.records import Record, is_uuid
from crossdock_roserocket.sandbox.switches import Switches


def route(
    request: web.Request, path: str, body: bytes, org: Organisation, switches: Switches
) -> web.Response:
    """Answer one request. Raises Refusal."""
    if switches.encoded_slash == "reject" and "%2f" in path.lower():
        raise Refusal(404, f"Cannot {request.method} {path}")
    segments = [unquote(segment) for segment in path.split("/")[1:]]
    call = _Call(request, body, org, switches)
    match request.method, segments:
        case "POST", ["objects"]:
            return call.create()
        case "PATCH", ["objects"]:
            return call.upsert()
        case "POST", ["objects", "search"]:
            return answer(org.found(call.json(), switches))
        case "POST", ["objects", "bulk_delete"]:
            return call.bulk_delete()
        case "GET", ["objects", "autocomplete"]:
            return call.autocomplete()
        case "GET", ["objects", record_id]:
            return answer(org.records.shown(call.record(record_id), call.query_paths()))
        case "PUT", ["objects", record_id]:
            return call.update(record_id)
        case "DELETE", ["objects", record_id]:
            return answer(org.delete(call.record(record_id), switches))
        case "GET", ["objects", key, external, "external"]:
            return answer(org.records.shown(call.external(key, external), call.query_paths()))
        case "PATCH", ["objects", key, external, "external"]:
            return call.upsert_external(key, external)
        case "DELETE", ["objects", key, external, "external"]:
            return answer(org.delete(call.external(key, external), switches))
        case "GET", ["events"]:
            return answer(org.events.page(dict(request.query), switches))
        case "POST", ["events"]:
            return call.create_event()
        case "GET", ["boards", "nav"]:
            return call.boards()
        case "GET", ["userGroups"]:
            return answer(org.groups.all())
        case "POST", ["userGroups"]:
            call.need_editor()
            return answer(org.groups.create(call.json()))
        case "POST", ["userGroups", "search"]:
            return answer(org.groups.search(call.json(), switches))
        case "GET", ["userGroups", group_id, "members"]:
            return answer(org.groups.members(group_id))
        case "POST", ["userGroups", group_id, "members"]:
            return call.change_members(group_id)
    raise Refusal(404, f"Cannot {request.method} {path}")


class _Call:
    def __init__(
        self, request: web.Request, body: bytes, org: Organisation, switches: Switches
    ) -> None:
        self.request, self.body, self.org, self.switches = request, body, org, switches

    # --- reading the request -----------------------------------------------------------------

    def json(self) -> dict[str, Any]:
        try:
            decoded = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise Refusal(400, "Unexpected token in JSON") from None
        if not isinstance(decoded, dict):
            raise Refusal(400, "The body must be an object")
        return decoded

    def query_paths(self) -> list[str]:
        return [one for one in self.request.query.get("paths", "").split(",") if one]

    def envelope(self, allowed: str) -> tuple[str, dict[str, Any], list[str]]:
        body = self.json()
        key, json, paths = body.get("objectKey"), body.get("json", {}), body.get("paths", [])
        if set(body) - set(allowed.split()) or not isinstance(json, dict):
            raise Refusal(400, ["json must be an object"])
        if not isinstance(paths, list):
            raise Refusal(400, ["paths must be an array"])
        return self.key(key), json, paths

    def key(self, key: object) -> str:
        if not isinstance(key, str) or (key not in CATALOGUE and not key.endswith("__c")):
            raise Refusal(400, [f"objectKey {key!r} does not exist"])
        return key

    def record(self, record_id: str) -> Record:
        return self.org.records.get(record_id, self.switches)

    def external(self, key: str, external: str) -> Record:
        found = self.org.records.by_external(self.key(key), external)
        if found is None or (key == "user" and not self.switches.user_objects):
            raise Refusal(404, f'Record with external ID "{external}" not found.')
        return found

    def need_editor(self) -> None:
        if self.switches.role == "viewer":
            raise Refusal(403, "Action is forbidden.")

    # --- objects -----------------------------------------------------------------------------

    def shown(
        self, row: Record, paths: list[str], errors: list[dict[str, Any]], status: int = 200
    ) -> web.Response:
        body = self.org.records.shown(row, paths)
        return answer({**body, "errors": errors} if errors else body, status)

    def create(self) -> web.Response:
        self.need_editor()
        key, json, paths = self.envelope("objectKey json paths")
        row, errors = self.org.create(key, json, self.switches)
        return self.shown(row, [*paths, *row.links], errors, self.switches.create_status)

    def update(self, record_id: str) -> web.Response:
        self.need_editor()
        key, json, paths = self.envelope("objectKey json boardId paths")
        row = self.record(record_id)
        if row.key != key:
            raise Refusal(404, f'Record with ID "{record_id}" not found.')
        errors = self.org.update(row, json, self.switches)
        return self.shown(row, [*paths, *(set(json) & set(row.links))], errors)

    def upsert(self) -> web.Response:
        self.need_editor()
        key, json, paths = self.envelope("objectKey json paths")
        external = json.get("externalId")
        if not isinstance(external, str) or not external:
            raise Refusal(400, ["json.externalId should not be empty"])
        return self._upserted(key, external, json, paths)

    def upsert_external(self, key: str, external: str) -> web.Response:
        self.need_editor()
        body_key, json, paths = self.envelope("objectKey json paths")
        if body_key != key:
            raise Refusal(400, ["objectKey does not match the path"])
        return self._upserted(key, external, {"externalId": external, **json}, paths)

    def _upserted(
        self, key: str, external: str, json: dict[str, Any], paths: list[str]
    ) -> web.Response:
        row = self.org.records.by_external(self.key(key), external)
        if row is not None:
            return self.shown(row, paths, self.org.update(row, json, self.switches))
        row, errors = self.org.create(key, json, self.switches)
        return self.shown(row, paths, errors, self.switches.upsert_create_status)

    def bulk_delete(self) -> web.Response:
        self.need_editor()
        body = self.json()
        key, ids = self.key(body.get("objectKey")), body.get("ids")
        if not isinstance(ids, list) or not ids or not all(is_uuid(one) for one in ids):
            raise Refusal(400, ["each value in ids must be a UUID"])
        if self.switches.bulk_delete_max and len(ids) > self.switches.bulk_delete_max:
            raise Refusal(400, [f"ids must contain at most {self.switches.bulk_delete_max}"])
        for record_id in ids:
            row = self.org.records.peek(record_id)
            if row is not None and row.key == key and not self.switches.bulk_delete_keeps:
                self.org.delete(row, self.switches)
        return web.Response(status=204)

    def autocomplete(self) -> web.Response:
        query = self.request.query
        key = self.key(query.get("objectKey"))
        label, term = query.get("labelPath"), query.get("searchTerm", "").casefold()
        ids = [one for one in query.get("ids", "").split(",") if one]
        found = [
            self.org.records.shown(row)
            for row in self.org.records
            if row.key == key and (not ids or row.id in ids) and _mentions(row, term, label)
        ][:20]
        if self.switches.autocomplete_shape == "results":
            return answer({"total": len(found), "results": found})
        if self.switches.autocomplete_shape == "record":
            return answer(found[0] if found else {})
        return answer(found)

    # --- events, boards, groups --------------------------------------------------------------

    def create_event(self) -> web.Response:
        self.need_editor()
        body = self.json()
        wrong = [
            f"{name} must be a UUID"
            for name in ("recordId", "boardId")
            if not is_uuid(body.get(name))
        ]
        if body.get("type") not in TYPES:
            wrong.append(f"type must be one of the following values: {', '.join(TYPES)}")
        if not isinstance(body.get("json"), dict):
            wrong.append("json must be an object")
        if wrong:
            raise Refusal(400, wrong)
        row = self.record(body["recordId"])
        if self.org.kinds_of_boards().get(body["boardId"]) != row.key:
            raise Refusal(404, f'Board with ID "{body["boardId"]}" not found.')
        lag = self.switches.event_lag
        event = self.org.events.add(row, body["type"], dict(SERVICE), body["json"], lag=lag)
        return answer(event)

    def boards(self) -> web.Response:
        asked: dict[str, Any] = {}
        if self.switches.boards_read == "query":
            asked = dict(self.request.query)
        elif self.switches.boards_read == "body" and self.body:
            asked = self.json()
        key = asked.get("objectKey")
        return answer([b for b in self.org.boards if key is None or b["objectKey"] == key])

    def change_members(self, group_id: str) -> web.Response:
        self.need_editor()
        try:
            uuid.UUID(group_id)
        except ValueError:
            raise Refusal(400, "Validation failed (uuid is expected)") from None
        known = {row.id for row in self.org.records if row.key == "user"}
        counts = self.org.groups.change(
            group_id, self.json(), SERVICE["firstName"], known.__contains__, self.switches
        )
        return answer(counts)


def _mentions(row: Record, term: str, label: str | None) -> bool:
    if not term:
        return True
    texts = [row.values.get(label)] if label else list(row.values.values())
    return any(isinstance(text, str) and term in text.casefold() for text in texts)
