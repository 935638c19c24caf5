"""docs/*.md: prose for the model, arguments in one block, mistakes with file:line."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossdock.adapter.assembly import Assembly, declare
from crossdock.adapter.described import defs_of
from crossdock.adapter.docs import Entry, PageText, entry_of
from crossdock.adapter.findings import Finding
from crossdock.adapter.given import Files, Given

TOML = b"""format = 1
name = "tidewater"
title = "Tidewater"
base_url = "https://api.tidewater.example"
[resources.gates.methods]
list = "GET /gates"
update = { http = "PUT /gates/{id}", one = true }
"""


def read_page(text: str, file: str) -> list[Entry]:
    page = PageText(file, text)
    return [
        entry_of(section, defs_of(page), f"{file}:{section.heading_line}") for section in page.tools
    ]


def errors(text: str) -> list[Finding]:
    files = Files(folder=Path("tidewater"), toml=TOML, pages=(), docs=True)
    given = Given(mappers={"gates.update": None})  # type: ignore[dict-item]
    assembly = Assembly(declare(files, Given(mappers={})), given)
    assembly.take([("docs/gates.md", text.encode())])
    return [one for one in assembly.assemble().findings if one.severity == "error"]


PAGE = """# Gates

For people, with `code` and

```json
{"an": "example"}
```

```toml
[defs.door]
type = "object"
description = "A door."
```

## update_a_tidewater_gate_by_id

Change a gate.
Doors that are not given stay.

- A list, verbatim.

```toml
[path.id]
type = "string"
description = "The gate."

[body.doors]
type = "array"
items = { "$ref" = "#/$defs/door" }
description = "The doors."
required = true
aliases = ["gateDoors"]

[query.fields]
type = "array"
items = { type = "string" }
description = "Only these."
style = "comma"
name = "fields[]"
match = "shown"

[mapper.remove]
type = "array"
description = "Doors to take out."
```

Words behind the block are for people too.

### A heading

```toml
not = "ours"
```

## list_all_tidewater_gates

List the gates of the yard.
"""


def test_a_page_is_read_in_its_order() -> None:
    update, listed = read_page(PAGE, "docs/gates.md")
    assert update.tool == "update_a_tidewater_gate_by_id"
    assert update.description == (
        "Change a gate.\nDoors that are not given stay.\n\n- A list, verbatim."
    )
    assert update.source == "docs/gates.md:15"
    assert set(update.defs) == {"door"}
    assert update.aliases == {"gateDoors": "doors"}
    by_key = {argument.key: argument for argument in update.arguments}
    # By place, not as written: path, query, body, mapper.
    assert list(by_key) == ["id", "fields", "doors", "remove"]
    assert [argument.where for argument in update.arguments] == ["path", "query", "body", "mapper"]
    assert by_key["id"].required
    assert by_key["doors"].required
    assert not by_key["remove"].required
    assert by_key["doors"].schema["items"] == {"$ref": "#/$defs/door"}
    assert "required" not in by_key["doors"].schema
    assert (by_key["fields"].style, by_key["fields"].name) == ("comma", "fields[]")
    assert by_key["fields"].match == ("shown",)
    assert listed.arguments == ()


def test_a_list_of_required_properties_stays_with_the_schema() -> None:
    page = """## x

Words.

```toml
[body.size]
type = "object"
description = "A size."
required = ["width"]
```
"""
    (entry,) = read_page(page, "x.md")
    assert entry.arguments[0].schema["required"] == ["width"]
    assert not entry.arguments[0].required


def test_an_empty_page_has_no_entries() -> None:
    assert read_page("", "x.md") == []
    assert read_page("# Words\n\nFor people.\n", "x.md") == []


WRONG: dict[str, tuple[str, str, str, str]] = {
    "no prose": (
        "Change a gate.\nDoors that are not given stay.\n\n- A list, verbatim.", "",
        "## update_a", "has no prose"),
    "no TOML": ('description = "The gate."', 'description = The gate', "= The gate", "Invalid value"),
    "no description": ('description = "The gate."', "", "[path.id]", "`id` has no description"),
    "an empty description": ('"The gate."', '""', 'description = ""', "has no description"),
    "unknown place": ("[mapper.remove]", "[header.remove]", "[header.remove]", "no place"),
    "unknown style": ('style = "comma"', 'style = "pipe"', 'style = "pipe"', "only one is"),
    "not a table": ("[path.id]\n", 'path.id = "x"\n[path.other]\n', "path.id", "write [path.id]"),
    "required is a number": ("required = true", "required = 1", "required = 1", "true, false, or a list"),
    "in two places": ("[mapper.remove]", "[mapper.id]", "[mapper.id]", "both in path and in mapper"),
    "no identifier": ("[mapper.remove]", '[mapper."re-move"]', 're-move', "not an identifier"),
    "an alias that is an argument": ('["gateDoors"]', '["remove"]', '["remove"]', "alias `remove`"),
    "a misspelt key": ("required = true", "requird = true", "requird", "did you mean `required`"),
    "a key of nobody": ('style = "comma"', "colour = 1", "colour = 1", "no key of an argument"),
    "something before the first heading": ("[defs.door]", "[def.door]", "[def.door]", "`def`"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_file_and_line(case: str) -> None:
    old, new, at, words = WRONG[case]
    assert old in PAGE
    text = PAGE.replace(old, new, 1)
    (found,) = errors(text)
    assert (found.file, found.adapter) == ("docs/gates.md", "tidewater")
    assert words in f"{found.message}; {found.remedy}"
    assert found.line == next(n for n, one in enumerate(text.splitlines(), 1) if at in one)


def test_a_block_that_is_never_closed_is_told_where_it_began() -> None:
    (found,) = errors(
        "## list_all_tidewater_gates\n\nWords, and enough of them.\n\n```toml\n[query.id]\n"
    )
    assert (found.rule, found.line) == ("page-fence", 5)


def test_a_byte_order_mark_and_other_ends_of_lines_do_not_count() -> None:
    assert errors("\ufeff" + PAGE.replace("\n", "\r\n")) == []
    assert errors(PAGE) == []
