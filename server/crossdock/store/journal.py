"""The `changes` table: which records each write that matters to others touched.

Every such write raises the counter in `revision` and leaves its number beside each record, in its
own transaction. Whoever follows reads what stands behind the number it knows; a number that is
missing, pruned or written by an older version, means that everything has to be read again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from crossdock.store import tables
from crossdock.store.records import Changes, Kind

KEPT = 10_000
"""For how many writes back a follower finds what they touched."""

Records = frozenset[tuple[Kind, str]]

_NOTED = "crossdock.noted"
_PRUNED = 100  # writes between two prunings
_MOST = 2_000  # records; more of them are read quicker together with all others
_ROWS = tables.changes
_HEAD = select(tables.revision.c.n)


def changed(connection: Connection, kind: Kind, *ids: str) -> None:
    """Note that the write under way changed these records, or made or deleted them."""
    noted = connection.info.get(_NOTED)
    if noted is not None:
        noted.update((kind, one) for one in ids)


def alone(connection: Connection, work: str) -> bool:
    """Whether no other process is about this work; none will be until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return True
    key = func.hashtextextended(f"crossdock {work}", 0)
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(key))).scalar_one())


def begin(connection: Connection) -> int:
    """Begin a write that others have to hear of. Its number, which also orders the writers."""
    connection.info[_NOTED] = set()
    row = tables.revision
    raised = update(row).values(n=row.c.n + 1).returning(row.c.n)
    return int(connection.execute(raised).scalar_one())


def end(connection: Connection, n: int) -> Records:
    """Write down what was noted since `begin`, and return it."""
    noted: set[tuple[Kind, str]] = connection.info.pop(_NOTED)
    rows: list[dict[str, Any]] = [{"n": n, "kind": kind, "id": id} for kind, id in sorted(noted)]
    # a number without a row would look like one that is missing
    connection.execute(insert(_ROWS), rows or [{"n": n, "kind": "nothing", "id": ""}])
    if n % _PRUNED == 0:
        connection.execute(delete(_ROWS).where(_ROWS.c.n <= n - KEPT))
    return frozenset(noted)


def order(connection: Connection) -> None:
    """Wait until no other process is within a write that has a number."""
    connection.execute(_HEAD.with_for_update())


def head(connection: Connection) -> int:
    """Return the number of the last write."""
    return int(connection.execute(_HEAD).scalar_one())


def since(connection: Connection, seen: int, own: set[int]) -> tuple[int, Changes]:
    """Return the number of the last write, and what those after `seen` touched, `own` apart."""
    last = head(connection)
    if last == seen:
        return last, Changes()
    there = select(func.count(_ROWS.c.n.distinct())).where(_ROWS.c.n > seen, _ROWS.c.n <= last)
    if connection.execute(there).scalar_one() != last - seen:  # also: a backup was restored
        return last, Changes(everything=True)
    query = select(_ROWS).where(_ROWS.c.n > seen, _ROWS.c.n <= last).limit(_MOST + 1)
    rows = connection.execute(query).all()
    if len(rows) > _MOST:
        return last, Changes(everything=True)
    found = {(row.kind, row.id) for row in rows if row.n not in own and row.kind != "nothing"}
    return last, Changes(records=frozenset(found))
