"""Promises about arguments: each reaches the wire, an id stays an id, strangers send nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from crossdock.authoring import Argument, Tool
from crossdock.testing.example import Example
from crossdock.testing.trial import Played, Trial, refuse

_AWKWARD = ("zz/yy", "zz?zq=1&zr=2")
_STRANGER = "zz_no_such_argument"


async def every_argument_reaches_the_wire(trial: Trial) -> None:
    problems = []
    for tool in trial.tools.values():
        examples = [*enumerate(trial.examples.get(tool.name, ()))]
        for argument in tool.arguments:
            if argument.where not in ("path", "query", "body"):
                continue
            given = [(n, one) for n, one in examples if argument.key in one.arguments]
            if not given:
                problems.append(f"{tool.name}: no example gives `{argument.key}`")
            elif not any([await _reaches(trial, tool, argument, n, one) for n, one in given]):
                problems.append(f"{tool.name}: `{argument.key}` changes nothing that is sent")
    refuse(problems)


async def _reaches(
    trial: Trial, tool: Tool, argument: Argument, number: int, example: Example
) -> bool:
    true = await trial.true(tool, example, number)
    given = example.arguments
    stable = (await trial.play(tool, given)).sent == true.sent
    if stable and not argument.required:
        less = {name: value for name, value in given.items() if name != argument.key}
        if _differs(await trial.play(tool, less), true):
            return True
    if stable:
        other = {**given, argument.key: _altered(given[argument.key], argument.schema)}
        if _differs(await trial.play(tool, other), true):
            return True
    return all(_is_sent(leaf, true) for leaf in _leaves(given[argument.key]))


def _differs(played: Played, true: Played) -> bool:
    return played.kind != "invalid_arguments" and played.sent != true.sent


def _altered(value: Any, schema: dict[str, Any]) -> Any:
    if others := [one for one in schema.get("enum", ()) if one != value]:
        return others[0]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return [*value[:-1], _altered(value[-1], {})] if value else value
    if isinstance(value, dict):
        return {name: _altered(one, {}) for name, one in value.items()}
    return value


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value if isinstance(value, str) else msgspec.json.encode(value).decode()]


def _is_sent(leaf: str, played: Played) -> bool:
    escaped = msgspec.json.encode(leaf).decode()[1:-1]
    return any(leaf in unquote(path) or escaped in body for _, path, body in played.sent)


async def a_path_value_is_one_segment(trial: Trial) -> None:
    problems = []
    for tool, example in trial.firsts():
        for argument in tool.arguments:
            if argument.where == "path":
                for value in _AWKWARD:
                    given = {**example.arguments, argument.key: value}
                    played = await trial.play(tool, given)
                    problems += [
                        f"{tool.name}: `{argument.key}` of {value!r} becomes {http}; "
                        "use one_segment()"
                        for http in _torn(played)
                    ]
    refuse(problems)


def _torn(played: Played) -> list[str]:
    """Return what an awkward value became more than a segment or a value of."""
    if played.kind in ("internal", "bad_tool_output"):
        return [played.kind]
    found = []
    for method, path_qs, _ in played.sent:
        path, _, query = path_qs.partition("?")
        names = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
        if "zz/yy" in path or names & {"zq", "zr"}:
            found.append(f"{method} {path_qs}")
    return found


async def unknown_arguments_send_nothing(trial: Trial) -> None:
    problems = []
    for tool, example in trial.firsts():
        played = await trial.play(tool, {**example.arguments, _STRANGER: 1})
        if played.kind != "invalid_arguments" or played.requests:
            problems.append(
                f"{tool.name} takes an argument that it does not have ({played.kind}, "
                f"{len(played.requests)} requests)"
            )
    refuse(problems)
