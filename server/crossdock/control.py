"""What operators do: accounts, servers, tokens. One implementation for the admin API and the CLI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec

from crossdock.access.gate import Caller
from crossdock.access.tokens import hash_token, mint
from crossdock.accounts import Accounts
from crossdock.catalog import Catalog
from crossdock.errors import Rejected
from crossdock.model import Account, Scope, Struct
from crossdock.store import BadCursor, Store, StoredServer, random_id

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewServer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a create; `require_api_token_auth` is also taken at the top level."""

    name: Name
    config: Scope = Scope()
    expires_at: datetime | None = None
    require_api_token_auth: bool | None = None


class ServerChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a PATCH: `config` is merged key by key, `expires_at: null` clears it."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_at: datetime | None | msgspec.UnsetType = msgspec.UNSET
    require_api_token_auth: bool | msgspec.UnsetType = msgspec.UNSET


class Issued(Struct, frozen=True, kw_only=True):
    """A server with its token: the only moment at which the token is known."""

    server: StoredServer
    token: str


class Control:
    """The verbs of the control plane, on the store, with the door kept up to date."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        accounts: Accounts,
        changed: Callable[[], Awaitable[None]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._accounts = accounts
        self._changed = changed
        self._clock = clock

    # --- servers -----------------------------------------------------------------------------

    async def create_server(self, account_id: str, new: NewServer, actor: Caller) -> Issued:
        """Make an MCP server. Raises Rejected: 404, 422, or 400 when no tool would survive."""
        account = self._account(account_id)
        scope = new.config
        if new.require_api_token_auth is not None:
            scope = msgspec.structs.replace(
                scope, require_api_token_auth=new.require_api_token_auth
            )
        self._check_scope(account, scope)
        self._check_expiry(new.expires_at)
        token = mint("mcp")
        now = self._clock()
        server = StoredServer(
            id=random_id("mcp_srv_", 12),
            name=new.name,
            account_id=account.id,
            scope=scope,
            token_hash=self._hash(token),
            created_by=actor.name,
            created_at=now,
            updated_at=now,
            expires_at=new.expires_at,
        )
        await self._store.servers.add(server, stored_account=account.source == "store")
        await self._changed()
        return Issued(server=server, token=token)

    async def servers(
        self, account_id: str | None, limit: int, cursor: str | None
    ) -> tuple[tuple[StoredServer, ...], str | None]:
        """Return a page of servers, of one account or all, newest first."""
        if account_id is not None:
            self._account(account_id)
        try:
            page = await self._store.servers.list(
                account_id=account_id, limit=limit, cursor=cursor
            )
        except BadCursor as error:
            raise _invalid("cursor", str(error)) from None
        return page.items, page.next_cursor

    async def server(self, server_id: str, account_id: str | None = None) -> StoredServer:
        """Return one server. Raises Rejected (404)."""
        found = await self._store.servers.get(server_id)
        if found is None or (account_id is not None and found.account_id != account_id):
            raise _missing("MCP server", server_id)
        return found

    async def change_server(self, server: StoredServer, change: ServerChange) -> StoredServer:
        """Merge a change into a server. Raises Rejected, and then nothing is changed."""
        account = self._account(server.account_id)

        def merged(now: StoredServer) -> StoredServer:
            scope = self._merged_scope(now.scope, change)
            if scope != now.scope:
                self._check_scope(account, scope)
            return msgspec.structs.replace(
                now,
                scope=scope,
                name=now.name if change.name is msgspec.UNSET else change.name,
                expires_at=(
                    now.expires_at if change.expires_at is msgspec.UNSET else change.expires_at
                ),
            )

        if change.expires_at is not msgspec.UNSET:
            self._check_expiry(change.expires_at)
        changed = await self._store.servers.update(server.id, merged)
        await self._changed()
        if changed is None:
            raise _missing("MCP server", server.id)
        return changed

    def _merged_scope(self, scope: Scope, change: ServerChange) -> Scope:
        if change.config is msgspec.UNSET and change.require_api_token_auth is msgspec.UNSET:
            return scope
        config = {} if change.config is msgspec.UNSET else change.config
        # null takes a filter away, as leaving it out does when a server is made.
        merged = {**msgspec.to_builtins(scope), **config}
        merged = {key: value for key, value in merged.items() if value is not None}
        if change.require_api_token_auth is not msgspec.UNSET:
            merged["require_api_token_auth"] = change.require_api_token_auth
        changed: Scope = convert(merged, Scope, "config")
        return changed

    async def rotate_server(self, server: StoredServer, overlap: timedelta) -> Issued:
        """Give a server a new URL; the old one stays good for `overlap`."""
        token = mint("mcp")
        rotated = await self._store.servers.rotate(server.id, self._hash(token), overlap=overlap)
        await self._changed()
        if rotated is None:
            raise _missing("MCP server", server.id)
        return Issued(server=rotated, token=token)

    async def revoke_server(self, server: StoredServer) -> None:
        """Delete a server; its URL stops working with the next request."""
        removed = await self._store.servers.remove(server.id)
        await self._changed()
        if not removed:
            raise _missing("MCP server", server.id)

    def _check_scope(self, account: Account, scope: Scope) -> None:
        for field in ("methods", "tags"):
            if getattr(scope, field) == ():
                raise _invalid(f"config.{field}", "is empty; leave it out to allow all")
        words = self._catalog.words(account)
        for index, word in enumerate(scope.methods or ()):
            if word not in words:
                raise _invalid(
                    f"config.methods[{index}]",
                    f"{word!r} is unknown; use {', '.join(sorted(words))}",
                )
        preview = self._catalog.preview(account, scope)
        if not preview.tools:
            withheld = [tool.name for tool in preview.withheld]
            tags = sorted(self._catalog.tags(account))
            raise Rejected(
                400,
                "no_documented_tools",
                f"No documented tool of {account.integration} fits these methods and tags; "
                f"its tags are {', '.join(tags)}.",
                {"withheld": withheld, "hidden_by_filters": preview.hidden},
            )

    def _check_expiry(self, moment: datetime | None) -> None:
        if moment is None:
            return
        if moment.tzinfo is None:
            raise _invalid("expires_at", "has no time zone; write 2027-01-31T00:00:00Z")
        if moment <= self._clock():
            raise _invalid("expires_at", "is not in the future")

    # --- accounts ----------------------------------------------------------------------------

    def _account(self, account_id: str) -> Account:
        account = self._accounts.find(account_id)
        if account is None:
            raise _missing("integrated account", account_id)
        return account

    def account(self, account_id: str) -> Account:
        """Return an account that can be used. Raises Rejected (404)."""
        return self._account(account_id)

    def _hash(self, token: str) -> bytes:
        return hash_token(self._store.keys.ring.pepper, token)


def convert(value: Any, kind: Any, prefix: str = "") -> Any:
    """Decode plain JSON values into a Struct. Raises Rejected (422) naming the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise field_error(error, prefix) from None


def field_error(error: msgspec.ValidationError, prefix: str = "") -> Rejected:
    """Return the 422 for a body that does not fit, with the path of the guilty field."""
    reason, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    if "unknown field" in reason or "missing required field" in reason:
        name = reason.split("`")[1]
        path = f"{path}.{name}" if path else name
        reason = "is unknown" if "unknown" in reason else "is required"
    field = ".".join(part for part in (prefix, path) if part)
    return _invalid(field or "body", reason[:1].lower() + reason[1:])


def _invalid(field: str, why: str) -> Rejected:
    return Rejected(422, "invalid_field", f"{field}: {why}", {"field": field})


def _missing(what: str, id: str) -> Rejected:
    return Rejected(404, "not_found", f"There is no {what} {id!r}.")


def shown_server(server: StoredServer) -> dict[str, Any]:
    """Return a server as the admin API and `--json` show it: no token, no hash."""
    return {
        "id": server.id,
        "name": server.name,
        "integrated_account_id": server.account_id,
        "config": shown_scope(server.scope),
        "created_by": server.created_by,
        "created_at": server.created_at,
        "updated_at": server.updated_at,
        "expires_at": server.expires_at,
        "last_used_at": server.last_used_at,
    }


def shown_scope(scope: Scope) -> dict[str, Any]:
    """Return what is in force; an absent filter restricts nothing."""
    shown = {field: getattr(scope, field) for field in scope.__struct_fields__}
    return {name: value for name, value in shown.items() if value is not None}
