"""dev.py keeps its word: standard library only, and words instead of tracebacks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def source(root: Path) -> str:
    return (root / "dev.py").read_text(encoding="utf-8")


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "dev.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_it_needs_nothing_but_the_standard_library(source: str) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else names(node))
    }
    assert imported - set(sys.stdlib_module_names) == set()


def names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


def test_an_older_python_can_read_as_far_as_the_refusal(source: str) -> None:
    tree = ast.parse(source, feature_version=(3, 8))
    before = [
        node for node in tree.body[: position_of_refusal(tree)] if isinstance(node, ast.Import)
    ]
    assert [names(node) for node in before] == [["sys"]]


def position_of_refusal(tree: ast.Module) -> int:
    return next(
        index
        for index, node in enumerate(tree.body)
        if isinstance(node, ast.If) and "version_info" in ast.unparse(node.test)
    )


def test_without_a_command_it_says_what_it_can_do(root: Path) -> None:
    told = run(root)
    assert told.returncode == 0
    for command in ("demo", "test", "run", "lint", "lock", "setup"):
        assert f"\n  {command} " in told.stdout


def test_an_unknown_command_is_named(root: Path) -> None:
    told = run(root, "dmeo")
    assert told.returncode == 2
    assert "knows no command `dmeo`" in told.stderr
