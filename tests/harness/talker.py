"""An adapter for tests whose tools talk while they run: progress, logs, questions, long waits.

Its tools wait by asking the scripted provider, so that a test decides how long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "talker"

PYTHON = '''"""An adapter for tests that talks."""

from crossdock.adapter import (
    Conflict, Outcome, Question, UpstreamRequest, hookimpl, load_adapter
)

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__, mappers=MAPPERS)


async def talk(call, context):
    for level in ("debug", "info", "warning"):
        await context.log(level, {"said": level})
    for done in (1, 2, 2, 1, 3):
        await context.progress(done, 3, f"step {done}")
    await context.fetch("/hold")
    return Outcome(data={"talked": True})


async def two_requests(call, context):
    await context.fetch("/hold")
    await context.fetch("/hold")
    return Outcome(data={"requests": 2})


async def hold(call, context):
    return Outcome(data=await context.fetch("/hold"))


async def later(call, context):
    await context.release()
    return Outcome(data=await context.fetch("/hold"))


async def blocks(call, context):
    return Outcome(
        content=(
            {"type": "text", "text": "words"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "test://a", "text": "inside"}},
            {"type": "resource_link", "uri": "test://b", "name": "b", "title": "A link"},
        ),
        notes=("And a note.",),
    )


async def bad_block(call, context):
    return Outcome(content=({"type": "hologram"},))


async def ask(call, context):
    reply = await context.ask("name", "Who are you?", NAME)
    return Outcome(data={"action": reply.action, **reply.content})


async def ask_and_write(call, context):
    reply = await context.ask("name", "Who are you?", NAME)
    await context.send(UpstreamRequest(verb="POST", path="/written"))
    return Outcome(data={"action": reply.action, **reply.content})


async def ask_twice(call, context):
    first = await context.ask("first", "One?", NAME)
    second = await context.ask("second", "Two?", NAME)
    return Outcome(data=[first.content["name"], second.content["name"]])


async def write_and_ask(call, context):
    await context.send(UpstreamRequest(verb="POST", path="/written"))
    await context.ask("name", "Too late?", NAME)


async def ask_all(call, context):
    answers = await context.ask_all(
        Question(key="who", method="elicitation/create",
                 params={"message": "Who?", "requestedSchema": NAME}),
        Question(key="roots", method="roots/list"),
    )
    return Outcome(data=answers)


async def tell_secrets(call, context):
    key = "-".join(("talker", "key", "5c0ffee5"))
    await context.log("warning", {"headers": {"X-Api-Key": key}})
    await context.progress(1, message=f"sent with {key}")
    return Outcome(data={"told": True})


async def log_nonsense(call, context):
    await context.log("error", object())


async def fail(call, context):
    raise Conflict("It is not as you think.")


async def given(call, context):
    return Outcome(data={**call.path, **call.query, **call.body, **call.mapper})


MAPPERS = {
    "things.talk": talk,
    "things.two_requests": two_requests,
    "things.hold": hold,
    "things.later": later,
    "things.blocks": blocks,
    "things.bad_block": bad_block,
    "things.ask": ask,
    "things.ask_and_write": ask_and_write,
    "things.ask_twice": ask_twice,
    "things.write_and_ask": write_and_ask,
    "things.ask_all": ask_all,
    "things.fail": fail,
    "things.tell_secrets": tell_secrets,
    "things.log_nonsense": log_nonsense,
    "things.region": given,
    "things.whole": given,
}
'''

TOML = """format = 1
name = "talker"
title = "Talker"
base_url = "https://api.talker.example"

[credentials.api_key]
about = "A key, that it may slip out."
required = false

[auth]
scheme = "api_key"
header = "X-Talker-Key"
format = "{api_key}"

[resources.things]
tags = ["things"]
[resources.things.methods]
talk = { http = "POST /x", effect = "read" }
two_requests = { http = "POST /x", effect = "read" }
hold = { http = "POST /x", effect = "read" }
later = { http = "POST /x", effect = "read" }
blocks = { http = "POST /x", effect = "read" }
bad_block = { http = "POST /x", effect = "read" }
ask = { http = "POST /x", effect = "read" }
ask_and_write = "POST /written"
ask_twice = { http = "POST /x", effect = "read" }
write_and_ask = "POST /written"
ask_all = { http = "POST /x", effect = "read" }
fail = { http = "POST /x", effect = "read" }
tell_secrets = { http = "POST /x", effect = "read" }
log_nonsense = { http = "POST /x", effect = "read" }
region = { http = "POST /x", effect = "read" }
whole = { http = "POST /x/{id}", effect = "read", tool = "a_name_of_its_own" }
update = { http = "PUT /things/{id}", effect = "destructive", confirm = "with:erase, wipe" }
delete = "DELETE /things/{id}"
purge = { http = "POST /things/purge", effect = "destructive" }
reset = { http = "POST /things/reset", effect = "destructive", confirm = "never" }
touch = { http = "POST /things/touch", confirm = "always" }
new = { http = "POST /x", effect = "read" }
"""

_PLAIN = (
    "talk",
    "two_requests",
    "hold",
    "later",
    "blocks",
    "bad_block",
    "ask",
    "ask_and_write",
    "ask_twice",
    "write_and_ask",
    "ask_all",
    "fail",
    "tell_secrets",
    "log_nonsense",
    "purge",
    "reset",
    "touch",
)

_REST = """
## talker_things_region

A tool whose arguments are repeated in headers.

```toml
[body.region]
type = "string"
description = "Where."
x-mcp-header = "Region"
[body.size]
type = "object"
description = "How big."
properties.width = { type = "integer", x-mcp-header = "Width" }
[body.quick]
type = "boolean"
description = "Whether it hurries."
x-mcp-header = "Quick"
```

## a_name_of_its_own

A tool whose schema is given as a whole.

```toml
[schema]
"$schema" = "https://json-schema.org/draft/2020-12/schema"
type = "object"
required = ["id"]
[schema.properties]
id = { type = "string" }
note = { "$ref" = "#/$defs/note" }
[schema."$defs".note]
"$anchor" = "note"
type = "string"
```

## update_a_talker_thing_by_id

Change a thing, or erase parts of it.

```toml
[path.id]
type = "string"
description = "Id of the thing."
[body.name]
type = "string"
description = "Its name."
[body.erase]
type = "array"
items = { type = "string" }
description = "Parts to erase."
[body.wipe]
type = "boolean"
description = "Whether to wipe it."
```

## delete_a_talker_thing_by_id

Delete a thing for good, whatever it holds.

```toml
[path.id]
type = "string"
description = "Id of the thing."
```
"""

NEW_PAGE = """# More

## talker_things_new

A tool that was not there before.
"""


def write(plugins: Path) -> Path:
    """Drop the adapter into a plugins folder; return its own folder."""
    folder = plugins / NAME
    (folder / "docs").mkdir(parents=True)
    plugins.chmod(0o755)
    (folder / "__init__.py").write_text(PYTHON, encoding="utf-8")
    (folder / "adapter.toml").write_text(TOML, encoding="utf-8")
    sections = [
        f"## talker_things_{name}\n\nThe tool that does {name.replace('_', ' ')}.\n"
        for name in _PLAIN
    ]
    page = "# Things\n\n" + "\n".join(sections) + _REST
    (folder / "docs" / "things.md").write_text(page, encoding="utf-8")
    return folder
