"""crossdock beside the reference and its peers, in alternating rounds, every answer checked.

    python tests/bench run                              # calls and lists of all peers: about 4 minutes
    python tests/bench run --suite all --into FILE      # every suite; one line of JSON is added to FILE
    python tests/bench run --suite calls --peers crossdock,bare --rounds 3 --seconds 2
    python tests/bench compare BEFORE AFTER             # exits 1 if a figure of crossdock got worse
    python tests/bench profile                          # where a call's CPU goes, written to README.md

Tables go to stderr, the line of JSON to stdout. What counts is the ratio of the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import comparison
import peers
import profiling
from suites import SUITES, Options

QUICK = ("calls", "lists")


def run(given: argparse.Namespace) -> int:
    """Measure the suites asked for; one line of JSON."""
    chosen = tuple(SUITES) if given.suite == "all" else tuple(given.suite.split(","))
    names = tuple(given.peers.split(","))
    for unknown in [*(set(chosen) - set(SUITES)), *(set(names) - set(peers.ALL_PEERS))]:
        sys.exit(
            f"there is no {unknown}; suites: {', '.join(SUITES)}; peers: {', '.join(peers.ALL_PEERS)}"
        )
    if not {"crossdock", "bare"} <= set(names):
        sys.exit("crossdock and bare are always measured; name both in --peers")
    record: dict[str, Any] = {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": _commit(),
        "machine": _machine(),
        "versions": peers.versions(list(names)),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "suites": {},
    }
    for name in chosen:
        with tempfile.TemporaryDirectory() as folder:
            options = Options(
                given.rounds, given.seconds, names, Path(folder), given.plant, given.calls
            )
            began = time.perf_counter()
            figures = SUITES[name](options)
        record["suites"][name] = {
            peer: {key: round(value, 4) for key, value in one.items()}
            for peer, one in figures.items()
        }
        summary = (SUITES[name].__doc__ or "").splitlines()[0]
        print(f"\n{name}: {summary} ({time.perf_counter() - began:.0f} s)", file=sys.stderr)
        print(comparison.table(record["suites"][name]), file=sys.stderr, flush=True)
    line = json.dumps(record)
    print(line)
    if given.into:
        with Path(given.into).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return 0


def _commit() -> str:
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        check=False,
        cwd=peers.ROOT,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip() or "unknown"


def _machine() -> dict[str, Any]:
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": model[0] if model else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python tests/bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, dest="command")
    running = commands.add_parser("run", help="measure")
    running.add_argument("--suite", default=",".join(QUICK), help=f"all, or of {', '.join(SUITES)}")
    running.add_argument("--peers", default=",".join(peers.ALL_PEERS))
    running.add_argument("--rounds", type=int, default=3)
    running.add_argument("--seconds", type=float, default=4.0, help="of each peer in each round")
    running.add_argument("--calls", type=int, default=200_000, help="of the memory suite")
    running.add_argument("--plant", type=int, default=0, help="microseconds, into every call")
    running.add_argument("--into", help="a file that the line of JSON is added to")
    running.set_defaults(run=run)
    comparing = commands.add_parser("compare", help="exit 1 if something got worse")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    comparing.add_argument("--allow", type=float, default=0.15, help="the share that is noise")
    comparing.set_defaults(run=comparison.run)
    where = commands.add_parser("profile", help="the CPU of a call by layer, into README.md")
    where.add_argument("--seconds", type=float, default=15.0)
    where.add_argument("--functions", type=int, default=0, help="print so many functions as well")
    where.add_argument("--large", action="store_true", help="of 100 KB; printed only")
    where.set_defaults(run=profiling.run)
    given = parser.parse_args()
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
