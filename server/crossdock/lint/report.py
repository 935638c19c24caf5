"""One adapter, judged from outside: its files, its Python, its distribution, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from crossdock.adapter.assembly import examine
from crossdock.adapter.binding import Binding
from crossdock.adapter.declaration import TOML, Declaration
from crossdock.adapter.findings import Finding, Flaw, Place, Stage, Subject
from crossdock.adapter.given import Given
from crossdock.adapter.load import read_files, read_overlay
from crossdock.calls.sizes import tokens_of
from crossdock.lint.imported import Imported, apart
from crossdock.lint.package_rules import PACKAGE, Package
from crossdock.lint.places import AdapterPlace
from crossdock.lint.python_rules import PYTHON, Python
from crossdock.lint.quality_rules import QUALITY, Claim, Level
from crossdock.model import Withheld

COST = Stage()


class ReportedWithheld(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that is no tool; `file` and `line` are those of its declaration."""

    tool: str
    file: str
    line: int
    reason: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter as `crossdock check` tells of it. `tokens` is what its tools take of a context."""

    name: str
    path: str
    tools: list[str]
    withheld: list[ReportedWithheld]
    tokens: int


class Cost:
    """What the tools of an adapter take of a model's context, and what they may take."""

    file = TOML

    def __init__(self, adapter: str, tokens: int, most: int | None) -> None:
        self.adapter = adapter
        self.tokens = tokens
        self.most = most

    def line(self, place: Place) -> int:
        """Return the top: it is the whole that costs."""
        return 1

    def key(self, place: Place) -> str:
        """Return nothing: no key is to blame."""
        return ""


@COST.rule("tokens", "crossdock-check")
def _tokens(cost: Cost) -> Iterator[Flaw]:
    if cost.most is not None and cost.tokens > cost.most:
        yield Flaw(
            place=(),
            message=f"the tools take about {cost.tokens:,} tokens, which is above "
            f"--max-tokens {cost.most:,}",
            remedy="shorten their texts",
        )


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter, judged: its adapter.toml, its tools, the first example of each page's section."""

    head: Declaration
    bindings: Mapping[str, Binding]
    withheld: tuple[Withheld, ...]
    examples: Mapping[str, str]
    findings: list[Finding]


def judged(place: AdapterPlace, level: Level | None = None) -> Judged:
    """Judge one adapter. Whatever it prints goes to stderr; nothing is configured, no network."""
    folder = place.folder.resolve()
    with apart(folder):
        imported = Imported(folder)
        imported.load()
        given = _given(imported)
        files = read_files(folder)
        name = examine(files, given)[0].head.adapter
        python = Python(name, imported)
        findings = _asked(PYTHON, python)
        overlays = [read_overlay(one) for one in place.overlays]
        declared, assembled = examine(files, given, python.expansions, overlays, lint=True)
        findings += assembled.findings
        if place.project is not None:
            project = place.project.resolve()
            findings += _asked(PACKAGE, Package(name, folder, project, imported.module))
    bindings = assembled.bindings if imported.adapter else {}
    claim = Claim(
        declared.head,
        place.project.resolve() if place.project else folder,
        bindings,
        asked=level,
        has_errors=any(one.severity == "error" for one in findings),
        has_sandbox=bool(imported.adapter and imported.adapter.given.sandbox),
    )
    findings += _asked(QUALITY, claim)
    return Judged(
        head=declared.head,
        bindings=bindings,
        withheld=assembled.withheld,
        examples=assembled.examples,
        findings=findings,
    )


def report(
    place: AdapterPlace, max_tokens: int | None = None, level: Level | None = None
) -> tuple[Report, list[Finding]]:
    """Judge one adapter, and what its tools cost; return what is told of it.

    `level` is proved, whatever the adapter claims: its contract is run.
    """
    found = judged(place, level)
    name, folder = found.head.adapter, place.folder.resolve()
    tokens = sum(tokens_of(binding.tool) for binding in found.bindings.values())
    findings = [*found.findings, *_asked(COST, Cost(name, tokens, max_tokens))]
    shown = Report(
        name=name,
        path=str(place.folder),
        tools=list(found.bindings),
        withheld=[*_withheld(found.withheld, folder.name)],
        tokens=tokens,
    )
    return shown, sorted(findings, key=lambda one: (one.file != TOML, one.file, one.line))


def _given(imported: Imported) -> Given:
    """Return what load_adapter was given; where that is not known, nothing is said of mappers."""
    if imported.adapter is None:
        return Given()
    given = imported.adapter.given
    return msgspec.structs.replace(given, mentioned=imported.words()) if given.auth else given


def _asked(stage: Stage, subject: Subject) -> list[Finding]:
    return [finding for finding, _ in stage.judge(subject, lint=True)]


def _withheld(found: Iterable[Withheld], folder: str) -> Iterator[ReportedWithheld]:
    for one in found:
        file, _, line = one.source.removeprefix(f"{folder}/").rpartition(":")
        yield ReportedWithheld(tool=one.name, file=file, line=int(line), reason=one.reason)
