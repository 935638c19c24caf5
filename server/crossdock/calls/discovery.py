"""tool_exposure = "discovery": three tools in place of all, so that a long list fills no context.

Stands between the protocol and the calls. What can be found, read and called through it is what the
server's filters let out, and nothing is found that could not be called. It keeps nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from crossdock.adapter.schema import compile_schema
from crossdock.authoring import Effect, Endpoint, Outcome, Tool
from crossdock.errors import InvalidArguments, UnknownTool
from crossdock.model import Grant, Peer, Scope, Struct, ToolList, Tools

_MOST_SCHEMAS = 5
_MOST_FOUND = 25
_WORD = re.compile(r"[a-z0-9]+")
_WEIGHTS = {"name": 4.0, "resource": 3.0, "tags": 2.0, "arguments": 1.0, "description": 1.0}
_EFFECTS: tuple[Effect, ...] = ("read", "write", "destructive")
_HINT = (
    "this server offers its tools by discovery: find one with search_tools, read its arguments "
    "with get_tool_schema, and run it with call_tool"
)


class _Search(Struct, frozen=True, kw_only=True):
    query: str = ""
    limit: int = 10


class _Names(Struct, frozen=True, kw_only=True):
    tool_names: list[str]


class _Call(Struct, frozen=True, kw_only=True):
    tool_name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


def _tool(
    name: str, method: Literal["search", "get", "call"], description: str, schema: dict[str, Any]
) -> Tool:
    return Tool(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=description,
        adapter="crossdock",
        resource="tools",
        method=method,
        effect="read",
        tags=(),
        endpoint=Endpoint(verb="POST", path="/"),
        arguments=(),
        input_schema={"type": "object", **schema},
        idempotent=True,
        source="discovery.py",
    )


_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
SEARCH = _tool(
    "search_tools",
    "search",
    "Find tools by words: of their names, resources, tags, arguments and descriptions. "
    "Without a query, or when nothing fits, all names are given, grouped by resource.",
    {
        "properties": {
            "query": {
                "type": "string",
                "maxLength": 500,
                "description": "Words for what is to be done, as `list orders by email`.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": _MOST_FOUND,
                "default": 10,
                "description": "Most tools to return.",
            },
        }
    },
)
SCHEMA = _tool(
    "get_tool_schema",
    "get",
    "Read the description and the arguments of up to five tools, by their exact names. "
    "Do this before the first call of a tool.",
    {
        "properties": {
            "tool_names": {
                "type": "array",
                "items": _NAME,
                "minItems": 1,
                "maxItems": _MOST_SCHEMAS,
                "description": "Names that search_tools gave.",
            }
        },
        "required": ["tool_names"],
    },
)
CALL = _tool(
    "call_tool",
    "call",
    "Run a tool that search_tools found. Its arguments are those of get_tool_schema.",
    {
        "properties": {
            "tool_name": {**_NAME, "description": "The exact name of the tool."},
            "arguments": {
                "type": "object",
                "description": "The arguments of that tool, as its schema says.",
            },
        },
        "required": ["tool_name"],
    },
)
_CHECKS = {
    tool.name: compile_schema({**tool.input_schema, "additionalProperties": False}, tool.source)
    for tool in (SEARCH, SCHEMA, CALL)
}


def offered(scope: Scope, listing: ToolList) -> ToolList:
    """Return what clients are listed of a server's tools: all, or the three of discovery."""
    return listing if scope.tool_exposure == "all" else _DOORS[_strongest(listing.tools)]


class Discovery:
    """Implements `Tools` on the tools that are really there."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def list(self, grant: Grant) -> ToolList:
        """Return all tools, or the three of the discovery mode."""
        listing = self._tools.list(grant)
        return offered(grant.scope, listing)

    async def call(
        self, grant: Grant, name: str, arguments: msgspec.Raw | None, client: Peer
    ) -> Outcome:
        """Run a tool; in the discovery mode only the three have names of their own."""
        if grant.scope.tool_exposure == "all":
            return await self._tools.call(grant, name, arguments, client)
        if name not in _CHECKS:
            raise UnknownTool(f"{name[:100]} ({_HINT})")
        given = _checked(name, arguments)
        if name == CALL.name:
            # from the bytes, so that big integers reach the tool as they were written
            call = msgspec.json.decode(arguments or b"{}", type=_Call)
            try:
                return await self._tools.call(grant, call.tool_name, call.arguments, _Inner(client))
            except UnknownTool:
                raise self._unknown(grant, call.tool_name) from None
        tools = self._tools.list(grant).tools
        if name == SEARCH.name:
            return _answer(search(tools, msgspec.convert(given, _Search)))
        return _answer(_schemas(tools, msgspec.convert(given, _Names)))

    def _unknown(self, grant: Grant, name: str) -> InvalidArguments:
        near = _near(name, self._tools.list(grant).tools)
        hint = f"did you mean {' or '.join(near)}?" if near else "find one with search_tools"
        return InvalidArguments("tool_name", f"{name!r} is no tool of this server; {hint}")


class _Inner:
    """The client of a call within a call: its headers repeat the arguments of the outer one."""

    def __init__(self, client: Peer) -> None:
        self._client = client
        self.progress = client.progress
        self.log = client.log
        self.can_ask = client.can_ask
        self.ask = client.ask
        self.release = client.release
        self.afterwards = client.afterwards

    @property
    def request_id(self) -> str:
        """The id under which the call is logged."""
        return self._client.request_id

    def check_headers(
        self, headers: tuple[tuple[str, str], ...], arguments: msgspec.Raw | None
    ) -> None:
        """Nothing repeats the inner arguments."""


# --- searching -------------------------------------------------------------------------------


def search(tools: Iterable[Tool], wanted: _Search) -> dict[str, Any]:
    """Rank tools by the words they share with the query."""
    known = list(tools)
    words = [_stem(word) for word in _WORD.findall(wanted.query.lower())]
    scored = [(score, tool) for tool in known if (score := _score(tool, words)) > 0]
    if not scored:
        return {"result": [], "result_count": 0, "tools_by_resource": _by_resource(known)}
    scored.sort(key=lambda pair: -pair[0])  # stable: equal scores keep the order of the list
    found = [_short(tool) for _, tool in scored[: wanted.limit]]
    return {"result": found, "result_count": len(found), "matches": len(scored)}


def _score(tool: Tool, words: list[str]) -> float:
    places: Mapping[str, str] = {
        "name": tool.name,
        "resource": f"{tool.resource} {tool.method}",
        "tags": " ".join(tool.tags),
        "arguments": " ".join(tool.input_schema.get("properties", {})),
        "description": tool.description,
    }
    score = 0.0
    for place, text in places.items():
        there = {_stem(word) for word in _WORD.findall(text.lower())}
        score += _WEIGHTS[place] * len(there.intersection(words))
    return score


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word


def _short(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "resource": tool.resource,
        "effect": tool.effect,
        "tags": tool.tags,
        "required": tool.input_schema.get("required", []),
    }


def _by_resource(tools: Iterable[Tool]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for tool in tools:
        grouped.setdefault(tool.resource, []).append(tool.name)
    return grouped


def _schemas(tools: Iterable[Tool], wanted: _Names) -> dict[str, Any]:
    known = {tool.name: tool for tool in tools}
    found = [known[name] for name in dict.fromkeys(wanted.tool_names) if name in known]
    unknown = [
        {"name": name, "did_you_mean": _near(name, known.values())}
        for name in dict.fromkeys(wanted.tool_names)
        if name not in known
    ]
    shown = [
        {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "effect": tool.effect,
            "inputSchema": tool.input_schema,
        }
        for tool in found
    ]
    return {"tools": shown, "unknown": unknown} if unknown else {"tools": shown}


def _near(name: str, tools: Iterable[Tool]) -> list[str]:
    return difflib.get_close_matches(name, [tool.name for tool in tools], 3, 0.5)


# --- arguments and answers -------------------------------------------------------------------


def _checked(name: str, arguments: msgspec.Raw | None) -> Any:
    try:
        given = msgspec.json.decode(arguments) if arguments is not None else {}
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArguments("", f"the arguments are no JSON: {error}") from None
    _CHECKS[name](given)
    return given


def _answer(value: dict[str, Any]) -> Outcome:
    return Outcome(data=msgspec.json.encode(value))


def _strongest(tools: Iterable[Tool]) -> Effect:
    return max((tool.effect for tool in tools), key=_EFFECTS.index, default="read")


def _listing(effect: Effect) -> ToolList:
    # what call_tool may do is the most that any of its tools may do
    call = msgspec.structs.replace(CALL, effect=effect, idempotent=effect == "read")
    return ToolList(tools=(SEARCH, SCHEMA, call), rendered={})


_DOORS = {effect: _listing(effect) for effect in _EFFECTS}
