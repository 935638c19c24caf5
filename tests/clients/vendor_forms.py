"""Build three vendors' forms of MCP tools with their own libraries; no request is made.

Reads `tools/list`'s tools as JSON from stdin. Writes one object per tool: its name, what each
vendor's library said against it, and OpenAI's strict schema, in which every argument is required.
"""

from __future__ import annotations

import copy
import json
import sys
from types import SimpleNamespace
from typing import Any

from anthropic.types import ToolParam
from google.genai import _mcp_utils
from openai.lib import _pydantic as strictly
from openai.types.shared_params import FunctionDefinition
from pydantic import TypeAdapter


def gemini(tool: dict[str, Any]) -> None:
    """As google-genai does when it is given an MCP session."""
    given = SimpleNamespace(
        name=tool["name"],
        description=tool["description"],
        inputSchema=copy.deepcopy(tool["inputSchema"]),
    )
    made = _mcp_utils.mcp_to_gemini_tool(given)
    (declared,) = made.function_declarations
    properties = tool["inputSchema"].get("properties", {})
    assert set(declared.parameters.properties or {}) == set(properties), "arguments were lost"
    for schema in _inner(declared.parameters):
        assert schema.type or schema.any_of, f"a part without a type: {schema.description}"
        assert schema.items or "ARRAY" not in str(schema.type), "an array without items"


def _inner(schema: Any) -> Any:
    for part in (
        *(schema.properties or {}).values(),
        *(schema.any_of or ()),
        *([schema.items] if schema.items else []),
    ):
        yield part
        yield from _inner(part)


def openai(tool: dict[str, Any]) -> dict[str, Any]:
    """As the strict mode of function calling: closed objects, every argument required."""
    schema = copy.deepcopy(tool["inputSchema"])
    optional = set(schema.get("properties", {})) - set(schema.get("required", ()))
    for name in optional:
        part = schema["properties"][name]
        bare = {key: part.pop(key) for key in list(part) if key != "description"}
        part["anyOf"] = [bare, {"type": "null"}]
    strict = strictly._ensure_strict_json_schema(schema, path=(), root=schema)
    function = {"name": tool["name"], "description": tool["description"], "strict": True}
    TypeAdapter(FunctionDefinition).validate_python({**function, "parameters": strict})
    assert set(strict["required"]) == set(strict.get("properties", {}))
    return strict


def anthropic(tool: dict[str, Any]) -> None:
    """As a custom tool of the Messages API."""
    given = {"name": tool["name"], "description": tool["description"]}
    TypeAdapter(ToolParam).validate_python({**given, "input_schema": tool["inputSchema"]})
    for word in ("anyOf", "oneOf", "allOf"):
        assert word not in tool["inputSchema"], f"{word} at the top level"


def main() -> None:
    """Judge every tool; a failure is an answer, never a crash."""
    for tool in json.load(sys.stdin):
        said: dict[str, str] = {}
        strict: dict[str, Any] = {}
        for vendor in (gemini, openai, anthropic):
            try:
                strict = vendor(tool) or strict
            except Exception as error:
                said[vendor.__name__] = f"{type(error).__name__}: {error}"
        print(json.dumps({"name": tool["name"], "said": said, "strict": strict}))


main()
