"""Integrated accounts: made, changed, tried and removed. Credentials go in and never come out.

Those of config.toml are shown and tried like the others, and changed only there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from crossdock.access.gate import Caller
from crossdock.access.sync import Sync
from crossdock.calls.accounts import (
    InvalidAccount,
    OpenAccounts,
    check_account,
    check_addresses,
    check_tools,
)
from crossdock.calls.catalog import Catalog, unknown_word
from crossdock.calls.dialing import Network
from crossdock.control.audited import Audited, changed_fields
from crossdock.control.destinations import refuse_redirection
from crossdock.control.requests import (
    AccountChange,
    NewAccount,
    can_be_id,
    check_lists,
    invalid,
    missing,
)
from crossdock.control.responses import (
    ShownAccount,
    ShownVerification,
    ShownWithheld,
    ToolPreview,
    shown_credential,
    shown_tool,
)
from crossdock.errors import CrossdockError, Rejected
from crossdock.model import Account, Scope, Secret
from crossdock.store import AccountInUse, AccountRows, BadCursor, StoredAccount

if TYPE_CHECKING:
    from crossdock.adapter.load import Adapter

_IN_CONFIG = "config-"  # a list cursor that still stands in the accounts of config.toml


class AccountControl:
    """What operators do with integrated accounts."""

    def __init__(
        self,
        rows: AccountRows,
        sync: Sync,
        catalog: Catalog,
        accounts: OpenAccounts,
        audited: Audited,
        *,
        verify: Callable[[Account], Awaitable[None]],
        allow_private: Sequence[Network],
    ) -> None:
        self._rows = rows
        self._sync = sync
        self._catalog = catalog
        self._accounts = accounts
        self._audited = audited
        self._verify = verify
        self._allow_private = tuple(allow_private)

    async def create(self, new: NewAccount, actor: Caller) -> ShownAccount:
        """Store an account. Raises Rejected (422) naming the field that its adapter refuses."""
        with self._audited(actor, "account.create") as verb:
            adapter = self._catalog.adapters.get(new.integration)
            if adapter is None:
                known = ", ".join(sorted(self._catalog.adapters)) or "none"
                raise invalid("integration", f"is not installed; installed: {known}")
            await asyncio.to_thread(adapter.prime, new.settings)
            self._check(adapter, new.settings, new.credentials)
            credentials = {field: Secret(value) for field, value in new.credentials.items()}
            stored = await self._sync.write(
                lambda: self._rows.add(
                    integration=new.integration,
                    name=new.name,
                    settings=new.settings,
                    credentials=credentials,
                ),
                self._sync.learn_account,
            )
            verb.account_id = stored.id
            verb.changes = changed_fields({}, _told(stored))
        return self._shown(stored)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[ShownAccount], str | None]:
        """Return a page of accounts: those of config.toml by id, then the stored, newest first."""
        shown: list[ShownAccount] = []
        configured = self._configured()
        if cursor is None or cursor.startswith(_IN_CONFIG):
            start = _index(cursor)
            shown = [self._shown_configured(id) for id in configured[start : start + limit]]
            if len(shown) == limit:
                return shown, f"{_IN_CONFIG}{start + limit}"
            cursor = None
        try:
            page = await self._rows.list(limit=limit - len(shown), cursor=cursor)
        except BadCursor as error:
            raise invalid("cursor", str(error)) from None
        return [*shown, *(self._shown(stored) for stored in page.items)], page.next_cursor

    async def show(self, account_id: str) -> ShownAccount:
        """Return one account. Raises Rejected (404)."""
        if account_id in self._configured():
            return self._shown_configured(account_id)
        return self._shown(await self._stored(account_id))

    async def change(self, account_id: str, change: AccountChange, actor: Caller) -> ShownAccount:
        """Merge a change into an account. Raises Rejected, and then nothing is changed."""
        with self._audited(actor, "account.change") as verb:
            self._refuse_configured(account_id)
            verb.account_id = (await self._stored(account_id)).id
            difference: dict[str, Any] = {}

            def merged(now: StoredAccount) -> StoredAccount:
                after = self._merged(now, change)
                difference.update(changed_fields(_told(now), _told(after)))
                return after

            stored = await self._written(account_id, merged)
            verb.changes = difference
            if stored is None:
                raise missing("integrated account", account_id)
            if change.settings is not msgspec.UNSET or change.credentials is not msgspec.UNSET:
                self._accounts.note_refusal(account_id, refused=False)
        return self._shown(stored)

    def connectable(self, account_id: str) -> Account:
        """Return an account that a person may connect. Raises Rejected."""
        self._refuse_configured(account_id)
        return self.usable(account_id)

    async def remove(self, account_id: str, actor: Caller, *, cascade: bool) -> None:
        """Delete an account. Raises Rejected (409) while servers live, unless `cascade`."""
        with self._audited(actor, "account.remove") as verb:
            self._refuse_configured(account_id)
            before = await self._stored(account_id)
            verb.account_id = before.id
            try:
                gone = await self._sync.write(
                    lambda: self._rows.remove(account_id, cascade=cascade),
                    lambda gone: self._sync.drop_account(account_id, gone or ()),
                )
            except AccountInUse as error:
                raise Rejected(
                    409,
                    "account_in_use",
                    f"{error}. Revoke them first, or delete the account with cascade.",
                    {"servers": list(error.servers)},
                ) from None
            if gone is None:
                raise missing("integrated account", account_id)
            verb.changes = changed_fields(_told(before), {})

    async def verify(self, account_id: str, actor: Caller) -> ShownVerification:
        """Make the adapter's verification call, and keep in mind how it ended."""
        with self._audited(actor, "account.test") as verb:
            account = self.usable(account_id)
            verb.account_id = account.id
            if self._catalog.adapters[account.integration].manifest.verify is None:
                raise Rejected(
                    409,
                    "not_verifiable",
                    f"The adapter {account.integration} names no call to verify an account with "
                    "([verify] in its adapter.toml).",
                )
            try:
                await self._verify(account)
            except CrossdockError as failure:
                if failure.kind == "unauthenticated":
                    await self.note_refusal(account_id, refused=True)
                return ShownVerification(ok=False, kind=failure.kind, message=str(failure))
            await self.note_refusal(account_id, refused=False)
        return ShownVerification(ok=True)

    def preview(self, account_id: str, scope: Scope) -> ToolPreview:
        """Return the tools that a server with these filters would have."""
        account = self.usable(account_id)
        self.check_filters(account, scope, place="")
        preview = self._catalog.preview(account, scope)
        return ToolPreview(
            result=[shown_tool(tool) for tool in preview.tools],
            hidden=preview.hidden,
            withheld=[ShownWithheld(name=w.name, reason=w.reason) for w in preview.withheld],
        )

    async def note_refusal(self, account_id: str, *, refused: bool) -> None:
        """Mark an account as needing new credentials, or as well again, if that is news."""
        if refused == self._accounts.refused(account_id):
            return
        if account_id not in self._configured():
            status = "needs_reauth" if refused else "active"
            await self._written(account_id, lambda now: msgspec.structs.replace(now, status=status))
        self._accounts.note_refusal(account_id, refused)

    async def _written(
        self, account_id: str, change: Callable[[StoredAccount], StoredAccount]
    ) -> StoredAccount | None:
        """Change a stored account; in force when this returns. None if there is none."""

        def learn(stored: StoredAccount | None) -> None:
            if stored is None:
                self._sync.drop_account(account_id)
            else:
                self._sync.learn_account(stored)

        return await self._sync.write(lambda: self._rows.update(account_id, change), learn)

    # --- accounts in use ---------------------------------------------------------------------

    def find(self, account_id: str) -> Account | None:
        """Return an account that can be used, or None."""
        return self._accounts.find(account_id)

    def usable(self, account_id: str) -> Account:
        """Return an account that can be used. Raises Rejected: 404, or 409 with the reason."""
        account = self._accounts.find(account_id)
        if account is not None:
            return account
        problem = self._accounts.problem(account_id)
        if problem is None:
            raise missing("integrated account", account_id)
        raise Rejected(
            409, "account_unusable", f"The account {account_id!r} cannot be used: {problem}."
        )

    def known(self, account_id: str) -> bool:
        """Whether there is such an account, usable or not."""
        return self.find(account_id) is not None or self._accounts.problem(account_id) is not None

    def check_filters(self, account: Account, scope: Scope, place: str = "config.") -> None:
        """Refuse filters that are empty or misspelt. Raises Rejected (422)."""
        check_lists(scope, place)
        words = self._catalog.words(account)
        for index, word in enumerate(scope.methods or ()):
            if word not in words:
                raise invalid(f"{place}methods[{index}]", unknown_word(word, words))

    # --- checks ------------------------------------------------------------------------------

    def _check(
        self, adapter: Adapter, settings: Mapping[str, Any], credentials: Mapping[str, Any]
    ) -> None:
        try:
            check_account(adapter.manifest, settings, credentials)
            check_tools(adapter, settings)
            check_addresses(settings, self._allow_private)
        except InvalidAccount as error:
            raise invalid(error.field, error.why) from None
        for field, value in credentials.items():
            if not isinstance(value, str):
                raise invalid(f"credentials.{field}", "must be of type string")
            if not value.strip():
                raise invalid(f"credentials.{field}", "is empty")
            if not value.isprintable():
                raise invalid(f"credentials.{field}", "holds a line break or control character")

    def _merged(self, now: StoredAccount, change: AccountChange) -> StoredAccount:
        adapter = self._catalog.adapters.get(now.integration)
        if adapter is None:
            raise Rejected(
                409, "account_unusable", f"The adapter {now.integration!r} is not loaded."
            )
        settings, fresh = dict(now.settings), {}
        if change.settings is not msgspec.UNSET:
            settings = _without_null({**settings, **change.settings})
        if change.credentials is not msgspec.UNSET:
            fresh = change.credentials
        known = {field: secret.reveal() for field, secret in now.credentials.items()}
        unread = dict.fromkeys(now.unreadable, "sealed")
        credentials = _without_null({**unread, **known, **fresh})
        if settings != now.settings or fresh:
            self._check(adapter, settings, credentials)
            refuse_redirection(adapter, now.settings, settings, known.keys() - fresh.keys())
        return msgspec.structs.replace(
            now,
            name=now.name if change.name is msgspec.UNSET else change.name,
            settings=settings,
            credentials={
                field: Secret(value)
                for field, value in credentials.items()
                if field in known or field in fresh
            },
            unreadable=tuple(f for f in now.unreadable if f in credentials and f not in fresh),
            status="active" if fresh else now.status,
        )

    def _refuse_configured(self, account_id: str) -> None:
        if account_id in self._configured():
            raise Rejected(
                409,
                "read_only",
                f"The account {account_id!r} stands in config.toml: change it there and restart.",
            )

    async def _stored(self, account_id: str) -> StoredAccount:
        found = await self._rows.get(account_id) if can_be_id(account_id) else None
        if found is None:
            raise missing("integrated account", account_id)
        return found

    # --- what is shown -----------------------------------------------------------------------

    def _configured(self) -> list[str]:
        opened = {account.id for account in self._accounts.all() if account.source == "config"}
        return sorted(opened | set(self._accounts.configured))

    def _shown_configured(self, account_id: str) -> ShownAccount:
        account = self._accounts.find(account_id)
        if account is not None:
            return self._account(
                account_id,
                account.integration,
                account.name,
                account.settings,
                dict(account.credentials),
            )
        given = self._accounts.configured[account_id]
        secrets: dict[str, Secret | None] = dict.fromkeys(given.credentials)
        return self._account(
            account_id, given.integration, given.name or account_id, given.settings, secrets
        )

    def _unconnected(self, stored: StoredAccount) -> bool:
        adapter = self._catalog.adapters.get(stored.integration)
        if adapter is None or adapter.manifest.auth.authorize is None:
            return False
        return "refresh_token" not in {*stored.credentials, *stored.unreadable}

    def _shown(self, stored: StoredAccount) -> ShownAccount:
        secrets: dict[str, Secret | None] = {
            **dict.fromkeys(stored.unreadable),
            **stored.credentials,
        }
        shown = self._account(stored.id, stored.integration, stored.name, stored.settings, secrets)
        return msgspec.structs.replace(
            shown,
            status="unconnected" if self._unconnected(stored) else stored.status,
            source="store",
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )

    def _account(
        self,
        account_id: str,
        integration: str,
        name: str,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Secret | None],
    ) -> ShownAccount:
        adapter = self._catalog.adapters.get(integration)
        declared = list(adapter.manifest.credentials) if adapter else []
        return ShownAccount(
            id=account_id,
            integration=integration,
            name=name,
            settings=dict(settings),
            credentials={
                field: shown_credential(secrets.get(field), present=field in secrets)
                for field in dict.fromkeys([*declared, *secrets])
            },
            status="needs_reauth" if self._accounts.refused(account_id) else "active",
            source="config",
            problem=self._accounts.problem(account_id),
            created_at=None,
            updated_at=None,
        )


def _told(account: StoredAccount) -> dict[str, Any]:
    """Return what the call log may say of an account; of a credential, that it is another one."""
    credentials = {
        f"credentials.{name}": secret for name, secret in sorted(account.credentials.items())
    }
    settings = {f"settings.{name}": value for name, value in account.settings.items()}
    return {"name": account.name, **settings, **credentials}


def _index(cursor: str | None) -> int:
    text = "0" if cursor is None else cursor.removeprefix(_IN_CONFIG)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise invalid("cursor", "This cursor is not one that this list gave out.")
    return int(text)


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
