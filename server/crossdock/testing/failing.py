"""Promises about failures: whatever a provider does, the kind is right, and it is no success."""

from __future__ import annotations

import asyncio
from typing import Any

from crossdock.authoring import Tool
from crossdock.testing.example import Example
from crossdock.testing.trial import NOT_CALLED, Played, Trial, first_write, refuse
from crossdock.testing.workbench import SHORT

WAIT = 37
_DENIES = frozenset(
    {"not_found", "forbidden", "unauthenticated", "upstream_rejected", "rate_limited"}
)
_IN_DOUBT = frozenset({"write_outcome_unknown", "write_not_verified"})


async def refused_with(trial: Trial, status: int, kind: str) -> None:
    """Let every request of every tool be refused in turn."""
    kind = trial.bench.adapter.manifest.failures.status.get(str(status), kind)
    fault = {"kind": "status", "status": status}
    await _each_request(trial, fault, kind, answered=400 <= status < 500)


async def limited(trial: Trial) -> None:
    problems = []
    for tool, example in trial.firsts():
        true = await trial.true(tool, example)
        if not true.requests:
            continue
        played = await trial.play(
            tool, example.arguments, {"kind": "rate_limited", "seconds": WAIT}
        )
        told = played.error.error.get("retry_after_seconds") if played.error else None
        if played.kind != "rate_limited":
            problems.append(f"{tool.name}: a 429 is {played.kind}")
        elif len(played.requests) != 1:
            problems.append(f"{tool.name}: {len(played.requests)} requests for one 429; send once")
        elif told != WAIT:
            problems.append(f"{tool.name}: it says to wait {told} s where {WAIT} were told")
    refuse(problems)


async def spoiled(trial: Trial, fault: dict[str, Any], kind: str) -> None:
    """Let every answer of every tool be spoiled in turn; a write was carried out all the same."""
    await _each_request(trial, {**fault, "commit": True}, kind, answered=False)


async def dropped(trial: Trial) -> None:
    await _each_request(trial, {"kind": "drop"}, "upstream_unreachable", answered=False)


async def slow(trial: Trial) -> None:
    async with trial.bench.serving(SHORT) as impatient:
        cases = [(tool, one, await trial.true(tool, one)) for tool, one in trial.firsts()]
        await trial.bench.restore()
        for tool, _, _ in cases:  # tokens and schemas are got while nothing is slow
            if tool.effect == "read":
                await trial.called(
                    tool, trial.examples[tool.name][0].arguments, tools=impatient.tools
                )
        await trial.bench.restore()
        trial.bench.provider.fault("slow", seconds=600)
        found = await asyncio.gather(
            *(trial.called(tool, one.arguments, tools=impatient.tools) for tool, one, _ in cases)
        )
    refuse(
        _judged(tool, true, 0, played, "upstream_timeout", answered=False)
        for (tool, _, true), played in zip(cases, found, strict=True)
        if true.requests
    )


async def _each_request(trial: Trial, fault: dict[str, Any], kind: str, *, answered: bool) -> None:
    problems = []
    for tool, example in trial.firsts():
        true = await trial.true(tool, example)
        if _looks_whole(tool, fault):
            continue
        for place in range(len(true.requests)):
            played = await _failing_at(trial, tool, example, fault, place)
            why = _judged(tool, true, place, played, kind, answered=answered)
            problems.append(why and f"{why} [{fault['kind']} at request {place + 1}]")
    refuse(problems)


def _looks_whole(tool: Tool, fault: dict[str, Any]) -> bool:
    """Half a text is a text, and half a file may be one: nobody could tell."""
    cut = {"binary": ("truncated",), "text": ("truncated", "html"), "auto": ("truncated", "html")}
    return fault["kind"] in cut.get(tool.endpoint.receive.as_, ())


async def _failing_at(
    trial: Trial, tool: Tool, example: Example, fault: dict[str, Any], place: int
) -> Played:
    # A credential that is refused may be renewed and the request sent again, so it stays refused.
    return await trial.play(tool, example.arguments, {**fault, "skip": place})


def _judged(
    tool: Tool, true: Played, place: int, played: Played, kind: str, *, answered: bool
) -> str:
    """Say what is wrong with the outcome of a call whose request at `place` failed.

    `answered` means that the provider refused it, so that nothing was written by it.
    """
    name, got = tool.name, played.kind
    write = first_write(tool, true)
    named = answered and kind in ("not_found", "upstream_rejected")
    if got == "invalid_arguments" and named and (write is None or place <= write):
        return ""  # an argument names what the provider does not know
    if got in NOT_CALLED:
        return f"{name}: {got}, where the provider failed: {played.error}"
    if write is not None and place > write:
        denies = got in _DENIES
        return f"{name}: {got} after its write was accepted; nobody looks for it" if denies else ""
    at_write = write == place
    if got == "ok":
        told = played.answer is not None and bool(played.answer.notes)
        goes_on = place > 0 and told
        read_back = at_write and not answered and len(played.requests) > place + 1
        empty = kind == "upstream_malformed" and at_write
        return "" if goes_on or read_back or empty else f"{name}: a success, where it is {kind}"
    allowed = {kind, "conflict"} if answered else {kind}
    if at_write and not answered:
        allowed |= _IN_DOUBT
    return "" if got in allowed else f"{name}: {got}, where it is {kind}: {played.error}"
