"""Locks name versions and hashes, no addresses, and are up to date with what they lock."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    *sorted((ROOT / "server").glob("*.lock")),
    *sorted((ROOT / "tests/clients").glob("*.lock")),
]
PINNED = re.compile(r"(?m)^([a-z0-9][a-z0-9._-]*)==([^\s;]+)(?: ; [^\n\\]+)? \\$")


@pytest.fixture(scope="module")
def npm_lock(root: Path) -> dict[str, Any]:
    path = root / "tests/clients/node/package-lock.json"
    lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return lock


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_holds_versions_and_hashes_only(lock: Path) -> None:
    for line in lock.read_text(encoding="utf-8").splitlines():
        assert PINNED.match(line) or re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line), line


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_pinned_version_has_a_hash(lock: Path) -> None:
    entries = re.split(r"(?m)^(?=[a-z0-9])", lock.read_text(encoding="utf-8"))[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_declared_dependency_is_locked(root: Path) -> None:
    locked = {name for name, _ in PINNED.findall((root / "server/requirements.lock").read_text())}
    wanted: set[str] = set()
    for path in (root / "pyproject.toml", *root.glob("adapters/*/pyproject.toml")):
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
        lists = [
            declared["project"]["dependencies"],
            declared["build-system"]["requires"],
            *declared["project"].get("optional-dependencies", {}).values(),
            *declared.get("dependency-groups", {}).values(),
        ]
        wanted |= {re.split(r"[^A-Za-z0-9._-]", one)[0] for group in lists for one in group}
    missing = {name for name in wanted if not name.startswith("crossdock")} - locked
    assert missing == set(), "run `python3 dev.py lock`"


def test_each_client_has_a_lock(root: Path) -> None:
    wishes = {path.stem for path in (root / "tests/clients").glob("*.in")}
    assert wishes == {path.stem for path in (root / "tests/clients").glob("*.lock")}


def test_the_javascript_clients_are_pinned_without_addresses(npm_lock: dict[str, Any]) -> None:
    packages = {name: entry for name, entry in npm_lock["packages"].items() if name}
    bundled = {name for name, entry in packages.items() if entry.get("inBundle")}
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [n for n, e in packages.items() if n not in bundled and "integrity" not in e] == []


def test_the_javascript_clients_are_asked_for_by_exact_version(npm_lock: dict[str, Any]) -> None:
    wanted = npm_lock["packages"][""]["dependencies"]
    got = {name: npm_lock["packages"][f"node_modules/{name}"]["version"] for name in wanted}
    assert wanted == got
