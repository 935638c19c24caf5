"""Does the call log keep up? Finished calls at a constant rate into a real SQLite file.

    .venv/env/bin/python tests/bench/audit_load.py [--rate 3000] [--seconds 30]

Prints what was noted, stored and left waiting, the longest backlog, the CPU that each line cost, and
how long the event loop stood still at worst. Exits 1 when a line is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from crossdock.authoring import CallEvent
from crossdock.observe.audit import AuditLog
from crossdock.store import AuditFilter, Store, upgrade

TICK = 0.01


def event(number: int) -> CallEvent:
    return CallEvent(
        request_id=f"req_{number:032x}",
        server_id=f"mcp_srv_{number % 50:032x}",
        account_id=f"acc_{number % 10:032x}",
        adapter="malomo",
        tool="list_all_malomo_orders",
        effect="read",
        outcome="ok",
        upstream_status=200,
        upstream_requests=1,
        seconds=0.0123,
        upstream_seconds=0.0101,
    )


async def load(audit: AuditLog, rate: int, seconds: float) -> tuple[int, int, float]:
    """Note calls as `Calls` does, after waiting for room: how many, the backlog, the stall."""
    noted, longest, stall = 0, 0, 0.0
    started = last = time.monotonic()
    while (now := time.monotonic()) - started < seconds:
        stall, last = max(stall, now - last - TICK), now
        while noted < (now - started) * rate:
            await audit.room()
            audit.note_call(event(noted))
            noted += 1
        longest = max(longest, audit.waiting)
        await asyncio.sleep(TICK)
    return noted, longest, stall


async def stored(store: Store) -> int:
    found, cursor = 0, None
    while True:
        page = await store.audit.list(AuditFilter(), limit=5_000, cursor=cursor)
        found += len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found


async def measure(rate: int, seconds: float, folder: Path) -> int:
    await upgrade("sqlite:///crossdock.db", folder=folder)
    store = await Store.open("sqlite:///crossdock.db", folder=folder)
    audit = AuditLog(store.audit.append, lambda: datetime.now(UTC), most=20_000, patience=10)
    audit.run()
    before = time.process_time()
    noted, longest, stall = await load(audit, rate, seconds)
    cpu = time.process_time() - before
    left = audit.waiting
    began = time.monotonic()
    await audit.close()
    print(f"noted {noted} in {seconds:g} s ({noted / seconds:.0f}/s), backlog at most {longest}")
    print(f"{left} waited at the end, written in {time.monotonic() - began:.2f} s")
    print(
        f"CPU {cpu / noted * 1e6:.1f} µs a line; the loop stood still {stall * 1000:.0f} ms at most"
    )
    kept = await stored(store)
    await store.close()
    print(f"stored {kept}: {'none lost' if kept == noted else f'{noted - kept} LOST'}")
    return int(kept != noted)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rate", type=int, default=3_000)
    options.add_argument("--seconds", type=float, default=30)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(measure(given.rate, given.seconds, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
