"""The folder of a new adapter: its files, made whole before any of them is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from crossdock import __version__
from crossdock.errors import CrossdockError
from crossdock.scaffold.toml_text import inline

_PYPROJECT = Template("""[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "crossdock-$dashed"
version = "0.1.0"
description = "$title adapter for crossdock"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["crossdock$range"]

[project.optional-dependencies]
test = ["crossdock[testing]$range"]

[project.entry-points.crossdock]
$name = "$package"

[tool.hatch.build.targets.wheel]
packages = ["$package"]      # adapter.toml and docs/ travel with it

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
""")

_README = Template("""# crossdock-$dashed

$title for crossdock: what an agent may do there, as MCP tools.

| file | holds |
|---|---|
| `$package/adapter.toml` | what the API can do: address, credentials, endpoints, paging |
| `$package/docs/` | what an agent may do: a heading, a text and arguments per tool |
| `$package/sandbox.py` | the provider, as far as you know it: for `crossdock dev` and the tests |
| `tests/examples.toml` | one call of each tool, and what it sends |
| `CHANGELOG.md` | what changed, by version; a tag is published only if it is in there |

```sh
pip install -e '.[test]'
crossdock check .
pytest
crossdock dev .
```
""")

_CI = Template("""name: ci
on: [push, pull_request]

jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        crossdock: ["$oldest", "$newest"]   # the oldest, and the newest that the range lets in
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install -e '.[test]' 'crossdock[testing]$${{ matrix.crossdock }}'
      - run: crossdock check .
      - run: pytest

  publish:
    if: startsWith(github.ref, 'refs/tags/v')
    needs: test
    runs-on: ubuntu-latest
    environment: release
    permissions:
      id-token: write          # trusted publishing: no token is kept anywhere
    steps:
      - uses: actions/checkout@v4
      - run: grep -xF "version = \\"$${GITHUB_REF_NAME#v}\\"" pyproject.toml
      - run: grep -xF "## $${GITHUB_REF_NAME#v}" CHANGELOG.md
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install build && python -m build
      - uses: pypa/gh-action-pypi-publish@release/v1
""")

_CHANGELOG = """# Changelog

## 0.1.0

- The first tools.
"""

INIT = Template('''"""The $title adapter: endpoints in adapter.toml, words in docs/."""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import Adapter, hookimpl, load_adapter


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter."""
    yield load_adapter(__name__, sandbox=".sandbox")
''')

_CONTRACT = Template('''"""What every adapter promises, proven on the sandbox with examples.toml."""

from crossdock.testing import AdapterContract


class Test$classname(AdapterContract):
    adapter = "$package"
$exempt''')

_TOML = Template("""# What the API can do, on one screen. What an agent may use is decided in docs/.
format = 1
crossdock = "$range"
name = "$name"
title = "$title"
base_url = "https://api.$dashed.example/v1"

[credentials.api_key]
about = "Where a person finds the key."

[auth]
scheme = "bearer"
token = "{api_key}"

[paging]
style = "offset"
items = "/items"
ask = { offset = "offset", limit = "limit" }
tell = { total = "/total" }

[verify]
get = "/items"

[resources.items]
tags = ["items"]
[resources.items.methods]
list = "GET /items"
get = "GET /items/{id}"
create = "POST /items"
""")

_PAGE = Template("""# Items

Text up to the first tool is for people. A model gets the text under each heading, word for word.

## list_all_${name}_items

List the items, the oldest first. Each has `id` and `name`.

```toml
[query.name]
type = "string"
description = "Only items of this name."
free = true
```

## get_single_${name}_item_by_id

Read one item by its id, which list_all_${name}_items gives.

```toml
[path.id]
type = "string"
description = "The item's id."
```

## create_a_${name}_item

Make an item, and get it back with its id.

```toml
[body.name]
type = "string"
minLength = 1
description = "What people call it."
required = true
```
""")

_SANDBOX = Template('''"""$title, as far as it is known: for `crossdock dev` and the tests."""

from __future__ import annotations

from crossdock.testing.sandbox import Sandbox

sandbox = Sandbox(
    name="$title sandbox",
    base="/v1",
    auth={"scheme": "bearer", "token": "{api_key}"},
    credentials={"api_key": "sandbox-key-$name"},
)
items = sandbox.collection(
    "items",
    [{"id": f"i{number}", "name": f"Item {number}"} for number in range(1, 46)],
    paging={
        "style": "offset",
        "items": "/items",
        "ask": {"offset": "offset", "limit": "limit"},
        "tell": {"total": "/total"},
    },
)

create_app, accounts = sandbox.create_app, sandbox.accounts
''')

_EXAMPLES = Template("""# One call of each tool at least; faults are tried on the first of them.
[[list_all_${name}_items]]
records = 45

[[list_all_${name}_items]]
arguments = { name = "Item 7" }
records = 1

[get_single_${name}_item_by_id]
arguments = { id = "i7" }
sends = ["GET /items/i7"]
answer = { name = "Item 7" }

[create_a_${name}_item]
arguments = { name = "New" }
sends = [{ http = "POST /items", json = { name = "New" } }]
answer = { name = "New" }
""")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between adapters: the text of each file below the package, and of the tests."""

    title: str
    package: Mapping[str, str]
    examples: str
    exempt: Mapping[str, str] = {}
    beside: Mapping[str, str] = {}


def package_of(name: str) -> str:
    """Return the name of an adapter's package."""
    return f"crossdock_{name}"


def supported_range() -> str:
    """Return the range of crossdock that an adapter made today supports."""
    major, minor = __version__.split(".")[:2]
    return f">={major}.{minor},<{major}.{int(minor) + 1}"


def values_of(name: str, title: str) -> dict[str, str]:
    """Return what templates may name."""
    major, minor = __version__.split(".")[:2]
    return {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": package_of(name),
        "classname": "".join(part.capitalize() for part in name.split("_")),
        "title": title,
        "range": supported_range(),
        "oldest": f"=={major}.{minor}.0",
        "newest": f">={major}.{minor}",
    }


def plain_parts(name: str) -> Parts:
    """Return a first adapter: a list, a read and a write, paged and proven."""
    title = name.replace("_", " ").title()
    values = values_of(name, title)
    return Parts(
        title=title,
        package={
            "__init__.py": INIT.substitute(values),
            "adapter.toml": _TOML.substitute(values),
            "sandbox.py": _SANDBOX.substitute(values),
            "docs/items.md": _PAGE.substitute(values),
        },
        examples=_EXAMPLES.substitute(values),
    )


def files_of(name: str, parts: Parts) -> dict[str, str]:
    """Return all files of a project by their path."""
    values = values_of(name, parts.title)
    exempt = "".join(
        f"        {inline(key)}: {inline(why)},\n" for key, why in parts.exempt.items()
    )
    values["exempt"] = f"    exempt = {{\n{exempt}    }}\n" if exempt else ""
    package = values["package"]
    return {
        "pyproject.toml": _PYPROJECT.substitute(values),
        "README.md": _README.substitute(values),
        "CHANGELOG.md": _CHANGELOG,
        ".github/workflows/ci.yml": _CI.substitute(values),
        **{f"{package}/{file}": text for file, text in parts.package.items()},
        "tests/test_contract.py": _CONTRACT.substitute(values),
        "tests/examples.toml": parts.examples,
        **parts.beside,
    }


def write_project(folder: Path, files: Mapping[str, str]) -> None:
    """Write a project into a folder that does not exist. Raises CrossdockError; then none does."""
    if folder.exists():
        raise CrossdockError(f"{folder} exists; nothing was changed. Take another name or --into")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise CrossdockError(f"{folder.parent}: {error.strerror or error}") from None
    try:
        write_files(made, files)
        made.chmod(0o755)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts below a folder."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def told(folder: Path, name: str, files: Mapping[str, str]) -> dict[str, Any]:
    """Return what `new-adapter --json` prints of any project."""
    return {"folder": str(folder), "package": package_of(name), "files": sorted(files)}
