"""Where the CPU of a call goes, layer by layer: sampled while `crossdock serve` is under load."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import peers
import suites

BEGIN, END = "<!-- profile: written by `python tests/bench profile` -->", "<!-- end of profile -->"
README = peers.HERE / "README.md"
# The first that the file's path holds names the layer.
LAYERS = (
    ("/crossdock/web/", "web: transports, guards"),
    ("/crossdock/protocol/", "protocol: message, revision, reply"),
    ("/crossdock/access/", "access: the gate"),
    ("/crossdock/calls/", "calls: catalog to connection, pool of connections"),
    ("/crossdock/adapter/", "adapter: arguments, request, fields, failures"),
    ("/crossdock_", "the adapter's own Python"),
    ("/crossdock/observe/", "observe: call log, metrics"),
    ("/crossdock/store/", "store: the call log's rows"),
    ("/crossdock/log.py", "log and redaction"),
    ("/crossdock/redaction.py", "log and redaction"),
    ("/structlog/", "log and redaction"),
    ("/logging/", "log and redaction"),
    ("/crossdock/", "crossdock: the rest"),
    ("/aiohttp/", "aiohttp (server)"),
    ("/multidict", "aiohttp (server)"),
    ("/yarl/", "aiohttp (server)"),
    ("/asyncio/", "event loop, sockets, C code called from it"),
    ("/uvloop/", "event loop, sockets, C code called from it"),
    ("/sqlalchemy/", "SQLAlchemy, sqlite3"),
    ("/aiosqlite/", "SQLAlchemy, sqlite3"),
)


def layer(file: str) -> str:
    """Return the layer that a source file belongs to."""
    return next((name for part, name in LAYERS if part in file), "the rest of Python")


def run(given: argparse.Namespace) -> int:
    """Sample, print, and write the table into README.md."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(folder / "profile", upstream)
        into = folder / "samples.json"
        peer = peers.crossdock(stack, made, "shop", "--sample", into)
        request = suites.LARGE if given.large else suites.LIST
        suites.load(peer, request, 2.0)
        peer.process.streams.send_signal(signal.SIGUSR1)
        before = peer.process.cpu()
        got = suites.load(peer, request, given.seconds)
        cost = (peer.process.cpu() - before) / got["answers"] * 1e6
        peer.process.end()
        found = json.loads(into.read_text())
    text = _table(found, cost)
    print(text)
    for file, function, count in found["seen"][: given.functions]:
        print(f"{count:6} {function}  {Path(file).name}")
    if not given.large:
        _write(text)
    return 0


def _table(found: dict, cost: float) -> str:
    loop = 1 - found["threads"] / found["all"]
    shares: Counter[str] = Counter()
    for file, _, count in found["seen"]:
        shares[layer(file)] += count
    total = sum(shares.values())
    lines = ["| layer | share | µs of a call |", "|---|---|---|"]
    for name, count in shares.most_common():
        share = count / total * loop
        lines.append(f"| {name} | {share:.0%} | {share * cost:.0f} |")
    rest = 1 - loop
    lines.append(f"| other threads: the call log's driver | {rest:.0%} | {rest * cost:.0f} |")
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{day}, {cost:.0f} µs of CPU a call while sampled, {total:,} samples. C code counts for the\n"
        "Python function that called it.\n\n" + "\n".join(lines)
    )


def _write(text: str) -> None:
    page = README.read_text(encoding="utf-8")
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{README} has no place for the profile")
    README.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
