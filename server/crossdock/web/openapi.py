"""The admin API as OpenAPI 3.1, made of the table of routes and the Structs: it cannot drift.

Served without a token, since it holds nothing but what the public documentation says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from crossdock import __version__
from crossdock.control.responses import AdminError
from crossdock.web.admin.routes import MOST, RANK, Route
from crossdock.web.replies import JSON

document_key: web.AppKey[Callable[[], bytes]] = web.AppKey("openapi")
"""Returns the document, which is made when somebody first asks for it."""

_ERRORS = {
    400: "The body is no JSON, or no documented tool would survive the filters.",
    401: "No valid API token.",
    403: "The token's role does not allow this.",
    404: "There is no such record.",
    408: "The body did not arrive in time.",
    409: "The state of the record does not allow this; the message says what to do.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "A field is wrong; details.field names it.",
    429: "Too many wrong API tokens came from this address; Retry-After says how long to wait.",
    503: "The store cannot be used now.",
    507: "The store's disk is full.",
}
_QUERY: Mapping[str, tuple[str, dict[str, Any]]] = {
    "limit": ("Most records to return.", {"type": "integer", "minimum": 1, "maximum": MOST}),
    "cursor": ("next_cursor of the previous answer.", {"type": "string"}),
    "cascade": ("Whether to revoke the account's MCP servers with it.", {"type": "boolean"}),
    "methods": ("Comma-separated, as in a server's config.", {"type": "string"}),
    "tags": ("Comma-separated, as in a server's config.", {"type": "string"}),
}


async def openapi(request: web.Request) -> web.Response:
    """GET /openapi.json."""
    return web.Response(body=request.app[document_key](), content_type=JSON)


def document(routes: Iterable[Route]) -> bytes:
    """Return the document."""
    table = list(routes)
    kinds = [AdminError, *(r.body for r in table if r.body), *(r.answer for r in table if r.answer)]
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    named = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        for number, path in enumerate(route.paths):
            operation = _operation(route, path, named)
            operation["operationId"] = route.action + ("-alias" if number else "")
            paths.setdefault(path, {})[route.verb.lower()] = operation
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "crossdock admin API",
                "version": __version__,
                "description": "Integrated accounts, MCP servers and API tokens of a gateway.",
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": f"An API token. Roles: {', '.join(reversed(RANK))}.",
                    }
                },
            },
        }
    )


def _operation(route: Route, path: str, named: Mapping[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if route.answer:
        success["content"] = {JSON: {"schema": named[repr(route.answer)]}}
    operation: dict[str, Any] = {
        "summary": route.about,
        "description": f"Needs the role {route.role}.",
        "tags": [route.action.partition(".")[0]],
        "parameters": [*_path_parameters(path), *map(_query_parameter, route.query)],
        "responses": {
            str(route.status): success,
            **{str(status): _error(status, named) for status in _statuses(route, path)},
        },
    }
    if route.body:
        operation["requestBody"] = {
            "required": not route.may_be_empty,
            "content": {JSON: {"schema": named[repr(route.body)]}},
        }
    return operation


def _statuses(route: Route, path: str) -> list[int]:
    found = {401, 403, 422, 429, 503, *route.errors}
    if "{" in path:
        found.add(404)
    if route.body:
        found |= {400, 408, 413, 415}
    if route.verb != "GET":
        found.add(507)
    return sorted(found)


def _error(status: int, named: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": _ERRORS[status],
        "content": {JSON: {"schema": named[repr(AdminError)]}},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameter(name: str) -> dict[str, Any]:
    about, schema = _QUERY[name]
    return {"name": name, "in": "query", "description": about, "schema": schema}
