"""Which version of the tables a store has, and how it gets to this one.

The version is one row that is read without alembic; alembic is imported only when a store has to
be moved on. SQLite is moved on by itself, PostgreSQL only when asked.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, create_engine, insert, inspect, select, update
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from crossdock.store import tables
from crossdock.store.records import StoreFault

HEAD = "0004"
KNOWN = frozenset({"0001", "0002", "0003", "0004"})
"""The versions that this code can read or move on."""

WORKS_FROM = "0003"
"""The oldest version whose code goes on working with tables of HEAD. A migration that takes away or
changes what that code uses raises it, here and in `revision.works_from`."""


def create(connection: Connection) -> None:
    """Make all tables at once in an empty database. A test holds this equal to the migrations."""
    tables.metadata.create_all(connection)
    tables.alembic_version.create(connection)
    connection.execute(insert(tables.revision).values(id=1, n=0, works_from=WORKS_FROM))
    connection.execute(insert(tables.alembic_version).values(version_num=HEAD))


def create_file(path: Path) -> None:
    """Make all tables in a new SQLite file, which keeps its writes in a journal of its own."""
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    with engine.begin() as connection:
        create(connection)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    engine.dispose()


def stored(connection: Connection, where: str) -> str | None:
    """Return the version of the tables, None for a database without any."""
    there = inspect(connection).get_table_names()
    if tables.alembic_version.name not in there:
        if there:
            raise StoreFault(
                "schema",
                f"The database {where} belongs to something else: it has tables, and none is "
                "crossdock's. Give [store] url a database of its own.",
            )
        return None
    return connection.execute(select(tables.alembic_version.c.version_num)).scalar_one_or_none()


def understood(connection: Connection, where: str) -> str | None:
    """Return the version of the tables as this code can use them: newer ones that say that they
    still work from one of ours on count as HEAD."""
    found = stored(connection, where)
    if found is None or found in KNOWN:
        return found
    columns = {column["name"] for column in inspect(connection).get_columns(tables.revision.name)}
    if "works_from" not in columns:
        return found
    oldest = connection.execute(select(tables.revision.c.works_from)).scalar_one_or_none()
    return HEAD if oldest in KNOWN else found


def judge(found: str | None, where: str, *, may_upgrade: bool) -> bool:
    """Whether the tables must be moved on. Raises StoreFault when they cannot be used."""
    if found == HEAD:
        return False
    if found is not None and found not in KNOWN:
        raise StoreFault(
            "schema",
            f"The store {where} was written by a newer crossdock (schema {found}, this one knows "
            f"{HEAD}). Install that version again, or restore a backup from before.",
        )
    if not may_upgrade:
        raise StoreFault(
            "schema",
            f"The store {where} has {f'schema {found}' if found else 'no tables yet'}, and this "
            f"crossdock needs {HEAD}. Run `crossdock db upgrade`.",
        )
    return True


def touch(connection: Connection) -> None:
    """Begin to write and change nothing, to meet a read-only store at the start and not later."""
    none = tables.revision.c.id == -1
    connection.execute(update(tables.revision).where(none).values(n=0))


def migrate(connection: Connection) -> None:
    """Move the tables on to HEAD within the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":  # two upgrades at once: the second waits
        # However long the first takes; its work is found done afterwards.
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7232316874562163)")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
