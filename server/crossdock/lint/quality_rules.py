"""Rules for levels of quality: what an adapter claims has to be so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from crossdock.adapter.binding import Binding
from crossdock.adapter.declaration import Broken, Declaration, toml_of
from crossdock.adapter.findings import Flaw, Place, Stage

QUALITY = Stage()
Level = Literal["bronze", "silver", "gold"]
LEVELS: tuple[Level, ...] = ("bronze", "silver", "gold")
_MARK = "written by `crossdock docs`"
_CONTRACT_SECONDS = 600
_EXEMPTS = re.compile(r"^\s+exempt\s*(?::[^=]+)?=\s*\{\s*[^}\s]", re.MULTILINE)


class Claim:
    """A level that an adapter claims, or that `--level` asks of it, beside what there is.

    `proved` says that the contract has to be run, not only to be there.
    """

    def __init__(
        self,
        head: Declaration,
        project: Path,
        bindings: Mapping[str, Binding],
        *,
        asked: Level | None,
        has_errors: bool,
        has_sandbox: bool,
    ) -> None:
        self.adapter = head.adapter
        self.file = head.file
        self.head = head
        self.project = project
        self.bindings = bindings
        self.level = asked or (head.at("quality") or {}).get("level")
        self.proved = asked is not None
        self.has_errors = has_errors
        self.has_sandbox = has_sandbox

    def line(self, place: Place) -> int:
        """Return the line of the claim."""
        return self.head.line(place)

    def key(self, place: Place) -> str:
        """Return the place of the claim."""
        return ".".join(place)


@QUALITY.rule("quality", "crossdock-check")
def _quality(claim: Claim) -> Iterator[Flaw]:
    if claim.level is None:
        return
    reached = LEVELS.index(claim.level) + 1
    for level, wanting in zip(LEVELS[:reached], (_bronze, _silver, _gold), strict=False):
        for lack in wanting(claim):
            yield Flaw(
                place=("quality", "level"),
                message=f"it is not {claim.level}: {lack} ({level})",
                remedy="see what the level asks for, or claim a lower one",
            )


def _bronze(claim: Claim) -> Iterator[str]:
    if claim.has_errors:
        yield "it has errors"
    if claim.head.at("verify") is None:
        yield "no [verify]"


def _silver(claim: Claim) -> Iterator[str]:
    if not claim.has_sandbox:
        yield "no sandbox"
    examples = claim.project / "tests" / "examples.toml"
    if not examples.is_file():
        yield "no tests/examples.toml"
        return
    told = toml_of(examples.read_bytes().decode("utf-8", "replace"))
    missing = [name for name in claim.bindings if isinstance(told, Broken) or name not in told]
    if missing:
        yield f"no example of {', '.join(missing[:3])}"
    elif claim.proved and (why := _red(claim.project)):
        yield f"its contract is not green: {why}"


def _red(project: Path) -> str:
    """Run the contract; return why it is not green."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(  # noqa: S603  (the adapter's own tests, which its author asked for)
            [*command, str(project / "tests")],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
            timeout=_CONTRACT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"it takes more than {_CONTRACT_SECONDS} seconds"
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else "pytest failed")


def _gold(claim: Claim) -> Iterator[str]:
    tests = claim.project / "tests"
    for path in sorted(tests.rglob("*.py")):
        if _EXEMPTS.search(path.read_text("utf-8")):
            yield f"{path.name} exempts a check of the contract"
    for name, resource in claim.head.resources.items():
        if not resource.get("docs"):
            yield f"[resources.{name}] names no page of the provider as `docs`"
    pages = claim.project.rglob("index.md")
    if not any(_MARK in page.read_text("utf-8", "replace") for page in pages):
        yield "no pages written by `crossdock docs`"
