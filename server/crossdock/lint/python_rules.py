"""Rules for an adapter's Python: import, hooks, expand, sandbox, private imports, prints."""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from types import ModuleType
from typing import Any

from crossdock import hookspecs
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.given import Expansion
from crossdock.adapter.rules.mapper_rules import code_place
from crossdock.errors import InvalidArguments, words_of
from crossdock.lint.imported import Imported, is_async, is_marked

PYTHON = Stage()
HOOKS = {name: one for name, one in vars(hookspecs).items() if name.startswith("crossdock_")}
_MODULE = "__init__.py"
_ALLOWED = ("crossdock.adapter", "crossdock.testing")


class Python:
    """An adapter's Python as it was imported. `expansions` are those of the default settings."""

    file = _MODULE

    def __init__(self, adapter: str, imported: Imported) -> None:
        self.adapter = adapter
        self.imported = imported
        self.expansions: list[Expansion] = []

    def line(self, place: Place) -> int:
        """Return the line in which the module defines a name; else its top."""
        tree = self.imported.trees.get(_MODULE)
        for node in tree.body if tree and place else ():
            if getattr(node, "name", None) == place[0]:
                return node.lineno
        return 1

    def key(self, place: Place) -> str:
        """Return the name of what is wrong."""
        return ".".join(place)

    def at(self, function: Any, name: str) -> dict[str, Any]:
        """Return where a function stands, as arguments of a flaw."""
        found = code_place(function, self.imported.folder)
        if found is None:
            return {"file": _MODULE, "line": self.line((name,))}
        return {"file": found[0], "line": found[1]}


@PYTHON.rule("python-import", "hooks")
def _import(python: Python) -> Iterator[Flaw]:
    imported = python.imported
    if imported.error is None:
        return
    file, line = imported.place_of(imported.error)
    missing = not (imported.folder / _MODULE).is_file()
    yield Flaw(
        place=(),
        file=file,
        line=line,
        message=f"there is no {_MODULE}" if missing else words_of(imported.error),
        remedy="mend what is raised here; at import a module defines, and does nothing else",
    )


def _hooks(python: Python) -> Iterator[tuple[str, Any]]:
    """Yield what of the module is, or was meant to be, a hook."""
    for name, one in vars(python.imported.module).items() if python.imported.module else ():
        if inspect.isfunction(one) and (is_marked(one) or name.startswith("crossdock_")):
            yield name, one


def _wrong_hooks(python: Python) -> Iterator[tuple[str, Any, str, str]]:
    """Yield the hooks that cannot be called as such: name, function, message, remedy."""
    for name, function in _hooks(python):
        if name not in HOOKS:
            near = difflib.get_close_matches(name, HOOKS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(HOOKS)}"
            yield name, function, f"there is no hook {name}", hint
            continue
        if not is_marked(function):
            yield name, function, f"{name} is not marked", "write @hookimpl above it"
        if is_async(function):
            yield name, function, f"{name} is async", "write `def`: a hook never awaits"
        known = list(inspect.signature(HOOKS[name]).parameters)
        own = list(inspect.signature(function).parameters)
        if odd := [one for one in own if one not in known]:
            words = f"({', '.join(known)}), or fewer of these"
            yield name, function, f"{name} knows no parameter `{odd[0]}`", f"write {words}"


@PYTHON.rule("python-hook", "hooks")
def _hook(python: Python) -> Iterator[Flaw]:
    wrong = list(_wrong_hooks(python))
    for name, function, message, remedy in wrong:
        yield Flaw(place=(name,), message=message, remedy=remedy, **python.at(function, name))
    imported, name = python.imported, "crossdock_adapters"
    hook = getattr(imported.module, name, None)
    if wrong:
        return  # what else there is to see follows from it
    if imported.failure is not None:
        file, line = imported.place_of(imported.failure)
        yield Flaw(
            place=(name,),
            file=file,
            line=line,
            message=f"{name} raised {words_of(imported.failure)}",
            remedy="yield what load_adapter returns, and do nothing else",
        )
    elif imported.gave:
        kind = type(imported.gave[0]).__name__
        yield Flaw(
            place=(name,),
            message=f"{name} gave {kind}",
            remedy="yield what load_adapter returns",
            **python.at(hook, name),
        )
    elif imported.module is not None and imported.adapter is None:
        yield Flaw(
            place=(name,),
            message=f"{name} yields no adapter" if hook else f"there is no {name}",
            remedy="write @hookimpl and a function that yields load_adapter(__name__)",
            **python.at(hook, name),
        )


@PYTHON.rule("python-expand", "tools-that-depend-on-the-account-expand")
def _expand(python: Python) -> Iterator[Flaw]:
    adapter = python.imported.adapter
    if adapter is None or adapter.given.expand is None or not adapter.is_loaded:
        return
    expand: Callable[[Any], Any] = adapter.given.expand
    place = python.at(expand, "expand")
    try:
        found = list(expand(adapter.defaults()))
    except InvalidArguments:  # it needs settings, which only an account has
        return
    except BaseException as error:
        file, line = python.imported.place_of(error)
        place = {"file": file, "line": line}
        yield Flaw(
            place=("expand",),
            message=f"expand raises {words_of(error)} on the default settings",
            remedy="take settings as they are where an account sets none",
            **place,
        )
        return
    for one in found:
        if isinstance(one, Expansion):
            python.expansions.append(one)
        else:
            yield Flaw(
                place=("expand",),
                message=f"expand gives {type(one).__name__}",
                remedy="yield Expansion(resources=…, page_name=…, page=…)",
                **place,
            )


@PYTHON.rule("python-sandbox", "sandboxes")
def _sandbox(python: Python) -> Iterator[Flaw]:
    adapter, module = python.imported.adapter, python.imported.module
    given = adapter.given.sandbox if adapter else None
    if adapter is None or given is None or module is None:
        return
    line = _line_of(python, "sandbox")
    if _is_imported(given, module):
        yield Flaw(
            place=("sandbox",),
            line=line,
            severity="warning",
            message="the sandbox is imported at load, where nobody needs it",
            remedy='name it: load_adapter(__name__, sandbox=".sandbox")',
        )
    try:
        sandbox = adapter.sandbox
    except BaseException as error:
        file, at = python.imported.place_of(error)
        yield Flaw(
            place=("sandbox",),
            file=file,
            line=at,
            message=f"the sandbox does not load: {words_of(error)}",
            remedy="mend it, or leave `sandbox` out",
        )
        return
    origin = getattr(sandbox, "__file__", None)
    file = _MODULE
    if origin:
        file = python.imported.place_in(origin)
    for name in ("create_app", "accounts"):
        if not callable(getattr(sandbox, name, None)):
            yield Flaw(
                place=("sandbox", name),
                file=file,
                line=1,
                message=f"the sandbox lacks {name}",
                remedy="write create_app(switches=None) and accounts(base_url)",
            )


def _is_imported(given: str | ModuleType, module: ModuleType) -> bool:
    if isinstance(given, ModuleType):
        return True
    return resolve_name(given, module.__name__) in sys.modules


def _line_of(python: Python, word: str) -> int:
    """Return the line of the module in which a keyword is passed."""
    tree = python.imported.trees.get(_MODULE)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.keyword) and node.arg == word:
            return node.lineno
    return 1


@PYTHON.rule("python-private", "what-stays-as-it-is", lint=True)
def _private(python: Python) -> Iterator[Flaw]:
    for file, tree in python.imported.trees.items():
        for line, name in _imports(tree):
            if name.partition(".")[0] == "crossdock" and name not in _ALLOWED:
                if name.startswith("crossdock.testing."):
                    continue
                yield Flaw(
                    place=(name,),
                    file=file,
                    line=line,
                    severity="warning",
                    message=f"{name} may change with any release",
                    remedy="import from crossdock.adapter",
                )


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the modules that are imported at run time, each with its line."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for branch in node.orelse:
                yield from _imports(branch)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module == "crossdock":
            yield from ((node.lineno, f"crossdock.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module or ""
        else:
            yield from _imports(node)


@PYTHON.rule("python-print", "hooks", lint=True)
def _print(python: Python) -> Iterator[Flaw]:
    said = python.imported.printed
    if said:
        file, line = _print_at(python)
        yield Flaw(
            place=(),
            file=file,
            line=line,
            severity="warning",
            message=f"it prints while it is imported: {said.strip()[:60]!r}",
            remedy="leave it out: stdout is for the commands' answers",
        )


def _print_at(python: Python) -> tuple[str, int]:
    for file, tree in sorted(python.imported.trees.items(), key=lambda one: one[0] != _MODULE):
        for node in tree.body:
            for inner in ast.walk(node) if not isinstance(node, _LATER) else ():
                called = inner.func if isinstance(inner, ast.Call) else None
                if isinstance(called, ast.Name) and called.id == "print":
                    return file, called.lineno
    return _MODULE, 1


_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
