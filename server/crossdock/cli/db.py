"""`crossdock db`: the store's tables."""

from __future__ import annotations

import asyncio

from cyclopts import App

from crossdock.cli.opening import configured, missing_store
from crossdock.cli.output import Config, Json, print_json

db = App(name="db", help="The store's tables and their version.")


@db.command
def upgrade(*, config: Config = None, json: Json = False) -> int:
    """Move the tables on to this version. SQLite does it by itself; PostgreSQL waits for this.

    Example: `crossdock db upgrade --config /etc/crossdock/config.toml`
    """
    from crossdock import store

    settings = configured(config)
    before, after = asyncio.run(store.upgrade(settings.store.url, folder=settings.folder))
    if json:
        print_json({"before": before, "after": after})
    elif before == after:
        print(f"the tables are up to date (schema {after})")
    else:
        print(f"the tables are of schema {after} now (before: {before or 'none'})")
    return 0


@db.command
def current(*, config: Config = None, json: Json = False) -> int:
    """Show the version of the tables, and the one this crossdock needs. Exits 1 if they differ.

    Example: `crossdock db current`
    """
    from crossdock import store
    from crossdock.errors import CrossdockError

    settings = configured(config)
    if (path := missing_store(settings)) is not None:
        raise CrossdockError(f"there is no store at {path} yet; `crossdock db upgrade` makes it")
    found, needed = asyncio.run(store.current(settings.store.url, folder=settings.folder))
    if json:
        print_json({"current": found, "needed": needed})
    elif found == needed:
        print(f"schema {found}, as this crossdock needs it")
    else:
        print(
            f"schema {found or 'none'}; this crossdock needs {needed}: run `crossdock db upgrade`"
        )
    return int(found != needed)
