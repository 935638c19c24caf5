"""Promises about what a tool is: its example, what that sends, and what it answers."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from crossdock.testing.example import Example, is_part
from crossdock.testing.tools import ToolAnswer
from crossdock.testing.trial import Played, Trial, refuse


async def check_is_clean(trial: Trial) -> None:
    folder = trial.bench.folder
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", "check", str(folder)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        refuse([said.decode(errors="replace")])


async def every_tool_has_an_example(trial: Trial) -> None:
    missing = [f"{name} has no example" for name in trial.tools if not trial.examples.get(name)]
    strange = [f"[{name}] is no tool" for name in trial.examples if name not in trial.tools]
    refuse(missing + strange)


async def every_example_sends_exactly_this(trial: Trial) -> None:
    problems = []
    for tool, number, example in trial.each():
        if example.sends is not None:
            played = await trial.true(tool, example, number)
            problems += [f"{tool.name}: {why}" for why in _differences(example, played)]
    refuse(problems)


def _differences(example: Example, played: Played) -> list[str]:
    expected = example.requests()
    found = [
        why
        for one, got in zip(expected, played.requests, strict=False)
        if (why := one.differs(got))
    ]
    if len(expected) != len(played.requests):
        sent = [f"{method} {path}" for method, path, _ in played.sent]
        found.append(f"it sends {len(sent)} requests, not {len(expected)}: {sent}")
    return found


async def every_example_is_answered(trial: Trial) -> None:
    problems = []
    for tool, number, example in trial.each():
        played = await trial.true(tool, example, number)
        if played.answer is None:
            problems.append(f"{tool.name}: {played.error}")
        elif example.answer is not msgspec.UNSET and not _answers(example.answer, played.answer):
            problems.append(f"{tool.name}: it answers {played.seen}, not {example.answer}")
    refuse(problems)


def _answers(expected: Any, answer: ToolAnswer) -> bool:
    listed = answer.data.get("result") if isinstance(answer.data, dict) else None
    return any(is_part(expected, one) for one in (answer.data, listed, *answer.content))


async def what_removes_is_destructive(trial: Trial) -> None:
    problems = []
    for tool, number, example in trial.each():
        methods = [one["method"] for one in (await trial.true(tool, example, number)).requests]
        wrong = {"read": ("PUT", "PATCH", "DELETE"), "write": ("DELETE",)}.get(tool.effect, ())
        problems += [
            f"{tool.name} is {tool.effect}, and sends a {m}" for m in methods if m in wrong
        ]
    refuse(problems)


async def a_read_changes_nothing(trial: Trial) -> None:
    lists = [(tool, one) for tool, one in trial.firsts() if tool.lists]
    reads = [(tool, one) for tool, one in trial.firsts() if tool.effect == "read"]
    await trial.bench.restore()
    before = await _shown(trial, lists)
    again = await _shown(trial, lists)
    stable = [name for name in before if before[name] == again[name]]
    problems = []
    for tool, example in reads:
        await trial.called(tool, example.arguments)
        after = await _shown(trial, lists)
        changed = [name for name in stable if after[name] != before[name]]
        problems += [f"{tool.name} reads, and after it {name} differs" for name in changed]
        before = after
    refuse(problems)


async def _shown(trial: Trial, lists: list[tuple[Any, Example]]) -> dict[str, bytes]:
    found = {}
    for tool, example in lists:
        pages = await trial.bench.tools.walked(tool.name, {**example.arguments, "fields": ["*"]})
        found[tool.name] = msgspec.json.encode([one for page in pages for one in page])
    return found
