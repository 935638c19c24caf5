"""Every finished call is in the call log. Where it cannot be, calls are held back, not lines."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import acme, running
from harness.canaries import Canaries
from harness.patience import turns, until
from harness.provider import Provider
from harness.running import MakeGateway, Running

from crossdock.access.tokens import mint
from crossdock.errors import Busy
from crossdock.observe.audit import AuditLog
from crossdock.store import AuditEntry, AuditFilter, Store, StoreFault

pytestmark = pytest.mark.requirement("audit:lines:none-lost")


def entry(number: int) -> AuditEntry:
    return AuditEntry(
        time=datetime.now(UTC), kind="call", actor="s", action=str(number), outcome="ok"
    )


class Shelf:
    """A store with the faults of a bad day."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.down = False
        self.poison = "none"

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        if self.down:
            raise StoreFault("full", "the disk is full")
        names = [one.action for one in entries]
        if self.poison in names:
            raise OverflowError("no column takes this")
        await turns(1)
        self.kept += names


def opened(shelf: Shelf, most: int = 100) -> AuditLog:
    return AuditLog(shelf.append, lambda: datetime.now(UTC), most=most, patience=0.05)


async def test_no_line_is_given_up_however_many_wait() -> None:
    shelf = Shelf()
    audit = opened(shelf, most=10)
    shelf.down = True
    for number in range(500):
        audit.note(entry(number))
    await audit.flush()
    assert "disk is full" in audit.degraded
    shelf.down = False
    await audit.flush()
    assert shelf.kept == [str(number) for number in range(500)]
    assert audit.degraded == ""


async def test_calls_wait_for_room_and_are_refused_when_there_is_none_in_time() -> None:
    shelf = Shelf()
    audit = opened(shelf, most=3)
    shelf.down = True
    for number in range(3):
        await audit.room()
        audit.note(entry(number))
    with pytest.raises(Busy, match="nothing was sent"):
        await audit.room()
    held = asyncio.create_task(audit.room())
    shelf.down = False
    await audit.flush()
    await held


async def test_a_line_that_nothing_can_store_stops_no_other(
    canaries: Canaries,
) -> None:
    shelf = Shelf()
    audit = opened(shelf)
    shelf.poison = "137"
    for number in range(400):
        audit.note(entry(number))
    await audit.flush()
    assert shelf.kept == [str(number) for number in range(400) if number != 137]
    assert audit.unwritable == 1
    assert "audit.unwritable" in canaries.log_text()
    assert "137" in canaries.log_text()  # nothing is lost: the process's log has it


async def test_no_exception_ends_the_writer() -> None:
    shelf = Shelf()
    audit = opened(shelf)
    audit.run()
    shelf.poison = "0"
    audit.note(entry(0))
    audit.note(entry(1))
    await until(lambda: shelf.kept)
    shelf.down = True
    audit.note(entry(2))
    await until(lambda: audit.degraded)
    shelf.down = False
    await until(lambda: len(shelf.kept) == 2)
    await audit.close()
    assert shelf.kept == ["1", "2"]


async def test_lines_that_are_noted_while_others_are_written_keep_their_order() -> None:
    shelf = Shelf()
    audit = opened(shelf)
    for number in range(50):
        audit.note(entry(number))
    flushing = [asyncio.create_task(audit.flush()) for _ in range(3)]
    await turns(1)
    audit.note(entry(50))
    await asyncio.gather(*flushing)
    await audit.close()
    assert shelf.kept == [str(number) for number in range(51)]


# --- through a gateway -----------------------------------------------------------------------


async def test_a_gateway_that_cannot_write_its_log_says_degraded_and_sends_nothing(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    one = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {**running.SHORT, "audit_lines": 4}},
    )
    server = await one.server()
    await one.gateway.audit.flush()
    async with one.gateway.audit._writing:  # the writer is held up, as by a slow disk
        outcomes = [await server.attempt("acme_items_count") for _ in range(4)]
        assert [made.status for made in outcomes] == [200] * 4
        ready = await one.request("GET", "/readyz", token=None)
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert "call log" in ready.json["reasons"][0]
        sent = len(provider.requests)
        refused = await server.attempt("acme_items_count")
        assert refused.result["structuredContent"]["error"]["kind"] == "busy"
        assert len(provider.requests) == sent
        # A name that is no tool's would leave a line too, and whoever makes up many would fill memory.
        unknown = await server.attempt("acme_items_nonsense")
        assert unknown.result["structuredContent"]["error"]["kind"] == "busy"
        assert one.gateway.audit.waiting == 4
    await one.gateway.audit.flush()
    assert (await server.call("acme_items_count")).data is not None
    assert (await one.request("GET", "/readyz", token=None)).json == {"status": "ready"}
    await one.gateway.audit.flush()
    page = await one.gateway.store.audit.list(AuditFilter(kind="call"))
    assert [line.outcome for line in page.items] == ["ok"] * 5


async def test_calls_of_unknown_and_hidden_tools_leave_a_line(
    acme_gateway: Running,
) -> None:
    server = await acme_gateway.server(methods=["list"])
    secret = mint("mcp")
    acme_gateway.canaries.issue(secret, "a token in the place of a tool's name")
    strange = "x\0\u202e" + "y" * 5_000
    for name in ("acme_items_archive", "no_such_tool", secret, strange):
        await server.send("tools/call", {"name": name, "arguments": {}})
    await acme_gateway.gateway.audit.flush()
    page = await acme_gateway.gateway.store.audit.list(AuditFilter(kind="call"))
    lines = list(reversed(page.items))
    assert {line.outcome for line in lines} == {"unknown_tool"}
    assert {(line.server_id, line.account_id) for line in lines} == {(server.id, "shop")}
    named = [line.action for line in lines]
    assert named[:3] == ["acme_items_archive", "no_such_tool", "[redacted]"]
    assert all(name.isprintable() and len(name) <= 200 for name in named)
    assert all(line.request_id for line in lines)


KILLED = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from crossdock.observe.audit import AuditLog
from crossdock.store import AuditEntry, Store

async def main():
    store = await Store.open("sqlite:///crossdock.db", folder=Path(sys.argv[1]))
    audit = AuditLog(store.audit.append, lambda: datetime.now(UTC), most=20_000, patience=5)
    audit.run()
    for number in range(10**9):
        audit.note(AuditEntry(time=datetime.now(UTC), kind="call", actor="s",
                              action=str(number), outcome="ok"))
        if number % 10 == 0:
            print(number, len(audit._waiting), flush=True)
            await asyncio.sleep(0.001)
asyncio.run(main())
"""


async def test_a_kill_takes_no_line_but_the_newest(tmp_path: Path, empty_store: Path) -> None:
    (tmp_path / "crossdock.db").write_bytes(empty_store.read_bytes())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    noted = waiting = 0
    async with asyncio.timeout(60):
        while noted < 5_000:
            noted, waiting = map(int, (await process.stdout.readline()).split())
        process.send_signal(signal.SIGKILL)
        rest = (await process.stdout.read()).split(b"\n")
        await process.wait()
    if len(rest) > 1:
        noted, waiting = map(int, rest[-2].split())
    store = await Store.open("sqlite:///crossdock.db", folder=tmp_path)
    found, cursor = [], None
    while True:
        page = await store.audit.list(limit=5_000, cursor=cursor)
        found += [int(line.action) for line in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    await store.close()
    assert sorted(found) == list(range(len(found)))
    assert len(found) >= noted - waiting
