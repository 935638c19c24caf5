"""The guides as their readers see them: fenced blocks with the marks above them, tables, code."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.config import PluginSettings
from crossdock.plugins import Plugins

GUIDE = Path("adapters/README.md")
EXAMPLE = Path("plugins/tidewater")
MARK = re.compile(r"<!-- (?P<kind>[a-z.]+(?: as| from| of| for)?)(?: (?P<what>.*))? -->")
FENCE = re.compile(r"(?P<ticks>`{3,})(?P<language>\w*)")


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


SPAN = re.compile(r"`(?P<text>[^`\n]+)`")


def spans(text: str) -> set[str]:
    """Return the code spans of a page; what stands in fenced blocks is none."""
    return {found["text"] for found in SPAN.finditer(re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text))}


# --- adapters made of them -------------------------------------------------------------------

HEAD = 'format = 1\nname = "tidewater"\ntitle = "Tidewater"\nbase_url = "https://yard.example"\n'


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
