"""Does a record hold the value that was asked for? Used where a provider may ignore a filter.

Judged loosely (case, blanks and a leading # do not count), because showing one record too few is
as wrong as showing a stranger's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from crossdock.authoring import Call


def matcher(call: Call) -> Callable[[Any], bool] | None:
    """Return the test that a record must pass, or None when the call has no such filter."""
    wanted = [
        (argument.match, _folded(value))
        for argument in call.tool.arguments
        if argument.match and (value := _value(call, argument.name)) is not None
    ]
    if not wanted:
        return None
    return lambda record: all(_holds(record, fields, value) for fields, value in wanted)


def _value(call: Call, name: str) -> Any:
    return call.path.get(name, call.query.get(name))


def _holds(record: Any, fields: tuple[str, ...], value: str) -> bool:
    return any(_folded(found) == value for field in fields for found in _walk(record, field))


def _walk(value: Any, field: str) -> Iterator[Any]:
    name, _, rest = field.partition(".")
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, field)
    elif not name:
        yield value
    elif isinstance(value, dict) and value.get(name) is not None:
        yield from _walk(value[name], rest)


def _folded(value: Any) -> str:
    return "".join(str(value).split()).casefold().lstrip("#")
