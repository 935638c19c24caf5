"""Rules for the pages of docs/: fences, headings, prose, and blocks in the wrong place."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from crossdock.adapter.declaration import Broken, toml_of
from crossdock.adapter.docs import PLACES, Fence, PageSection, PageText
from crossdock.adapter.findings import Flaw, Place, Stage

PAGES = Stage()
_ALL_PLACES = (*PLACES, "schema")
_ARGUMENT = re.compile(rf"\s*\[\s*(?:{'|'.join(_ALL_PLACES)})\s*[.\]]|(?:{'|'.join(PLACES)}):\s*$")
_PROSE = range(20, 1201)
_ANY_HEADING = re.compile(r" {0,3}#{1,6}[ \t]*`?([a-z][a-z0-9_]*)`?(?:[ \t]*#*)?[ \t]*")


class Documentation:
    """All pages of an adapter beside the tools that its adapter.toml declares.

    `undocumented` are those without a section, with file and line of their endpoints. `whole` says
    whether it can be told which tools are declared; `unread` are pages that are no UTF-8,
    each with the line of its first wrong byte. `laid`: they are an operator's overlay.
    """

    def __init__(
        self,
        adapter: str,
        pages: list[PageText],
        declared: Mapping[str, Place],
        *,
        undocumented: Mapping[str, tuple[str, int]],
        whole: bool,
        unread: Mapping[str, int],
        missing: bool,
        laid: bool,
    ) -> None:
        self.adapter = adapter
        self.file = "docs/"
        self.pages = pages
        self.declared = declared
        self.undocumented = undocumented
        self.whole = whole
        self.unread = unread
        self.missing = missing
        self.laid = laid

    def line(self, place: Place) -> int:
        """Return the top: what is told here knows its line."""
        return 1

    def key(self, place: Place) -> str:
        """Return a place as it is told."""
        return ".".join(place)

    def named(self, section: PageSection) -> str:
        """Return the tool that a section is for: `-TOOL` of an overlay withholds it."""
        return section.heading.removeprefix("-") if self.laid else section.heading

    def sections(self) -> Iterator[tuple[PageText, PageSection]]:
        """Yield every section of a tool with its page."""
        for page in self.pages:
            for section in page.tools:
                yield page, section


def _flaw(page: PageText, line: int, tool: str, message: str, remedy: str) -> Flaw:
    place = (tool,) if tool else ()
    return Flaw(file=page.file, line=line, place=place, message=message, remedy=remedy)


@PAGES.rule("page-missing", "docsmd")
def _no_docs(docs: Documentation) -> Iterator[Flaw]:
    if docs.missing:
        yield Flaw(
            place=(),
            message="there is no folder docs/",
            remedy="write docs/<resource>.md with a heading for each tool",
        )


@PAGES.rule("page-encoding", "docsmd")
def _encoding(docs: Documentation) -> Iterator[Flaw]:
    for file, line in docs.unread.items():
        yield Flaw(
            place=(), file=file, line=line, message="it is not UTF-8", remedy="save it as UTF-8"
        )


def swallowed(fence: Fence, declared: Mapping[str, Place]) -> list[str]:
    """Return the tools whose headings stand in a fence: somebody forgot to close it."""
    found = []
    for line in fence.lines:
        heading = re.fullmatch(r"## +`?([A-Za-z_]\w*)`?\s*", line)
        if heading and (fence.language == "toml" or heading[1] in declared):
            found.append(heading[1])
    if len(found) > 0 and fence.closed and not any(one in declared for one in found):
        # A comment of one word: TOML has them, too. A second opening tells a forgotten end.
        return found if any(re.match(r"(`{3,}|~{3,})\w", line) for line in fence.lines) else []
    return found


@PAGES.rule("page-fence", "docsmd")
def _fence(docs: Documentation) -> Iterator[Flaw]:
    for page in docs.pages:
        for section in page.sections:
            for fence in section.fences:
                lost = swallowed(fence, docs.declared)
                if fence.closed and not lost:
                    continue
                words = f"swallows the heading of {lost[0]}" if lost else "is never closed"
                yield Flaw(
                    file=page.file,
                    line=fence.line,
                    place=(section.heading,) if section.heading else (),
                    message=f"this block {words}",
                    remedy="close it with the marks that it begins with, on a line of their own",
                    also=tuple((one,) for one in lost),
                )


def _runs_on(fence: Fence | None, docs: Documentation) -> bool:
    return fence is not None and (not fence.closed or bool(swallowed(fence, docs.declared)))


@PAGES.rule("page-block", "docsmd")
def _block(docs: Documentation) -> Iterator[Flaw]:
    for page in docs.pages:
        for section in page.sections:
            if isinstance(section.table, Broken) and not _runs_on(section.block, docs):
                yield _flaw(
                    page,
                    section.table.line,
                    section.heading,
                    f"the block is no TOML: {section.table.reason}",
                    "mend it; texts stand in quotes",
                )


def _holds_arguments(text: str, language: str) -> bool:
    """Tell whether a block looks like arguments, in whatever language."""
    if language == "json":
        try:
            found = json.loads(text)
        except ValueError:
            return False
        return _is_places(found)
    table = toml_of(text)
    if isinstance(table, Broken):
        return any(_ARGUMENT.match(line) for line in text.split("\n"))
    return _is_places(table)


def _is_places(table: object) -> bool:
    return (
        isinstance(table, dict)
        and bool(table)
        and set(table) <= set(_ALL_PLACES)
        and all(isinstance(one, dict) for one in table.values())
    )


@PAGES.rule("page-second-block", "docsmd")
def _second_block(docs: Documentation) -> Iterator[Flaw]:
    for page, section in docs.sections():
        for fence in section.fences:
            if fence is section.block or fence.language != "toml":
                continue
            if fence.line > _cut_off(docs, page, section):
                continue
            if fence.below is None or _holds_arguments(fence.text, "toml"):
                where = "a second block" if section.block else "a block below ###"
                yield _flaw(
                    page,
                    fence.line,
                    section.heading,
                    f"{where} called toml, which nothing reads",
                    "put all arguments into one block between the prose and any ###",
                )


@PAGES.rule("page-language", "docsmd")
def _language(docs: Documentation) -> Iterator[Flaw]:
    for page, section in docs.sections():
        for fence in section.fences:
            if _runs_on(fence, docs) or fence.line > _cut_off(docs, page, section):
                continue
            if fence.language != "toml" and _is_foreign_arguments(fence):
                yield _flaw(
                    page,
                    fence.line,
                    section.heading,
                    f"arguments in a block called {fence.language or 'nothing'}",
                    "call it toml: ```toml",
                )


def _is_foreign_arguments(fence: Fence) -> bool:
    if fence.below is not None and re.match("(?i)example", fence.below):
        return False
    return fence.language.lower() == "toml" or _holds_arguments(fence.text, fence.language)


@PAGES.rule("page-language", "docsmd", lint=True)
def _unread_block(docs: Documentation) -> Iterator[Flaw]:
    for page, section in docs.sections():
        last = section.block.line if section.block else None
        for fence in section.fences:
            before = fence.below is None and (last is None or fence.line < last)
            if before and fence.language != "toml" and not _is_foreign_arguments(fence):
                yield Flaw(
                    file=page.file,
                    line=fence.line,
                    place=(section.heading,),
                    severity="warning",
                    message="a block in the prose, which no model sees",
                    remedy="put it below a ###, or write it as prose",
                )


@PAGES.rule("page-heading", "names")
def _heading(docs: Documentation) -> Iterator[Flaw]:
    if not docs.whole:
        return
    for page, section in docs.sections():
        if docs.named(section) not in docs.declared:
            near = difflib.get_close_matches(section.heading, docs.declared, 1)
            hint = f"did you mean {near[0]}?" if near else "declare its endpoint, or leave it out"
            yield _flaw(
                page,
                section.heading_line,
                section.heading,
                f"`{section.heading}` is no tool of adapter.toml",
                hint,
            )
    for page, number, tool, line in _near_headings(docs):
        words = f"{line.strip()!r} is no heading of a tool"
        yield _flaw(page, number, tool, words, f"write `## {tool}`")


def _near_headings(docs: Documentation) -> Iterator[tuple[PageText, int, str, str]]:
    """Yield the lines that were meant as the heading of a tool: page, number, tool, line."""
    for page in docs.pages:
        for (number, line), (_, after) in pairwise([*page.outside, (0, "")]):
            found = _ANY_HEADING.fullmatch(line)
            if found and found[1] in docs.declared:
                yield page, number, found[1], line
            elif line.strip() in docs.declared and re.fullmatch(r" {0,3}(-+|=+) *", after):
                yield page, number, line.strip(), line


def _cut_off(docs: Documentation, page: PageText, section: PageSection) -> float:
    """Return the line at which a section really ends: a wrong heading is what is told then."""
    lines = [number for other, number, _, _ in _near_headings(docs) if other is page]
    return min((one for one in lines if one > section.heading_line), default=math.inf)


@PAGES.rule("page-twice", "docsmd")
def _twice(docs: Documentation) -> Iterator[Flaw]:
    first: dict[str, str] = {}
    for page, section in docs.sections():
        here = f"{page.file}:{section.heading_line}"
        known = first.setdefault(section.heading, here)
        if known != here:
            yield _flaw(
                page,
                section.heading_line,
                section.heading,
                f"`{section.heading}` is documented twice, first at {known}",
                "keep one of the two",
            )


@PAGES.rule("page-prose", "docsmd")
def _prose(docs: Documentation) -> Iterator[Flaw]:
    for page, section in docs.sections():
        length = len(section.prose)
        if length not in _PROSE and docs.named(section) == section.heading:
            yield _flaw(
                page,
                section.heading_line,
                section.heading,
                f"the description has {length:,} characters" if length else "it has no prose",
                f"write {_PROSE.start} to {_PROSE.stop - 1:,} about what the tool does",
            )


@PAGES.rule("page-intro", "docsmd")
def _intro(docs: Documentation) -> Iterator[Flaw]:
    for page in docs.pages:
        block, table = page.intro.block, page.intro.table
        lines = page.intro.lines()
        if block is None or lines is None or not isinstance(table, dict):
            continue
        for key, value in table.items():
            if key != "defs":
                yield Flaw(
                    file=page.file,
                    line=lines.line((key,)),
                    place=(key,),
                    message=f"`{key}` before the first heading",
                    remedy="only [defs.…] may stand there; arguments follow a tool's prose",
                )
            elif not isinstance(value, dict):
                yield Flaw(
                    file=page.file,
                    line=lines.line((key,)),
                    place=(key,),
                    message="`defs` is no table",
                    remedy="write [defs.NAME]",
                )


@PAGES.rule("repeats", "docsmd", lint=True)
def _repeats(docs: Documentation) -> Iterator[Flaw]:
    first: dict[str, str] = {}
    for page, section in docs.sections():
        prose = " ".join(section.prose.casefold().split())
        known = first.setdefault(prose, section.heading)
        if prose and known != section.heading:
            yield Flaw(
                file=page.file,
                line=section.heading_line,
                place=(section.heading,),
                severity="warning",
                message=f"its prose is that of {known}",
                remedy="say what tells them apart, or a model takes either",
            )


@PAGES.rule("withheld", "names", lint=True)
def _withheld(docs: Documentation) -> Iterator[Flaw]:
    if docs.missing or docs.unread:
        return
    lost = {tool for tool, _ in _misspelt(docs)}
    for page in docs.pages:
        for section in page.sections:
            for fence in section.fences:
                lost.update(swallowed(fence, docs.declared))
    for tool, (file, line) in docs.undocumented.items():
        if tool not in lost:
            yield Flaw(
                file=file,
                line=line,
                place=docs.declared[tool],
                severity="note",
                message=f"{tool} is withheld: it has no section in docs/",
                remedy=f"write `## {tool}` to let it out; nothing need be done to keep it back",
            )


def _misspelt(docs: Documentation) -> Iterator[tuple[str, str]]:
    """Yield the tools that a wrong heading is probably meant for."""
    for _, section in docs.sections():
        if section.heading not in docs.declared:
            near = difflib.get_close_matches(section.heading, docs.declared, 1)
            if near:
                yield near[0], section.heading
    yield from ((tool, line) for _, _, tool, line in _near_headings(docs))
