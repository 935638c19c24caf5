"""adapter.toml + pages + mappers → tools, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from crossdock.adapter.binding import Binding
from crossdock.adapter.declaration import Broken, Declaration, Losses
from crossdock.adapter.described import Definitions, Described, defs_of
from crossdock.adapter.docs import PageSection, PageText, entry_of
from crossdock.adapter.findings import Finding, Flaw, Stage, Subject
from crossdock.adapter.given import Expansion, Files, Given, Overlay
from crossdock.adapter.manifest import (
    Host,
    Manifest,
    ManifestTable,
    Method,
    ResourceTable,
    hoist_first,
    manifest_of,
    method_of,
)
from crossdock.adapter.rest import rest
from crossdock.adapter.rules.argument_rules import TOGETHER
from crossdock.adapter.rules.auth_rules import AUTH
from crossdock.adapter.rules.endpoint_rules import ENDPOINTS
from crossdock.adapter.rules.file_rules import FILE, TomlFile, decoded, undecodable
from crossdock.adapter.rules.head_rules import HEAD
from crossdock.adapter.rules.mapper_rules import MAPPERS, Registered
from crossdock.adapter.rules.page_rules import PAGES, Documentation
from crossdock.adapter.rules.schema_rules import DEFINITIONS
from crossdock.adapter.rules.tool_rules import TOOLS, Made, examples_of
from crossdock.adapter.rules.written_rules import WRITTEN
from crossdock.adapter.tool_form import tool_of
from crossdock.authoring import Mapper, Paging
from crossdock.model import Withheld


class _Contribution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    hosts: dict[str, Host] = {}
    resources: dict[str, ResourceTable]


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """adapter.toml, judged. `manifest` is None where one of the `fatal` errors took the adapter.

    `whole` says that it can be told which tools are meant. `unmapped` are endpoints whose mapper
    was probably registered under a wrong name.
    """

    head: Declaration
    manifest: Manifest | None
    methods: Mapping[str, Method]
    whole: bool
    findings: tuple[Finding, ...]
    fatal: tuple[Finding, ...]
    unmapped: frozenset[str]


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one kind of account, what was found, and the first example of each section."""

    bindings: Mapping[str, Binding]
    withheld: tuple[Withheld, ...]
    findings: tuple[Finding, ...]
    examples: Mapping[str, str]


class _Verdict:
    """Collects findings, and what the errors among them take."""

    def __init__(self, *, lint: bool) -> None:
        self.findings: list[Finding] = []
        self.losses = Losses()
        self._lint = lint

    def ask(self, stage: Stage, subject: Subject) -> list[tuple[Finding, Flaw]]:
        """Ask all rules of a stage; return the errors and what they were made from."""
        errors = []
        for finding, flaw in stage.judge(subject, lint=self._lint):
            self.findings.append(finding)
            if finding.severity == "error":
                self.losses.add(finding, flaw)
                errors.append((finding, flaw))
        return errors


def declare(files: Files, given: Given, *, lint: bool = False) -> Declared:
    """Judge adapter.toml, and decode of it what no error takes."""
    verdict = _Verdict(lint=lint)
    file = TomlFile(files.folder.name, files.toml)
    verdict.ask(FILE, file)
    table = file.table if isinstance(file.table, dict) else {}
    hoist_first(table)
    head = Declaration(table, ManifestTable, text=file.text or "", folder=files.folder.name)
    head.signs, head.mentioned = given.auth is not None, given.mentioned
    unmapped: frozenset[str] = frozenset()
    methods: dict[str, Method] = {}
    readable = not verdict.losses.fatal()
    if readable:
        for stage in (HEAD, AUTH, ENDPOINTS):
            verdict.ask(stage, head)
        if _tools_are_known(head):
            unmapped = _ask_mappers(verdict, head, given.mappers or {}, files.folder)
        methods = _methods(head, verdict.losses, _paging(head))
    fatal = verdict.losses.fatal()
    source = f"{head.folder}/{head.file}"
    return Declared(
        head=head,
        manifest=None if fatal else manifest_of(head.table, source, methods.values()),
        methods=methods,
        whole=readable and _tools_are_known(head),
        findings=tuple(verdict.findings),
        fatal=fatal,
        unmapped=unmapped,
    )


def examine(
    files: Files,
    given: Given,
    expansions: Iterable[Expansion] = (),
    overlays: Iterable[Overlay] = (),
    *,
    lint: bool = False,
) -> tuple[Declared, Assembled]:
    """Judge an adapter as far as its files go, also where an error takes all of it."""
    declared = declare(files, given, lint=lint)
    assembly = Assembly(declared, given, lint=lint)
    assembly.take(files.pages)
    for expansion in expansions:
        assembly.expand(expansion)
    for overlay in overlays:
        assembly.overlay(overlay)
    return declared, assembly.assemble(docs=files.docs)


def _tools_are_known(head: Declaration) -> bool:
    """Whether it can be told which tools are meant, so that headings may be judged."""
    resources = head.given.get("resources")
    keys = ("resources", "methods", "tool", "singular")
    misspelt = any(one.near in keys for one in head.mistakes)
    named = head.adapter == head.given.get("name")
    return named and isinstance(resources, dict) and not misspelt


def _ask_mappers(
    verdict: _Verdict, head: Declaration, mappers: Mapping[str, Mapper], folder: Path
) -> frozenset[str]:
    """Judge the mappers; return the endpoints whose mapper was registered under a wrong name."""
    keys = {f"{place[1]}.{place[3]}" for place in head.declared().values()}
    registered = Registered(head.adapter, folder, mappers, keys)
    verdict.ask(MAPPERS, registered)
    return frozenset(near for near in registered.unknown().values() if near)


def _paging(head: Declaration) -> Paging:
    try:
        return msgspec.convert(head.at("paging") or {}, Paging)
    except msgspec.ValidationError:  # an error of its own, which takes the adapter
        return Paging()


def _methods(head: Declaration, losses: Losses, paging: Paging) -> dict[str, Method]:
    found: dict[str, Method] = {}
    for place, _ in head.methods():
        if not losses.takes(place):
            resource = head.resources[place[1]]
            method = method_of(place, resource, head.adapter, paging, head.source(place))
            found[method.tool] = method
    return found


class Assembly:
    """Makes the tools of an adapter out of what is declared, its pages and its mappers."""

    def __init__(self, declared: Declared, given: Given, *, lint: bool = False) -> None:
        head = declared.head
        self._declared = declared
        self._lint = lint
        self._findings = list(declared.findings)
        self._mappers = None if given.mappers is None else dict(given.mappers)
        self._methods = dict(declared.methods)
        self._heads = {name: (head, place) for name, place in head.declared().items()}
        self._pages: list[PageText] = []
        self._overlays: list[PageText] = []
        self._laid: set[str] = set()
        self._taken: dict[str, tuple[PageText, PageSection]] = {}
        self._unread: dict[str, int] = {}
        self._bindings: dict[str, Binding] = {}
        self._examples: dict[str, str] = {}
        self._lost: set[str] = set()
        self._swallowed: set[str] = set()
        self._elsewhere: set[str] = set()
        self._lost_defs: set[tuple[str, str]] = set()
        self._unread_defs: set[str] = set()

    def take(self, pages: Iterable[tuple[str, bytes]]) -> None:
        """Take the pages of docs/."""
        for file, data in pages:
            text = decoded(data)
            if text is None:
                self._unread[file] = undecodable(data)
            else:
                self._pages.append(PageText(file, text))

    def overlay(self, overlay: Overlay) -> None:
        """Take an operator's pages; a later overlay wins over an earlier one."""
        for file, data in overlay.pages:
            self._laid.add(file)
            text = decoded(data)
            if text is None:
                self._unread[file] = undecodable(data)
            else:
                self._overlays.append(PageText(file, text))

    def expand(self, expansion: Expansion) -> None:
        """Take what Python contributes for an account."""
        head = self._declared.head
        table = {
            "name": head.adapter,
            "hosts": head.at("hosts") or {},
            "resources": expansion.resources,
        }
        hoist_first(table)
        more = Declaration(table, _Contribution, text="", folder=head.folder)
        more.file, more.contributed = expansion.page_name, True
        verdict = _Verdict(lint=self._lint)
        for stage in (HEAD, ENDPOINTS):
            verdict.ask(stage, more)
        self._findings += verdict.findings
        self._methods.update(_methods(more, verdict.losses, _paging(head)))
        self._heads.update({name: (more, place) for name, place in more.declared().items()})
        if self._mappers is not None:
            self._mappers.update(expansion.mappers)
        self._pages.append(PageText(expansion.page_name, expansion.page))

    def assemble(self, *, docs: bool = True) -> Assembled:
        """Judge the pages and make every tool that no error takes. `docs`: there is a folder."""
        self._ask_pages(docs=docs)
        for page in (*self._pages, *self._overlays):
            definitions = Definitions(self._declared.head.adapter, page)
            for _, flaw in self._ask(DEFINITIONS, definitions):
                self._lost_defs.add((page.file, flaw.place[1]))
        for page, section, base in self._sections():
            self._section(page, section, base)
        return Assembled(
            bindings=self._bindings,
            withheld=tuple(self._withheld()),
            findings=tuple(self._findings),
            examples=self._examples,
        )

    def _ask(self, stage: Stage, subject: Subject) -> list[tuple[Finding, Flaw]]:
        verdict = _Verdict(lint=self._lint)
        errors = verdict.ask(stage, subject)
        self._findings += verdict.findings
        return errors

    def _sections(self) -> Iterator[tuple[PageText, PageSection, PageText | None]]:
        """Yield every section that counts, in the order of the tools: its page, and the page of
        the one that it stands in place of."""
        laid = {
            section.heading: (page, section) for page in self._overlays for section in page.tools
        }
        self._taken = {name[1:]: laid[name] for name in laid if name.startswith("-")}
        for page in self._pages:
            for section in page.tools:
                if section.heading in laid:
                    yield *laid.pop(section.heading), page
                elif section.heading not in self._taken:
                    yield page, section, None
        for heading, (page, section) in laid.items():
            if not heading.startswith("-"):
                yield page, section, None

    def _documentation(self, *, docs: bool, laid: bool) -> Documentation:
        return Documentation(
            self._declared.head.adapter,
            self._overlays if laid else self._pages,
            {name: place for name, (_, place) in self._heads.items()},
            undocumented={} if laid else self._undocumented(),
            whole=self._declared.whole,
            unread={
                file: line for file, line in self._unread.items() if (file in self._laid) == laid
            },
            missing=not docs,
            laid=laid,
        )

    def _ask_pages(self, *, docs: bool) -> None:
        found = self._ask(PAGES, self._documentation(docs=docs, laid=False))
        if self._laid:
            found += self._ask(PAGES, self._documentation(docs=True, laid=True))
        for finding, flaw in found:
            tools = {place[0] for place in (flaw.place, *flaw.also) if place}
            self._lost |= tools
            if finding.rule == "page-fence":
                self._swallowed |= tools
            if finding.rule in ("page-language", "page-second-block"):
                self._elsewhere |= tools
            if finding.rule == "page-intro" or not flaw.place:
                self._unread_defs.add(flaw.file)

    def _undocumented(self) -> dict[str, tuple[str, int]]:
        written = {
            section.heading.removeprefix("-")
            for page in (*self._pages, *self._overlays)
            for section in page.tools
        }
        return {
            name: (head.file, head.line(place))
            for name, (head, place) in self._heads.items()
            if name in self._methods and name not in written
        }

    def _section(self, page: PageText, section: PageSection, base: PageText | None) -> None:
        tool = section.heading
        if tool not in self._heads and self._declared.whole:
            return  # no tool of adapter.toml, which has been told
        if isinstance(section.table, Broken) or tool in self._swallowed:
            return  # told, too, and nothing more can be said
        described = Described(
            self._declared.head.adapter,
            page,
            section,
            self._methods.get(tool),
            mapped=self._mapped(tool),
        )
        described.laid = page.file in self._laid
        if base is not None:
            described.defs = {**defs_of(base), **described.defs}
        described.unread = page.file in self._unread_defs
        broken = bool(self._ask(WRITTEN, described))
        described.broken = broken
        if tool not in self._elsewhere:  # nobody knows what its arguments are
            broken |= bool(self._ask(TOGETHER, described))
        lost = any(
            (page.file, name) in self._lost_defs or name not in described.defs
            for name in described.references()
        )
        if broken or lost or tool in self._lost or described.method is None:
            self._lost.add(tool)
        else:
            self._make(described, described.method)

    def _mapped(self, tool: str) -> bool | None:
        method = self._methods.get(tool)
        if self._mappers is None or method is None:
            return None
        key = f"{method.resource}.{method.method}"
        return None if key in self._declared.unmapped else key in self._mappers

    def _make(self, described: Described, method: Method) -> None:
        head = self._declared.head
        line = described.section.heading_line
        folder = "" if described.laid else f"{head.folder}/"
        entry = entry_of(described.section, described.defs, f"{folder}{described.file}:{line}")
        tool, schema = tool_of(entry, method, head)
        tool = msgspec.structs.replace(tool, overlaid=described.laid)
        mapper = (self._mappers or {}).get(tool.key, rest)
        binding = Binding(tool, entry.aliases, mapper, schema)
        made = Made(described, binding, self._heads[tool.name][0])
        if self._ask(TOOLS, made):
            self._lost.add(tool.name)
        elif self._declared.manifest is not None:
            self._bindings[tool.name] = binding
            for _, text in examples_of(made):
                self._examples.setdefault(tool.name, text)

    def _withheld(self) -> Iterable[Withheld]:
        undocumented = self._undocumented()
        for name, (head, place) in self._heads.items():
            if name not in self._bindings:
                reason = "its section has an error"
                if self._declared.manifest is None:
                    reason = "the adapter has an error"
                elif name not in self._methods:
                    reason = "its endpoint has an error"
                elif name in undocumented and name not in self._lost:
                    reason = "no section in docs/"
                if name in self._taken:
                    page, section = self._taken[name]
                    reason = f"withheld by {page.file}:{section.heading_line}"
                yield Withheld(name=name, source=head.source(place), reason=reason)
