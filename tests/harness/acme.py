"""A small adapter for tests, written into a folder as an operator would drop it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

NAME = "acme"
API_KEY = "acme-key-77c1e0f6"

PYTHON = '''"""An adapter for tests."""

from crossdock.adapter import hookimpl, load_adapter


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__)
'''

TOML = """format = 1
name = "acme"
title = "Acme"
base_url = "https://api.acme.example/v1"
headers = { Accept = "application/json" }

[credentials.api_key]
about = "The key."

[auth]
scheme = "api_key"
header = "X-Api-Key"
format = "{api_key}"

[paging]
style = "link"
ask = { cursor = "page" }
limit = { default = 3, max = 50 }

[failures]
message = ["/message", "/errors"]
partial = "/warnings"

[resources.items]
tags = ["goods"]
[resources.items.methods]
list = "GET /items"
get = "GET /items/{id}"
create = "POST /items"
update = "PUT /items/{id}"
delete = "DELETE /items/{id}"
archive = "POST /items/{id}/archive"
count = { http = "POST /items/count", effect = "read" }

[resources.labels]
tags = ["names", "goods"]
[resources.labels.methods]
get = "GET /labels/{id}"
delete = "DELETE /labels/{id}/now"

[resources.codes]
tags = ["names"]
methods.get = { http = "GET /codes/?code={id}", one = true }

[resources.secrets_of_state]
tags = ["hidden"]
methods.list = "GET /secrets"
"""

PAGES = {
    "items.md": """# Items

For people.

```toml
[defs.size]
type = "object"
description = "A size."
properties.width = { type = "integer" }
properties.height = { type = "integer" }
additionalProperties = false
```

## list_all_acme_items

List the items of the store, newest first.

```toml
[query.colour]
type = "string"
description = "Only items of this colour."
match = ["colour", "paint.name"]

[query.ids]
type = "array"
items = { type = "string" }
description = "Only these items."
style = "comma"

[query.open]
type = "boolean"
description = "Only open items."

[query.sizes]
type = "array"
items = { type = "integer" }
description = "Only items of these sizes."
name = "size[]"
```

## get_single_acme_item_by_id

Read one item by the id that Acme gave it.

```toml
[path.id]
type = "string"
description = "The id of the item."
```

## create_a_acme_item

Create an item and get it back with its id.

```toml
[body.title]
type = "string"
minLength = 1
description = "What it is called."
examples = ["Box 7"]
required = true

[body.size]
"$ref" = "#/$defs/size"
description = "How large it is."

[body.kind]
type = "string"
enum = ["crate", "pallet"]
description = "What it comes in."
name = "itemKind"

[query.notify]
type = "boolean"
description = "Whether to tell the owner."
```

## update_a_acme_item_by_id

Change an item; fields that are not given stay.

```toml
[path.id]
type = "string"
description = "The id of the item."

[body.title]
type = "string"
description = "What it is called."
```

## delete_a_acme_item_by_id

Delete an item for good; it cannot be restored.

```toml
[path.id]
type = "string"
description = "The id of the item."
```

## acme_items_archive

Put an item away, where it no longer is in lists.

```toml
[path.id]
type = "string"
description = "The id of the item."
```

## acme_items_count

Count all the items there are in the store.
""",
    "labels.md": """## get_single_acme_label_by_id

Read a label by the name that people gave it.

```toml
[path.id]
type = "string"
description = "The name of the label."
free = true
aliases = ["labelName"]
```

## delete_a_acme_label_by_id

Delete a label by the name that people gave it.

```toml
[path.id]
type = "string"
description = "The name of the label."
free = true
```

## get_single_acme_code_by_id

Look a record up by the code on its sticker.

```toml
[path.id]
type = "string"
description = "The code on the sticker."
free = true
```
""",
}

TOOLS = (
    "list_all_acme_items",
    "get_single_acme_item_by_id",
    "create_a_acme_item",
    "update_a_acme_item_by_id",
    "delete_a_acme_item_by_id",
    "acme_items_archive",
    "acme_items_count",
    "get_single_acme_label_by_id",
    "delete_a_acme_label_by_id",
    "get_single_acme_code_by_id",
)


def account(base_url: str) -> dict[str, Any]:
    """Return an account of this adapter, as in config.toml but with a plain credential."""
    return {
        "integration": NAME,
        "settings": {"base_url": base_url},
        "credentials": {"api_key": API_KEY},
    }


def write(folder: Path, python: str = PYTHON, name: str = NAME) -> Path:
    """Write the adapter into `folder`/`name` and return that."""
    place = folder / name
    (place / "docs").mkdir(parents=True)
    (place / "__init__.py").write_text(python, encoding="utf-8")
    (place / "adapter.toml").write_text(TOML, encoding="utf-8")
    for page, text in PAGES.items():
        (place / "docs" / page).write_text(text, encoding="utf-8")
    return place
