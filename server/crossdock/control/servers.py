"""MCP servers: token URLs, scoped to one account. The text of a token leaves here once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec

from crossdock.access.gate import Caller
from crossdock.access.sync import Sync
from crossdock.access.tokens import PREFIXES, hash_token, mint
from crossdock.calls.catalog import Catalog
from crossdock.calls.discovery import offered
from crossdock.calls.sizes import tokens_of
from crossdock.control.accounts import AccountControl
from crossdock.control.audited import Audited, changed_fields
from crossdock.control.requests import (
    AcceptTools,
    NewServer,
    Rotate,
    ServerChange,
    can_be_id,
    check_lists,
    convert,
    future,
    invalid,
    missing,
)
from crossdock.control.responses import Issued, ShownServer, shown_server
from crossdock.errors import InvalidArguments, Rejected
from crossdock.model import Account, Scope, ToolList
from crossdock.store import (
    ApiTokenRows,
    BadCursor,
    ServerRows,
    StoredServer,
    UnknownAccount,
    random_id,
)


class ServerControl:
    """What operators do with MCP servers."""

    def __init__(
        self,
        rows: ServerRows,
        sync: Sync,
        catalog: Catalog,
        accounts: AccountControl,
        audited: Audited,
        *,
        tokens: ApiTokenRows,
        pepper: bytes,
        clock: Callable[[], datetime],
        mint: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._tokens = tokens
        self._sync = sync
        self._catalog = catalog
        self._accounts = accounts
        self._audited = audited
        self._pepper = pepper
        self._clock = clock
        self._mint = mint

    async def create(self, account_id: str, new: NewServer, actor: Caller) -> Issued:
        """Make an MCP server. Raises Rejected: 404, 422, or 400 when no tool would survive."""
        with self._audited(actor, "server.create") as verb:
            if new.expires_at is not None:
                self._mint()
            account = self._accounts.usable(account_id)
            verb.account_id = account.id
            scope = new.config
            if new.require_api_token_auth is not None:
                scope = msgspec.structs.replace(
                    scope, require_api_token_auth=new.require_api_token_auth
                )
            await self._check_factors(scope)
            scope = self._checked_scope(account, scope)
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
                expires_at=future(new.expires_at, now),
                accepted_tools=self._catalog.documented(account),
                accepted_version=self._catalog.adapters[account.integration].version,
            )
            verb.server_id = server.id
            stored = account.source == "store"
            try:
                await self._sync.write(
                    lambda: self._rows.add(server, stored_account=stored), self._sync.learn_server
                )
            except UnknownAccount:
                raise missing("integrated account", account_id) from None
            verb.changes = changed_fields({}, _told(server))
        return self._issued(server, token)

    async def page(
        self, account_id: str | None, limit: int, cursor: str | None
    ) -> tuple[tuple[StoredServer, ...], str | None]:
        """Return a page of servers, of one account or all, newest first."""
        if account_id is not None and not self._accounts.known(account_id):
            raise missing("integrated account", account_id)
        try:
            page = await self._rows.list(account_id=account_id, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise invalid("cursor", str(error)) from None
        return page.items, page.next_cursor

    async def get(self, server_id: str, account_id: str | None = None) -> StoredServer:
        """Return one server. Raises Rejected (404)."""
        found = await self._rows.get(server_id) if can_be_id(server_id) else None
        if found is None or (account_id is not None and found.account_id != account_id):
            raise missing("MCP server", server_id)
        return found

    async def change(
        self, server: StoredServer, change: ServerChange, actor: Caller
    ) -> StoredServer:
        """Merge a change into a server. Raises Rejected, and then nothing is changed."""
        with self._audited(actor, "server.change") as verb:
            verb.account_id, verb.server_id = server.account_id, server.id
            expires_at = change.expires_at
            if expires_at is not msgspec.UNSET:
                if expires_at is not None:
                    self._mint()
                expires_at = future(expires_at, self._clock())
            if change.config is not msgspec.UNSET and "second_factors" in change.config:
                await self._check_factors(self._merged_scope(server.scope, change))
            difference: dict[str, Any] = {}

            def merged(now: StoredServer) -> StoredServer:
                scope = self._merged_scope(now.scope, change)
                after = msgspec.structs.replace(
                    self._rescoped(now, scope),
                    name=now.name if change.name is msgspec.UNSET else change.name,
                    expires_at=now.expires_at if expires_at is msgspec.UNSET else expires_at,
                )
                difference.update(changed_fields(_told(now), _told(after)))
                return after

            changed = await self._written(server.id, lambda: self._rows.update(server.id, merged))
            verb.changes = difference
        return changed

    async def rotate(self, server: StoredServer, how: Rotate, actor: Caller) -> Issued:
        """Give a server a new URL; the old one stays good for the overlap."""
        with self._audited(actor, "server.rotate") as verb:
            verb.account_id, verb.server_id = server.account_id, server.id
            if how.overlap_seconds:
                self._mint()
            token = mint("mcp")
            hashed, overlap = self._hash(token), timedelta(seconds=how.overlap_seconds)
            rotated = await self._written(
                server.id, lambda: self._rows.rotate(server.id, hashed, overlap=overlap)
            )
            verb.changes = changed_fields(_told(server), _told(rotated))
        return self._issued(rotated, token)

    def _issued(self, server: StoredServer, token: str) -> Issued:
        account = self._accounts.find(server.account_id)
        listing = ToolList(tools=(), rendered={})
        if account is not None:
            listing = self._catalog.listing(server.grant())
        tokens = sum(map(tokens_of, offered(server.scope, listing).tools))
        return Issued(server=server, token=token, tools=len(listing.tools), tokens=tokens)

    async def revoke(self, server: StoredServer, actor: Caller) -> None:
        """Delete a server; its URL stops working with the next request."""
        with self._audited(actor, "server.revoke") as verb:
            verb.account_id, verb.server_id = server.account_id, server.id
            removed = await self._sync.write(
                lambda: self._rows.remove(server.id), lambda _: self._sync.drop_server(server.id)
            )
            if not removed:
                raise missing("MCP server", server.id)
            verb.changes = changed_fields(_told(server), {})

    async def _written(
        self, server_id: str, verb: Callable[[], Awaitable[StoredServer | None]]
    ) -> StoredServer:
        """Make a write that is in force when this returns. Raises Rejected (404)."""

        def learn(stored: StoredServer | None) -> None:
            if stored is None:
                self._sync.drop_server(server_id)
            else:
                self._sync.learn_server(stored)

        written = await self._sync.write(verb, learn)
        if written is None:
            raise missing("MCP server", server_id)
        return written

    # --- tools that came with an upgrade -----------------------------------------------------

    def show(self, server: StoredServer) -> ShownServer:
        """Return a server as it is shown, with the tools that wait to be accepted."""
        account = self._accounts.find(server.account_id)
        pending = () if account is None else self._catalog.pending(account, server.grant())
        return shown_server(server, pending)

    async def accept_tools(
        self, server: StoredServer, which: AcceptTools, actor: Caller
    ) -> StoredServer:
        """Let a server offer tools that came with an upgrade of its adapter."""
        with self._audited(actor, "server.accept_tools") as verb:
            verb.account_id, verb.server_id = server.account_id, server.id
            account = self._accounts.usable(server.account_id)
            documented = self._catalog.documented(account)
            version = self._catalog.adapters[account.integration].version
            for index, name in enumerate(which.tools or ()):
                if name not in documented:
                    raise invalid(f"tools[{index}]", f"{name!r} is no tool of this account")

            def accepted(now: StoredServer) -> StoredServer:
                more = documented if which.tools is None else which.tools
                known = dict.fromkeys([*(now.accepted_tools or ()), *more])
                return msgspec.structs.replace(
                    now,
                    accepted_tools=tuple(known),
                    accepted_version=version if which.tools is None else now.accepted_version,
                )

            changed = await self._written(server.id, lambda: self._rows.update(server.id, accepted))
            before = set(server.accepted_tools or ())
            fresh = [name for name in changed.accepted_tools or () if name not in before]
            verb.changes = changed_fields({}, {"accepted_tools": fresh or None})
        return changed

    async def adopt_tools(self, account_id: str | None = None) -> None:
        """Write down what servers, of one account or all, may offer: whatever was there before an
        upgrade is accepted.

        While the adapter is of the version that a server knows, its new pages are an operator's
        work. And a server that an upgrade brought nothing new knows the new version from then on.
        """
        cursor: str | None = None
        while True:
            page = await self._rows.list(account_id=account_id, limit=500, cursor=cursor)
            for server in page.items:
                account = self._accounts.find(server.account_id)
                if account is not None and self._adopting(server, account) != server:
                    await self._adopt(server.id, account)
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _adopt(self, server_id: str, account: Account) -> None:
        def adopting(now: StoredServer) -> StoredServer:
            return self._adopting(now, account)

        with suppress(Rejected):  # it was revoked meanwhile
            await self._written(
                server_id, lambda: self._rows.update(server_id, adopting, by_hand=False)
            )

    def _adopting(self, server: StoredServer, account: Account) -> StoredServer:
        if server.accepted_tools is None:
            return server
        version = self._catalog.adapters[account.integration].version
        documented = self._catalog.documented(account)
        known = set(server.accepted_tools)
        fresh = [name for name in documented if name not in known]
        if fresh and version != server.accepted_version:
            return server
        return msgspec.structs.replace(
            server, accepted_tools=(*server.accepted_tools, *fresh), accepted_version=version
        )

    # --- scopes ------------------------------------------------------------------------------

    def _merged_scope(self, scope: Scope, change: ServerChange) -> Scope:
        if change.config is msgspec.UNSET and change.require_api_token_auth is msgspec.UNSET:
            return scope
        config = {} if change.config is msgspec.UNSET else change.config
        # null takes a key away, as leaving it out does when a server is made
        merged = {**msgspec.to_builtins(scope), **config}
        merged = {key: value for key, value in merged.items() if value is not None}
        if change.require_api_token_auth is not msgspec.UNSET:
            merged["require_api_token_auth"] = change.require_api_token_auth
        found: Scope = convert(merged, Scope, "config")
        return found

    def _rescoped(self, server: StoredServer, scope: Scope) -> StoredServer:
        if scope == server.scope:
            return server
        account = self._accounts.usable(server.account_id)
        scope = self._checked_scope(account, scope)
        changed = msgspec.structs.replace(server, scope=scope)
        if server.scope.accept_new_tools and not scope.accept_new_tools:
            # what it offered until now it goes on offering
            changed = msgspec.structs.replace(
                changed,
                accepted_tools=self._catalog.documented(account),
                accepted_version=self._catalog.adapters[account.integration].version,
            )
        return changed

    def _checked_scope(self, account: Account, scope: Scope) -> Scope:
        """Return the scope with objects as the provider spells them. Raises Rejected."""
        self._accounts.check_filters(account, scope)
        objects: list[str] = []
        for index, name in enumerate(scope.objects or ()):
            try:
                objects.append(self._catalog.object(account, name))
            except InvalidArguments as error:
                raise invalid(f"config.objects[{index}]", error.why) from None
        if objects:
            scope = msgspec.structs.replace(scope, objects=tuple(dict.fromkeys(objects)))
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
        return scope

    async def _check_factors(self, scope: Scope) -> None:
        """Refuse second factors that are no API tokens of the store. Raises Rejected (422)."""
        check_lists(scope)
        for index, token_id in enumerate(scope.second_factors or ()):
            if not can_be_id(token_id) or await self._tokens.get(token_id) is None:
                # what cannot be an id is not repeated: it may be a token in the wrong place
                known = can_be_id(token_id) and not token_id.startswith(tuple(PREFIXES.values()))
                raise invalid(
                    f"config.second_factors[{index}]",
                    f"there is no API token of {f'the id {token_id!r}' if known else 'this id'}",
                )

    def _hash(self, token: str) -> bytes:
        return hash_token(self._pepper, token)


def _told(server: StoredServer) -> dict[str, Any]:
    """Return what the call log may say of a server."""
    config = {f"config.{key}": value for key, value in msgspec.to_builtins(server.scope).items()}
    return {
        "name": server.name,
        **config,
        "expires_at": server.expires_at,
        "old_url_until": server.previous_expires_at,
    }
