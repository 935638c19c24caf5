"""The contributors' tour passes every part of the core, and leads nowhere that is not there."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
from harness.guide import EXAMPLE, blocks_of, spans

TOUR = Path("server/README.md")
CORE = Path("server/crossdock")


@pytest.fixture(scope="module")
def tour(root: Path) -> set[str]:
    return spans((root / TOUR).read_text(encoding="utf-8"))


def test_the_tour_passes_every_part_of_the_core(files: list[Path], tour: set[str]) -> None:
    inner = [path.relative_to(CORE) for path in files if CORE in path.parents]
    parts = {path.parts[0] + "/" * (len(path.parts) > 1) for path in inner}
    assert parts - tour - {"__init__.py", "py.typed"} == set()


def test_the_tour_names_files_that_exist(root: Path, tour: set[str]) -> None:
    places = (root, root / CORE, root / EXAMPLE)
    missing = {
        span
        for span in tour
        if re.fullmatch(r"[\w/.-]+(\.(py|toml|md)|/)", span)
        and not any((place / span).exists() for place in places)
        and not list((root / CORE).glob(f"*/{span}"))
    }
    assert missing == set()


def test_the_tour_names_functions_that_exist(
    modules: dict[Path, ast.Module], tour: set[str]
) -> None:
    known: set[str] = set()
    for path, tree in modules.items():
        if CORE not in path.parents:
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                known |= {f"{node.name}.{name}" for name in names_in(node)}
        module = path.parent.name if path.stem == "__init__" else path.stem
        known |= {f"{module}.{name}" for name in names_in(tree)}
    named = {span for span in tour if re.fullmatch(r"\w+\.\w+", span)}
    libraries = ("msgspec.", "gc.", "web.")
    unknown = {
        span
        for span in named
        if not re.search(r"\.(py|md|toml)$", span) and not span.startswith(libraries)
    } - known
    assert unknown == set()


def names_in(node: ast.Module | ast.ClassDef) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {child.name for child in node.body if isinstance(child, kinds)}


def test_the_tours_commands_can_be_typed(root: Path) -> None:
    (first, *others) = [
        block.text
        for block in blocks_of((root / TOUR).read_text(encoding="utf-8"))
        if block.language == "sh"
    ]
    usage = (root / "dev.py").read_text(encoding="utf-8")
    for line in first.splitlines():
        _, _, command, *arguments = shlex.split(line, comments=True)
        assert re.search(rf"^  {command} ", usage, re.MULTILINE), line
        for argument in arguments:
            path, _, name = argument.partition("::")
            if path.startswith("tests/"):
                assert (
                    f"def {name}" in (root / path).read_text() if name else (root / path).exists()
                )
    assert all((root / path).exists() for path in re.findall(r"tests/\S+", "".join(others)))
