"""A distribution with an adapter in which nothing is wrong, for tests that break it."""

from __future__ import annotations

from pathlib import Path

PROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "crossdock-yard"
version = "0.1.0"
dependencies = [
    "msgspec>=0.20",
    "crossdock>=0.1,<0.9",
]

[project.entry-points.crossdock]
yard = "crossdock_yard"

[tool.hatch.build.targets.wheel]
packages = ["crossdock_yard"]
"""

TOML = """format = 1
crossdock = ">=0.1,<0.9"
name = "yard"
title = "Yard"
base_url = "https://api.yard.example/v2"

[hosts.files]
url = "https://files.yard.example"

[credentials.api_key]
about = "Settings, keys."

[settings.fast]
about = "Whether it is."
type = "boolean"
default = true

[auth]
scheme = "api_key"
header = "X-Key"
format = "Bearer {api_key}"

[paging]
style = "cursor"
items = "/data"
ask = { cursor = "cursor", limit = "per_page" }
tell = { next = "/meta/next" }
limit = { default = 5, max = 50 }

[failures]
message = ["/message", "/error"]
status = { 422 = "conflict" }

[verify]
get = "/gates?limit=1"

[resources.gates]
tags = ["yard"]
[resources.gates.methods]
list = "GET /gates"
get = "GET /gates/{id}"
create = { http = "POST /gates", send = { wrap = "/gate" } }
update = { http = "PUT /gates/{id}", confirm = "with:doors" }
delete = "DELETE /gates/{id}"
search = { http = "POST /gates/search", effect = "read" }
plan = { http = "GET files:/gates/{id}/plan", effect = "read", receive = { as = "binary", types = ["application/pdf"] } }

[resources.visits]
tags = ["yard", "visits"]
methods.get = { http = "GET /visits?number={number}", one = true }
"""

GATES = """# Gates

For people.

```toml
[defs.door]
type = "object"
required = ["number"]
additionalProperties = false
properties.number = { type = "integer", minimum = 1 }
```

## list_all_yard_gates

List the gates of the yard, the oldest first.

```toml
[query.name]
type = "string"
description = "Part of a gate's name."
match = ["name"]

[query.states]
type = "array"
items = { enum = ["open", "shut"] }
style = "comma"
description = "Only gates in these states."
```

## get_single_yard_gate_by_id

Read one gate with all its doors.

```toml
[path.id]
type = "string"
description = "The gate's id."
```

## create_a_yard_gate

Open a gate. Its doors are shut at first.

```toml
[body.name]
type = "string"
description = "What drivers call it."
required = true

[body.doors]
type = "array"
items = { "$ref" = "#/$defs/door" }
description = "Its doors."
```

### Example

```json
{"name": "North", "doors": [{"number": 1}]}
```

## update_a_yard_gate_by_id

Change a gate; what is not given stays.

```toml
[path.id]
type = "string"
description = "The gate's id."
aliases = ["gate_id"]

[body.doors]
type = "array"
items = { "$ref" = "#/$defs/door" }
description = "Its doors."

[mapper.keep]
type = "boolean"
description = "Keep what is there."
```

### Example

“Door 2 of g7” is `{"id": "g7", "doors": [{"number": 2}]}`.

## yard_gates_search

Look for gates by the words on their signs.

```toml
[body.words]
type = "string"
description = "The words."
```

## yard_gates_plan

Read the plan of a gate as a PDF.

```toml
[path.id]
type = "string"
description = "The gate's id."
```

## delete_a_yard_gate_by_id

Close a gate for good, with all its doors.

```toml
[path.id]
type = "string"
description = "The gate's id."
```
"""

VISITS = """## get_single_yard_visit_by_id

Read the visit that a number belongs to.

```toml
[path.number]
type = "string"
description = "As on the ticket."
match = ["number"]
```
"""

PYTHON = '''"""A yard."""

from crossdock.adapter import hookimpl, load_adapter, rest


@hookimpl
def crossdock_adapters():
    yield load_adapter(
        __name__,
        mappers={"gates.update": update_gate},
        expand=expand,
        sandbox=".sandbox",
    )


async def update_gate(call, context):
    return await rest(call, context)


def expand(settings):
    return ()
'''

SANDBOX = """def create_app(switches=None):
    return None


def accounts(base_url):
    return []
"""

FOLDER = "crossdock_yard"
FILES = {
    "pyproject.toml": PROJECT,
    f"{FOLDER}/adapter.toml": TOML,
    f"{FOLDER}/docs/gates.md": GATES,
    f"{FOLDER}/docs/visits.md": VISITS,
    f"{FOLDER}/__init__.py": PYTHON,
    f"{FOLDER}/sandbox.py": SANDBOX,
}


def write(folder: Path) -> Path:
    """Write the distribution into a folder of its own, and return that."""
    project = folder / "crossdock-yard"
    for file, text in FILES.items():
        path = project / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return project
