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
import types
import typing
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from aiohttp import ClientSession, web
from harness.provider import Provider, reply
from harness.running import Running, Server

from crossdock import errors
from crossdock.adapter import docs, manifest
from crossdock.cli import app, main
from crossdock.config import PluginSettings, load_settings
from crossdock.plugins import Plugins

GUIDE = Path("adapters/README.md")
EXAMPLE = Path("plugins/tidewater")
MARK = re.compile(r"<!-- (?P<kind>[a-z.]+(?: as| from| of| for)?)(?: (?P<what>.*))? -->")
FENCE = re.compile(r"(?P<ticks>`{3,})(?P<language>\w*)")
KINDS = {
    "quoted from",  # the file, whole and verbatim
    "runs as",  # Python, executed below under this name
    "api",  # signatures of this module, exact and complete
    "output of",  # what this command prints
    "commands",  # a shell's, which the command line would take
    "adapter.toml",  # a part of one
    "config.toml",
    "page for",  # a page of docs/ for a method, `create = "POST /gates"`
    "packages",  # the pyproject.toml of this plugin
}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced block with the mark above it."""

    line: int
    kind: str
    what: str
    language: str
    text: str


def blocks_of(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = FENCE.fullmatch(lines[number])
        if opening is None:
            number += 1
            continue
        end = lines.index(opening["ticks"], number + 1)
        marked = MARK.fullmatch(lines[number - 1])
        yield Block(
            line=number + 1,
            kind=marked["kind"] if marked else "",
            what=(marked["what"] or "") if marked else "",
            language=opening["language"],
            text="\n".join(lines[number + 1 : end]) + "\n",
        )
        number = end + 1


ROOT = Path(__file__).resolve().parents[2]
BLOCKS = list(blocks_of((ROOT / GUIDE).read_text(encoding="utf-8")))


def of(kind: str) -> Any:
    """Run a test once for each block of a kind."""
    found = [block for block in BLOCKS if block.kind == kind]
    return pytest.mark.parametrize(
        "block", found, ids=[f"{block.what or block.kind}:{block.line}" for block in found]
    )


def example(name: str) -> str:
    (found,) = (block for block in BLOCKS if (block.kind, block.what) == ("runs as", name))
    return found.text


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / GUIDE).read_text(encoding="utf-8")


def table(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column is headed `first`."""
    rows: list[list[str]] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return rows
                rows.append([cell.strip() for cell in row.strip().strip("|").split("|")])
    raise AssertionError(f"no table of {first!r}")


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


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


SPAN = re.compile(r"`(?P<text>[^`\n]+)`")


def spans(text: str) -> set[str]:
    """Return the code spans of a page; what stands in fenced blocks is none."""
    return {found["text"] for found in SPAN.finditer(re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text))}


def test_every_command_that_a_page_names_exists(texts: dict[Path, str]) -> None:
    unknown = [
        f"{path}: {span}"
        for path, text in texts.items()
        if path.suffix == ".md" and path.name != "CHANGELOG.md"
        for span in spans(text)
        if (found := re.match(r"crossdock ([a-z][a-z-]*)(?: ([a-z]+))?", span))
        and not is_command(found[1], found[2])
    ]
    assert unknown == []


def is_command(name: str, verb: str | None) -> bool:
    if name not in app:
        return False
    own = [one for one in app[name] if not one.startswith("-")]
    return verb is None or not own or verb in own


HEAD = 'format = 1\nname = "tidewater"\ntitle = "Tidewater"\nbase_url = "https://yard.example"\n'


@of("adapter.toml")
def test_a_part_of_an_adapter_toml_is_one(block: Block) -> None:
    assert manifest.read_manifest(HEAD + block.text, "guide").methods


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
    binding.validate({"name": "North", "doors": [{"number": 1, "state": "open"}], "notify": True})


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


# --- tables ----------------------------------------------------------------------------------

INNER = {"resources": manifest._Resource, "methods": manifest._Method}


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
    assert sorted(told) == sorted(name for name, _ in keys_of(manifest._Manifest))


def test_the_guide_shows_the_true_defaults_of_adapter_toml(guide: str) -> None:
    told = {words(row[0])[0]: row[1] for row in table(guide, "key")}
    wrong = {}
    for name, field in keys_of(manifest._Manifest):
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
        for kind in (manifest.Setting, manifest.AuthSpec, manifest.ResetSpec, manifest.Paging)
        for hint in typing.get_type_hints(kind).values()
        if typing.get_origin(hint) is Literal
        for choice in typing.get_args(hint)
    }
    assert {choice for choice in choices if f"`{choice}`" not in guide} == set()


def test_the_guide_has_every_key_of_an_argument(guide: str) -> None:
    (rows,) = [rows for rows in tables(guide, "key") if rows[0][0] == "`name`"]
    assert {words(row[0])[0] for row in rows} == set(docs._OURS)
    assert {place for place in docs._PLACES if f"`[{place}.x]`" not in guide} == set()


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


def test_the_guide_tells_of_everything_an_author_imports(guide: str) -> None:
    api = import_module("crossdock.adapter")
    assert {name for name in api.__all__ if not re.search(rf"\b{name}\b", guide)} == set()


def test_the_guide_has_every_hook(guide: str) -> None:
    (block,) = (block for block in BLOCKS if block.what == "crossdock.hookspecs")
    shown = {node.name for node in ast.parse(block.text).body if isinstance(node, ast.FunctionDef)}
    hooks = {name for name in vars(import_module(block.what)) if name.startswith("crossdock_")}
    assert shown == hooks == {words(row[0])[0] for row in table(guide, "hook")}


# --- the contributors' tour ------------------------------------------------------------------

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


# --- examples --------------------------------------------------------------------------------


def write(folder: Path, toml: str, pages: dict[str, str], python: str) -> None:
    (folder / "docs").mkdir(parents=True)
    (folder / "adapter.toml").write_text(toml, encoding="utf-8")
    (folder / "__init__.py").write_text(python, encoding="utf-8")
    for name, text in pages.items():
        (folder / "docs" / name).write_text(text, encoding="utf-8")


def copy_example(root: Path, into: Path, name: str = EXAMPLE.name) -> None:
    shutil.copytree(root / EXAMPLE, into / name, ignore=shutil.ignore_patterns("__pycache__"))


def loaded(folder: Path, name: str) -> Plugins:
    plugins = Plugins(PluginSettings(folder=str(folder), only=[name], strict=True), folder)
    plugins.load()
    return plugins


def test_the_least_plugin_is_enough_for_plain_rest(root: Path, tmp_path: Path) -> None:
    copy_example(root, tmp_path, "least")
    (tmp_path / "least" / "__init__.py").write_text(example("the least plugin"), encoding="utf-8")
    adapter = loaded(tmp_path, "least").adapters["tidewater"]
    assert len(adapter.toolset(adapter.defaults()).bindings) == 3


MakeGateway = Callable[..., Awaitable[Running]]


@pytest.fixture
async def yard(root: Path, tmp_path: Path, gateway: MakeGateway) -> Any:
    """The example on the guide's sandbox, watched by the guide's hooks."""
    plugins = tmp_path / "gateway-1" / "plugins"
    copy_example(root, plugins)
    (plugins / "watch.py").write_text(example("hooks"), encoding="utf-8")
    sandbox = types.ModuleType("sandbox")
    exec(example("a sandbox"), vars(sandbox))
    runner = web.AppRunner(sandbox.create_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    (account,) = sandbox.accounts(url)
    running = await gateway(
        adapters=["tidewater", "watch"], accounts={"yard": {"integration": "tidewater", **account}}
    )
    yield await running.server("yard"), running.http, url
    await runner.cleanup()


async def test_the_example_keeps_the_doors_that_an_update_leaves_out(
    yard: tuple[Server, ClientSession, str],
) -> None:
    server, http, url = yard
    doors = [{"number": 2, "state": "blocked"}]
    gate = await server.call("update_a_tidewater_gate_by_id", {"id": "g7", "doors": doors})
    assert gate.data["doors"] == [{"number": 1, "state": "open"}, *doors]
    async with http.get(f"{url}/_sandbox/requests") as answer:
        requests = await answer.json()
    assert [one["method"] for one in requests] == ["GET", "PUT"]
    assert requests[0]["headers"]["x-tidewater-key"] == "yard-key"


async def test_the_guides_sandbox_can_be_switched_and_reset(
    yard: tuple[Server, ClientSession, str],
) -> None:
    server, http, url = yard
    async with http.post(f"{url}/_sandbox/switches", json={"read_only": True}) as answer:
        assert await answer.json() == {"read_only": True}
    new = {"id": "g7", "doors": [{"number": 2}]}
    gate = await server.call("update_a_tidewater_gate_by_id", new)
    assert len(gate.data["doors"]) == 1
    async with http.post(f"{url}/_sandbox/reset") as answer:
        assert await answer.json() == {"read_only": False}


async def test_the_guides_hooks_are_called(yard: tuple[Server, ClientSession, str]) -> None:
    server, _, _ = yard
    await server.call("list_all_tidewater_gates")
    await server.call("get_single_tidewater_gate_by_id", {"id": "g8"})
    watch = sys.modules["crossdock_local_watch"]
    assert dict(watch.finished) == {
        ("list_all_tidewater_gates", "ok"): 1,
        ("get_single_tidewater_gate_by_id", "not_found"): 1,
    }
    assert watch.crossdock_resolve_secret("vault", "yard") is None


MADE = """from crossdock.adapter import hookimpl, load_adapter

from . import expansion, guard, pager, scheme


@hookimpl
def crossdock_adapters():
    mappers = {"visits.list": pager.list_visits, "gates.shut": guard.shut_gate}
    yield load_adapter(
        __name__, mappers=mappers, auth=scheme.Session(), expand=expansion.expand
    )
"""
TOML = f"""{HEAD}
credentials.user = {{ about = "Name.", secret = false }}
credentials.password = {{ about = "Password." }}
settings.lanes = {{ about = "Lanes.", type = "array", default = [] }}
resources.visits.methods.list = "GET /visits"
resources.gates.methods.shut = "POST /gates/{{id}}/shut"
"""
PAGES = {
    "gates.md": """## tidewater_gates_shut

Shut every door of a gate at once, and see that it is done.

```toml
[path.id]
type = "string"
description = "The gate's id."
```
""",
    "visits.md": "## list_all_tidewater_visits\n\nList the visits of trucks to this yard.\n",
}


@pytest.fixture
async def made(tmp_path: Path, gateway: MakeGateway, provider: Provider) -> Server:
    """An adapter made of the guide's examples, on a scripted provider."""
    folder = tmp_path / "gateway-1" / "plugins" / "made"
    write(folder, TOML, PAGES, MADE)
    for module in ("an expansion", "a guard", "a pager", "a scheme"):
        (folder / f"{module.split()[1]}.py").write_text(example(module), encoding="utf-8")
    account = {
        "integration": "tidewater",
        "settings": {"base_url": provider.url, "lanes": ["north"]},
        "credentials": {"user": "yard-agent", "password": "yard-password-5d1c"},
    }
    running = await gateway(adapters=["made"], accounts={"yard": account})
    return await running.server("yard")


SESSION = reply({"session": "session-81b2c9"})


async def test_the_guides_scheme_logs_in_before_the_first_request(
    made: Server, provider: Provider
) -> None:
    provider.plays(SESSION, reply({"visits": [], "pages": 1}))
    await made.call("list_all_tidewater_visits")
    login, visits = provider.requests
    assert (login.path, login.json["user"]) == ("/login", "yard-agent")
    assert visits.headers["x-tidewater-session"] == "session-81b2c9"


async def test_the_guides_pager_goes_on_to_the_last_page(made: Server, provider: Provider) -> None:
    provider.plays(SESSION, *(reply({"visits": [{"id": n}], "pages": 2}) for n in (1, 2)))
    first = (await made.call("list_all_tidewater_visits", {"limit": 1})).data
    following = {"limit": 1, "next_cursor": first["next_cursor"]}
    second = (await made.call("list_all_tidewater_visits", following)).data
    assert [first["result"], second["result"]] == [[{"id": 1}], [{"id": 2}]]
    assert second["next_cursor"] is None
    assert [one.query for one in provider.requests[1:]] == ["page=1&size=1", "page=2&size=1"]


OPEN, SHUT = ({"doors": [{"number": 3, "state": state}]} for state in ("open", "shut"))
REFUSED = reply({"message": "jammed"}, 409)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((reply({}), reply(SHUT)), "ok"),
        ((reply({}, 502), reply(SHUT)), "ok"),
        ((reply({}), reply(OPEN)), "write_not_verified"),
        ((reply({}, 502), reply(OPEN)), "write_outcome_unknown"),
        ((reply({}), reply({}, 404)), "write_outcome_unknown"),
        ((REFUSED,), "upstream_rejected"),
    ],
)
async def test_the_guides_guard_tells_what_became_of_the_write(
    made: Server, provider: Provider, answers: Any, outcome: str
) -> None:
    provider.plays(SESSION, *answers)
    called = await made.call("tidewater_gates_shut", {"id": "g7"})
    assert (called.error["kind"] if called.is_error else "ok") == outcome
    assert len(provider.requests) == 1 + len(answers)


async def test_the_guides_expansion_adds_the_accounts_own_tool(made: Server) -> None:
    assert "tidewater_gates_north" in await made.names()
