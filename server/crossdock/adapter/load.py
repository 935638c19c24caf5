"""The files of an adapter and what Python gives → Adapter, with its tools of the moment.

Pages are read again when a newer one lies on disk: tools are made from the documentation of the
moment, and every such change is a new generation.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from cachetools import LRUCache

from crossdock.adapter.assembly import Assembly, Declared, declare
from crossdock.adapter.auth import auth_of, completed
from crossdock.adapter.binding import Toolset
from crossdock.adapter.bounded import bounded
from crossdock.adapter.declaration import TOML
from crossdock.adapter.given import Expand, Expansion, Files, Given, Overlay, SpellObject
from crossdock.adapter.manifest import Manifest, Method
from crossdock.authoring import Auth, Endpoint, Mapper, SignsRequests
from crossdock.errors import AdapterError, InvalidArguments, words_of

_PLAIN = Endpoint(verb="GET", path="/")
_EXPAND_SECONDS = 5.0  # for a stranger's functions of settings


class _Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from the files at one moment; replaced as a whole."""

    declared: Declared
    manifest: Manifest
    auth: Auth
    endpoints: str
    files: Files
    overlays: Mapping[Path, Overlay]
    stamp: tuple[tuple[str, int, int], ...]
    generation: int
    toolsets: dict[tuple[Path | None, tuple[tuple[str, bytes], ...]], Toolset]


class Adapter:
    """The installed knowledge of one provider. Made by `load_adapter`, never by hand."""

    def __init__(self, folder: Path, given: Given, module: str) -> None:
        self.folder = folder
        self._toml, self._docs = folder / TOML, folder / "docs"
        self.given = given
        self._module = module
        self._overlay: Path | None = None
        self.watched: tuple[Path, ...] = ()
        self.release = ""
        self._contributions: LRUCache[bytes, tuple[Expansion, ...] | BaseException] = LRUCache(1024)
        self.trusted = True  # whether its Python may run on the gateway's own loop
        try:
            self._loaded = self._read(generation=1)
        except AdapterError as error:
            error.adapter = self
            raise

    @property
    def name(self) -> str:
        """The integration's name, as in accounts and tool names."""
        return self._loaded.manifest.name

    @property
    def manifest(self) -> Manifest:
        """adapter.toml, decoded."""
        return self._loaded.manifest

    @property
    def auth(self) -> Auth:
        """How requests are signed."""
        return self._loaded.auth

    @property
    def sandbox(self) -> ModuleType | None:
        """The sandbox, imported by this: serving has no use for it, so only demo, dev and tests
        ask."""
        given = self.given.sandbox
        return importlib.import_module(given, self._module) if isinstance(given, str) else given

    @property
    def is_loaded(self) -> bool:
        """Whether its files could be read: what failed to is only known to the error."""
        return hasattr(self, "_loaded")

    @property
    def has_own_auth(self) -> bool:
        """Whether Python of the adapter signs its requests."""
        return self.given.auth is not None

    @property
    def generation(self) -> int:
        """Rises whenever the files were read again."""
        return self._loaded.generation

    @property
    def version(self) -> str:
        """Changes with an upgrade, and not with an edited page: what a distribution declares,
        and a digest of the endpoints."""
        return f"{self.release}+{self._loaded.endpoints}"

    @property
    def edition(self) -> str:
        """The version, and a digest of the pages: equal where the same tools are told alike."""
        laid = [[data for _, data in overlay.pages] for overlay in self._loaded.overlays.values()]
        pages = msgspec.json.encode([self._loaded.files.pages, laid])
        return f"{self.version}/{hashlib.sha256(pages).hexdigest()[:12]}"

    def lay_over(self, folder: Path) -> None:
        """Have the pages of a folder stand in place of the adapter's own, for every account."""
        self._overlay = folder
        self.watch(folder)

    def watch(self, folder: Path) -> None:
        """Read the pages of an overlay, and read them again when they change."""
        if folder not in self.watched:
            self.watched += (folder,)
            self._loaded = self._read(self._loaded.generation + 1)

    def outdated(self) -> bool:
        """Whether a file is newer than what was read of it. Asks the disk; any thread may."""
        return self._looked() != self._loaded.stamp

    def refresh(self) -> bool:
        """Read the files again if one is newer; tell whether the tools may have changed.

        A broken file leaves the tools as they were and raises AdapterError, once.
        """
        stamp = self._looked()
        old = self._loaded
        if stamp == old.stamp:
            return False
        known = self._problems()
        try:
            self._loaded = self._read(generation=old.generation + 1)
            if fresh := self._problems() - known:
                raise AdapterError(min(fresh))
        except AdapterError:
            # A half-saved page must not take tools away; it is read again when it changes again.
            self._loaded = msgspec.structs.replace(old, stamp=stamp)
            raise
        return True

    def adopt(self, newer: Adapter) -> None:
        """Become the adapter that was loaded later from the same folder, its Python included."""
        generation, release, trusted = self.generation + 1, self.release, self.trusted
        vars(self).update(vars(newer))
        self._loaded = msgspec.structs.replace(
            newer._loaded, generation=generation, toolsets=type(newer._loaded.toolsets)()
        )
        self.release, self.trusted = release, trusted

    def prime(self, settings: Mapping[str, Any]) -> None:
        """Ask a stranger's `expand` ahead of its first use on the event loop; blocks."""
        if not self.trusted:
            with suppress(InvalidArguments):
                self.toolset(self.complete(settings))

    def _problems(self) -> set[str]:
        found: set[str] = set()
        for overlay in (None, *self.watched):
            found.update(self.toolset(self.defaults(), overlay).problems)
        return found

    def toolset(self, settings: Mapping[str, Any], overlay: Path | None = None) -> Toolset:
        """Return the tools of an account with these settings. Raises InvalidArguments only.

        `overlay` is the account's own, which is watched. Where `expand` fails the others are
        returned, and `problems` says why.
        """
        try:
            return self._expanded(settings, overlay)
        except InvalidArguments:
            raise
        except BaseException as error:  # an adapter's own code may raise anything
            problem = f"{self.name}: expand failed: {words_of(error)}"
            return msgspec.structs.replace(self._of((), overlay), problems=(problem,))

    def _expanded(self, settings: Mapping[str, Any], overlay: Path | None) -> Toolset:
        expansions = self._contributed(settings)
        for expansion in expansions:
            if not isinstance(expansion, Expansion):
                raise AdapterError(f"it gave {type(expansion).__name__}; yield Expansion")
        return self._of(expansions, overlay)

    def _contributed(self, settings: Mapping[str, Any]) -> tuple[Expansion, ...]:
        """Return what `expand` gives. A stranger's is asked once for the same settings, and in a
        thread of its own: this is asked on the event loop, too."""
        expand = self.given.expand
        if expand is None:
            return ()
        if self.trusted:
            return tuple(expand(settings))
        key = msgspec.json.encode(settings, order="sorted")
        known = self._contributions.get(key)
        if known is None:
            try:
                known = bounded(
                    lambda: tuple(expand(settings)), _EXPAND_SECONDS, f"expand {self.name}"
                )
            except BaseException as error:  # remembered: it would fail, or take as long, again
                known = error
            self._contributions[key] = known
        if isinstance(known, BaseException):
            raise known
        return known

    def spelled_object(self, name: str) -> str:
        """Return the provider's spelling of a kind of record. Raises InvalidArguments."""
        spell = self.given.objects
        if spell is None:
            raise InvalidArguments(
                "", f"{self.manifest.title} has no kinds of records; leave it out"
            )
        if self.trusted:
            return spell(name)
        return bounded(lambda: spell(name), _EXPAND_SECONDS, f"objects of {self.name}")

    def _of(self, expansions: tuple[Expansion, ...], overlay: Path | None) -> Toolset:
        pages = tuple(
            (expansion.page, msgspec.json.encode(expansion.resources)) for expansion in expansions
        )
        found = self._loaded.toolsets.get((overlay, pages))
        if found is None:
            found = self._build(expansions, overlay)
            self._loaded.toolsets[overlay, pages] = found
        return found

    def defaults(self) -> dict[str, Any]:
        """Return the settings of an account that sets none."""
        settings = {name: spec.default for name, spec in self.manifest.settings.items()}
        hosts = {f"{name}_url": host.url for name, host in self.manifest.hosts.items()}
        return {"base_url": self.manifest.base_url, **hosts, **settings}

    def complete(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return an account's settings, with the defaults where it says nothing."""
        return {**self.defaults(), **settings}

    def _looked(self) -> tuple[tuple[str, int, int], ...]:
        try:
            return self._stamp()
        except OSError as error:  # what it says is news once, like any other change
            return ((str(error), 0, 0),)

    def _stamp(self) -> tuple[tuple[str, int, int], ...]:
        # Asked four times a second: scandir costs a tenth of globbing paths.
        stamps = [_stamp_of("adapter.toml", self._toml.stat())]
        with os.scandir(self._docs) as entries:
            pages = [entry for entry in entries if entry.name.endswith(".md")]
            stamps += sorted(_stamp_of(entry.name, entry.stat()) for entry in pages)
        for folder in self.watched:
            stamps += [_stamp_of(str(page), page.stat()) for page in sorted(folder.glob("*.md"))]
        return tuple(stamps)

    def _read(self, generation: int) -> _Loaded:
        stamp = self._looked()
        files = read_files(self.folder)
        declared = declare(files, self.given)
        if declared.manifest is None:
            (fatal,) = declared.fatal
            raise AdapterError(fatal.text(self.folder.name))
        return _Loaded(
            declared=declared,
            manifest=declared.manifest,
            auth=self.given.auth or auth_of(declared.manifest.auth, declared.manifest.source),
            endpoints=_digest(declared.manifest),
            files=files,
            overlays={folder: read_overlay(folder) for folder in self.watched},
            stamp=stamp,
            generation=generation,
            toolsets={},
        )

    def _build(self, expansions: tuple[Expansion, ...], overlay: Path | None) -> Toolset:
        loaded = self._loaded
        assembly = Assembly(loaded.declared, self.given)
        assembly.take(loaded.files.pages)
        for expansion in expansions:
            assembly.expand(expansion)
        for folder in dict.fromkeys((self._overlay, overlay)):
            if folder is not None:
                assembly.overlay(loaded.overlays[folder])
        made = assembly.assemble(docs=loaded.files.docs)
        return Toolset(
            generation=self.generation,
            bindings=made.bindings,
            withheld=made.withheld,
            problems=tuple(
                one.text(self.folder.name) for one in made.findings if one.severity == "error"
            ),
            findings=made.findings,
        )


def _digest(manifest: Manifest) -> str:
    declared = [(method.tool, _declared(method), method.effect) for method in manifest.methods]
    return hashlib.sha256(msgspec.json.encode(sorted(declared, key=str))).hexdigest()[:16]


def _declared(method: Method) -> dict[str, Any]:
    """Return an endpoint as it is told apart from an older one: what says nothing is left out, or a
    release of crossdock that knows more keys would make every adapter look like a new one."""
    told: dict[str, Any] = msgspec.to_builtins(method.endpoint)
    for name in ("host", "send", "receive"):
        if getattr(method.endpoint, name) == getattr(_PLAIN, name):
            del told[name]
    return told


def _stamp_of(name: str, stat: os.stat_result) -> tuple[str, int, int]:
    return name, stat.st_mtime_ns, stat.st_size


def read_files(folder: Path) -> Files:
    """Read what an adapter's folder holds."""
    toml, docs = folder / TOML, folder / "docs"
    return Files(
        folder=folder,
        toml=toml.read_bytes() if toml.is_file() else None,
        pages=tuple((f"docs/{page.name}", page.read_bytes()) for page in sorted(docs.glob("*.md"))),
        docs=docs.is_dir(),
    )


def read_overlay(folder: Path) -> Overlay:
    """Read an operator's pages."""
    pages = sorted(folder.glob("*.md"))
    return Overlay(pages=tuple((str(page), page.read_bytes()) for page in pages))


def load_adapter(
    module: str,
    *,
    mappers: Mapping[str, Mapper] | None = None,
    auth: Auth | SignsRequests | None = None,
    expand: Expand | None = None,
    objects: SpellObject | None = None,
    sandbox: str | ModuleType | None = None,
) -> Adapter:
    """Load the adapter whose adapter.toml and docs/ lie beside `module` (pass `__name__`).

    `mappers` maps `resource.method` to a mapper; what is not there is plain REST. `auth` replaces
    the scheme of `[auth]`. `expand` contributes tools that depend on an account's settings.
    `objects` returns the provider's spelling of a kind of record, or raises InvalidArguments that
    names the known ones; with it a server's `config.objects` may hold some of them, and mappers
    keep to `context.objects`. `sandbox` names a module, as `".sandbox"`, with
    `create_app(switches)` and `accounts(base_url)`; only demo, dev and tests import it.
    Raises AdapterError with file:line. Touches no network.
    """
    origin = sys.modules[module].__file__
    if origin is None:
        raise AdapterError(f"{module}: has no file, so its adapter.toml cannot be found")
    given = Given(
        mappers=dict(mappers or {}),
        auth=None if auth is None else completed(auth),
        expand=expand,
        objects=objects,
        sandbox=sandbox,
    )
    return Adapter(Path(origin).parent, given, module)
