"""Manifest, pages and mappers together: what becomes a tool, what is withheld, what is a mistake."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import acme

from crossdock.adapter import Adapter, load_adapter
from crossdock.errors import AdapterError
from crossdock.plugins import load_folders

Load = Callable[..., Adapter]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return acme.write(tmp_path, python="")


@pytest.fixture
def load(folder: Path) -> Iterator[Load]:
    spec = importlib.util.spec_from_file_location("acme_to_load", folder / "__init__.py")
    assert spec is not None
    sys.modules["acme_to_load"] = importlib.util.module_from_spec(spec)

    def loaded(**given: Any) -> Adapter:
        return load_adapter("acme_to_load", **given)

    yield loaded
    del sys.modules["acme_to_load"]


def _problems(adapter: Adapter) -> list[str]:
    return list(adapter.toolset(adapter.defaults()).problems)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.requirement("tools:documented:only")
def test_an_endpoint_without_an_entry_is_withheld_with_its_place(load: Load) -> None:
    toolset = load().toolset({})
    assert tuple(toolset.bindings) == acme.TOOLS
    (withheld,) = toolset.withheld
    assert withheld.name == "list_all_acme_secrets_of_state"
    line = acme.TOML.splitlines().index('methods.list = "GET /secrets"') + 1
    assert withheld.source.endswith(f"acme/adapter.toml:{line}")
    assert "docs/" in withheld.reason
    assert toolset.problems == ()


WRONG: dict[str, tuple[str, str, str, str, str]] = {
    "no such tool": (
        "docs/items.md", "## acme_items_archive", "## acme_items_archiv", "acme_items_archiv",
        "did you mean acme_items_archive"),
    "documented twice": (
        "docs/labels.md", "## get_single_acme_code_by_id", "## get_single_acme_item_by_id",
        "get_single_acme_item_by_id", "documented twice, first at"),
    "too few words": (
        "docs/items.md", "Read one item by the id that Acme gave it.", "Read one.",
        "", "9 characters"),
    "too many words": (
        "docs/items.md", "Read one item by the id that Acme gave it.", "x" * 1201,
        "", "1,201 characters"),
    "a path argument is missing": (
        "docs/items.md", "```toml\n[path.id]", "```toml\n[query.id]", "", "write [path.id]"),
    "a path argument too many": (
        "docs/items.md", "[body.title]\ntype = \"string\"\nminLength = 1", ("[path.title]\n"
        "type = \"string\"\nminLength = 1"), "", "the endpoint has no `{title}`"),
    "a body on a GET": (
        "docs/items.md", "[query.colour]", "[body.colour]", "", "GET sends no body"),
    "a limit of one's own": (
        "docs/items.md", "[query.colour]", "[query.limit]", "`limit`", "by itself"),
    "a cursor of one's own": (
        "docs/items.md", "[query.colour]", "[mapper.next_cursor]", "`next_cursor`", "by itself"),
    "a broken page": (
        "docs/labels.md", "[path.id]", "[path.id", "", "docs/labels.md:6"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_in_a_page_costs_that_entry_and_is_told(
    load: Load, folder: Path, case: str
) -> None:
    file, old, new, named, words = WRONG[case]
    _edit(folder / file, old, new)
    (problem,) = _problems(load())
    assert words in problem
    assert named in problem or not named
    assert f"{file}:" in problem


@pytest.mark.parametrize(
    "old, new, tool",
    [
        ('type = "boolean"', 'type = "bool"', "list_all_acme_items"),
        *[
            ("#/$defs/size", reference, "create_a_acme_item")
            for reference in ("https://evil.example/x.json", "file:///etc/passwd", "#/$defs/no")
        ],
    ],
)
def test_a_tool_whose_schema_does_not_compile_is_not_served_and_nothing_is_fetched(
    load: Load, folder: Path, old: str, new: str, tool: str
) -> None:
    _edit(folder / "docs" / "items.md", old, new)
    toolset = load().toolset({})
    assert set(acme.TOOLS) - set(toolset.bindings) == {tool}
    (problem,) = toolset.problems
    assert f"{tool}." in problem
    reasons = {withheld.name: withheld.reason for withheld in toolset.withheld}
    assert reasons[tool] == "its section has an error"


def test_a_name_that_is_too_long_for_clients_is_told(load: Load, folder: Path) -> None:
    long = "a" * 50
    toml = folder / "adapter.toml"
    _edit(toml, "[resources.codes]", f"[resources.{long}]")
    _edit(
        folder / "docs" / "labels.md", "get_single_acme_code_by_id", f"get_single_acme_{long}_by_id"
    )
    (problem,) = _problems(load())
    assert "64" in problem


def test_a_mapper_without_an_endpoint_is_told(load: Load) -> None:
    async def nothing(call: Any, context: Any) -> Any: ...

    with pytest.raises(AdapterError, match=r"'items\.updat'; did you mean items\.update\?"):
        load(mappers={"items.updat": nothing})


@pytest.mark.parametrize("missing", ["adapter.toml"])
def test_a_missing_file_is_told(load: Load, folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(AdapterError, match=r"acme/adapter\.toml:1: there is no adapter\.toml"):
        load()


def test_an_adapter_without_docs_has_no_tools(load: Load, folder: Path) -> None:
    for page in (folder / "docs").iterdir():
        page.unlink()
    toolset = load().toolset({})
    assert dict(toolset.bindings) == {}
    assert len(toolset.withheld) == len(acme.TOOLS) + 1


def test_a_sandbox_given_by_name_is_imported_only_when_asked_for(tmp_path: Path) -> None:
    place = acme.write(
        tmp_path,
        acme.PYTHON.replace("(__name__)", '(__name__, sandbox=".sandbox")'),
        "with_sandbox",
    )
    (place / "sandbox.py").write_text("create_app = accounts = None\n", encoding="utf-8")
    adapter = load_folders([place]).adapters["acme"]
    assert "crossdock_local_with_sandbox.sandbox" not in sys.modules
    assert adapter.sandbox is sys.modules["crossdock_local_with_sandbox.sandbox"]


@pytest.mark.parametrize("package", ["crossdock_malomo", "crossdock_roserocket"])
def test_serving_imports_no_sandbox_of_ours(package: str) -> None:
    seen = (
        f"import sys, {package}; list({package}.crossdock_adapters()); "
        "print([name for name in sys.modules if 'sandbox' in name or name == 'aiohttp.web'])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
