"""What a page tells of a tool, whatever it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.adapter.binding import Binding
from crossdock.adapter.samples import resolved, sample_call, types_of
from crossdock.authoring import Argument, Tool

_EFFECTS = {
    "read": "Reads. Nothing changes.",
    "write": "Writes. It is sent once, and never repeated.",
    "destructive": "Destroys. It is sent once, and never repeated.",
}
_FAILURES = {
    "unauthenticated": "the account's credentials are refused",
    "forbidden": "they are not enough for this, or a person said no",
    "rate_limited": "too many requests; the answer says how long to wait",
    "upstream_error": "the provider has trouble of its own",
    "upstream_timeout": "no answer came in time",
}
_IDS = {"not_found": "the provider knows no such record"}
_WRITES = {
    "upstream_rejected": "the provider refuses the values, in its own words",
    "write_outcome_unknown": "it was sent, and nobody can say whether it was carried out",
}


class ToolParameter(msgspec.Struct, frozen=True, kw_only=True):
    """An argument as people read it. `sent` is where its value goes."""

    name: str
    type: str
    required: bool
    sent: str
    about: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a page tells of one tool."""

    name: str
    title: str
    prose: str
    effect: str
    tags: tuple[str, ...]
    endpoint: str
    parameters: tuple[ToolParameter, ...]
    example: str
    failures: tuple[tuple[str, str], ...]


def facts_of(binding: Binding, example: str, statuses: Mapping[str, str]) -> Facts:
    """Return what there is to tell of a tool. `statuses` are the adapter's own kinds of failure,
    `example` the arguments of its page, "" to make some up."""
    tool = binding.tool
    defs = binding.schema.get("$defs", {})
    made = sample_call(tool.name, binding.schema).partition(" ")[2]
    return Facts(
        name=tool.name,
        title=tool.title,
        prose=tool.description,
        effect=_EFFECTS[tool.effect],
        tags=tool.tags,
        endpoint=_endpoint(tool),
        parameters=tuple(_parameter(one, defs, binding.aliases) for one in tool.arguments),
        example=_pretty(example or made),
        failures=_failures(tool, statuses),
    )


def _endpoint(tool: Tool) -> str:
    endpoint = tool.endpoint
    host = f"{endpoint.host}:" if endpoint.host else ""
    query = "&".join(f"{name}={value}" for name, value in endpoint.query)
    return f"{endpoint.verb} {host}{endpoint.path}{f'?{query}' if query else ''}"


def _parameter(
    argument: Argument, defs: Mapping[str, Any], aliases: Mapping[str, str]
) -> ToolParameter:
    schema = resolved(argument.schema, defs)
    also = [alias for alias, key in aliases.items() if key == argument.key]
    about = [str(schema.get("description", ""))]
    if options := schema.get("enum"):
        about.append(f"One of {', '.join(map(str, options))}.")
    if also:
        about.append(f"Also: {', '.join(also)}.")
    own = argument.where in ("limit", "cursor", "fields")
    return ToolParameter(
        name=argument.key,
        type=" or ".join(types_of(schema)) or ("enum" if "enum" in schema else "any"),
        required=argument.required,
        sent="" if own or argument.where == "mapper" else f"{argument.where} `{argument.name}`",
        about=" ".join(part for part in about if part),
    )


def _pretty(text: str) -> str:
    try:
        return msgspec.json.format(text.encode(), indent=2).decode()
    except msgspec.DecodeError:
        return text


def _failures(tool: Tool, statuses: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    found = dict(_FAILURES)
    if any(argument.where == "path" for argument in tool.arguments):
        found |= _IDS
    if tool.effect != "read":
        found |= _WRITES
    for status, kind in statuses.items():
        found[kind] = f"{found.get(kind, 'the provider says so')}; also by status {status}"
    return tuple(sorted(found.items()))
