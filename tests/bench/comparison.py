"""Figures as tables, and what got worse between two runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# Figures that mean the same on every machine, and those that only mean something on one; smaller
# is better for all. What a suite has of the first kind is all that counts of it.
JUDGED = (
    "ratio",
    "first_answer_seconds",
    "idle_mib",
    "kib_per_stream",
    "grown_mib",
)
ABSOLUTE = {"grown_mib": 8.0, "idle_mib": 2.0, "kib_per_stream": 2.0, "first_answer_seconds": 0.1}


def table(figures: dict[str, dict[str, float]]) -> str:
    """Lay out the figures of one suite."""
    keys = list(dict.fromkeys(key for one in figures.values() for key in one))
    width = max(len(name) for name in figures)
    lines = [" " * width + "".join(f"{key:>22}" for key in keys)]
    for name, one in figures.items():
        cells = (f"{one[key]:>22.2f}" if key in one else " " * 22 for key in keys)
        lines.append(f"{name:{width}}" + "".join(cells))
    return "\n".join(lines)


def worse(before: dict[str, Any], after: dict[str, Any], allow: float) -> list[str]:
    """Return a sentence for each figure of crossdock's that got worse by more than noise.

    Suites that only one of the two runs has are not judged.
    """
    found = []
    for suite, figures in after["suites"].items():
        for name, one in figures.items():
            if name not in ("crossdock", "beside a slow one"):
                continue
            then = before["suites"].get(suite, {}).get(name, {})
            for key in JUDGED:
                if key not in one or key not in then:
                    continue
                most = then[key] * (1 + allow) + ABSOLUTE.get(key, 0.0)
                if one[key] > most:
                    found.append(f"{suite} {key}: {then[key]:.2f} → {one[key]:.2f}")
    return found


def last(path: Path) -> dict[str, Any]:
    """Return the last run that a file holds."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        record: dict[str, Any] = json.loads(lines[-1])
        record["suites"]
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        sys.exit(f"{path} holds no line of `python tests/bench run`: {error}")
    return record


def run(given: argparse.Namespace) -> int:
    """Compare the last runs of two files."""
    before, after = last(given.before), last(given.after)
    if not set(before["suites"]) & set(after["suites"]):
        sys.exit("the two runs have no suite in common")
    found = worse(before, after, given.allow)
    for sentence in found:
        print(f"worse: {sentence}", file=sys.stderr)
    if not found:
        print("nothing got worse", file=sys.stderr)
    return 1 if found else 0
