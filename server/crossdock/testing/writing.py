"""Promises about writes: sent once, in doubt when nobody knows, and the rest of a record kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from crossdock.authoring import Tool
from crossdock.testing.example import Example
from crossdock.testing.trial import Played, Trial, first_write, refuse

_UNSENT = {"kind": "drop", "times": 1}
_ABSENT = "nothing"


async def _writes(trial: Trial) -> AsyncIterator[tuple[Tool, Example, Played, int]]:
    for tool, example in trial.firsts():
        if tool.effect != "read":
            true = await trial.true(tool, example)
            place = first_write(tool, true)
            if place is not None:
                yield tool, example, true, place


async def no_write_is_sent_twice(trial: Trial) -> None:
    problems = []
    faults: list[dict[str, Any]] = [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503, "commit": True},
        {"kind": "rate_limited"},
        {"kind": "html"},
        {"kind": "drop"},
        {"kind": "drop", "commit": True},
    ]
    async for tool, example, true, place in _writes(trial):
        written = true.sent[place][:2]
        once = sum(one[:2] == written for one in true.sent)
        for fault in faults:
            played = await trial.play(tool, example.arguments, {**fault, "skip": place, "times": 1})
            times = sum(one[:2] == written for one in played.sent)
            if times > once:
                problems.append(f"{tool.name}: {' '.join(written)} {times} times [{fault['kind']}]")
    refuse(problems)


async def a_write_that_may_have_happened_is_in_doubt(trial: Trial) -> None:
    problems = []
    async for tool, example, _, place in _writes(trial):
        for done in (True, False):
            fault = {**_UNSENT, "skip": place, "commit": done}
            played = await trial.play(tool, example.arguments, fault)
            looked = len(played.requests) > place + 1
            allowed = {"write_outcome_unknown"}
            if looked:
                allowed |= {"ok"} if done else {"write_not_verified", "conflict"}
            if played.kind not in allowed:
                state = "carried out" if done else "lost"
                problems.append(
                    f"{tool.name}: {played.kind}, where the write was {state} and never answered"
                )
    refuse(problems)


async def a_read_back_finds_a_lie(trial: Trial) -> None:
    problems = []
    async for tool, example, true, place in _writes(trial):
        if not any(one["method"] == "GET" for one in true.requests[place + 1 :]):
            continue  # it promises no read-back
        lie = {"kind": "lie", "method": true.requests[place]["method"], "skip": 0}
        played = await trial.play(tool, example.arguments, lie)
        if played.kind == "ok" and not (played.answer and played.answer.notes):
            problems.append(f"{tool.name}: a success, where the provider only said so")
    refuse(problems)


async def guards_keep_the_rest(trial: Trial) -> None:
    problems = []
    for tool, number, example in trial.each():
        if not example.keeps:
            continue
        true = await trial.true(tool, example, number)
        place = first_write(tool, true)
        if place is None:
            problems.append(f"{tool.name}: `keeps`, and it writes nothing")
            continue
        sent = _record_read(true.requests, place)
        await trial.bench.restore()
        before = await _record(trial, sent)
        await trial.called(tool, example.arguments)
        after = await _record(trial, sent)
        for pointer in example.keeps:
            was, now = _at(before, pointer), _at(after, pointer)
            if was == _ABSENT or was != now:
                problems.append(f"{tool.name}: {pointer} was {was}, and is {now}")
    refuse(problems)


def _record_read(requests: Sequence[dict[str, Any]], place: int) -> dict[str, Any]:
    """Return the request whose path is the changed record's: the write's own, or that of a read
    before it, if the write went to a part of it, as POST /gates/g7/shut."""
    write: dict[str, Any] = requests[place]
    target = _path(write)
    above = [
        one
        for one in requests[:place]
        if one["method"] == "GET" and target.startswith(f"{_path(one)}/")
    ]
    return above[-1] if above else write


def _path(request: dict[str, Any]) -> str:
    path: str = request["path_qs"]
    return path.partition("?")[0]


async def _record(trial: Trial, sent: dict[str, Any]) -> Any:
    path = f"{trial.bench.base}{_path(sent)}"
    status, body = await trial.bench.raw("GET", path, sent["headers"])
    if status != 200:
        raise AssertionError(f"GET {path} is {status}, so nobody can see what was kept")
    return msgspec.json.decode(body)


def _at(value: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return _ABSENT
    return value
