"""Every rule finds its mistake, at its file, line and key, and nothing besides."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import yard

from crossdock.adapter import assembly
from crossdock.adapter.findings import Finding, Stage
from crossdock.adapter.given import Files, Given
from crossdock.lint.package_rules import PACKAGE
from crossdock.lint.places import places_in
from crossdock.lint.python_rules import PYTHON
from crossdock.lint.quality_rules import QUALITY
from crossdock.lint.report import COST, Report, report

pytestmark = pytest.mark.requirement("authors:check")
STAGES = [one for one in vars(assembly).values() if isinstance(one, Stage)] + [
    PACKAGE, PYTHON, COST, QUALITY,
]  # fmt: skip
ROOT = Path(__file__).parents[3]
AT = "crossdock_yard/"
TOML, GATES, VISITS = f"{AT}adapter.toml", f"{AT}docs/gates.md", f"{AT}docs/visits.md"
INIT, SANDBOX, PROJECT = f"{AT}__init__.py", f"{AT}sandbox.py", "pyproject.toml"
LONG = "a" * 60


class Case(NamedTuple):
    """What is put in place of what, and what is found: the line is the one that holds `at`, the
    first behind `behind`."""

    rule: str
    file: str
    old: str
    new: str
    at: str
    key: str
    severity: str = "error"
    behind: str = ""
    lost: tuple[str, ...] | None = None  # None: nobody asks


LIST, GET, CREATE, UPDATE = (
    "list_all_yard_gates", "get_single_yard_gate_by_id", "create_a_yard_gate",
    "update_a_yard_gate_by_id",
)  # fmt: skip
ALL = (
    LIST, GET, CREATE, UPDATE, "yard_gates_search", "yard_gates_plan", "delete_a_yard_gate_by_id",
    "get_single_yard_visit_by_id",
)  # fmt: skip
GATES_TOOLS = ALL[:-1]

CASES = [
    # adapter.toml as a file
    Case("toml-syntax", TOML, 'title = "Yard"', "title = Yard", "title = Yard", "", lost=ALL),
    Case("toml-syntax", TOML, 'scheme = "api_key"', 'scheme = "api_key"\nscheme = "none"', 'scheme = "none"', ""),
    # keys and values
    Case("toml-key", TOML, 'title = "Yard"', 'title = "Yard"\ncolour = 1', "colour = 1", "colour", lost=ALL),
    Case("toml-key", TOML, 'title = "Yard"', 'titel = "Yard"', "titel =", "titel"),
    Case("toml-key", TOML, 'tags = ["yard"]', 'tag = ["yard"]', "tag =", "resources.gates.tag", lost=GATES_TOOLS),
    Case("toml-key", TOML, 'confirm = "with:doors"', 'confrim = "with:doors"', "confrim", "resources.gates.methods.update.confrim", lost=(UPDATE,)),
    Case("toml-key", TOML, 'tell = { next = "/meta/next" }', 'tell = { next = "/meta/next" }\npages = 1', "pages = 1", "paging.pages"),
    Case("toml-key", TOML, '[auth]\n', '[auth]\ntoken_uri = "x"\n', "token_uri", "auth.token_uri"),
    Case("toml-key", TOML, "wrap = ", "wrp = ", "wrp", "resources.gates.methods.create.send.wrp", lost=(CREATE,)),
    Case("toml-key", TOML, "types = [", "type = [", "receive", "resources.gates.methods.plan.receive.type"),
    Case("toml-key", TOML, "[settings.fast]", "[settings.base_url]\nabout = \"x\"\n[settings.fast]", "[settings.base_url]", "settings.base_url"),
    Case("toml-key", TOML, "[resources.visits]", "[resorces.visits]", "[resorces.visits]", "resorces", lost=ALL),
    Case("toml-key", TOML, "[resources.gates.methods]", "[resources.gates.method]", "[resources.gates.method]", "resources.gates.method"),
    Case("tool-name", TOML, 'delete = "DELETE /gates/{id}"', f'delete = "DELETE /gates/{{id}}"\nlook = {{ http = "GET /look", tool = "{LONG}_long" }}', "look =", "resources.gates.methods.look"),
    Case("toml-type", TOML, 'title = "Yard"', "title = 7", "title = 7", "title"),
    Case("toml-type", TOML, 'tags = ["yard"]', 'tags = "yard"', 'tags = "yard"', "resources.gates.tags"),
    Case("toml-type", TOML, 'one = true', 'one = "yes"', "one =", "resources.visits.methods.get.one", lost=("get_single_yard_visit_by_id",)),
    Case("toml-type", TOML, "default = true", 'default = "yes"', 'default = "yes"', "settings.fast.default"),
    Case("toml-type", TOML, 'type = "boolean"', 'type = "bool"', 'type = "bool"', "settings.fast.type"),
    Case("toml-type", TOML, 'list = "GET /gates"', "list = 7", "list = 7", "resources.gates.methods.list", lost=(LIST,)),
    Case("toml-type", TOML, 'get = "/gates?limit=1"', "get = 1", "get = 1", "verify.get"),
    Case("toml-missing", TOML, 'title = "Yard"\n', "", "format = 1", "title", lost=ALL),
    Case("toml-missing", TOML, 'about = "Settings, keys."\n', "", "[credentials.api_key]", "credentials.api_key.about"),
    Case("toml-missing", TOML, 'get = "/gates?limit=1"', "", "[verify]", "verify.get"),
    Case("toml-missing", TOML, '{ http = "POST /gates/search", effect = "read" }', '{ effect = "read" }', "search =", "resources.gates.methods.search.http"),
    # head
    Case("format", TOML, "format = 1", "format = 2", "format = 2", "format", lost=ALL),
    Case("format", TOML, "format = 1", 'format = "1"', "format =", "format"),
    Case("requires", TOML, 'crossdock = ">=0.1,<0.9"', 'crossdock = ">=7"', "crossdock =", "crossdock", lost=ALL),
    Case("requires", TOML, 'crossdock = ">=0.1,<0.9"', 'crossdock = "new"', "crossdock =", "crossdock"),
    Case("name", TOML, 'name = "yard"', 'name = "Yard"', "name =", "name", lost=ALL),
    Case("name", TOML, "[resources.visits]", "[resources.Visits]", "[resources.Visits]", "resources.Visits"),
    Case("base-url", TOML, "https://api.yard.example/v2", "api.yard.example/v2", "base_url", "base_url", lost=ALL),
    Case("base-url", TOML, "https://api.yard.example/v2", "ftp://api.yard.example", "base_url", "base_url"),
    Case("base-url", TOML, "https://api.yard.example/v2", "https://api.yard.example/v2?a=b", "base_url", "base_url"),
    Case("verify", TOML, '"/gates?limit=1"', '"gates"', 'get = "gates"', "verify.get"),
    Case("verify", TOML, '[verify]\nget = "/gates?limit=1"\n', "", "format = 1", "verify", "warning", lost=()),
    Case("failures", TOML, "{ 422 =", "{ 42 =", "status =", "failures.status.42"),
    Case("failures", TOML, '422 = "conflict"', '422 = "rejected"', "status =", "failures.status.422"),
    Case("pointer", TOML, 'items = "/data"', 'items = "data"', "items =", "paging.items"),
    Case("pointer", TOML, 'next = "/meta/next"', 'next = "meta.next"', "tell =", "paging.tell.next"),
    Case("pointer", TOML, '["/message", "/error"]', '["/message", "error"]', "message =", "failures.message"),
    Case("pointer", TOML, 'wrap = "/gate"', 'wrap = "gate"', "create =", "resources.gates.methods.create.send.wrap", lost=(CREATE,)),
    # auth
    Case("auth-scheme", TOML, 'scheme = "api_key"', 'scheme = "apikey"', "scheme =", "auth.scheme", lost=ALL),
    Case("auth-parts", TOML, 'header = "X-Key"\n', "", "[auth]", "auth.header"),
    Case("auth-parts", TOML, 'header = "X-Key"', 'header = "X-Key"\nquery = "key"', "query =", "auth.query"),
    Case("auth-parts", TOML, 'format = "Bearer {api_key}"\n', "", "[auth]", "auth.format"),
    Case("auth-credential", TOML, "{api_key}", "{api_kee}", "format = \"B", "auth.format", lost=ALL),
    Case("auth-credential", TOML, "{api_key}", "{api_key", "format = \"B", "auth.format"),
    Case("auth-unused", TOML, "[settings.fast]", '[credentials.spare]\nabout = "x"\n[settings.fast]', "[credentials.spare]", "credentials.spare", lost=ALL),
    Case("host", TOML, "https://files.yard.example", "files.yard.example", 'url = "files', "hosts.files.url"),
    Case("host", TOML, 'url = "https://files.yard.example"', "sign = true", "[hosts.files]", "hosts.files.url"),
    Case("host", TOML, '"GET files:/', '"GET fils:/', "plan =", "resources.gates.methods.plan.http", lost=("yard_gates_plan",)),
    # endpoints
    Case("endpoint", TOML, '"GET /gates"', '"FETCH /gates"', "list =", "resources.gates.methods.list", lost=(LIST,)),
    Case("endpoint", TOML, '"GET /gates"', '"get /gates"', "list =", "resources.gates.methods.list"),
    Case("endpoint", TOML, '"PUT /gates/{id}"', '"PUT gates/{id}"', "update =", "resources.gates.methods.update.http"),
    Case("endpoint", TOML, '"PUT /gates/{id}"', '"PUT /gates/{ID}"', "update =", "resources.gates.methods.update.http", lost=(UPDATE,)),
    Case("send", TOML, 'wrap = "/gate"', 'as = "xml"', "create =", "resources.gates.methods.create.send.as", lost=(CREATE,)),
    Case("send", TOML, 'send = { wrap = "/gate" }', 'send = "form"', "create =", "resources.gates.methods.create.send"),
    Case("send", TOML, 'wrap = "/gate"', 'whole = "names"', "create =", "resources.gates.methods.create.send.whole", lost=(CREATE,)),
    Case("receive", TOML, 'as = "binary"', 'as = "pdf"', "plan =", "resources.gates.methods.plan.receive.as"),
    Case("receive", TOML, 'types = ["application/pdf"]', 'types = ["pdf"]', "plan =", "resources.gates.methods.plan.receive.types", lost=("yard_gates_plan",)),
    Case("effect", TOML, 'effect = "read" }\nplan', 'effect = "reads" }\nplan', "search =", "resources.gates.methods.search.effect", lost=("yard_gates_search",)),
    Case("effect", TOML, 'delete = "DELETE /gates/{id}"', 'delete = { http = "DELETE /gates/{id}", effect = "read" }', "delete =", "resources.gates.methods.delete.effect"),
    Case("confirm", TOML, '"with:doors"', '"sometimes"', "update =", "resources.gates.methods.update.confirm", lost=(UPDATE,)),
    Case("confirm", TOML, '"with:doors"', '"with:windows"', "update =", "resources.gates.methods.update.confirm", lost=(UPDATE,)),
    Case("tag", TOML, 'tags = ["yard"]', 'tags = ["The yard"]', "tags = [\"The", "resources.gates.tags", lost=GATES_TOOLS),
    Case("tag", TOML, 'tags = ["yard"]\n', "", "[resources.gates]", "resources.gates.tags", "warning", lost=()),
    Case("tool-twice", TOML, 'delete = "DELETE /gates/{id}"', 'delete = "DELETE /gates/{id}"\nlook = { http = "POST /look", tool = "yard_gates_plan" }', "plan =", "resources.gates.methods.plan", lost=("yard_gates_plan",)),
    Case("paging", TOML, 'style = "cursor"', 'style = "scroll"', "style =", "paging.style", lost=ALL),
    Case("paging", TOML, '{ cursor = "cursor", limit', '{ limit', "ask =", "paging.ask.cursor"),
    Case("paging", TOML, 'limit = "per_page"', 'size = "per_page"', "ask =", "paging.ask.size"),
    Case("paging", TOML, 'tell = { next = "/meta/next" }\n', "", "[paging]", "paging.tell.next"),
    Case("paging", TOML, "default = 5", "default = 51", "limit = { d", "paging.limit"),
    # pages
    Case("page-fence", VISITS, 'match = ["number"]\n```', 'match = ["number"]', "```toml", "get_single_yard_visit_by_id", lost=("get_single_yard_visit_by_id",)),
    Case("page-fence", GATES, 'description = "Only gates in these states."\n```', 'description = "Only gates in these states."', "```toml", LIST, behind=LIST, lost=(LIST, GET)),
    Case("page-block", GATES, 'description = "The gate\'s id."\n```', "description = The gate\n```", "description = The", GET, lost=(GET,)),
    Case("page-second-block", GATES, '## get_single', '```toml\n[query.more]\ntype = "string"\ndescription = "x"\n```\n\n## get_single', "```toml", LIST, behind="Only gates", lost=(LIST,)),
    Case("page-language", VISITS, "```toml", "```TOML", "```TOML", "get_single_yard_visit_by_id"),
    Case("page-language", VISITS, "```toml", "```", "```", "get_single_yard_visit_by_id"),
    Case("page-language", VISITS, '```toml\n[path.number]\ntype = "string"\ndescription = "As on the ticket."\nmatch = ["number"]', '```json\n{"path": {"number": {"type": "string"}}}', "```json", "get_single_yard_visit_by_id"),
    Case("page-heading", GATES, "## delete_a_yard_gate_by_id", "## delete_yard_gate_by_id", "## delete_yard", "delete_yard_gate_by_id", lost=("delete_a_yard_gate_by_id",)),
    Case("page-heading", GATES, "## delete_a_yard_gate_by_id", "### delete_a_yard_gate_by_id", "### delete_a", "delete_a_yard_gate_by_id"),
    Case("page-twice", VISITS, "## get_single_yard_visit_by_id", "## get_single_yard_gate_by_id\n\nRead one gate, said once more.\n\n```toml\n[path.id]\ntype = \"string\"\ndescription = \"x\"\n```\n\n## get_single_yard_visit_by_id", "## get_single_yard_gate", GET, lost=(GET,)),
    Case("page-prose", GATES, "Read one gate with all its doors.", "Read one gate.", "## get_single", GET, lost=(GET,)),
    Case("page-prose", GATES, "Read one gate with all its doors.", "", "## get_single", GET),
    Case("page-prose", GATES, "Read one gate with all its doors.", "x" * 1201, "## get_single", GET),
    Case("page-intro", GATES, "[defs.door]", '[query.x]\ntype = "string"\n[defs.door]', "[query.x]", "query", lost=()),
    # arguments
    Case("argument-place", GATES, "[query.name]", "[header.name]", "[header.name]", f"{LIST}.header", lost=(LIST,)),
    Case("argument-place", GATES, "[path.id]", "[pth.id]", "[pth.id]", f"{GET}.pth"),
    Case("argument-place", GATES, "[query.name]", "[body.name]", "[body.name]", f"{LIST}.body"),
    Case("argument-key", GATES, "description = \"Part", "descripton = \"Part", "descripton", f"{LIST}.query.name.descripton", lost=(LIST,)),
    Case("argument-key", GATES, '[query.name]\ntype', "[query.name]\ntyp", "typ =", f"{LIST}.query.name.typ"),
    Case("argument-key", GATES, 'items = { enum = ["open", "shut"] }', 'items = { enm = ["open", "shut"] }', "items =", f"{LIST}.query.states.items.enm"),
    Case("argument-key", GATES, 'required = ["number"]', 'requird = ["number"]', "requird", "defs.door.requird"),
    Case("argument-name", GATES, "[query.name]", '[query."the-name"]', "the-name", f"{LIST}.query.the-name"),
    Case("argument-text", GATES, 'description = "What drivers call it."\n', "", "[body.name]", f"{CREATE}.body.name.description"),
    Case("argument-text", GATES, '"What drivers call it."', '""', 'description = ""', f"{CREATE}.body.name.description", lost=(CREATE,)),
    Case("argument-type", GATES, '[query.name]\ntype = "string"', "[query.name]", "[query.name]", f"{LIST}.query.name.type", lost=(LIST,)),
    Case("argument-schema", GATES, '[query.name]\ntype = "string"', '[query.name]\ntype = "text"', 'type = "text"', f"{LIST}.query.name.type", lost=(LIST,)),
    Case("argument-schema", GATES, '[query.name]\ntype = "string"', '[query.name]\ntype = "string"\nminLength = "3"', "minLength", f"{LIST}.query.name.minLength"),
    Case("argument-schema", GATES, '[query.name]\ntype = "string"', '[query.name]\ntype = "string"\npattern = "("', "pattern", f"{LIST}.query.name.pattern"),
    Case("argument-schema", GATES, '"$ref" = "#/$defs/door" }\ndescription = "Its doors."\n```\n\n### Example\n\n```', '"$ref" = "#/$defs/dor" }\ndescription = "Its doors."\n```\n\n### Example\n\n```', "dor\"", f"{CREATE}.body.doors.items.$ref", lost=(CREATE,)),
    Case("argument-schema", GATES, "minimum = 1", 'minimum = "1"', "properties.number", "defs.door.properties.number.minimum", lost=(CREATE, UPDATE)),
    Case("argument-portable", GATES, 'items = { enum = ["open", "shut"] }\n', "", "type = \"array\"", f"{LIST}.query.states.type", "warning", lost=()),
    Case("argument-portable", GATES, '"Part of a gate\'s name."', '"' + "x" * 1025 + '"', "xxx", f"{LIST}.query.name.description", "warning", lost=()),
    Case("argument-portable", GATES, '["open", "shut"]', str([f"s{n}" for n in range(300)]).replace("'", '"'), "items =", f"{LIST}.query.states.items.enum", "warning", lost=()),
    Case("argument-path", GATES, "[path.id]", "[query.id]", "## get_single", f"{GET}.path.id", lost=(GET,)),
    Case("argument-path", GATES, "[query.name]", '[path.name]', "[path.name]", f"{LIST}.path.name"),
    Case("argument-path", GATES, '[path.id]\ntype = "string"', '[path.id]\nrequired = false\ntype = "string"', "required = false", f"{GET}.path.id.required"),
    Case("argument-clash", GATES, "[mapper.keep]", "[mapper.id]", "[mapper.id]", f"{UPDATE}.mapper.id", lost=(UPDATE,)),
    Case("argument-clash", GATES, '["gate_id"]', '["doors"]', "aliases", f"{UPDATE}.path.id.aliases"),
    Case("argument-clash", GATES, "[query.states]", '[query.states]\nname = "name"', "[query.states]", f"{LIST}.query.states"),
    Case("argument-reserved", GATES, "[query.states]", "[query.limit]", "[query.limit]", f"{LIST}.query.limit", lost=(LIST,)),
    Case("argument-reserved", GATES, "[query.states]", "[query.next_cursor]", "[query.next_cursor]", f"{LIST}.query.next_cursor"),
    Case("argument-mapper", GATES, "[body.words]", "[mapper.words]", "[mapper.words]", "yard_gates_search.mapper.words", lost=("yard_gates_search",)),
    Case("argument-match", GATES, '[body.words]', '[body.words]\nmatch = ["words"]', "match =", "yard_gates_search.body.words.match", behind="[body.words]", lost=("yard_gates_search",)),
    Case("argument-style", GATES, 'style = "comma"', 'style = "pipe"', "style =", f"{LIST}.query.states.style", lost=(LIST,)),
    Case("argument-style", GATES, '[query.name]', '[query.name]\nstyle = "comma"', "style =", f"{LIST}.query.name.style"),
    Case("toml-type", GATES, "required = true", "required = 1", "required = 1", f"{CREATE}.body.name.required"),
    Case("example", GATES, '{"name": "North", "doors"', '{"name": "North", "dors"', "```json", CREATE, lost=(CREATE,)),
    Case("example", GATES, '{"name": "North",', '{"name": "North"', "```json", CREATE),
    Case("example", GATES, '`{"id": "g7", "doors": [{"number": 2}]}`', '`{"id": "g7", "doors": [{"number": "two"}]}`', "“Door 2", UPDATE, lost=(UPDATE,)),
    Case("argument-portable", GATES, "[query.name]", '[query.name]\nminLength = 9\nmaxLength = 3', "maxLength", f"{LIST}.query.name.maxLength", "warning", lost=()),
    Case("argument-portable", GATES, "[query.name]", "[query.name]\ndefault = 7", "default", f"{LIST}.query.name.default", "warning", lost=()),
    Case("page-heading", GATES, "## delete_a_yard_gate_by_id", "delete_a_yard_gate_by_id\n---", "delete_a_yard_gate_by_id", "delete_a_yard_gate_by_id", lost=("delete_a_yard_gate_by_id",)),
    Case("repeats", GATES, "Change a gate; what is not given stays.", "Open a gate.  Its doors are shut at first.", "## update_a", UPDATE, "warning", lost=()),
    # Python
    Case("python-import", INIT, "from crossdock.adapter", "import nothing_of_the_kind\nfrom crossdock.adapter", "import nothing", "", lost=ALL),
    Case("python-import", INIT, "def expand(settings):", "def expand(settings:", "def expand", "", lost=ALL),
    Case("python-hook", INIT, "def crossdock_adapters", "def crossdock_adapter", "def crossdock_adapter", "crossdock_adapter", lost=ALL),
    Case("python-hook", INIT, "@hookimpl\n", "", "def crossdock_adapters", "crossdock_adapters"),
    Case("python-hook", INIT, "def crossdock_adapters", "async def crossdock_adapters", "async def crossdock_adapters", "crossdock_adapters"),
    Case("python-hook", INIT, "crossdock_adapters()", "crossdock_adapters(config)", "def crossdock_adapters", "crossdock_adapters"),
    Case("python-hook", INIT, "    yield load_adapter(", "    yield 7\n    load_adapter(", "def crossdock_adapters", "crossdock_adapters", lost=ALL),
    Case("python-mapper", INIT, '"gates.update"', '"gates.updat"', "gates.updat", "gates.updat", lost=ALL),
    Case("python-mapper", INIT, "async def update_gate(call, context):\n    return await rest(call, context)", "def update_gate(call, context):\n    return rest(call, context)", "def update_gate", "gates.update", lost=(UPDATE,)),
    Case("python-mapper", INIT, "update_gate(call, context)", "update_gate(call)", "def update_gate", "gates.update"),
    Case("python-expand", INIT, "    return ()", "    raise KeyError('x')", "raise KeyError", "expand", lost=()),
    Case("python-expand", INIT, "    return ()", "    return [7]", "def expand", "expand"),
    Case("python-sandbox", SANDBOX, "def accounts", "def account", "def create_app", "sandbox.accounts", lost=()),
    Case("python-sandbox", INIT, "from crossdock.adapter", "from . import sandbox\nfrom crossdock.adapter", "sandbox=", "sandbox", "warning", lost=()),
    Case("python-private", INIT, "from crossdock.adapter", "from crossdock.errors import Busy\nfrom crossdock.adapter", "from crossdock.errors", "crossdock.errors", "warning", lost=()),
    Case("python-print", INIT, "@hookimpl", "print('here')\n\n@hookimpl", "print(", "", "warning", lost=()),
    # the distribution
    Case("package-entry", PROJECT, '[project.entry-points.crossdock]\nyard = "crossdock_yard"', "", "[project]", "project.entry-points.crossdock"),
    Case("package-entry", PROJECT, 'yard = "crossdock_yard"', 'yard = "crossdock_yrd"', "yard =", "project.entry-points.crossdock.yard"),
    Case("package-range", PROJECT, "crossdock>=0.1,<0.9", "crossdock>=0.1", "crossdock>=", "project.dependencies.1", "warning", lost=()),
    Case("package-range", PROJECT, '    "crossdock>=0.1,<0.9",\n', "", "dependencies", "project.dependencies", "warning"),
    Case("package-files", PROJECT, 'packages = ["crossdock_yard"]', 'packages = ["crossdock_yard"]\nexclude = ["*.md"]', "exclude", "tool.hatch.build.targets.wheel.exclude"),
    Case("package-files", PROJECT, 'packages = ["crossdock_yard"]', 'packages = ["yard"]', "packages", "tool.hatch.build.targets.wheel.packages"),
    Case("withheld", GATES, GATES_END := "## delete_a_yard_gate_by_id\n\nClose a gate for good, with all its doors.\n\n```toml\n[path.id]\ntype = \"string\"\ndescription = \"The gate's id.\"\n```\n", "", "delete =", "resources.gates.methods.delete", "note", lost=("delete_a_yard_gate_by_id",)),
]  # fmt: skip


def judged(project: Path, **options: int) -> tuple[Report, list[Finding]]:
    (place,) = places_in(project)
    return report(place, **options)


def broken(project: Path, case: Case) -> str:
    path = project / case.file
    text = path.read_text("utf-8")
    assert case.old in text
    text = text.replace(case.old, case.new, 1)
    path.write_text(text, "utf-8")
    return text


def line_of(text: str, at: str, behind: str = "") -> int:
    lines = text.split("\n")
    start = next(n for n, line in enumerate(lines) if behind in line)
    return next(n for n, line in enumerate(lines[start:], start + 1) if at in line)


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{one.rule}" for n, one in enumerate(CASES)])
def test_a_mistake_is_found_by_its_rule_alone(tmp_path: Path, case: Case) -> None:
    project = yard.write(tmp_path)
    text = broken(project, case)
    shown, found = judged(project)
    assert [(one.rule, one.severity) for one in found] == [(case.rule, case.severity)], found
    (one,) = found
    if case.rule == "withheld":
        text = (project / TOML).read_text("utf-8")
    assert (one.line, one.key) == (line_of(text, case.at, case.behind), case.key)
    assert one.message and one.remedy
    if case.rule != "withheld":
        assert one.file == (
            f"../{case.file}" if case.file == PROJECT else case.file.removeprefix(AT)
        )
    if case.lost is not None:
        assert set(ALL) - set(shown.tools) == set(case.lost)


BYTES = [
    ("toml-encoding", TOML, b"Yard", b"Y\xe4rd", 4, ALL),
    ("page-encoding", VISITS, b"Read the visit", b"R\xe4d the visit", 3, (ALL[-1],)),
]


@pytest.mark.parametrize("rule, file, old, new, line, lost", BYTES)
def test_what_is_no_utf8_is_found_at_its_line(
    tmp_path: Path, rule: str, file: str, old: bytes, new: bytes, line: int, lost: tuple[str, ...]
) -> None:
    project = yard.write(tmp_path)
    path = project / file
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    shown, found = judged(project)
    assert [(one.rule, one.file, one.line) for one in found] == [
        (rule, file.removeprefix(AT), line)
    ]
    assert set(ALL) - set(shown.tools) == set(lost)


def test_marks_and_ends_of_lines_are_read(tmp_path: Path) -> None:
    project = yard.write(tmp_path)
    for file in (TOML, GATES, VISITS):
        data = (project / file).read_bytes().replace(b"\n", b"\r\n")
        (project / file).write_bytes(b"\xef\xbb\xbf" + data)
    shown, found = judged(project)
    assert (found, shown.tools) == ([], list(ALL))


def test_no_docs_and_no_module_are_found(tmp_path: Path) -> None:
    project = yard.write(tmp_path)
    for page in (GATES, VISITS):
        (project / page).unlink()
    (project / GATES).parent.rmdir()
    assert [one.rule for one in judged(project)[1]] == ["page-missing"]
    (project / INIT).unlink()
    assert {one.rule for one in judged(project)[1]} == {"page-missing", "python-import"}


def test_tools_above_their_budget_are_found(tmp_path: Path) -> None:
    project = yard.write(tmp_path)
    assert judged(project, max_tokens=100_000)[1] == []
    (found,) = judged(project, max_tokens=10)[1]
    assert (found.rule, found.file, found.line) == ("tokens", "adapter.toml", 1)


def test_a_level_that_is_not_reached_is_found_at_its_claim(tmp_path: Path) -> None:
    project = yard.write(tmp_path)
    path = project / TOML
    for level, lacks in (("bronze", 0), ("silver", 1), ("gold", 4)):
        path.write_text(f'{yard.TOML}\n[quality]\nlevel = "{level}"\n', "utf-8")
        found = judged(project)[1]
        assert {one.rule for one in found} <= {"quality"}
        assert len(found) == lacks
        for one in found:
            assert (one.key, one.line) == ("quality.level", yard.TOML.count("\n") + 3)
    (project / "tests").mkdir()
    (project / "tests" / "examples.toml").write_text("".join(f"[{one}]\n" for one in ALL), "utf-8")
    path.write_text(f'{yard.TOML}\n[quality]\nlevel = "silver"\n', "utf-8")
    assert judged(project)[1] == []


def test_mistakes_in_several_files_are_told_at_once(tmp_path: Path) -> None:
    project = yard.write(tmp_path)
    for file, old, new in (
        (TOML, 'title = "Yard"', "title = 7"),
        (TOML, '"PUT /gates/{id}"', '"PUT gates"'),
        (GATES, "Read one gate with all its doors.", "Read."),
        (VISITS, 'type = "string"', 'typ = "string"'),
        (INIT, "@hookimpl", "print(1)\n\n@hookimpl"),
    ):
        text = (project / file).read_text("utf-8")
        (project / file).write_text(text.replace(old, new, 1), "utf-8")
    assert sorted(one.rule for one in judged(project)[1]) == [
        "argument-key", "endpoint", "page-prose", "python-print", "toml-type",
    ]  # fmt: skip


VALUES = ("7", "true", "[]", "{}", "[1]", '""', '"x"', "{ a = 1 }", "[[]]", '["a"]', "[{}]", "1.5")


def mangled(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        if equals and chance.random() < 0.7:
            lines[at] = f"{key}= {chance.choice(VALUES)}"
        elif chance.random() < 0.5:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        else:
            lines.insert(at, chance.choice(lines))
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(4))
def test_no_rule_breaks_whatever_is_written(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(150):
        files = Files(
            folder=Path("yard"),
            toml=mangled(yard.TOML, chance).encode(),
            pages=(
                ("docs/gates.md", mangled(yard.GATES, chance).encode()),
                ("docs/visits.md", yard.VISITS.encode()),
            ),
            docs=True,
        )
        for lint in (False, True):
            declared, made = assembly.examine(files, Given(mappers={}), lint=lint)
            if declared.manifest is None:
                assert not made.bindings


def test_what_is_right_is_said_nothing_of(tmp_path: Path) -> None:
    shown, found = judged(yard.write(tmp_path))
    assert found == []
    assert shown.tools == list(ALL)


@pytest.mark.parametrize("place", ["adapters/malomo", "adapters/roserocket"])
def test_our_own_adapters_are_clean(place: str) -> None:
    _, found = judged(ROOT / place)
    assert [one for one in found if one.severity != "note"] == []


def test_every_rule_is_proved() -> None:
    ids = {rule.id for stage in STAGES for rule in stage.rules}
    apart = {"toml-encoding", "page-encoding", "page-missing", "tokens", "quality"}
    assert ids - apart == {case.rule for case in CASES}


def test_the_guide_has_every_rule() -> None:
    text = (ROOT / "adapters/README.md").read_text("utf-8")
    part = text.partition("## crossdock check")[2].partition("\n## ")[0]
    told = set(
        re.findall(r"`([a-z0-9-]+)`", "".join(re.findall(r"^\|([^|]*)\|", part, re.MULTILINE)))
    )
    assert told == {rule.id for stage in STAGES for rule in stage.rules}


def test_links_lead_to_headings_of_the_guide() -> None:
    text = (ROOT / "adapters/README.md").read_text("utf-8")
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}
    links = {rule.link for stage in STAGES for rule in stage.rules}
    assert {link for link in links if link.partition("#")[2] not in anchors} == set()
