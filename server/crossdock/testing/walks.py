"""Promises about lists: every record once and in one order, at any limit, on no page too many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from crossdock.authoring import Tool
from crossdock.testing.example import Example
from crossdock.testing.tools import ToolError
from crossdock.testing.trial import Trial, refuse

_LIMITS = (1, 2, 7, 13)


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """One list, followed to its end at one limit."""

    tool: Tool
    example: Example
    limit: int
    pages: list[list[Any]]

    @property
    def records(self) -> list[bytes]:
        """All records, encoded."""
        return [msgspec.json.encode(one) for page in self.pages for one in page]


async def _walks(trial: Trial) -> AsyncIterator[Walk]:
    for tool, number, example in trial.each():
        if not tool.lists:
            continue
        await trial.true(tool, example, number)
        await trial.bench.restore()  # once: a seed may be new each time
        for limit in sorted({*_LIMITS, tool.paging.limit.max}):
            if limit <= tool.paging.limit.max:
                given = {**example.arguments, "limit": limit, "fields": ["*"]}
                try:
                    pages = await trial.bench.tools.walked(tool.name, given)
                except ToolError as error:
                    raise AssertionError(f"{tool.name}, limit {limit}: {error}") from None
                yield Walk(tool=tool, example=example, limit=limit, pages=pages)


async def a_list_gives_every_record_once(trial: Trial) -> None:
    problems = []
    async for walk in _walks(trial):
        place, records = f"{walk.tool.name}, limit {walk.limit}", walk.records
        if len(set(records)) != len(records):
            problems.append(f"{place}: {len(records) - len(set(records))} records come twice")
        if walk.example.records is not None and len(set(records)) != walk.example.records:
            problems.append(f"{place}: {len(set(records))} records, not {walk.example.records}")
    refuse(problems)


async def a_list_has_one_order_at_any_limit(trial: Trial) -> None:
    problems = []
    first: dict[tuple[str, bytes], list[bytes]] = {}
    async for walk in _walks(trial):
        key = walk.tool.name, msgspec.json.encode(walk.example.arguments)
        if first.setdefault(key, walk.records) != walk.records:
            problems.append(f"{walk.tool.name}: limit {walk.limit} gives other records or order")
    refuse(problems)


async def no_page_is_longer_than_its_limit(trial: Trial) -> None:
    problems = []
    async for walk in _walks(trial):
        longest = max(map(len, walk.pages))
        if longest > walk.limit:
            problems.append(f"{walk.tool.name}: {longest} records with limit {walk.limit}")
    refuse(problems)


async def the_example_of_a_list_says_how_many_there_are(trial: Trial) -> None:
    refuse(
        f"{tool.name}: say in its example how many `records` there are, or nobody would miss one"
        for tool, example in trial.firsts()
        if tool.lists and example.records is None
    )
