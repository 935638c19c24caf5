"""What every test of the repository's shape looks at: its root and its files."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file that git has or would take, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = sorted({Path(name) for name in listed.split("\0") if name})
    return [path for path in paths if (ROOT / path).is_file()]


@pytest.fixture(scope="session")
def texts(files: list[Path]) -> dict[Path, str]:
    """The same, read; what is not text is left out."""
    found = {}
    for path in files:
        try:
            found[path] = (ROOT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


@pytest.fixture(scope="session")
def modules(texts: dict[Path, str]) -> dict[Path, ast.Module]:
    """Every Python file as a syntax tree."""
    return {path: ast.parse(text) for path, text in texts.items() if path.suffix == ".py"}


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show every finding on a line of its own where a test expected none."""
    if op != "==" or right or not isinstance(left, list | set | dict):
        return None
    found = [f"{key}: {value}" for key, value in left.items()] if isinstance(left, dict) else left
    return ["nothing was to be found here, but there is:", *sorted(map(str, found))]
