"""Imports go down only, and each library is used in the one place that owns it.

Read from the syntax trees, so nothing is imported and a late import inside a function counts too.
What stands under `if TYPE_CHECKING:` does not count: it binds types, not behaviour.
"""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path, PurePath

import pytest

CORE = Path("server/crossdock")

# layer: the layers it may import. OPEN_TO_ALL and the bare package are open to all.
LAYERS: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {
        "access",
        "adapter",
        "bus",
        "calls",
        "client",
        "config",
        "control",
        "gateway",
        "lint",
        "log",
    }
    | {"plugins", "redaction", "reference", "scaffold", "secrets", "store", "web"},
    "scaffold": {"adapter", "plugins"},
    "testing": {"access", "adapter", "calls", "client", "config", "control", "gateway", "log"}
    | {"observe", "plugins", "store", "web"},
    "web": {"access", "bus", "client", "config", "control", "gateway", "log", "plugins", "protocol"}
    | {"redaction"},
    "gateway": {
        "access",
        "bus",
        "calls",
        "config",
        "control",
        "gauges",
        "housekeeping",
        "log",
        "observe",
        "plugins",
    }
    | {"protocol", "redaction", "secrets", "store"},
    "gauges": {"observe"},
    "housekeeping": {"access", "calls", "control", "log", "protocol", "store"},
    "bus": {"log"},
    "control": {"access", "calls", "signing", "store"},
    "access": {"calls", "store"},
    "calls": {"adapter", "config", "log", "redaction", "signing"},
    "observe": {"log", "redaction", "store"},
    "protocol": {"bus", "log", "redaction", "signing"},
    "reference": {"adapter"},
    "lint": {"adapter", "calls", "hookspecs", "plugins"},
    "plugins": {"adapter", "config", "hookspecs", "log", "secrets"},
    "store": {"secrets"},
    "secrets": set(),
    "adapter": set(),
    "client": set(),
    "config": {"secrets"},
    "hookspecs": {"adapter"},
    "log": {"redaction"},
    "redaction": set(),
    "signing": set(),
    "errors": set(),
    "model": set(),
    "authoring": set(),
}
OPEN_TO_ALL = {"authoring", "model", "errors"}

# library: the places of the core that may import it.
OWNERS = {
    "aiohttp": {"client", "testing/fault.py", "testing/workbench.py"},
    "aiohttp.web": {"web", "cli/demo.py", "cli/dev.py", "testing"},
    "aiohttp_sse": {"web/sse.py"},
    "alembic": {"store"},
    "aiohappyeyeballs": {"calls/dialing.py"},
    "aiosqlite": {"store"},
    "asyncpg": {"store"},
    "cryptography": {"store/sealing.py"},
    "cyclopts": {"cli"},
    "httptools": {"calls/http_reader.py"},
    "prometheus_client": {"observe/metrics.py"},
    "redis": {"bus/redis.py"},
    "rich": {"cli"},
    "yaml": {"scaffold/document.py"},
    "secrets": {"access/tokens.py", "store/sealing.py", "testing/doorkeeper.py"},
    "sqlalchemy": {"store"},
}


class Import:
    """One imported module, told to the last name that is known to be a module."""

    def __init__(self, line: int, module: str, name: str = "") -> None:
        self.line = line
        self.module = module
        self.name = name

    @property
    def library(self) -> str:
        """Return the library; aiohttp counts as two, its client and its server."""
        parts = [*self.module.split("."), self.name]
        if parts[0] == "aiohttp" and parts[1].startswith("web"):
            return "aiohttp.web"
        return parts[0]

    @property
    def layer(self) -> str:
        """Return the layer of crossdock that is imported; empty for the bare package."""
        parts = [*self.module.split("."), self.name]
        return parts[1] if parts[0] == "crossdock" and parts[1] in LAYERS else ""


def imports(tree: ast.AST) -> list[Import]:
    found: list[Import] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for branch in node.orelse:
                found += imports(branch)
        elif isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append(Import(node.lineno, "." * node.level))
            else:
                module = node.module or ""
                found += [Import(node.lineno, module, alias.name) for alias in node.names]
        else:
            found += imports(node)
    return found


def layer_of(path: Path) -> str:
    inner = path.relative_to(CORE)
    return inner.parts[0].removesuffix(".py")


def within(path: PurePath, places: set[str]) -> bool:
    return any(path == PurePath(place) or PurePath(place) in path.parents for place in places)


@pytest.fixture(scope="module")
def core(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {path: tree for path, tree in modules.items() if CORE in path.parents}


def test_every_module_of_the_core_belongs_to_a_layer(core: dict[Path, ast.Module]) -> None:
    layers = {layer_of(path) for path in core} - {"__init__"}
    assert layers <= LAYERS.keys()


def test_the_layers_have_a_bottom() -> None:
    assert [*TopologicalSorter(LAYERS).static_order()]


def test_the_core_imports_downwards_only(core: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{imported.line} imports crossdock.{imported.layer}"
        for path, tree in core.items()
        for imported in imports(tree)
        if imported.layer
        and imported.layer != layer_of(path)
        and imported.layer not in OPEN_TO_ALL | LAYERS.get(layer_of(path), set())
    ]
    assert wrong == []


def test_what_is_open_to_all_leans_on_nothing_else_of_ours(core: dict[Path, ast.Module]) -> None:
    below = {"authoring": set[str](), "model": {"authoring"}, "errors": {"authoring"}}
    wrong = [
        f"{path}:{imported.line} imports crossdock.{imported.layer}"
        for path, tree in core.items()
        for imported in imports(tree)
        if layer_of(path) in below
        and imported.layer
        and imported.layer not in below[layer_of(path)]
    ]
    assert wrong == []


def test_each_library_is_used_where_it_belongs(core: dict[Path, ast.Module]) -> None:
    wrong = [
        f"{path}:{imported.line} imports {imported.library}"
        for path, tree in core.items()
        for imported in imports(tree)
        if imported.library in OWNERS
        and not within(path.relative_to(CORE), OWNERS[imported.library])
    ]
    assert wrong == []


def test_the_core_names_modules_in_full(core: dict[Path, ast.Module]) -> None:
    relative = [
        f"{path}:{imported.line}"
        for path, tree in core.items()
        for imported in imports(tree)
        if imported.module.startswith(".")
    ]
    assert relative == []


def test_adapters_and_plugins_use_only_what_strangers_may(
    modules: dict[Path, ast.Module],
) -> None:
    allowed = {"crossdock.adapter", "crossdock.testing", "crossdock.testing.sandbox"}
    wrong = []
    for path, tree in modules.items():
        if path.parts[0] not in ("adapters", "plugins") or "tests" in path.parts:
            continue
        own = path.parts[2] if path.parts[0] == "adapters" else "."
        sandbox = any(PurePath(part).stem == "sandbox" for part in path.parts)
        for imported in imports(tree):
            library = imported.library
            fine = (
                imported.module in allowed
                or library in sys.stdlib_module_names
                or library in (own, "msgspec")
                or imported.module.startswith(".")
                or (library == "aiohttp.web" and sandbox)
            )
            if not fine:
                wrong.append(f"{path}:{imported.line} imports {imported.module}")
    assert wrong == []
