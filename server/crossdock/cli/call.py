"""`crossdock call`: one tools/call from the shell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from crossdock.cli.options import UsageError, expanded, headers_of, mcp_url
from crossdock.cli.output import Json, print_json

_SHOW_REQUEST, _SENT_KEY = "X-Crossdock-Show-Request", "crossdock/requests"


def call(
    url: Annotated[
        str, Parameter(help="The MCP URL; '${NAME}' in it is read from the environment.")
    ],
    tool: str,
    *arguments: str,
    header: Annotated[
        list[str] | None,
        Parameter(
            help="A further header, as 'X-Api-Token: ${TOKEN}'; ${…} is read from the environment.",
            negative="",
        ),
    ] = None,
    show_request: Annotated[
        bool,
        Parameter(
            help="Print each request that the call sends, on stderr: from this machine, or with an "
            "owner's token.",
            negative="",
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Call one tool of an MCP URL. Values are read as the tool's schema says; objects as JSON.

    Exits 1 when the tool says no. Example:
    `crossdock call '${CROSSDOCK_URL}' list_all_malomo_orders limit=5`
    """
    target = mcp_url(expanded(url, "the URL"))
    headers = headers_of(header)
    if show_request:
        headers[_SHOW_REQUEST] = "1"
    return asyncio.run(_call(target, tool, arguments, headers, json))


def _arguments(pairs: tuple[str, ...], schema: dict[str, Any]) -> dict[str, Any]:
    known = schema.get("properties", {})
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{pair!r} is no argument; write NAME=VALUE")
        found[name] = text if known.get(name, {}).get("type") == "string" else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


async def _call(
    url: str, tool: str, pairs: tuple[str, ...], headers: dict[str, str], as_json: bool
) -> int:
    from crossdock.client.http import Client

    async with Client(url, headers) as client:
        listed = await client.result("tools/list", {})
        schemas = {one["name"]: one["inputSchema"] for one in listed["tools"]}
        arguments = _arguments(pairs, schemas.get(tool, {}))
        result = await client.result("tools/call", {"name": tool, "arguments": arguments})
    _print_requests(result.get("_meta", {}).pop(_SENT_KEY, ()))
    if as_json:
        print_json(result)
    else:
        stream = sys.stderr if result.get("isError") else sys.stdout
        for block in result["content"]:
            print(_pretty(block.get("text", "")), file=stream)
    return int(bool(result.get("isError")))


def _print_requests(sent: Sequence[Mapping[str, Any]]) -> None:
    for one in sent:
        print(f"{one['verb']} {one['url']}", file=sys.stderr)
        for name, value in one["headers"].items():
            print(f"{name}: {value}", file=sys.stderr)
        if one["body"]:
            print(f"\n{_pretty(one['body'])}", file=sys.stderr)
        print(f"→ {one['status'] or 'no answer'} in {one['ms']} ms\n", file=sys.stderr)


def _pretty(text: str) -> str:
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        return text
