"""A tool with what runs it, and the tools of one kind of account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from crossdock.adapter.findings import Finding
from crossdock.adapter.samples import sample_call
from crossdock.adapter.schema import compile_schema
from crossdock.authoring import Mapper, Tool
from crossdock.model import Withheld


class Binding:
    """A tool with what runs it. `schema` is what arguments have to fit, which is more than hosts
    are shown; its validator is compiled when it is first needed."""

    __slots__ = ("_validate", "aliases", "mapper", "places", "schema", "tool")

    def __init__(
        self, tool: Tool, aliases: dict[str, str], mapper: Mapper, schema: dict[str, Any]
    ) -> None:
        self.tool = tool
        self.schema = schema
        self.aliases = aliases
        self.mapper = mapper
        self.places = {argument.key: argument for argument in tool.arguments}
        self._validate: Callable[[Any], None] | None = None

    def validate(self, arguments: Any) -> None:
        """Raise InvalidArguments unless `arguments` fit the tool's schema."""
        if self._validate is None:
            tool = self.tool
            self._validate = compile_schema(
                self.schema, tool.source, lambda: sample_call(tool.name, self.schema)
            )
        self._validate(arguments)


class Toolset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The tools of an adapter for one kind of account, at one generation. Equal to itself only.

    `problems` are the errors among the findings, in words that begin with file:line.
    """

    generation: int
    bindings: Mapping[str, Binding]
    withheld: tuple[Withheld, ...]
    problems: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
