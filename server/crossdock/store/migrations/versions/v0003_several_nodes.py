"""Several processes on one store: what changed, who serves, and writes that may still arrive."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Only add: a process of the version before goes on serving on these tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "changes",
        sa.Column("n", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
    )
    op.create_table(
        "audit_writers",
        sa.Column("process", sa.Text, primary_key=True),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "write_intents",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", moment, nullable=False),
    )
    op.create_index("write_intents_end", "write_intents", ["until"])
    op.create_table(
        "members",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("worker", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("adapters", sa.Text, nullable=False),
        sa.Column("configuration", sa.Text, nullable=False),
        sa.Column("keys", sa.Text, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.add_column("audit", sa.Column("node", sa.Text))
    op.add_column("revision", sa.Column("works_from", sa.Text))
    op.execute("UPDATE revision SET works_from = '0003'")
