"""What the store gives out and takes in. Imports no database.

None of these holds a payload or the text of a token; credentials are `Secret`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from crossdock.errors import StoreError
from crossdock.model import Account, Grant, Role, Secret, ServerRecord, Struct

AccountStatus = Literal["active", "needs_reauth"]
FaultReason = Literal[
    "full", "locked", "read_only", "corrupt", "missing", "in_use", "unreachable", "schema", "other"
]

T = TypeVar("T")


class StoreFault(StoreError):
    """The engine or its files failed; `reason` tells what kind of answer that deserves.

    `full`, `locked` and `unreachable` pass by themselves or with the remedy in the text; nothing
    of the failed write was kept unless the text says that this is not known.
    """

    def __init__(self, reason: FaultReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class AccountInUse(StoreError):
    """The account still has live MCP servers; `servers` are their ids."""

    def __init__(self, servers: tuple[str, ...]) -> None:
        some = ", ".join(servers[:3]) + (", …" if len(servers) > 3 else "")
        super().__init__(f"The account still has {len(servers)} MCP server(s): {some}")
        self.servers = servers


class UnknownAccount(StoreError):
    """An MCP server was to be added to an account that is not, or no longer, in the store."""


class BadCursor(StoreError):
    """A list cursor that this list did not give out."""


class RecordPage(Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class StoredAccount(Struct, frozen=True):
    """An integrated account of the store, opened.

    `unreadable` names credentials whose sealed text is damaged or was moved; they are missing from
    `credentials`, and setting them anew repairs the account.
    """

    id: str
    integration: str
    name: str
    settings: Mapping[str, Any]
    credentials: Mapping[str, Secret]
    created_at: datetime
    updated_at: datetime
    unreadable: tuple[str, ...] = ()
    status: AccountStatus = "active"
    version: int = 1

    def account(self) -> Account:
        """Return what the call path works with."""
        return Account(
            id=self.id,
            integration=self.integration,
            name=self.name,
            settings=self.settings,
            credentials=self.credentials,
            source="store",
            version=self.version,
        )


class StoredServer(ServerRecord, frozen=True):
    """An MCP server with what the store keeps beside the record.

    Until `previous_expires_at` the token before the last rotation is still good.
    `accepted_tools` are the tools there were while the adapter was of `accepted_version`; those
    that a later version brings wait to be accepted. None accepts whatever its scope allows.
    """

    previous_token_hash: bytes | None = None
    previous_expires_at: datetime | None = None
    accepted_tools: tuple[str, ...] | None = None
    accepted_version: str = ""
    last_used_at: datetime | None = None

    def grant(self) -> Grant:
        """Return what a request with a token of this server may do."""
        return Grant(
            server_id=self.id,
            name=self.name,
            account_id=self.account_id,
            scope=self.scope,
            expires_at=self.expires_at,
            accepted_tools=None if self.accepted_tools is None else frozenset(self.accepted_tools),
            accepted_version=self.accepted_version,
        )


class ServerStub(Struct, frozen=True):
    """What is left of an expired server for 30 days: enough to answer 410 with the date."""

    server_id: str
    token_hash: bytes
    expired_at: datetime


class ApiToken(Struct, frozen=True):
    """A bearer token of the admin API, or second factor of a server. Never the token itself."""

    id: str
    name: str
    role: Role
    token_hash: bytes
    last4: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class Grants(Struct, frozen=True):
    """Everything the door needs to know, read at one moment."""

    servers: tuple[StoredServer, ...] = ()
    stubs: tuple[ServerStub, ...] = ()
    api_tokens: tuple[ApiToken, ...] = ()


Kind = Literal["account", "server", "stub", "token", "nothing"]


class Changes(Struct, frozen=True, kw_only=True):
    """What others wrote: these records, by kind and id (a stub's is its hash in hex), or so much
    that `everything` has to be read again. False when there is nothing."""

    everything: bool = False
    records: frozenset[tuple[Kind, str]] = frozenset()

    def __bool__(self) -> bool:
        return self.everything or bool(self.records)


class Reread(Struct, frozen=True, kw_only=True):
    """Records as they are now, by id; None where there is none any more."""

    accounts: Mapping[str, StoredAccount | None] = {}
    servers: Mapping[str, StoredServer | None] = {}
    stubs: Mapping[bytes, ServerStub | None] = {}
    api_tokens: Mapping[str, ApiToken | None] = {}


class AuditEntry(Struct, frozen=True):
    """One line of the call log: names, kinds and durations. Never arguments, never data.

    `actor` is who did it (an API token's id, a server's id, `cli`), `action` the tool or the admin
    verb, `target` the id of what was acted on where it is neither account nor server. `address` is
    where it came from, `second_factor` the id of the API token that was shown beside a URL,
    `changes` what an admin verb changed: {field: [old, new]}, never a secret. `id` and `node`, the
    machine that appended it, are given by the store.
    """

    time: datetime
    kind: str
    actor: str
    action: str
    outcome: str
    account_id: str | None = None
    server_id: str | None = None
    target: str | None = None
    seconds: float | None = None
    upstream_status: int | None = None
    request_id: str | None = None
    address: str | None = None
    second_factor: str | None = None
    changes: Mapping[str, Any] | None = None
    upstream_requests: int | None = None
    upstream_seconds: float | None = None
    node: str | None = None
    id: int = 0


class AdapterState(Struct, frozen=True, kw_only=True):
    """An adapter whose code does not fare well: it is `stalled` or `quarantined`, and why."""

    adapter: str
    state: str
    error: str
    since: datetime


class AuditFilter(Struct, frozen=True):
    """Which lines of the call log to read; None does not restrict. `until` is exclusive."""

    since: datetime | None = None
    until: datetime | None = None
    kind: str | None = None
    actor: str | None = None
    action: str | None = None
    account_id: str | None = None
    server_id: str | None = None
    outcome: str | None = None
    request_id: str | None = None


class Member(Struct, frozen=True, kw_only=True):
    """A process that serves from the store, as the others see it.

    `id` has 8 characters of a-z and 0-9. `adapters` are their versions, `configuration` is a
    digest of what all have to agree in, `keys` are the ids of the keys it opened. `silent` is for
    how many seconds nothing was heard of it; both moments are the store's.
    """

    id: str
    node: str
    worker: int = 1
    version: str = ""
    adapters: Mapping[str, str] = {}
    configuration: str = ""
    keys: tuple[str, ...] = ()
    started_at: datetime | None = None
    silent: float = 0.0


class Rotation(Struct, frozen=True):
    """What `keys rotate` did. `unreadable` are `account.field` names that no key opens; while there
    are any, the key they were sealed with is kept."""

    key_id: str
    resumed: bool
    resealed: int
    unreadable: tuple[str, ...] = ()


class KeyInfo(Struct, frozen=True):
    """A key of the ring as `doctor` may show it: no key material."""

    id: str
    purpose: str
    status: str
    created_at: datetime


class Expired(Struct, frozen=True):
    """What `expire` removed: servers that became stubs, and stubs that are gone."""

    servers: tuple[ServerStub, ...] = ()
    forgotten: int = 0
