"""The call log, on both engines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from crossdock.store import AuditEntry, AuditFilter, Store


def a_line(clock: Any, number: int, **changes: Any) -> AuditEntry:
    values: dict[str, Any] = {
        "time": clock.now + timedelta(seconds=number),
        "kind": "call",
        "actor": f"mcp_srv_{number % 2}",
        "action": "list_all_malomo_orders",
        "outcome": "ok",
        "account_id": f"acc_{number % 3}",
        "server_id": f"mcp_srv_{number % 2}",
        "seconds": 0.125 * number,
        "upstream_status": 200,
        "request_id": f"req_{number}",
    }
    return AuditEntry(**(values | changes))


async def test_lines_come_back_newest_first_and_each_exactly_once(store: Store, clock: Any) -> None:
    lines = [a_line(clock, number) for number in range(7)]
    await store.audit.append(lines[:4])
    await store.audit.append([])
    await store.audit.append(lines[4:])
    met: list[AuditEntry] = []
    cursor = None
    while True:
        page = await store.audit.list(limit=3, cursor=cursor)
        met += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        await store.audit.append([a_line(clock, 99)])
    assert [replace(line, id=0, node=None) for line in met] == lines[::-1]
    assert len({line.id for line in met}) == 7


async def test_an_admin_line_needs_only_what_it_has(store: Store, clock: Any) -> None:
    line = AuditEntry(
        time=clock.now,
        kind="admin",
        actor="cli",
        action="token.create",
        outcome="ok",
        target="tok_1",
    )
    await store.audit.append([line])
    assert [replace(found, id=0, node=None) for found in (await store.audit.list()).items] == [line]


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({"actor": "mcp_srv_1"}, [5, 3, 1]),
        ({"account_id": "acc_0"}, [3, 0]),
        ({"server_id": "mcp_srv_0", "account_id": "acc_0"}, [0]),
        ({"request_id": "req_2"}, [2]),
        ({"outcome": "rate_limited"}, [4]),
        ({"action": "get_single_malomo_order_by_id"}, [5]),
        ({"kind": "admin"}, []),
    ],
)
async def test_lines_are_filtered(
    store: Store, clock: Any, which: dict[str, Any], numbers: list[int]
) -> None:
    lines = [a_line(clock, number) for number in range(6)]
    lines[4] = replace(lines[4], outcome="rate_limited")
    lines[5] = replace(lines[5], action="get_single_malomo_order_by_id")
    await store.audit.append(lines)
    found = await store.audit.list(AuditFilter(**which))
    assert [line.request_id for line in found.items] == [f"req_{number}" for number in numbers]


async def test_lines_are_filtered_by_time_with_an_open_end(store: Store, clock: Any) -> None:
    await store.audit.append([a_line(clock, number) for number in range(6)])
    which = AuditFilter(
        since=clock.now + timedelta(seconds=1), until=clock.now + timedelta(seconds=4)
    )
    first = await store.audit.list(which, limit=2)
    rest = await store.audit.list(which, limit=2, cursor=first.next_cursor)
    assert [line.request_id for line in (*first.items, *rest.items)] == ["req_3", "req_2", "req_1"]
    assert rest.next_cursor is None


async def test_forgotten_lines_give_their_place_to_nobody(store: Store, clock: Any) -> None:
    await store.audit.append([a_line(clock, number) for number in range(4)])
    newest = (await store.audit.list(limit=1)).items[0].id
    assert await store.audit.forget(clock.now + timedelta(seconds=2)) == 2
    assert len((await store.audit.list()).items) == 2
    assert await store.audit.forget(clock.now + timedelta(days=1)) == 2
    await store.audit.append([a_line(clock, 9)])
    assert (await store.audit.list()).items[0].id > newest
