"""An adapter on trial: plays examples, with and without faults, and keeps what came of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from crossdock.authoring import Tool
from crossdock.testing.example import Example
from crossdock.testing.tools import AccountTools, ToolAnswer, ToolError
from crossdock.testing.workbench import Workbench

NOT_CALLED = frozenset({"internal", "bad_tool_output", "invalid_arguments", "refused"})
"""Kinds that no fault of a provider may have."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call: the API's requests, and an answer or an error."""

    requests: list[dict[str, Any]]
    answer: ToolAnswer | None = None
    error: ToolError | None = None

    @property
    def kind(self) -> str:
        """`ok`, or the kind of the error."""
        return "ok" if self.error is None else self.error.kind

    @property
    def sent(self) -> list[tuple[str, str, str]]:
        """Method, path and body of each request."""
        return [(one["method"], one["path_qs"], one["body"]) for one in self.requests]

    @property
    def seen(self) -> str:
        """All that an agent reads."""
        if self.error is not None:
            return msgspec.json.encode(self.error.error).decode()
        return msgspec.json.encode(self.answer.content if self.answer else ()).decode()


class Trial:
    """One adapter with its examples. Checks are functions of a trial that raise AssertionError."""

    def __init__(self, bench: Workbench, examples: Mapping[str, list[Example]]) -> None:
        self.bench = bench
        self.examples = examples
        settings = bench.adapter.complete(bench.given["settings"])
        bindings = bench.adapter.toolset(settings).bindings
        self.tools: dict[str, Tool] = {name: one.tool for name, one in bindings.items()}
        self._true: dict[tuple[str, int], Played] = {}

    def each(self) -> Iterator[tuple[Tool, int, Example]]:
        """Yield every example of every tool that there is, with its number."""
        for name, tool in self.tools.items():
            for number, example in enumerate(self.examples.get(name, ())):
                yield tool, number, example

    def firsts(self) -> Iterator[tuple[Tool, Example]]:
        """Yield the first example of every tool: the one that faults are tried on."""
        for tool, number, example in self.each():
            if number == 0:
                yield tool, example

    async def play(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        *faults: Mapping[str, Any],
        tools: AccountTools | None = None,
    ) -> Played:
        """Restore the sandbox, and call a tool while these faults are in force."""
        await self.bench.restore()
        token = self.bench.token_path
        anywhere = f"(?!{re.escape(token)}$).*" if token else ""
        for fault in faults:  # of the API: where tokens come from, nothing fails
            self.bench.provider.fault(**{"path": anywhere, **fault})
        return await self.called(tool, arguments, tools=tools)

    async def called(
        self, tool: Tool, arguments: Mapping[str, Any], *, tools: AccountTools | None = None
    ) -> Played:
        """Call a tool in the sandbox as it stands."""
        answer, failed = None, None
        try:
            answer = await (tools or self.bench.tools).called(tool.name, dict(arguments))
        except ToolError as error:
            failed = error
        return Played(requests=self.bench.called_api(), answer=answer, error=failed)

    async def true(self, tool: Tool, example: Example, number: int = 0) -> Played:
        """Return what comes of an example where nothing goes wrong; played once."""
        found = self._true.get((tool.name, number))
        if found is None:
            await self.play(tool, example.arguments)  # tokens are fetched, schemas compiled
            found = await self.play(tool, example.arguments)
            self._true[tool.name, number] = found
        return found


def writes(tool: Tool, request: Mapping[str, Any]) -> bool:
    """Tell whether a request of a tool may change something."""
    return tool.effect != "read" and request["method"] != "GET"


def first_write(tool: Tool, played: Played) -> int | None:
    """Return the place of the first write among a call's requests."""
    found = (n for n, request in enumerate(played.requests) if writes(tool, request))
    return next(found, None)


def refuse(problems: Iterable[str]) -> None:
    """Fail with these sentences, if there are any."""
    listed = [one for one in problems if one]
    if listed:
        raise AssertionError("\n".join(["", *listed]))
