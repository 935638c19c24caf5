"""Runs migrations on the connection and in the transaction that the store gives.

There is no alembic.ini and no offline mode: `crossdock db upgrade` is the way in.
"""

from __future__ import annotations

from alembic import context

from crossdock.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
)
context.run_migrations()
