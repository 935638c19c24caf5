"""manifest + entries + mappers → Adapter. (long: what a tool is and why it is withheld is one)

Pages are read again when a newer one lies on disk: tools are made from the documentation of the
moment, and every such change is a new generation.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from crossdock.adapter.auth import auth_of, completed
from crossdock.adapter.docs import Entry, read_page
from crossdock.adapter.hosts import shown
from crossdock.adapter.manifest import (
    Lines,
    Manifest,
    Method,
    placeholders,
    read_manifest,
    read_resources,
)
from crossdock.adapter.naming import LONGEST_NAME, tool_title
from crossdock.adapter.rest import rest
from crossdock.adapter.samples import sample_call
from crossdock.adapter.schema import compile_schema, input_schema, mirrored
from crossdock.authoring import Argument, Auth, Endpoint, Mapper, SignsRequests, Tool, Where
from crossdock.errors import AdapterError, InvalidArguments, words_of
from crossdock.model import Withheld

_VIEW_SHOWN = 8  # names of a view that a tool's text holds
_PROSE = range(20, 1201)
_PLAIN = Endpoint(verb="GET", path="/")


class Expansion(msgspec.Struct, frozen=True, kw_only=True):
    """Further endpoints and their page for accounts with certain settings.

    `resources` has the shape of adapter.toml's `[resources]`, `page` that of a file in docs/,
    `mappers` that of load_adapter's.
    """

    resources: Mapping[str, Any]
    page_name: str
    page: str
    mappers: Mapping[str, Mapper] = {}


Expand = Callable[[Mapping[str, Any]], Iterable[Expansion]]
SpellObject = Callable[[str], str]


class Binding:
    """A tool with what runs it. `schema` is what arguments have to fit, which is more than hosts
    are shown; its validator is compiled when it is first needed."""

    __slots__ = ("_validate", "aliases", "mapper", "places", "schema", "tool")

    def __init__(
        self, tool: Tool, aliases: dict[str, str], mapper: Mapper, schema: dict[str, Any]
    ) -> None:
        self.tool = tool
        self.schema = schema
        self.aliases = aliases
        self.mapper = mapper
        self.places = {argument.key: argument for argument in tool.arguments}
        self._validate: Callable[[Any], None] | None = None

    def validate(self, arguments: Any) -> None:
        """Raise InvalidArguments unless `arguments` fit the tool's schema."""
        if self._validate is None:
            tool = self.tool
            self._validate = compile_schema(
                self.schema, tool.source, lambda: sample_call(tool.name, self.schema)
            )
        self._validate(arguments)


class Toolset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The tools of an adapter for one kind of account, at one generation. Equal to itself only."""

    generation: int
    bindings: Mapping[str, Binding]
    withheld: tuple[Withheld, ...]
    problems: tuple[str, ...]


class _Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from the files at one moment; replaced as a whole."""

    manifest: Manifest
    auth: Auth
    endpoints: str
    pages: tuple[tuple[str, str], ...]
    stamp: tuple[tuple[str, int, int], ...]
    generation: int
    toolsets: dict[tuple[tuple[str, bytes], ...], Toolset]


class Adapter:
    """The installed knowledge of one provider. Made by `load_adapter`, never by hand."""

    def __init__(
        self,
        folder: Path,
        mappers: Mapping[str, Mapper],
        auth: Auth | SignsRequests | None,
        expand: Expand | None,
        *,
        objects: SpellObject | None,
        sandbox: Callable[[], ModuleType] | None,
    ) -> None:
        self._folder = folder
        self._toml, self._docs = folder / "adapter.toml", folder / "docs"
        self._mappers = dict(mappers)
        self._given_auth = None if auth is None else completed(auth)
        self._expand = expand
        self.spell_object = objects
        self._sandbox = sandbox
        self.release = ""
        self._loaded = self._read(generation=1)

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
        return None if self._sandbox is None else self._sandbox()

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
        pages = hashlib.sha256(msgspec.json.encode(self._loaded.pages)).hexdigest()[:12]
        return f"{self.version}/{pages}"

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
        known = self.toolset(self.defaults()).problems
        try:
            self._loaded = self._read(generation=old.generation + 1)
            if fresh := set(self.toolset(self.defaults()).problems).difference(known):
                raise AdapterError(min(fresh))
        except AdapterError:
            # A half-saved page must not take tools away; it is read again when it changes again.
            self._loaded = msgspec.structs.replace(old, stamp=stamp)
            raise
        return True

    def toolset(self, settings: Mapping[str, Any]) -> Toolset:
        """Return the tools of an account with these settings. Raises InvalidArguments only.

        Where `expand` fails the others are returned, and `problems` says why.
        """
        try:
            return self._expanded(settings)
        except InvalidArguments:
            raise
        except BaseException as error:  # an adapter's own code may raise anything
            problem = f"{self.name}: expand failed: {words_of(error)}"
            return msgspec.structs.replace(self._of(()), problems=(problem,))

    def _expanded(self, settings: Mapping[str, Any]) -> Toolset:
        expansions = tuple(self._expand(settings)) if self._expand else ()
        for expansion in expansions:
            if not isinstance(expansion, Expansion):
                raise AdapterError(f"it gave {type(expansion).__name__}; yield Expansion")
        return self._of(expansions)

    def _of(self, expansions: tuple[Expansion, ...]) -> Toolset:
        key = tuple(
            (expansion.page, msgspec.json.encode(expansion.resources)) for expansion in expansions
        )
        found = self._loaded.toolsets.get(key)
        if found is None:
            found = self._build(expansions)
            self._loaded.toolsets[key] = found
        return found

    def defaults(self) -> dict[str, Any]:
        """Return the settings of an account that sets none."""
        settings = {name: spec.default for name, spec in self.manifest.settings.items()}
        hosts = {f"{name}_url": host.url for name, host in self.manifest.hosts.items()}
        return {"base_url": self.manifest.base_url, **hosts, **settings}

    def complete(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return an account's settings, with the defaults where it says nothing."""
        return {**self.defaults(), **settings}

    def _files(self) -> list[Path]:
        return [self._toml, *sorted(self._docs.glob("*.md"))]

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
        return tuple(stamps)

    def _read(self, generation: int) -> _Loaded:
        try:
            stamp = self._stamp()
            toml, *pages = [(file, file.read_text(encoding="utf-8")) for file in self._files()]
        except FileNotFoundError as error:
            raise AdapterError(f"{error.filename}: no such file") from None
        except UnicodeDecodeError as error:
            raise AdapterError(f"{self._folder}: a file is not UTF-8: {error}") from None
        manifest = read_manifest(toml[1], _short(toml[0]))
        self._check_mappers(manifest)
        return _Loaded(
            manifest=manifest,
            auth=self._given_auth or auth_of(manifest.auth, manifest.source),
            endpoints=_digest(manifest),
            pages=tuple((_short(file), text) for file, text in pages),
            stamp=stamp,
            generation=generation,
            toolsets={},
        )

    def _check_mappers(self, manifest: Manifest) -> None:
        declared = {f"{method.resource}.{method.method}" for method in manifest.methods}
        for key in self._mappers:
            if key not in declared:
                near = difflib.get_close_matches(key, declared, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise AdapterError(f"{manifest.source}: no endpoint for the mapper {key!r}{hint}")

    def _build(self, expansions: tuple[Expansion, ...]) -> Toolset:
        manifest = self.manifest
        methods = {method.tool: method for method in manifest.methods}
        mappers = dict(self._mappers)
        pages = list(self._loaded.pages)
        for expansion in expansions:
            lines = Lines("", expansion.page_name)
            for method in read_resources(
                expansion.resources, manifest.name, manifest.paging, lines
            ):
                methods[method.tool] = method
            mappers.update(expansion.mappers)
            pages.append((expansion.page_name, expansion.page))
        bindings: dict[str, Binding] = {}
        problems: list[str] = []
        described: set[str] = set()
        for source, text in pages:
            try:
                entries = read_page(text, source)
            except AdapterError as error:
                problems.append(str(error))
                continue
            for entry in entries:
                described.add(entry.tool)
                try:
                    bindings[entry.tool] = self._bind(entry, methods, mappers, bindings)
                except AdapterError as error:
                    problems.append(str(error))
        withheld = tuple(
            Withheld(
                name=name,
                source=method.source,
                reason="its section has an error" if name in described else "no section in docs/",
            )
            for name, method in methods.items()
            if name not in bindings
        )
        return Toolset(
            generation=self.generation,
            bindings=bindings,
            withheld=withheld,
            problems=tuple(problems),
        )

    def _bind(
        self,
        entry: Entry,
        methods: Mapping[str, Method],
        mappers: Mapping[str, Mapper],
        bound: Mapping[str, Binding],
    ) -> Binding:
        method = methods.get(entry.tool)
        if method is None:
            near = difflib.get_close_matches(entry.tool, methods, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AdapterError(f"{entry.source}: `{entry.tool}` is no tool of adapter.toml{hint}")
        if entry.tool in bound:
            raise AdapterError(
                f"{entry.source}: `{entry.tool}` is documented twice, first at "
                f"{bound[entry.tool].tool.source}"
            )
        tool, schema = self._tool(entry, method)
        # Compiled now only to find mistakes early would cost start-up; `crossdock check` does it.
        mapper = mappers.get(tool.key, rest)
        if mapper is rest:
            _refuse_optional_path(entry)
            _refuse_unread(entry, tool.key)
        return Binding(tool, entry.aliases, mapper, schema)

    def _tool(self, entry: Entry, method: Method) -> tuple[Tool, dict[str, Any]]:
        """Return a tool, and the schema that its arguments have to fit."""
        if len(method.tool) > LONGEST_NAME:
            raise AdapterError(
                f"{method.source}: the name {method.tool} has {len(method.tool)} characters; "
                f"clients accept {LONGEST_NAME}"
            )
        if len(entry.description) not in _PROSE:
            raise AdapterError(
                f"{entry.source}: the description has {len(entry.description)} characters; "
                f"write {_PROSE.start} to {_PROSE.stop - 1}"
            )
        arguments = entry.arguments
        if entry.schema is not None:
            arguments = _whole_arguments(entry.schema, method)
        _check_places(arguments, entry.source, method)
        if method.lists:
            arguments += _paging_arguments(entry, method)
        whole = method.endpoint.receive.as_ == "json"  # of bytes nothing can be left out
        if entry.schema is None and (method.lists or (method.method == "get" and whole)):
            arguments += (_fields_argument(entry, method),)
        schema = entry.schema or input_schema(arguments, entry.defs)
        for key in method.confirm or ():
            if not any(argument.key == key for argument in arguments):
                raise AdapterError(f"{method.source}: confirm names `{key}`, which is no argument")
        tool = Tool(
            name=method.tool,
            title=tool_title(self.manifest.title, method.resource, method.method, method.singular),
            description=entry.description,
            adapter=self.manifest.name,
            resource=method.resource,
            method=method.method,
            effect=method.effect,
            tags=method.tags,
            endpoint=method.endpoint,
            arguments=arguments,
            input_schema=entry.schema or shown(schema),
            idempotent=method.idempotent,
            source=entry.source,
            paging=method.paging,
            partial=self.manifest.failures.partial,
            confirm=method.confirm,
            headers=mirrored(schema, entry.source),
            object=method.object,
            lists=method.lists,
            view=method.view,
            hosts=tuple(self.manifest.hosts),
        )
        return tool, schema


def _whole_arguments(schema: Mapping[str, Any], method: Method) -> tuple[Argument, ...]:
    """Place the properties of a whole schema by the endpoint that they are for."""
    if method.lists:
        raise AdapterError(
            f"{method.source}: a list tool pages, so it cannot have a whole [schema]"
        )
    wanted = placeholders(method.endpoint)
    elsewhere: Where = "query" if method.endpoint.verb in ("GET", "DELETE") else "body"
    required = schema.get("required", ())
    return tuple(
        Argument(
            key=key,
            where="path" if key in wanted else elsewhere,
            name=key,
            schema=part if isinstance(part, dict) else {},
            required=key in required,
        )
        for key, part in schema.get("properties", {}).items()
    )


def _refuse_optional_path(entry: Entry) -> None:
    for argument in entry.arguments:
        if argument.where == "path" and not argument.required:
            raise AdapterError(
                f"{entry.source}: [path.{argument.key}] may be optional only where a mapper "
                "finds its value"
            )


def _refuse_unread(entry: Entry, key: str) -> None:
    """What a mapper is told may be what holds it back from destroying something."""
    for argument in entry.arguments:
        if argument.where == "mapper":
            raise AdapterError(
                f"{entry.source}: [mapper.{argument.key}] is read by no one; register a mapper "
                f"for {key!r} with load_adapter(mappers=…), or place it in query or body"
            )


def _check_places(arguments: tuple[Argument, ...], source: str, method: Method) -> None:
    wanted = set(placeholders(method.endpoint))
    given = {argument.name for argument in arguments if argument.where == "path"}
    if missing := wanted - given:
        raise AdapterError(
            f"{source}: `{{{min(missing)}}}` of {method.source} needs [path.{min(missing)}]"
        )
    if extra := given - wanted:
        raise AdapterError(
            f"{source}: [path.{min(extra)}] has no `{{{min(extra)}}}` at {method.source}"
        )
    if method.endpoint.verb == "GET" and any(a.where == "body" for a in arguments):
        raise AdapterError(f"{source}: a GET sends no body; use [query.…] or [mapper.…]")


def _paging_arguments(entry: Entry, method: Method) -> tuple[Argument, Argument]:
    for argument in entry.arguments:
        if argument.key in ("limit", "next_cursor"):
            raise AdapterError(
                f"{entry.source}: `{argument.key}` is added to list tools by itself; leave it out"
            )
    limits = method.paging.limit
    return (
        Argument(
            key="limit",
            where="limit",
            name="limit",
            schema={
                "type": "integer",
                "minimum": 1,
                "maximum": limits.max,
                "default": limits.default,
                "description": "Most records to return.",
            },
        ),
        Argument(
            key="next_cursor",
            where="cursor",
            name="next_cursor",
            schema={
                "type": "string",
                "description": "Of the previous answer, unchanged.",
            },
        ),
    )


def _fields_argument(entry: Entry, method: Method) -> Argument:
    if any(argument.key == "fields" for argument in entry.arguments):
        raise AdapterError(
            f"{entry.source}: `fields` is added to lists and single reads by itself; leave it out"
        )
    about = "Dotted paths to show."
    if method.view:
        more = len(method.view) - _VIEW_SHOWN
        default = ", ".join(method.view[:_VIEW_SHOWN]) + (f" and {more} more" if more > 0 else "")
        about = f'Dotted paths to show, ["*"] for all. Default: {default}.'
    schema = {"type": "array", "items": {"type": "string"}, "description": about}
    return Argument(key="fields", where="fields", name="fields", schema=schema)


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


def _short(file: Path) -> str:
    """Return the part of a path that people recognise: package/docs/orders.md."""
    depth = 3 if file.parent.name == "docs" else 2
    return "/".join(file.parts[-depth:])


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
    imported = partial(_sandbox, sandbox, module) if sandbox is not None else None
    return Adapter(
        Path(origin).parent, mappers or {}, auth, expand, objects=objects, sandbox=imported
    )


def _sandbox(given: str | ModuleType, module: str) -> ModuleType:
    return importlib.import_module(given, module) if isinstance(given, str) else given
