"""Every promise has a test, and every test of the wire says which promise it proves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from requirements import REQUIREMENTS


@pytest.fixture(scope="module")
def tests(modules: dict[Path, ast.Module]) -> dict[Path, ast.Module]:
    return {
        path: tree
        for path, tree in modules.items()
        if "tests" in path.parts and path.name.startswith("test_")
    }


def marks(tree: ast.AST) -> Iterator[ast.Call]:
    """Find every `pytest.mark.requirement(…)`, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.requirement":
            yield node


def ids(tree: ast.AST) -> set[str]:
    return {str(one.value) for m in marks(tree) for one in m.args if isinstance(one, ast.Constant)}


def test_every_promise_has_a_test(tests: dict[Path, ast.Module]) -> None:
    proved = set().union(*(ids(tree) for tree in tests.values()))
    assert sorted(REQUIREMENTS.keys() - proved) == []


def test_no_test_proves_what_nobody_promised(tests: dict[Path, ast.Module]) -> None:
    invented = {
        f"{path}: {name}"
        for path, tree in tests.items()
        for name in ids(tree) - REQUIREMENTS.keys()
    }
    assert invented == set()


def test_promises_are_named_in_the_mark_itself(tests: dict[Path, ast.Module]) -> None:
    hidden = [
        f"{path}:{mark.lineno}"
        for path, tree in tests.items()
        for mark in marks(tree)
        if not mark.args or not all(isinstance(one, ast.Constant) for one in mark.args)
    ]
    assert hidden == []


def test_every_test_of_the_wire_says_what_it_proves(tests: dict[Path, ast.Module]) -> None:
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in tests.items()
        if path.parts[:2] == ("tests", "wire") and not of_the_module(tree)
        for function in unmarked(tree.body)
    ]
    assert silent == []


def of_the_module(tree: ast.Module) -> bool:
    """Tell whether `pytestmark` names a promise for the whole file."""
    return any(
        isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node.targets[0]) and ids(node)
        for node in tree.body
    )


def unmarked(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not any(ids(one) for one in node.decorator_list):
            yield from unmarked(node.body)
        elif (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not any(ids(one) for one in node.decorator_list)
        ):
            yield node
