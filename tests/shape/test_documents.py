"""What the documents and the shipped configuration say is what the code does."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock import errors, hookspecs
from crossdock.cli import app
from crossdock.config import AccountSettings, AdapterSettings, Settings, load_settings

HEADING = re.compile(r"^#?\s?\[(?P<section>[a-z_]+)(\.(?P<name>[^\].]+))?(\.\w+)?\]\s*(#.*)?$")
KEY = re.compile(r"^(?P<mark>#?)\s?(?P<key>[a-z_]+)\s*=\s*(?P<value>.*)$")


class Line(msgspec.Struct, frozen=True):
    """A key of config.toml, set or shown as a comment."""

    number: int
    section: str
    key: str
    value: str
    commented: bool


def lines_of(text: str) -> Iterator[Line]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if heading := HEADING.match(line):
            section = heading["section"]
        elif found := KEY.match(line):
            yield Line(number, section, found["key"], found["value"], bool(found["mark"]))


@pytest.fixture(scope="module")
def shipped(root: Path) -> list[Line]:
    return list(lines_of((root / "config.toml").read_text(encoding="utf-8")))


def known() -> dict[str, dict[str, Any]]:
    """Every key that the code knows, by section, with its default."""
    defaults: dict[str, Any] = msgspec.to_builtins(Settings(), str_keys=True, enc_hook=str)
    sections = {name: value for name, value in defaults.items() if name != "folder"}
    accounts = AccountSettings(integration="malomo")
    return {
        **sections,
        "accounts": msgspec.to_builtins(accounts),
        "adapters": msgspec.to_builtins(AdapterSettings()),
    }


def test_the_shipped_configuration_runs(root: Path) -> None:
    assert load_settings(root / "config.toml").folder == root


def test_the_shipped_configuration_shows_every_key(shipped: list[Line]) -> None:
    shown = {(line.section, line.key) for line in shipped}
    wanted = {(section, key) for section, keys in known().items() for key in keys}
    # Settings and credentials of an account may be tables of their own.
    tables = {("accounts", "settings"), ("accounts", "credentials")}
    assert wanted - shown - tables == set()


def test_the_shipped_configuration_shows_no_key_that_the_code_does_not_know(
    shipped: list[Line],
) -> None:
    keys = known()
    invented = {
        f"config.toml:{line.number} {line.section}.{line.key}"
        for line in shipped
        if line.section != "accounts" and line.key not in keys.get(line.section, {})
    }
    assert invented == set()


def test_the_shipped_configuration_shows_the_real_defaults(shipped: list[Line]) -> None:
    keys = known()
    wrong = {}
    for line in shipped:
        if line.commented and line.section not in ("accounts", "adapters"):
            value = tomllib.loads(f"value = {line.value}")["value"]
            default = keys[line.section][line.key]
            if value != default:
                wrong[f"config.toml:{line.number} {line.section}.{line.key}"] = default
    assert wrong == {}


def test_the_readme_knows_every_command(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    commands = {name for name in app if not name.startswith("-")}
    assert {name for name in commands if not re.search(rf"\bcrossdock {name}\b", readme)} == set()


def test_every_error_has_a_kind() -> None:
    defined = [
        value
        for value in vars(errors).values()
        if inspect.isclass(value) and issubclass(value, errors.CrossdockError)
    ]
    bare = {error.__name__ for error in defined if error.kind == "internal"}
    # The two roots; and the one whose instances have a kind each.
    assert bare == {"CrossdockError", "ToolFailure", "UpstreamFailure"}


# It travels through aiohttp's connector, which lets nothing pass but an OSError.
OF_ANOTHER_ROOT = {"Interrupted", "PrivateAddress"}


def test_every_exception_of_the_core_descends_from_one_root(
    modules: dict[Path, ast.Module],
) -> None:
    strays = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in modules.items()
        if path.parts[0] == "server"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name not in {"CrossdockError", *OF_ANOTHER_ROOT}
        for base in node.bases
        if isinstance(kind := vars(builtins).get(ast.unparse(base)), type)
        and issubclass(kind, BaseException)
    ]
    assert strays == []


def hooks() -> list[str]:
    return sorted(name for name in vars(hookspecs) if name.startswith("crossdock_"))


def test_there_are_three_hooks() -> None:
    assert hooks() == ["crossdock_adapters", "crossdock_call_finished", "crossdock_resolve_secret"]


def test_the_tests_that_security_md_names_exist(root: Path) -> None:
    text = (root / "server" / "SECURITY.md").read_text("utf-8")
    table = text.partition("## Which test guards what")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", table))
    assert {path for path in named if not (root / path).is_file()} == set()
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert all("`tests/" in row for row in rows)
