"""The line of every key of a TOML text, which tomllib does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossdock.adapter.findings import Place

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class KeyLines:
    """Finds the line of a key, read when the first is asked for.

    The text must be TOML. Items of an array count from "0" and are steps of a place like keys.
    """

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._text = text
        self._first = first_line
        self._lines: dict[Place, int] | None = None

    def line(self, place: Place) -> int:
        """Return the line of a key, or of the nearest table around it."""
        if self._lines is None:
            self._lines = {}
            for known, start in _Reader(self._text).places():
                self._lines.setdefault(known, self._text.count("\n", 0, start) + self._first)
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, self._first)


class _Reader:
    """Walks over the text once; every method moves `at` behind what it read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counts: dict[Place, int] = {}

    def places(self) -> Iterator[tuple[Place, int]]:
        table: Place = ()
        while self._skip(_BLANK) is not None and self._at < len(self._text):
            start = self._at
            if self._text.startswith("[", start):
                table = self._header()
                yield from _each_step(table, start)
            else:
                yield from self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _header(self) -> Place:
        several = self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        named = self._resolved(self._key())
        self._at += 2 if several else 1
        if not several:
            return named
        count = self._counts.get(named, 0)
        self._counts[named] = count + 1
        return (*named, str(count))

    def _resolved(self, named: Place) -> Place:
        """Return a path with the last item of every array of tables on its way."""
        found: Place = ()
        for step in named[:-1]:
            found += (step,)
            if found in self._counts:
                found += (str(self._counts[found] - 1),)
        found += named[-1:]
        return found

    def _key(self) -> Place:
        steps: list[str] = []
        while True:
            self._skip(_BLANK)
            bare = self._skip(_BARE)
            steps.append(_plain(self._skip(_TEXT) or "") if bare is None else bare)
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return tuple(steps)
            self._at += 1

    def _pair(self, table: Place) -> Iterator[tuple[Place, int]]:
        start = self._at
        place = table + self._key()
        yield from _each_step(place, start)
        self._at += 1  # =
        self._skip(_BLANK)
        yield from self._value(place)

    def _value(self, place: Place) -> Iterator[tuple[Place, int]]:
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            yield from self._items(place)
        elif opening == "{":
            yield from self._inline(place)
        elif self._skip(_TEXT) is None and self._skip(_SCALAR) is None:
            self._at += 1  # never so in what is TOML; it only has to end

    def _items(self, place: Place) -> Iterator[tuple[Place, int]]:
        self._at += 1
        index = 0
        while self._further("]"):
            yield (*place, str(index)), self._at
            yield from self._value((*place, str(index)))
            index += 1

    def _inline(self, place: Place) -> Iterator[tuple[Place, int]]:
        self._at += 1
        while self._further("}"):
            yield from self._pair(place)

    def _further(self, closing: str) -> bool:
        """Step to the next item; behind the last one, step out."""
        self._skip(_BLANK)
        while self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._text.startswith(closing, self._at):
            self._at += 1
            return False
        return self._at < len(self._text)


def _each_step(place: Place, start: int) -> Iterator[tuple[Place, int]]:
    for length in range(1, len(place) + 1):
        yield place[:length], start


def _plain(quoted: str) -> str:
    text = quoted[1:-1]
    return text if quoted.startswith("'") else _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPES.get(code, code)
