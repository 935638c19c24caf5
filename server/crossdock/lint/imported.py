"""An adapter's Python, imported for once: its module, its adapter, and what went wrong."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from crossdock.adapter import Adapter
from crossdock.errors import AdapterError
from crossdock.plugins import import_folder

_APART = ("tests", "build", "dist")


class Imported:
    """What came of importing a folder and of asking its hook.

    `module` is None where that failed by `error`; `failure` is what the hook raised. `gave` is what
    it yielded that is no adapter. `printed` is what was said while it was imported.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module: ModuleType | None = None
        self.adapter: Adapter | None = None
        self.error: BaseException | None = None
        self.failure: BaseException | None = None
        self.gave: list[Any] = []
        self.printed = ""
        self.trees = dict(_trees(folder))

    def load(self) -> None:
        """Import the module, and ask it for its adapter if it can be asked."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            try:
                self.module = import_folder(self.folder)
            except BaseException as error:  # it may even call sys.exit
                self._failed(error, at_import=True)
        self.printed = said.getvalue()
        sys.stderr.write(self.printed)
        hook: Any = getattr(self.module, "crossdock_adapters", None)
        if is_marked(hook) and not is_async(hook):
            try:
                self._take(hook())
            except BaseException as error:
                self._failed(error, at_import=False)

    def _take(self, found: Any) -> None:
        if not isinstance(found, Iterable):
            self.gave += [] if found is None else [found]
            return
        for one in found:
            if not isinstance(one, Adapter):
                self.gave.append(one)
            elif self.adapter is None or one.folder == self.folder:
                self.adapter = one

    def _failed(self, error: BaseException, *, at_import: bool) -> None:
        """Files that are wrong are told by their own rules; the adapter is known all the same."""
        if isinstance(error, AdapterError) and isinstance(error.adapter, Adapter):
            self.adapter = error.adapter
        elif at_import:
            self.error = error
        else:
            self.failure = error

    def place_of(self, error: BaseException) -> tuple[str, int]:
        """Return where in the folder something was raised; the module's top if elsewhere."""
        if isinstance(error, SyntaxError) and error.filename and self._inside(error.filename):
            return self._relative(error.filename), error.lineno or 1
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if self._inside(frame.filename)]
        return (
            (self._relative(own[-1].filename), own[-1].lineno or 1) if own else ("__init__.py", 1)
        )

    def place_in(self, file: str) -> str:
        """Return a file as it is told; the module, for one that lies elsewhere."""
        return self._relative(file) if self._inside(file) else "__init__.py"

    def _inside(self, file: str) -> bool:
        return Path(file).is_relative_to(self.folder)

    def _relative(self, file: str) -> str:
        return Path(file).relative_to(self.folder).as_posix()

    def words(self) -> frozenset[str]:
        """Return every word in the texts of its Python, where a credential may be named."""
        texts = [
            node.value.replace("{", " ").replace("}", " ")
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        return frozenset(word for text in texts for word in text.split())


def _trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    """Yield the syntax trees of a folder's modules that can be parsed, by their file."""
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder)
        if not set(_APART).intersection(inner.parts[:-1]):
            with contextlib.suppress(SyntaxError, ValueError):
                yield inner.as_posix(), ast.parse(path.read_bytes())


def is_marked(function: Any) -> bool:
    """Tell whether a function is marked as the implementation of a hook."""
    return callable(function) and hasattr(function, "crossdock_impl")


def is_async(function: Any) -> bool:
    """Tell whether calling a function gives what has to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


@contextlib.contextmanager
def apart(folder: Path) -> Iterator[None]:
    """Keep what an adapter prints off stdout, also below Python, and forget its modules after."""
    known = set(sys.modules)
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 1)
        os.close(kept)
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]
