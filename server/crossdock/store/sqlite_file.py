"""The SQLite file before any engine opens it: made whole, or judged fit to be opened.

A file that is there is never made anew: SQLite would take an empty or missing file for a new
database, and a lost store would look like one in which every URL was revoked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from crossdock.store.files import publish
from crossdock.store.records import StoreFault
from crossdock.store.sealing import random_id

_MAGIC = b"SQLite format 3\0"


def prepare(path: Path, build: Callable[[Path], None]) -> None:
    """Make a new file with `build` where there is none, else refuse one that is no store."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _refuse_orphans(path)
            _create(path, build)
        _judge(path)
    except OSError as error:
        raise StoreFault(
            "missing",
            f"The store {path} cannot be opened ({error.strerror}). "
            "Mend the permissions of file and folder, or point [store] url elsewhere.",
        ) from error


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from another under the same name; None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create(path: Path, build: Callable[[Path], None]) -> None:
    # built aside and then named, so that no crash leaves half a store under the real name
    draft = path.with_name(random_id(f"{path.name}.new-"))
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        build(draft)
        publish(draft, path)
    except sqlite3.Error as error:
        raise OSError(0, str(error)) from error
    finally:
        for leftover in (draft, *_sidecars(draft)):
            leftover.unlink(missing_ok=True)


def _judge(path: Path) -> None:
    if not path.is_file():
        raise StoreFault("corrupt", f"The store {path} is not a file. Mend [store] url.")
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if not start:
        raise StoreFault(
            "corrupt",
            f"The store {path} is an empty file; crossdock never leaves one. Restore a backup, "
            "or remove the file to begin anew.",
        )
    if start != _MAGIC:
        raise StoreFault(
            "corrupt",
            f"The store {path} is no SQLite database, or its beginning is damaged. It was left as "
            "it is. Restore a backup, or point [store] url elsewhere.",
        )


def _refuse_orphans(path: Path) -> None:
    for sidecar in _sidecars(path):
        if sidecar.exists() and sidecar.stat().st_size and not sidecar.name.endswith("-shm"):
            raise StoreFault(
                "missing",
                f"The store {path} is missing, but its journal {sidecar.name} is there with writes "
                "in it. Put the file back beside it, or remove the journal to begin anew.",
            )


def _sidecars(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))
