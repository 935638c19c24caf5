"""What a rule finds wrong in an adapter, and the table of rules: one function with an id each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct

Severity = Literal["error", "warning", "note"]
Place = tuple[str, ...]
GUIDE = "adapters/README.md"


class Finding(Struct, frozen=True, kw_only=True):
    """What `crossdock check --json` tells of one mistake.

    `file` counts from the folder that holds adapter.toml, `line` is that of the key, heading or
    fence itself, `key` the dotted path as it was written ("": none), `link` a heading of the guide.
    """

    rule: str
    severity: Severity
    adapter: str
    file: str
    line: int
    key: str
    message: str
    remedy: str
    link: str

    def text(self, folder: str) -> str:
        """Return it as a sentence that begins with file:line, as people find it from `folder`."""
        about = f"{self.key}: " if self.key else ""
        if Path(self.file).is_absolute():  # an overlay's page
            return f"{self.file}:{self.line}: {about}{self.message}; {self.remedy}"
        return f"{folder}/{self.file}:{self.line}: {about}{self.message}; {self.remedy}"


class Flaw(Struct, frozen=True, kw_only=True):
    """What a rule yields: where, what and the remedy. Its rule adds id and link, its subject the
    file and the line.

    `place` leads to the key, from outside in. `line` is for what no key leads to. `also` are
    further places that this mistake takes away. `file` is another one than the subject's.
    """

    place: Place
    message: str
    remedy: str
    severity: Severity = "error"
    line: int | None = None
    also: tuple[Place, ...] = ()
    file: str = ""


class Subject(Protocol):
    """What a rule is asked about: it knows its adapter, its file and the lines of its keys."""

    @property
    def adapter(self) -> str:
        """The adapter's name, or its folder's where it has none."""

    @property
    def file(self) -> str:
        """Relative to the folder that holds adapter.toml."""

    def line(self, place: Place) -> int:
        """Return the line of a key, or of the nearest table around it."""

    def key(self, place: Place) -> str:
        """Return a place as it is told."""


Check = Callable[[Any], Iterable[Flaw]]
_Check = TypeVar("_Check", bound=Check)


class Rule(Struct, frozen=True, kw_only=True):
    """One rule. `lint` marks those that `crossdock check` alone asks: they yield no error."""

    id: str
    link: str
    check: Check
    lint: bool


class Stage:
    """The rules that are asked about one kind of subject, in the order in which they stand."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def rule(self, id: str, heading: str, *, lint: bool = False) -> Callable[[_Check], _Check]:
        """Make a function a rule. `heading` is the anchor of a heading of the guide."""

        def known(check: _Check) -> _Check:
            link = f"{GUIDE}#{heading}"
            self.rules.append(Rule(id=id, link=link, check=check, lint=lint))
            return check

        return known

    def judge(self, subject: Subject, *, lint: bool) -> Iterator[tuple[Finding, Flaw]]:
        """Yield everything that the rules find, with what it was made from."""
        for rule in self.rules:
            if lint or not rule.lint:
                for flaw in rule.check(subject):
                    yield finding(rule, flaw, subject), flaw


def finding(rule: Rule, flaw: Flaw, subject: Subject) -> Finding:
    """Return what a rule yielded, as it is told."""
    return Finding(
        rule=rule.id,
        severity=flaw.severity,
        adapter=subject.adapter,
        file=flaw.file or subject.file,
        line=subject.line(flaw.place) if flaw.line is None else flaw.line,
        key=subject.key(flaw.place),
        message=flaw.message,
        remedy=flaw.remedy,
        link=rule.link,
    )
