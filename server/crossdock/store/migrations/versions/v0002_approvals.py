"""Approvals that were used; who and from where in the call log, and what a call cost upstream."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = (
    ("address", sa.Text),
    ("second_factor", sa.Text),
    ("changes", sa.Text),
    ("upstream_requests", sa.Integer),
    ("upstream_seconds", sa.Float),
)


def upgrade() -> None:
    """Only add: the version before runs on these tables as well."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "used_approvals",
        sa.Column("nonce", sa.LargeBinary(32), primary_key=True),
        sa.Column("ends_at", moment, nullable=False),
    )
    op.create_index("used_approvals_end", "used_approvals", ["ends_at"])
    for name, kind in _COLUMNS:
        op.add_column("audit", sa.Column(name, kind))
