"""The suite keeps to its own ground rules: nothing sleeps, nothing imports a conftest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

# Where a pause is what the code is for, and not a wait for something to come true.
MAY_SLEEP = {
    "tests/harness/patience.py": "the one place that asks again",
    "tests/harness/provider.py": "a provider that drips is made of pauses",
    "tests/conformance/fixture/__init__.py": "the suite wants tools that take a while",
    "tests/e2e/test_cluster.py": "how long a node is frozen is the fault",
    "tests/e2e/test_kills.py": "the moment of the kill is the test",
}


@pytest.fixture(scope="module")
def tests(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {
        path: tree
        for path, tree in modules.items()
        if "tests" in path.parts and "bench" not in path.parts
    }


def test_no_test_sleeps(tests: dict[Path, ast.Module]) -> None:
    sleeping = {path.as_posix(): line for path, tree in tests.items() for line in sleeps(tree)}
    assert {path: line for path, line in sleeping.items() if path not in MAY_SLEEP} == {}
    assert MAY_SLEEP.keys() - sleeping.keys() == set()


def sleeps(tree: ast.Module) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "sleep"
        and ast.unparse(node.value) in ("asyncio", "time")
    ] + [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module in ("asyncio", "time")
        and "sleep" in {alias.name for alias in node.names}
    ]


def test_no_test_imports_a_conftest(tests: dict[Path, ast.Module]) -> None:
    importing = [
        f"{path}:{node.lineno}"
        for path, tree in tests.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        if name and name.split(".")[-1] == "conftest"
    ]
    assert importing == []
