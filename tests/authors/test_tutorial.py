"""The guide's afternoon: from an empty folder to a tool that is checked, proven, told and called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {key: one for key, one in os.environ.items() if not key.startswith("CROSSDOCK_")}
SECTION = """
## tidewater_items_rename

Give an item another name, by its id. Everything else stays as it is.

```toml
[path.id]
type = "string"
description = "The id of the item to rename."

[body.name]
type = "string"
minLength = 1
description = "The new name."
required = true
```

### Example

“Call i7 North” is `{"id": "i7", "name": "North"}`.
"""
EXAMPLE = """
[tidewater_items_rename]
arguments = { id = "i7", name = "North" }
sends = [{ http = "PUT /items/i7", json = { name = "North" } }]
answer = { name = "North" }
"""


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@contextmanager
def developing(folder: Path) -> Iterator[dict[str, Any]]:
    """Run `crossdock dev`, and give what its first line says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crossdock", "dev", str(folder), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.e2e
def test_an_afternoon_leads_from_an_empty_folder_to_a_tool(tmp_path: Path) -> None:
    run("crossdock", "new-adapter", "tidewater", cwd=tmp_path)
    folder = tmp_path / "crossdock-tidewater"
    package = folder / "crossdock_tidewater"
    add(package / "adapter.toml", 'rename = "PUT /items/{id}"\n')
    held = json.loads(run("crossdock", "check", ".", "--json", cwd=folder))
    assert [one["tool"] for one in held["adapters"][0]["withheld"]] == ["tidewater_items_rename"]
    add(package / "docs" / "items.md", SECTION)
    add(folder / "tests" / "examples.toml", EXAMPLE)
    run("crossdock", "check", ".", "--strict", cwd=folder)
    quiet = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    assert "passed" in run("pytest", *quiet, cwd=folder)
    run("crossdock", "docs", ".", cwd=folder)
    run("crossdock", "docs", ".", "--check", cwd=folder)
    page = (folder / "reference" / "tidewater_items_rename.md").read_text(encoding="utf-8")
    assert "Give an item another name" in page
    with developing(folder) as ready:
        url = ready["servers"][0]["url"]
        asked = ("tidewater_items_rename", "id=i7", "name=North")
        said = run("crossdock", "call", url, *asked, cwd=tmp_path)
    assert json.loads(said)["name"] == "North"
