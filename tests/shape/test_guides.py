"""What the guides tell strangers is so: each block of the author's guide is run or compared."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from harness.guide import (
    BLOCKS,
    EXAMPLE,
    GUIDE,
    HEAD,
    Block,
    blocks_of,
    copy_example,
    example,
    loaded,
    of,
    spans,
    table,
    words,
    write,
)

from crossdock import errors
from crossdock.adapter import docs, manifest
from crossdock.adapter.assembly import declare
from crossdock.adapter.given import Files, Given
from crossdock.cli import app, main
from crossdock.config import load_settings
from crossdock.scaffold import project

KINDS = {
    "quoted from",  # the file, whole and verbatim
    "runs as",  # Python, executed below under this name
    "api",  # signatures of this module, exact and complete
    "output of",  # what this command prints
    "commands",  # a shell's, which the command line would take
    "adapter.toml",  # a part of one
    "config.toml",
    "page for",  # a page of docs/ for a method, `create = "POST /gates"`
    "examples.toml of",  # the examples of this plugin, on which its contract is proven
    "scaffold of",  # this file of what `crossdock new-adapter` makes, whole
    "packages",  # the pyproject.toml of this plugin
}


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / GUIDE).read_text(encoding="utf-8")


# --- blocks ----------------------------------------------------------------------------------


def test_every_block_of_the_guide_says_how_it_is_checked() -> None:
    unmarked = [f"{GUIDE}:{block.line}" for block in BLOCKS if block.kind not in KINDS]
    assert unmarked == []


@of("quoted from")
def test_a_quoted_file_is_quoted_whole(root: Path, block: Block) -> None:
    assert block.text == (root / block.what).read_text(encoding="utf-8")


def test_the_whole_example_is_quoted(root: Path, files: list[Path]) -> None:
    quoted = {Path(block.what) for block in BLOCKS if block.kind == "quoted from"}
    assert {path for path in files if EXAMPLE in path.parents} == quoted


@of("api")
def test_signatures_in_the_guide_are_those_of_the_code(block: Block) -> None:
    for node in ast.parse(block.text).body:
        assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        real = ast.parse(inspect.getsource(getattr(import_module(block.what), node.name))).body[0]
        assert outline(node) == outline(real)


def outline(node: ast.AST) -> list[str]:
    """Return the signature of a function, of a class its bases and every public member's."""
    if isinstance(node, ast.ClassDef):
        bases = [ast.unparse(part) for part in (*node.bases, *node.keywords)]
        members = [line for child in node.body for line in outline(child)]
        return [f"class {node.name}({', '.join(bases)})", *members]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        if node.name.startswith("_") and not node.name.startswith("__") or node.name == "details":
            return []
        async_ = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
        gives = ast.unparse(node.returns) if node.returns else "None"
        marks = [ast.unparse(one) for one in node.decorator_list if ast.unparse(one) == "property"]
        return [*marks, f"{async_}def {node.name}({ast.unparse(node.args)}) -> {gives}"]
    return [ast.unparse(node)] if isinstance(node, ast.AnnAssign) else []


@of("output of")
def test_a_command_prints_what_the_guide_shows(
    root: Path, tmp_path: Path, block: Block, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    copy_example(root, tmp_path / "plugins")
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(block.what)
    assert program == "crossdock"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert capsys.readouterr().out == block.text


@of("commands")
def test_the_guides_commands_can_be_typed(block: Block) -> None:
    assert wrong_commands(block.text) == {}


def test_the_readmes_commands_can_be_typed(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    shell = [block.text for block in blocks_of(readme) if block.language == "sh"]
    assert wrong_commands("\n".join(shell)) == {}


def test_every_command_that_a_page_names_exists(texts: dict[Path, str]) -> None:
    unknown = [
        f"{path}: {span}"
        for path, text in texts.items()
        if path.suffix == ".md" and path.name != "CHANGELOG.md"
        for span in spans(text)
        if (found := re.match(r"crossdock ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", span))
        and not is_command(found[1], found[2])
    ]
    assert unknown == []


def is_command(name: str, verb: str | None) -> bool:
    if name not in app:
        return False
    own = [one for one in app[name] if not one.startswith("-")]
    return verb is None or not own or verb in own


@of("adapter.toml")
def test_a_part_of_an_adapter_toml_is_one(block: Block) -> None:
    files = Files(folder=Path("guide"), toml=(HEAD + block.text).encode(), pages=(), docs=True)
    declared = declare(files, Given())
    assert (declared.findings, bool(declared.methods)) == ((), True)


@of("config.toml")
def test_a_part_of_a_config_toml_is_one(tmp_path: Path, block: Block) -> None:
    path = tmp_path / "config.toml"
    path.write_text(block.text, encoding="utf-8")
    assert load_settings(path).accounts


@of("page for")
def test_a_page_in_the_guide_makes_its_tool(tmp_path: Path, block: Block) -> None:
    toml = f"{HEAD}[resources.gates.methods]\n{block.what}\n"
    write(tmp_path / "made", toml, {"page.md": block.text}, example("the least plugin"))
    tools = loaded(tmp_path, "made").adapters["tidewater"].toolset({})
    assert tools.problems == tools.withheld == ()
    (binding,) = tools.bindings.values()
    given = {"name": "North", "doors": [{"number": 1, "state": "open"}], "notify": True}
    binding.validate({key: given[key] for key in given.keys() & binding.schema["properties"]})


@of("scaffold of")
def test_a_file_of_the_scaffold_is_shown_as_it_is_made(block: Block) -> None:
    name, path = block.what.split()
    assert project.files_of(name, project.plain_parts(name))[path] == block.text


@of("packages")
@pytest.mark.e2e
def test_the_example_can_be_published_as_the_guide_says(
    root: Path, tmp_path: Path, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_example(root, tmp_path, f"crossdock_{block.what}")
    (tmp_path / "pyproject.toml").write_text(block.text, encoding="utf-8")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    shutil.unpack_archive(wheel, installed, "zip")
    monkeypatch.syspath_prepend(installed)
    importlib.invalidate_caches()
    try:
        plugins = loaded(tmp_path / "nowhere", block.what)
    finally:
        sys.modules.pop(f"crossdock_{block.what}", None)
    (record,) = plugins.records()
    assert (record.source, record.version) == (f"crossdock-{block.what}", "0.1.0")
    assert len(plugins.adapters[block.what].toolset({}).bindings) == 3


def wrong_commands(shell: str) -> dict[str, str]:
    """Return the `crossdock` commands that the command line would not take, and why."""
    wrong = {}
    for line in re.findall(r"^crossdock .*", shell.replace("\\\n", " "), re.MULTILINE):
        arguments = shlex.split(line, comments=True)[1:]
        try:
            app.parse_args(arguments, exit_on_error=False, print_error=False)
        except Exception as error:
            wrong[line] = str(error)
    return wrong


# --- tables ----------------------------------------------------------------------------------

# Decoded table by table, so that a mistake names its line: the Structs do not show these.
INNER: dict[str, type[msgspec.Struct]] = {
    "hosts": manifest.Host,
    "credentials": manifest.Credential,
    "settings": manifest.Setting,
    "resources": manifest.ResourceTable,
    "methods": manifest.MethodTable,
}


def keys_of(kind: type[Any], prefix: str = "") -> Iterator[tuple[str, msgspec.structs.FieldInfo]]:
    """Return every key of a table of adapter.toml and of the tables in it, dotted."""
    for field in msgspec.structs.fields(kind):
        name = f"{prefix}{field.encode_name}"
        inner, many = inner_of(field)
        if inner is None:
            yield name, field
        else:
            if field.encode_name == "methods":
                yield name, field  # a resource must have some
            yield from keys_of(inner, f"{name}.<name>." if many else f"{name}.")


def inner_of(field: msgspec.structs.FieldInfo) -> tuple[type[Any] | None, bool]:
    if field.name in INNER:
        return INNER[field.name], True
    # A method's or resource's own paging is the same table once more, told of as one key.
    if field.name == "paging" and field.default is None:
        return None, False
    for one in typing.get_args(field.type) or (field.type,):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one, typing.get_origin(field.type) is dict
    return None, False


def test_the_guide_has_every_key_of_adapter_toml(guide: str) -> None:
    told = [words(row[0])[0] for row in table(guide, "key")]
    assert sorted(told) == sorted(name for name, _ in keys_of(manifest.ManifestTable))


def test_the_guide_shows_the_true_defaults_of_adapter_toml(guide: str) -> None:
    told = {words(row[0])[0]: row[1] for row in table(guide, "key")}
    wrong = {}
    for name, field in keys_of(manifest.ManifestTable):
        if field.required:
            shown = "required"
        else:
            made = field.default_factory is not msgspec.NODEFAULT
            default = field.default_factory() if made else field.default
            if default is None:
                shown = ""
            else:
                shown = f"`{msgspec.json.encode(default).decode()}`"
        if told.get(name) != shown:
            wrong[name] = f"{told.get(name)} is in truth {shown}"
    assert wrong == {}


def test_the_guide_has_every_choice_of_adapter_toml(guide: str) -> None:
    choices = {
        str(choice)
        for kind in (
            manifest.Setting,
            manifest.AuthSpec,
            manifest.ResetSpec,
            manifest.Paging,
            manifest.Send,
            manifest.Receive,
        )
        for hint in typing.get_type_hints(kind).values()
        if typing.get_origin(hint) is Literal
        for choice in typing.get_args(hint)
    }
    assert {choice for choice in choices if f"`{choice}`" not in guide} == set()


def test_the_guide_has_every_key_of_an_argument(guide: str) -> None:
    (rows,) = [rows for rows in tables(guide, "key") if rows[0][0] == "`name`"]
    assert {words(row[0])[0] for row in rows} == set(docs.OURS)
    assert {place for place in docs.PLACES if f"`[{place}.x]`" not in guide} == set()


def tables(text: str, first: str) -> list[list[list[str]]]:
    """Return every table whose first column is headed `first`."""
    starts = [found.start() for found in re.finditer(rf"^\| {first} \|", text, re.MULTILINE)]
    return [table(text[start:], first) for start in starts]


def kinds() -> set[str]:
    """Every kind of failure that an agent can meet in a tool's result."""
    found: set[str] = set()
    todo: list[type[errors.ToolFailure]] = [errors.ToolFailure]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        found.add(kind.kind)
    told = re.search(r"`kind` is one of ([^.]+)\.", inspect.getdoc(errors.UpstreamFailure) or "")
    assert told is not None
    return found | set(re.findall(r"\w+", told[1]))


def test_the_guide_tells_of_each_kind_of_failure_when_it_is_raised(guide: str) -> None:
    rows = table(guide, "kind")
    assert sorted(words(row[0])[0] for row in rows) == sorted(kinds())
    assert [row for row in rows if len(row[-1]) < 3] == []


# Failures of the gateway or of the adapter's own code: no provider makes them.
NOT_THE_PROVIDERS = {"busy", "bad_tool_output", "internal"}


def test_the_guide_has_a_recipe_for_each_failure_that_a_provider_makes(guide: str) -> None:
    told = {name for row in table(guide, "the provider") for name in words(row[2])[:1]}
    assert told == kinds() - NOT_THE_PROVIDERS


def test_the_guide_tells_of_everything_an_author_imports(guide: str) -> None:
    api = import_module("crossdock.adapter")
    assert {name for name in api.__all__ if not re.search(rf"\b{name}\b", guide)} == set()


def test_the_guide_has_every_hook(guide: str) -> None:
    (block,) = (block for block in BLOCKS if block.what == "crossdock.hookspecs")
    shown = {node.name for node in ast.parse(block.text).body if isinstance(node, ast.FunctionDef)}
    hooks = {name for name in vars(import_module(block.what)) if name.startswith("crossdock_")}
    assert shown == hooks == {words(row[0])[0] for row in table(guide, "hook")}
