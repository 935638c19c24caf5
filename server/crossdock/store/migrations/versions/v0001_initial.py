"""All tables of the first release.

Stands for itself: it uses nothing of crossdock, so later changes of the code cannot change it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("wrapped", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_index(
        "keys_one_active",
        "keys",
        ["purpose"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("integration", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("credentials", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )
    op.create_index("accounts_order", "accounts", ["created_at", "id"])
    op.create_table(
        "mcp_servers",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("previous_token_hash", sa.LargeBinary(32)),
        sa.Column("previous_expires_at", moment),
        sa.Column("accepted_tools", sa.Text),
        sa.Column("accepted_version", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("last_used_at", moment),
    )
    op.create_index("mcp_servers_order", "mcp_servers", ["created_at", "id"])
    op.create_index("mcp_servers_account", "mcp_servers", ["account_id", "created_at", "id"])
    op.create_index("mcp_servers_expiry", "mcp_servers", ["expires_at"])
    op.create_table(
        "server_stubs",
        sa.Column("token_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("expired_at", moment, nullable=False),
    )
    op.create_index("server_stubs_age", "server_stubs", ["expired_at"])
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("last4", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("last_used_at", moment),
    )
    op.create_index("api_tokens_order", "api_tokens", ["created_at", "id"])
    op.create_table(
        "oauth_tokens",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("field", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("configured_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("time", moment, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text),
        sa.Column("server_id", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("seconds", sa.Float),
        sa.Column("upstream_status", sa.Integer),
        sa.Column("request_id", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_time", "audit", ["time"])
    op.create_index("audit_account", "audit", ["account_id", "id"])
    op.create_index("audit_server", "audit", ["server_id", "id"])
    counter = op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("n", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counter, [{"id": 1, "n": 0}])
