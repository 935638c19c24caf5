"""Plugins: loaded, blamed and asked. (long: one door for all of it, strangers or not)

Built-in behaviour comes through the same door as a stranger's. A plugin that fails is reported
by name and skipped; the rest serves.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import queue
import re
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from crossdock import hookspecs
from crossdock.adapter.bounded import bounded
from crossdock.adapter.load import Adapter
from crossdock.adapter.ranges import unmet
from crossdock.authoring import CallEvent
from crossdock.config import PluginSettings, Settings
from crossdock.errors import ConfigError, CrossdockError, InvalidArguments, PluginError, words_of
from crossdock.log import logger
from crossdock.model import Struct
from crossdock.secrets import BuiltinSecrets

GROUP = "crossdock"
BUILT_IN = "built in"
_SLOW_SECONDS = 5.0
_UNHEARD = 10_000  # finished calls that wait for an observer
LOAD_SECONDS = 30.0  # for an import, and for what a hook contributes
SECRET_SECONDS = 10.0
log = logger(__name__)


class PluginRecord(Struct, frozen=True, kw_only=True):
    """A plugin as `crossdock plugins` shows it. `error` is empty when it works."""

    name: str
    source: str
    version: str = ""
    hooks: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()
    error: str = ""


_Loadable = tuple[str, str, str, Callable[[], object]]  # name, source, version, how to load it


class Plugins:
    """All plugins of one application."""

    def __init__(
        self, settings: PluginSettings, folder: Path, overlays: Mapping[str, Path] | None = None
    ) -> None:
        self._settings = settings
        self._overlays = overlays or {}
        self._folder = folder / settings.folder if settings.folder else None
        self._manager = pluggy.PluginManager("crossdock")
        self._manager.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}
        self._observers: dict[str, Observer] = {}
        self.adapters: dict[str, Adapter] = {}

    def add(self, plugin: object, name: str) -> None:
        """Register a built-in plugin."""
        self._register(plugin, name, BUILT_IN, "")

    def load(self) -> None:
        """Load everything, then gather the adapters.

        Raises PluginError under `[plugins] strict`, ConfigError for an unsafe folder.
        """
        found = [*self._entry_points(), *self._dropped_in()]
        self.take(one for one in found if self._wanted(one[0]))

    def take(self, found: Iterable[_Loadable]) -> None:
        """Load these, then gather the adapters. Raises PluginError under `[plugins] strict`."""
        for name, source, version, load in found:
            try:
                with _told_when_slow(name, source):
                    plugin = bounded(load, LOAD_SECONDS, f"load {name}")
                self._register(plugin, name, source, version)
            except BaseException as error:  # a plugin may even call sys.exit at import
                self._broken(name, source, version, error)
        self._gather()

    def _wanted(self, name: str) -> bool:
        settings = self._settings
        return name not in settings.disabled and (not settings.only or name in settings.only)

    def _entry_points(self) -> Iterator[_Loadable]:
        for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda p: p.name):
            dist = point.dist
            source = dist.name if dist else point.value
            yield point.name, source, dist.version if dist else "", partial(_load_point, point)

    def _dropped_in(self) -> Iterator[_Loadable]:
        if self._folder is None or not self._folder.is_dir():
            return
        _refuse_writable(self._folder)
        for path in sorted(self._folder.iterdir()):
            if path.name.startswith((".", "_")):
                continue
            entry = path / "__init__.py" if path.is_dir() else path
            if entry.suffix == ".py" and entry.is_file():
                name = path.stem
                yield name, str(path), "", partial(_load_from, path, entry)

    def _register(self, plugin: object, name: str, source: str, version: str) -> None:
        if self._manager.has_plugin(name):
            raise PluginError(f"another plugin is called {name!r}: {self._records[name].source}")
        self._manager.register(plugin, name=name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self._manager.unregister(name=name)
            raise PluginError(str(error)) from None
        hooks = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
        self._records[name] = PluginRecord(name=name, source=source, version=version, hooks=hooks)

    def _gather(self) -> None:
        owners: dict[str, str] = {}
        clashes: set[str] = set()
        for impl in self._manager.hook.crossdock_adapters.get_hookimpls():
            record = self._records[impl.plugin_name]
            try:
                with _told_when_slow(record.name, record.source):
                    contributed = impl.function
                    found = bounded(
                        lambda: _listed(contributed()),  # noqa: B023  # run before the next round
                        LOAD_SECONDS,
                        f"load {record.name}",
                    )
                wrong = [one for one in found if not isinstance(one, Adapter)]
                if wrong:
                    raise PluginError(
                        f"crossdock_adapters gave {type(wrong[0]).__name__}; "
                        "yield what load_adapter returns"
                    )
            except BaseException as error:
                self._broken(impl.plugin_name, record.source, record.version, error)
                continue
            adapters = [one for one in found if isinstance(one, Adapter)]
            for adapter in adapters:
                if adapter.name in owners:
                    clashes.add(adapter.name)
                    self._clash(adapter.name, owners[adapter.name], impl.plugin_name)
                else:
                    owners[adapter.name] = impl.plugin_name
                    adapter.release = record.version
                    adapter.trusted = record.name in self._settings.trusted
                    self.adapters[adapter.name] = adapter
            names = tuple(adapter.name for adapter in adapters)
            if not self._records[impl.plugin_name].error:
                self._records[impl.plugin_name] = msgspec.structs.replace(record, adapters=names)
        for name in clashes:
            self.adapters.pop(name, None)
        for adapter in self.adapters.values():
            if adapter.name in self._overlays:
                adapter.lay_over(self._overlays[adapter.name])
            self._review(adapter)

    def _review(self, adapter: Adapter) -> None:
        try:
            toolset = adapter.toolset(adapter.defaults())
        except InvalidArguments:  # it needs settings, which only an account has
            return
        for one in toolset.withheld:
            log.info("tool.withheld", tool=one.name, source=one.source, reason=one.reason)
        for problem in toolset.problems:
            log.error("adapter.broken", adapter=adapter.name, error=problem)
            self._blame(adapter.name, problem)
            if self._settings.strict:
                raise PluginError(problem)

    def _blame(self, adapter: str, problem: str) -> None:
        for name, record in self._records.items():
            if adapter in record.adapters and not record.error:
                self._records[name] = msgspec.structs.replace(record, error=problem)

    def _clash(self, adapter: str, first: str, second: str) -> None:
        error = PluginError(f"adapter {adapter!r} comes from both {first} and {second}")
        for name in (first, second):
            record = self._records[name]
            self._broken(name, record.source, record.version, error)

    def _broken(self, name: str, source: str, version: str, error: BaseException) -> None:
        told = isinstance(error, CrossdockError)
        text = _words(error)
        known = self._records.get(name)
        key = name if known is None or known.source == source else f"{name} ({source})"
        self._records[key] = PluginRecord(name=name, source=source, version=version, error=text)
        log.error("plugin.broken", plugin=name, source=source, error=text)
        if not told:
            log.debug("plugin.traceback", plugin=name, exc_info=error)
        if self._settings.strict:
            raise PluginError(f"plugin {name} ({source}): {text}") from error

    def records(self) -> tuple[PluginRecord, ...]:
        """Return what is loaded and what failed, in loading order."""
        return tuple(self._records.values())

    def resolve_secret(self, scheme: str, reference: str) -> str | None:
        """Ask the plugins for a secret; blocking. None: no plugin knows the scheme.

        Raises ConfigError in a plugin's own words, PluginError for one that fails.
        """
        for impl in reversed(self._manager.hook.crossdock_resolve_secret.get_hookimpls()):
            given = {"scheme": scheme, "reference": reference}
            try:
                found = self._asked(impl, given)
                if found is not None and not isinstance(found, str):
                    raise PluginError(f"it gave {type(found).__name__} where a string belongs")
            except ConfigError:
                raise
            except BaseException as error:  # it may even call sys.exit
                text = f"crossdock_resolve_secret failed for {scheme!r}: {_words(error)}"
                self._note_failure(impl.plugin_name, text)
                raise PluginError(f"plugin {impl.plugin_name}: {text}") from error
            if found is not None:
                return found
        return None

    def _asked(self, impl: Any, given: Mapping[str, str]) -> object:
        def ask() -> object:
            return impl.function(*(given[name] for name in impl.argnames))

        if self._records[impl.plugin_name].source == BUILT_IN:
            return ask()
        return bounded(ask, SECRET_SECONDS, f"secrets of {impl.plugin_name}")

    def _note_failure(self, name: str, text: str) -> None:
        """Show a fault of a plugin that goes on being used."""
        self._records[name] = msgspec.structs.replace(self._records[name], error=text)
        log.error("plugin.hook_failed", plugin=name, error=text)

    def call_finished(self, event: CallEvent) -> None:
        """Tell every observer; one that raises is logged and ignored."""
        for impl in self._manager.hook.crossdock_call_finished.get_hookimpls():
            name, told = impl.plugin_name, partial(impl.function, *[event][: len(impl.argnames)])
            if name in self._settings.trusted:
                _observed(name, told)
            else:
                self._observer(name).tell(told)

    def _observer(self, name: str) -> Observer:
        found = self._observers.get(name)
        if found is None:
            found = self._observers[name] = Observer(name)
        return found

    def close(self) -> None:
        """Let observers hear what they were told, for a moment."""
        for observer in self._observers.values():
            observer.close()


class Observer:
    """A plugin's thread in which it hears of calls. What it is too slow for is left out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue(_UNHEARD)
        self._full = False
        self._thread = threading.Thread(target=self._hear, name=f"observer {name}", daemon=True)
        self._thread.start()

    def tell(self, told: Callable[[], object]) -> None:
        """Have this called soon."""
        try:
            self._queue.put_nowait(told)
            self._full = False
        except queue.Full:
            if not self._full:
                log.error("plugin.observer_behind", plugin=self._name, waiting=_UNHEARD)
            self._full = True

    def close(self) -> None:
        """End when all is heard, or after a second."""
        with suppress(queue.Full):
            self._queue.put_nowait(None)
            self._thread.join(1.0)

    def _hear(self) -> None:
        while (told := self._queue.get()) is not None:
            _observed(self._name, told)


def _observed(name: str, told: Callable[[], object]) -> None:
    try:
        told()
    except BaseException as error:  # it may even call sys.exit
        log.error("plugin.hook_failed", plugin=name, exc_info=error)


def _listed(given: object) -> list[object]:
    if given is None:
        return []
    if not isinstance(given, Iterable):
        raise PluginError(f"crossdock_adapters gave {type(given).__name__}; yield adapters")
    return list(given)


def _words(error: BaseException) -> str:
    if isinstance(error, CrossdockError):
        return str(error)
    return f"{words_of(error)}{_place(error)}"


def _place(error: BaseException) -> str:
    """Return where it was raised, so that a sentence will do and the traceback is for debugging."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""


def _load_point(point: importlib.metadata.EntryPoint) -> object:
    """Load an entry point, unless its distribution is for another crossdock."""
    for text in (point.dist.requires or ()) if point.dist else ():
        found = re.match(r"crossdock\s*(?:\[[^]]*\])?\s*\(?([<>=!~][^;)]*)", text)
        if found and (why := unmet(found[1].strip())):
            raise PluginError(f"{point.dist.name if point.dist else point.name}: {why}")
    return point.load()


def _load_from(path: Path, entry: Path) -> ModuleType:
    _refuse_writable_within(path)
    return _import(path.stem, entry)


def _import(name: str, entry: Path) -> ModuleType:
    module_name = f"crossdock_local_{name}"
    is_package = entry.name == "__init__.py"
    spec = importlib.util.spec_from_file_location(
        module_name, entry, submodule_search_locations=[str(entry.parent)] if is_package else None
    )
    if spec is None or spec.loader is None:
        raise PluginError(f"{entry} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    for part in [one for one in sys.modules if one.startswith(f"{module_name}.")]:
        del sys.modules[part]  # of the folder as it was when it was loaded before
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


@contextmanager
def _told_when_slow(name: str, source: str) -> Iterator[None]:
    """Say which plugin holds up the start, also when it never ends."""
    timer = threading.Timer(
        _SLOW_SECONDS,
        lambda: log.warning("plugin.slow", plugin=name, source=source, seconds=_SLOW_SECONDS),
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _refuse_writable(folder: Path) -> None:
    if _open_to_all(folder):
        raise ConfigError(
            f"{folder} may be written by everyone, and its code runs with the gateway's rights; "
            f"run `chmod o-w {folder}`"
        )


def _refuse_writable_within(path: Path) -> None:
    """Refuse a plugin of which others could write a part, however deep."""
    parts = [path, *path.rglob("*")] if path.is_dir() else [path]
    for part in parts:
        if part.exists() and _open_to_all(part):
            raise PluginError(
                f"{part} may be written by everyone, and its code runs with the gateway's rights; "
                f"run `chmod -R o-w {path}`"
            )


def _open_to_all(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IWOTH)


def load_plugins(settings: Settings) -> Plugins:
    """Load the built-in plugin and all others. Raises PluginError under `strict`."""
    overlays = {name: Path(one.overlay) for name, one in settings.adapters.items() if one.overlay}
    plugins = Plugins(settings.plugins, settings.folder, overlays)
    plugins.add(BuiltinSecrets(settings.folder), "secrets")
    plugins.load()
    return plugins


def load_folders(folders: Iterable[Path]) -> Plugins:
    """Load the plugins of these folders, whoever may write them, and nothing else."""
    plugins = Plugins(PluginSettings(folder=""), Path())
    plugins.take((one.name, str(one), "", partial(import_folder, one)) for one in folders)
    return plugins


def import_folder(folder: Path) -> ModuleType:
    """Import the package in a folder, whether it is installed or not."""
    sys.path.insert(0, str(folder.parent))  # a distribution may name its own modules in full
    try:
        return _import(folder.name, folder / "__init__.py")
    finally:
        sys.path.remove(str(folder.parent))
