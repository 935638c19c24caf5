"""tests/examples.toml → examples: what a tool is called with, what it sends, what it answers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from crossdock.errors import CrossdockError


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that an example makes. `http` counts from the base URL; `json` is the whole body,
    `form` its fields, `text` the body as it stands, `headers` are among those sent."""

    http: str
    json: Any = msgspec.UNSET
    form: dict[str, str] | None = None
    text: str | None = None
    headers: dict[str, str] = {}

    def differs(self, request: dict[str, Any]) -> str:
        """Say how a recorded request differs; empty if it does not."""
        sent = f"{request['method']} {request['path_qs']}"
        if _target(self.http) != _target(sent):
            return f"it sends {sent}, not {self.http}"
        body, headers = request["body"], request["headers"]
        for name, value in self.headers.items():
            if headers.get(name.lower()) != value:
                return f"{self.http} has {name}: {headers.get(name.lower())!r}, not {value!r}"
        if self.form is not None and sorted(parse_qsl(body)) != sorted(self.form.items()):
            return f"{self.http} has the form {body!r}"
        if self.text is not None and body != self.text:
            return f"{self.http} has the body {body!r}"
        if self.json is not msgspec.UNSET and _decoded(body) != self.json:
            return f"{self.http} has the body {body}, not {msgspec.json.encode(self.json).decode()}"
        if self.form is None and self.text is None and self.json is msgspec.UNSET and body:
            return f"{self.http} has the body {body}, and the example says of none"
        return ""


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call of a tool.

    `sends` are all its requests in order; `answer` is a part of what it answers; `records` says how
    many a list has in all; `keeps` are JSON Pointers into the changed record: what they lead to is
    the same before and after.
    """

    arguments: dict[str, Any] = {}
    sends: list[str | Sent] | None = None
    answer: Any = msgspec.UNSET
    keeps: list[str] = []
    records: int | None = None

    def requests(self) -> list[Sent]:
        """Return what it sends."""
        return [one if isinstance(one, Sent) else Sent(http=one) for one in self.sends or ()]


def read_examples(path: Path) -> dict[str, list[Example]]:
    """Read the file. Raises CrossdockError for one that is absent or wrong, in words."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CrossdockError(f"{path}: no such file; it holds an example of each tool") from None
    except tomllib.TOMLDecodeError as error:
        raise CrossdockError(f"{path}: {error}") from None
    found = {}
    for tool, table in tables.items():
        try:
            found[tool] = msgspec.convert(
                table if isinstance(table, list) else [table], list[Example]
            )
        except msgspec.ValidationError as error:
            raise CrossdockError(f"{path}: [{tool}]: {error}") from None
    return found


def is_part(expected: Any, given: Any) -> bool:
    """Tell whether all of `expected` is in `given`: keys of objects, items of lists in place."""
    if isinstance(expected, dict):
        return isinstance(given, dict) and all(
            key in given and is_part(value, given[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(given, list)
            and len(given) >= len(expected)
            and all(map(is_part, expected, given))
        )
    return type(expected) is type(given) and bool(expected == given)


def _target(http: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    verb, _, target = http.partition(" ")
    path, _, query = target.partition("?")
    segments = [unquote(segment) for segment in path.split("/")]
    return verb, segments, sorted(parse_qsl(query, keep_blank_values=True))


def _decoded(body: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return msgspec.UNSET
