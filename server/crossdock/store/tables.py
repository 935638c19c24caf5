"""The tables, for both engines. Every change here needs a migration; a test compares the two.

No column holds a payload of a provider, a tool's arguments, or the text of a token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from crossdock.store.records import StoreFault


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, always with its zone. A naive datetime is refused: it is no moment."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Json(TypeDecorator[Any]):
    """JSON as text on both engines: the same bytes, and big integers survive."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        try:
            return None if value is None else msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise StoreFault(
                "corrupt", "The store has a row whose JSON is damaged. Restore a backup."
            ) from None


metadata = MetaData()

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("wrapped", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)
_ACTIVE = text("status = 'active'")
_one_active = Index("keys_one_active", keys.c.purpose, unique=True, sqlite_where=_ACTIVE)


def suit_postgres() -> None:
    """Say what PostgreSQL needs to be told. To name its dialect imports it, a tenth of a start."""
    _one_active.dialect_kwargs["postgresql_where"] = _ACTIVE


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("integration", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("credentials", Json, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("accounts_order", "created_at", "id"),
)

mcp_servers = Table(
    "mcp_servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # no foreign key: an account may also stand in config.toml
    Column("account_id", Text, nullable=False),
    Column("config", Json, nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("previous_token_hash", LargeBinary(32)),
    Column("previous_expires_at", Moment),
    Column("accepted_tools", Json),
    Column("accepted_version", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Index("mcp_servers_order", "created_at", "id"),
    Index("mcp_servers_account", "account_id", "created_at", "id"),
    Index("mcp_servers_expiry", "expires_at"),
)

server_stubs = Table(
    "server_stubs",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    Column("server_id", Text, nullable=False),
    Column("expired_at", Moment, nullable=False),
    Index("server_stubs_age", "expired_at"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", LargeBinary(32), nullable=False, unique=True),
    Column("last4", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_at", Moment),
    Index("api_tokens_order", "created_at", "id"),
)

renewed_credentials = Table(
    "oauth_tokens",  # its name in stores that exist; a sealed value is bound to it
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("configured_hash", LargeBinary(32), nullable=False),
    Column("updated_at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("time", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("account_id", Text),
    Column("server_id", Text),
    Column("target", Text),
    Column("seconds", Float),
    Column("upstream_status", Integer),
    Column("request_id", Text),
    Column("address", Text),
    Column("second_factor", Text),
    Column("changes", Json),
    Column("upstream_requests", Integer),
    Column("upstream_seconds", Float),
    Column("node", Text),
    Index("audit_time", "time"),
    Index("audit_account", "account_id", "id"),
    Index("audit_server", "server_id", "id"),
    sqlite_autoincrement=True,  # an id is a place in the log; pruning must not give it out again
)

used_approvals = Table(
    "used_approvals",
    metadata,
    Column("nonce", LargeBinary(32), primary_key=True),
    Column("ends_at", Moment, nullable=False),
    Index("used_approvals_end", "ends_at"),
)

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Column("works_from", Text),  # the oldest version of the code that these tables still serve
)

changes = Table(
    "changes",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False),  # of `revision`
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
)

audit_writers = Table(
    "audit_writers",
    metadata,
    Column("process", Text, primary_key=True),
    Column("lines", BigInteger, nullable=False),  # how many of its lines are stored
    Column("seen_at", Moment, nullable=False),
)

write_intents = Table(
    "write_intents",
    metadata,
    Column("key", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Moment, nullable=False),
    Index("write_intents_end", "until"),
)

members = Table(
    "members",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("worker", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("adapters", Json, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("keys", Json, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

adapter_states = Table(
    "adapter_states",
    metadata,
    Column("process", Text, primary_key=True),
    Column("adapter", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("since", Moment, nullable=False),
)

alembic_version = Table(
    "alembic_version",
    MetaData(),  # alembic's own table; here so that its row can be read without importing alembic
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
