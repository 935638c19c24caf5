"""One admin route: who may, what comes in, what goes out. The one place that asks for the role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

from crossdock.access.gate import Caller
from crossdock.control import Control, field_error, invalid
from crossdock.errors import Refused, Rejected, StoreError
from crossdock.model import Role, Struct
from crossdock.web import app_keys
from crossdock.web.admission import admit_caller
from crossdock.web.body import body_of
from crossdock.web.guards import Handler
from crossdock.web.replies import JSON

control_key: web.AppKey[Control] = web.AppKey("control", Control)
RANK: dict[Role, int] = {"client": 0, "viewer": 1, "operator": 2, "owner": 3}
PAGING = ("limit", "cursor")
MOST = 200
_PAGE = 50


class AdminRequest(Struct, frozen=True, kw_only=True):
    """An admin request that may be answered: who asks, and the decoded body."""

    request: web.Request
    control: Control
    caller: Caller
    body: Any

    @property
    def id(self) -> str:
        """The id in the path."""
        return self.request.match_info["id"]

    @property
    def server_id(self) -> str:
        """The server's id in the path."""
        return self.request.match_info["server_id"]

    @property
    def origin(self) -> str:
        """The origin for URLs that are handed out."""
        return self.request.app[app_keys.origins].public_url(self.request)

    def page(self) -> tuple[int, str | None]:
        """Return `limit` and `cursor` of a list. Raises Rejected (422)."""
        text = self.request.query.get("limit", str(_PAGE))
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
            raise invalid("limit", f"must be 1 to {MOST}")
        return int(text), self.request.query.get("cursor")


class Route(Struct, frozen=True, kw_only=True):
    """A line of the table. `may_be_empty` says that no body at all means all defaults."""

    verb: Literal["GET", "POST", "PATCH", "DELETE"]
    paths: tuple[str, ...]
    role: Role
    action: str
    about: str
    handler: Callable[[AdminRequest], Awaitable[Any]]
    answer: Any = None
    status: int = 200
    body: type[Struct] | None = None
    may_be_empty: bool = False
    query: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()


def guarded(route: Route) -> Handler:
    """Return the handler of a route: role, query, body, verb, answer, in this order."""

    async def handle(request: web.Request) -> web.Response:
        control = request.app[control_key]
        caller = admit_caller(request)
        try:
            asked = await _asked(route, request, control, caller)
            await control.catch_up()
            answer = await route.handler(asked)
        except StoreError as error:
            raise _unavailable(error) from error
        except Refused as refused:
            if route.verb != "GET":
                control.note_refused(caller, route.action, refused)
            raise
        if answer is None:
            return web.Response(status=route.status)
        return web.Response(
            body=msgspec.json.encode(answer),
            status=route.status,
            headers={"Cache-Control": "no-store"},
            content_type=JSON,
        )

    return handle


async def _asked(
    route: Route, request: web.Request, control: Control, caller: Caller
) -> AdminRequest:
    if RANK[caller.role] < RANK[route.role]:
        control.refuse_role(caller, route.action, route.role)
    for name in request.query:
        if name not in route.query:
            raise invalid(name[:100], "is unknown")
        if len(request.query.getall(name)) > 1:
            raise invalid(name, "is given more than once")
    body = None if route.body is None else await _body(request, route)
    return AdminRequest(request=request, control=control, caller=caller, body=body)


async def _body(request: web.Request, route: Route) -> Any:
    if route.may_be_empty and not request.can_read_body:
        assert route.body is not None
        return route.body()
    text = await body_of(request, request.app[app_keys.settings].limits.admin_body_bytes)
    try:
        return msgspec.json.decode(text, type=route.body)
    except msgspec.ValidationError as error:
        raise field_error(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Rejected(400, "malformed_json", "The body is not valid JSON.") from None


def _unavailable(error: StoreError) -> Rejected:
    full = getattr(error, "reason", "") == "full"
    return Rejected(507 if full else 503, "storage_unavailable", str(error))
