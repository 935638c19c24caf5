"""A small adapter with all its parts, written into a folder: what the contract kit is tried on.

It lists, looks up, makes, changes under a guard, removes, searches and seals crates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "crossdock_depot"

PYTHON = '''"""An adapter to break: see tests/authors/test_mutations.py."""

from __future__ import annotations

from crossdock.adapter import (
    Call,
    Context,
    Outcome,
    UpstreamFailure,
    UpstreamRequest,
    WriteNotVerified,
    WriteOutcomeUnknown,
    decode,
    encode,
    hookimpl,
    load_adapter,
    one_segment,
    rest,
)


@hookimpl
def crossdock_adapters():
    yield load_adapter(
        __name__,
        mappers={
            "crates.list": list_crates,
            "crates.get": get_crate,
            "crates.create": create_crate,
            "crates.update": update_crate,
            "crates_by_label.get": get_by_label,
        },
        sandbox=".sandbox",
    )


async def list_crates(call: Call, context: Context) -> Outcome:
    return await rest(call, context)


async def get_crate(call: Call, context: Context) -> Outcome:
    return await rest(call, context)


async def create_crate(call: Call, context: Context) -> Outcome:
    return await rest(call, context)


async def get_by_label(call: Call, context: Context) -> Outcome:
    path = f"/labels/{one_segment(call.path['id'])}"
    reply = await context.send(UpstreamRequest(verb="GET", path=path))
    return Outcome(data=decode(reply.body), rate=reply.rate)


async def update_crate(call: Call, context: Context) -> Outcome:
    path = f"/crates/{one_segment(call.path['id'])}"
    async with context.exclusive(path):
        stored = await context.fetch(path)
        wanted = {**stored, **call.body}
        doubt = None
        try:
            await context.send(UpstreamRequest(verb="PUT", path=path, body=encode(wanted)))
        except UpstreamFailure as failure:
            if failure.rejected:
                raise
            doubt = failure
        try:
            seen = await context.fetch(path)
        except UpstreamFailure as failure:
            raise WriteOutcomeUnknown(f"Reading it back failed: {failure}") from None
    if seen != wanted and doubt:
        raise WriteOutcomeUnknown(f"It shows other values ({doubt})")
    if seen != wanted:
        raise WriteNotVerified("The depot said yes, and shows other values")
    return Outcome(data=seen)
'''

TOML = """format = 1
name = "depot"
title = "Depot"
base_url = "https://api.depot.example/v1"

[credentials.api_key]
about = "The key."

[auth]
scheme = "api_key"
header = "X-Depot-Key"
format = "{api_key}"

[paging]
style = "offset"
items = "/crates"
ask = { offset = "from", limit = "size" }
limit = { default = 10, max = 30 }

[verify]
get = "/crates"

[resources.crates]
tags = ["depot"]
[resources.crates.methods]
list = "GET /crates"
get = "GET /crates/{id}"
create = "POST /crates"
update = "PUT /crates/{id}"
delete = "DELETE /crates/{id}"
seal = "POST /crates/{id}/seal"
search = { http = "POST /crates/search", effect = "read" }

[resources.crates_by_label]
tags = ["depot"]
methods.get = "GET /labels/{id}"
"""

PAGE = """# Crates

## list_all_depot_crates

List the crates of the depot, the oldest first.

```toml
[query.state]
type = "string"
description = "Only crates in this state."
```

## get_single_depot_crate_by_id

Read one crate by the id that the depot gave it.

```toml
[path.id]
type = "string"
description = "The crate's id."
```

## create_a_depot_crate

Put a crate into the depot, and get it back with its id.

```toml
[body.name]
type = "string"
description = "What people call it."
required = true

[body.note]
type = "string"
description = "What else there is to say."
```

## update_a_depot_crate_by_id

Change a crate; what is not given stays as it is.

```toml
[path.id]
type = "string"
description = "The crate's id."

[body.name]
type = "string"
description = "What people call it."
```

## delete_a_depot_crate_by_id

Remove a crate for good; it does not come back.

```toml
[path.id]
type = "string"
description = "The crate's id."
```

## depot_crates_seal

Seal a crate, after which nobody opens it.

```toml
[path.id]
type = "string"
description = "The crate's id."
```

## depot_crates_search

Find the crates whose name holds a text.

```toml
[body.text]
type = "string"
description = "What the name holds."
required = true
```

## get_single_depot_crates_by_label_by_id

Look a crate up by the label that people put on it.

```toml
[path.id]
type = "string"
description = "The label."
free = true
```
"""

SANDBOX = '''"""The depot."""

from crossdock.testing.sandbox import Sandbox, fields_of

sandbox = Sandbox(
    name="Depot sandbox",
    base="/v1",
    auth={"scheme": "api_key", "header": "X-Depot-Key", "format": "{api_key}"},
    credentials={"api_key": "depot-key-5d1f"},
)
crates = sandbox.collection(
    "crates",
    [
        {"id": f"c{n}", "name": f"Crate {n}", "state": "full" if n % 3 else "empty", "lid": "oak"}
        for n in range(1, 41)
    ],
    paging={
        "style": "offset",
        "items": "/crates",
        "ask": {"offset": "from", "limit": "size"},
        "size": 12,
    },
    replaces=True,
)


@sandbox.route("POST /crates/{id}/seal")
def seal(request):
    crate = crates.find(request.match_info["id"])
    crate["state"] = "sealed"
    return crate


@sandbox.route("POST /crates/search")
async def search(request):
    text = (await fields_of(request))["text"]
    return {"found": [one for one in crates.records.values() if text in one["name"]]}


@sandbox.route("GET /labels/{id}")
def labelled(request):
    return crates.find(request.match_info["id"])


create_app, accounts = sandbox.create_app, sandbox.accounts
'''

EXAMPLES = """[[list_all_depot_crates]]
records = 40
sends = ["GET /crates?from=0&size=11"]

[[list_all_depot_crates]]
arguments = { state = "empty" }
records = 13

[get_single_depot_crate_by_id]
arguments = { id = "c7" }
sends = ["GET /crates/c7"]
answer = { name = "Crate 7" }

[create_a_depot_crate]
arguments = { name = "New", note = "Fragile" }
sends = [{ http = "POST /crates", json = { name = "New", note = "Fragile" } }]
answer = { name = "New" }

[update_a_depot_crate_by_id]
arguments = { id = "c7", name = "Seven" }
sends = [
    "GET /crates/c7",
    { http = "PUT /crates/c7", json = { id = "c7", name = "Seven", state = "full", lid = "oak" } },
    "GET /crates/c7",
]
answer = { name = "Seven", lid = "oak" }
keeps = ["/lid", "/state"]

[delete_a_depot_crate_by_id]
arguments = { id = "c7" }
sends = ["DELETE /crates/c7"]

[depot_crates_seal]
arguments = { id = "c7" }
sends = ["POST /crates/c7/seal"]
answer = { state = "sealed" }

[depot_crates_search]
arguments = { text = "Crate 2" }
sends = [{ http = "POST /crates/search", json = { text = "Crate 2" } }]

[get_single_depot_crates_by_label_by_id]
arguments = { id = "c7" }
sends = ["GET /labels/c7"]
"""

FILES = {
    "__init__.py": PYTHON,
    "adapter.toml": TOML,
    "docs/crates.md": PAGE,
    "sandbox.py": SANDBOX,
    "examples.toml": EXAMPLES,
}


def write(folder: Path, files: dict[str, str] = FILES) -> Path:
    """Write the adapter into `folder`, and return its own folder."""
    place = folder / NAME
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    return place
