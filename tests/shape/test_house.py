"""The house keeps its rooms: one meaning to a name, small functions, few arguments, one map."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from crossdock.cli import _COMMANDS

CORE = Path("server/crossdock")
MAP = Path("server/README.md")

# A noun that several rooms know, each from its own side: the rows, the verbs, the routes, …
NOUNS = {
    "accounts": "integrated accounts",
    "audit": "the call log",
    "keys": "the keys that seal",
    "servers": "MCP servers",
    "sse": "server-sent events",
    "tokens": "API tokens and the tokens of MCP URLs",
}

# How the first line of a long module ends: `(long: every key of the file stands here)"""`.
REASON = re.compile(r'\(long: [^()]{12,}\)(?:""")?$')


@pytest.fixture(scope="module")
def core(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {path: tree for path, tree in modules.items() if CORE in path.parents}


def test_a_module_name_stands_in_several_rooms_only_for_one_noun(
    core: dict[Path, ast.Module],
) -> None:
    rooms: dict[str, list[str]] = defaultdict(list)
    for path in core:
        if path.stem not in ("__init__", "__main__", "env"):
            rooms[path.stem].append(path.relative_to(CORE).as_posix())
    twice = {name: places for name, places in rooms.items() if len(places) > 1}
    # A command is named as it is typed, whatever rooms are called.
    known = {*NOUNS, *(place.partition(":")[0] for place, _ in _COMMANDS.values())}
    assert {name: places for name, places in twice.items() if name not in known} == {}
    assert NOUNS.keys() - twice.keys() == set()


def test_no_two_public_classes_have_one_name(core: dict[Path, ast.Module]) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in core.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_constructor_takes_more_than_five_positional_arguments(
    core: dict[Path, ast.Module],
) -> None:
    crowded = {
        f"{path}:{node.lineno}": len(positional)
        for path, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__init__"
        for positional in [[*node.args.posonlyargs, *node.args.args][1:]]
        if len(positional) > 5
    }
    assert crowded == {}


def test_no_function_has_more_than_sixty_lines(core: dict[Path, ast.Module]) -> None:
    long = {
        f"{path} {node.name}": node.end_lineno - node.lineno + 1
        for path, tree in core.items()
        if "migrations" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 60
    }
    assert long == {}


def test_a_long_module_says_in_its_first_line_why(
    core: dict[Path, ast.Module], texts: dict[Path, str]
) -> None:
    long = {
        str(path): len(texts[path].splitlines())
        for path in core
        if len(texts[path].splitlines()) > 400 and not REASON.search(texts[path].partition("\n")[0])
    }
    assert long == {}


def test_the_map_names_every_module(core: dict[Path, ast.Module], texts: dict[Path, str]) -> None:
    _, _, part = texts[MAP].partition("## Every file")
    named = set(re.findall(r"^\| `([\w/]+\.py)` \|", part, re.MULTILINE))
    missing = {}
    for path in core:
        inner = path.relative_to(CORE)
        if path.stem == "__init__" or "versions" in inner.parts:
            continue
        if inner.as_posix() not in named:
            missing[inner.as_posix()] = texts[path].partition("\n")[0].strip('"')
    assert missing == {}
    assert [name for name in named if CORE / name not in core] == []


def test_the_map_leads_ten_changes_to_their_files(root: Path, texts: dict[Path, str]) -> None:
    _, _, part = texts[MAP].partition("## I want to …")
    rows = [row.split("|") for row in part.partition("\n## ")[0].splitlines()[4:] if "|" in row]
    named = {row[1].strip(): paths_in(row[2]) for row in rows}
    assert len(named) >= 10
    lost = {
        wish: paths
        for wish, paths in named.items()
        if not paths or not all(_exists(root, path) for path in paths)
    }
    assert lost == {}


def paths_in(cell: str) -> list[str]:
    """Return what a cell names: links, folders and files."""
    words = re.findall(r"`([\w/.-]+)`", cell)
    return [
        *re.findall(r"\]\(([^)]+)\)", cell),
        *(word for word in words if "/" in word or word.endswith((".py", ".md", ".toml"))),
    ]


def _exists(root: Path, path: str) -> bool:
    return any((place / path).exists() for place in (root, root / CORE, (root / MAP).parent))
