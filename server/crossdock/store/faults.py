"""What an engine's error means for the person who has to mend it.

Texts repeat no statement and no value: those hold hashes and sealed credentials."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crossdock.store.records import FaultReason, StoreFault

Found = tuple[FaultReason, str]

_SQLITE: tuple[tuple[str, FaultReason, str], ...] = (
    ("SQLITE_FULL", "full", "its disk is full. Make room; nothing of this write was kept."),
    ("SQLITE_BUSY", "locked", "another process has kept it locked for 5 s. End that process."),
    ("SQLITE_LOCKED", "locked", "another process has kept it locked for 5 s. End that process."),
    ("SQLITE_READONLY", "read_only", "it may not be written. Mend the permissions of the file."),
    ("SQLITE_PERM", "read_only", "it may not be opened. Mend the permissions of the file."),
    ("SQLITE_CORRUPT", "corrupt", "its file is damaged and was left as it is. Restore a backup."),
    ("SQLITE_NOTADB", "corrupt", "its file is no SQLite database. Restore a backup."),
    ("SQLITE_CANTOPEN", "missing", "its file cannot be opened. Mend the permissions there."),
    ("SQLITE_IOERR", "other", "reading or writing its file failed. Look at the disk's health."),
)
_POSTGRES: tuple[tuple[str, FaultReason, str], ...] = (
    ("53100", "full", "its disk is full. Make room; nothing of this write was kept."),
    ("53", "unreachable", "the server has no connection or memory left. Raise its limits."),
    ("55P03", "locked", "another process has kept it locked for 5 s. End that process."),
    ("57014", "locked", "it took too long to answer. Look at the server's load."),
    ("57P", "unreachable", "the server is shutting down or starting."),
    ("08", "unreachable", "the connection broke. If this was a write, look whether it was kept."),
    ("28", "unreachable", "the server refuses the user or password. Mend [store] url."),
    ("3D000", "missing", "the database does not exist. Create it, or mend [store] url."),
    ("25006", "read_only", "the server takes no writes. Point [store] url at the primary."),
    ("42501", "read_only", "the user may not do this. Grant it the rights on the database."),
    ("42P01", "schema", "its tables are missing. Run `crossdock db upgrade`."),
    ("42703", "schema", "its tables are of another version. Run `crossdock db upgrade`."),
    ("XX001", "corrupt", "the server reports damaged data. Restore a backup."),
    ("XX002", "corrupt", "the server reports a damaged index. Restore a backup."),
)


def fault(error: BaseException, where: str) -> StoreFault:
    """Turn an engine's error into words about the store at `where`."""
    reason, words = _found(error)
    return StoreFault(reason, f"The store {where} cannot be used: {words}")


def waited_too_long(where: str) -> StoreFault:
    """Return the fault of a store that others wait for, because something keeps it locked."""
    reason, words = _match("SQLITE_BUSY", _SQLITE, "")
    return StoreFault(reason, f"The store {where} cannot be used: {words}")


def silent(where: str) -> StoreFault:
    """Return the fault of a store that is there and says nothing."""
    return StoreFault(
        "unreachable",
        f"The store {where} cannot be used: it does not answer. If this was a write, look whether "
        "it was kept.",
    )


def should_repeat(error: DBAPIError) -> bool:
    """Whether PostgreSQL asks for the same transaction again: it was rolled back as a whole."""
    return sqlstate(error) in {"40001", "40P01"}


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, "" where there is none."""
    for one in (error, getattr(error, "orig", None), error.__cause__):
        code = getattr(one, "sqlstate", None)
        if isinstance(code, str):
            return code
    return ""


def _found(error: BaseException) -> Found:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        return _match(name, _SQLITE, f"SQLite says {name or type(original).__name__}.")
    if isinstance(error, PoolTimeout):
        return "unreachable", "all connections are taken. Look at the server's load."
    if code := sqlstate(error):
        return _match(code, _POSTGRES, f"PostgreSQL says {code} ({type(original).__name__}).")
    if isinstance(error, OSError):  # TimeoutError and ConnectionError among them
        return "unreachable", "nothing answers there. Start the server, or mend [store] url."
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _match("08", _POSTGRES, "")
    return "other", f"the engine says {type(original).__name__}."


def _match(code: str, table: tuple[tuple[str, FaultReason, str], ...], otherwise: str) -> Found:
    for prefix, reason, words in table:
        if code.startswith(prefix):
            return reason, words
    return "other", otherwise
