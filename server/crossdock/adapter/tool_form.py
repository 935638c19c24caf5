"""Entry + endpoint → the tool that clients are shown, with the arguments that we add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.adapter.declaration import Declaration
from crossdock.adapter.docs import Entry
from crossdock.adapter.hosts import shown
from crossdock.adapter.manifest import Method, placeholders
from crossdock.adapter.naming import tool_title
from crossdock.adapter.schema import input_schema, mirrored
from crossdock.authoring import Argument, Tool, Where

_VIEW_SHOWN = 8  # names of a view that a tool's text holds


def tool_of(entry: Entry, method: Method, head: Declaration) -> tuple[Tool, dict[str, Any]]:
    """Return a tool, and the schema that its arguments have to fit."""
    arguments = entry.arguments
    if entry.schema is not None:
        arguments = _whole_arguments(entry.schema, method)
    if method.lists:
        arguments += _paging_arguments(method)
    whole = method.endpoint.receive.as_ == "json"  # of bytes nothing can be left out
    if entry.schema is None and (method.lists or (method.method == "get" and whole)):
        arguments += (_fields_argument(method),)
    schema = entry.schema or input_schema(arguments, entry.defs)
    title = head.at("title") or ""
    tool = Tool(
        name=method.tool,
        title=tool_title(title, method.resource, method.method, method.singular),
        description=entry.description,
        adapter=head.adapter,
        resource=method.resource,
        method=method.method,
        effect=method.effect,
        tags=method.tags,
        endpoint=method.endpoint,
        arguments=arguments,
        input_schema=entry.schema or shown(schema),
        idempotent=method.idempotent,
        source=entry.source,
        paging=method.paging,
        partial=(head.at("failures") or {}).get("partial", ""),
        confirm=method.confirm,
        headers=mirrored(schema),
        object=method.object,
        lists=method.lists,
        view=method.view,
        hosts=tuple(head.at("hosts") or ()),
    )
    return tool, schema


def _whole_arguments(schema: Mapping[str, Any], method: Method) -> tuple[Argument, ...]:
    """Place the properties of a whole schema by the endpoint that they are for."""
    wanted = placeholders(method.endpoint)
    elsewhere: Where = "query" if method.endpoint.verb in ("GET", "DELETE") else "body"
    required = schema.get("required", ())
    return tuple(
        Argument(
            key=key,
            where="path" if key in wanted else elsewhere,
            name=key,
            schema=part if isinstance(part, dict) else {},
            required=key in required,
        )
        for key, part in schema.get("properties", {}).items()
    )


def _paging_arguments(method: Method) -> tuple[Argument, Argument]:
    limits = method.paging.limit
    return (
        Argument(
            key="limit",
            where="limit",
            name="limit",
            schema={
                "type": "integer",
                "minimum": 1,
                "maximum": limits.max,
                "default": limits.default,
                "description": "Most records to return.",
            },
        ),
        Argument(
            key="next_cursor",
            where="cursor",
            name="next_cursor",
            schema={
                "type": "string",
                "description": "Of the previous answer, unchanged.",
            },
        ),
    )


def _fields_argument(method: Method) -> Argument:
    about = "Dotted paths to show."
    if method.view:
        more = len(method.view) - _VIEW_SHOWN
        default = ", ".join(method.view[:_VIEW_SHOWN]) + (f" and {more} more" if more > 0 else "")
        about = f'Dotted paths to show, ["*"] for all. Default: {default}.'
    schema = {"type": "array", "items": {"type": "string"}, "description": about}
    return Argument(key="fields", where="fields", name="fields", schema=schema)
