"""Integrated accounts, opened: from config.toml and from the store, as one type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crossdock.adapter.load import Adapter
from crossdock.adapter.manifest import Manifest
from crossdock.config import AccountSettings
from crossdock.errors import ConfigError, Refused
from crossdock.log import logger, redactor
from crossdock.model import Account, Secret

_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}
log = logger(__name__)


class InvalidAccount(ConfigError):
    """An account that its adapter cannot use. `field` is the path of the guilty key."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class Accounts:
    """Every account that can be used, by id. A look-up costs one dict access."""

    def __init__(self, adapters: Mapping[str, Adapter]) -> None:
        self._adapters = adapters
        self._open: dict[str, Account] = {}
        self._unusable: dict[str, str] = {}

    def get(self, account_id: str) -> Account:
        """Return an opened account. Raises Refused (503) when it cannot be used now."""
        account = self._open.get(account_id)
        if account is None:
            why = self._unusable.get(account_id, "it does not exist any more")
            raise Refused(503, f"The account {account_id!r} of this server cannot be used: {why}.")
        return account

    def find(self, account_id: str) -> Account | None:
        """Return an opened account, or None."""
        return self._open.get(account_id)

    def all(self) -> tuple[Account, ...]:
        """Return every opened account."""
        return tuple(self._open.values())

    def open_configured(
        self, configured: Mapping[str, AccountSettings], resolve: Callable[[str, str], str]
    ) -> None:
        """Open the accounts of config.toml; `resolve(reference, key)` blocks.

        Raises ConfigError for a wrong account. One whose adapter is not loaded is set aside:
        a broken plugin must not stop the others.
        """
        for account_id, given in configured.items():
            adapter = self._adapters.get(given.integration)
            if adapter is None:
                known = ", ".join(sorted(self._adapters)) or "none"
                why = f"the adapter {given.integration!r} is not loaded (loaded: {known})"
                self._unusable[account_id] = why
                log.error("account.unusable", account=account_id, error=why)
                continue
            place = f"accounts.{account_id}"
            check_account(adapter.manifest, given.settings, given.credentials, place)
            secrets = {
                field: resolve(reference, f"{place}.credentials.{field}")
                for field, reference in given.credentials.items()
            }
            self.put(
                Account(
                    id=account_id,
                    integration=given.integration,
                    name=given.name or account_id,
                    settings=given.settings,
                    credentials={field: Secret(value) for field, value in secrets.items()},
                )
            )

    def put(self, account: Account) -> None:
        """Add or replace an opened account; its secrets are hidden from the logs from now on."""
        manifest = self._adapters[account.integration].manifest
        redactor.learn(
            secret.reveal()
            for field, secret in account.credentials.items()
            if field not in manifest.credentials or manifest.credentials[field].secret
        )
        self._unusable.pop(account.id, None)
        self._open[account.id] = account

    def set_aside(self, account_id: str, why: str) -> None:
        """Take an account out of use; `why` is shown to whoever calls."""
        self._open.pop(account_id, None)
        self._unusable[account_id] = why

    def drop(self, account_id: str) -> None:
        """Forget an account."""
        self._open.pop(account_id, None)
        self._unusable.pop(account_id, None)


def check_account(
    manifest: Manifest,
    settings: Mapping[str, Any],
    credentials: Iterable[str],
    place: str = "",
) -> None:
    """Refuse settings and credentials that adapter.toml does not declare. Raises InvalidAccount."""
    prefix = f"{place}." if place else ""
    known = ["base_url", *manifest.settings]
    for name, value in settings.items():
        if name not in known:
            raise InvalidAccount(
                f"{prefix}settings.{name}", f"is unknown; {manifest.title} takes {', '.join(known)}"
            )
        kind = "string" if name == "base_url" else manifest.settings[name].type
        if type(value) is not _TYPES[kind]:
            raise InvalidAccount(f"{prefix}settings.{name}", f"must be of type {kind}")
    given = set(credentials)
    for name in given:
        if name not in manifest.credentials:
            takes = ", ".join(manifest.credentials) or "none"
            raise InvalidAccount(
                f"{prefix}credentials.{name}", f"is unknown; {manifest.title} takes {takes}"
            )
    for name, spec in manifest.credentials.items():
        if spec.required and name not in given:
            raise InvalidAccount(f"{prefix}credentials.{name}", f"is missing: {spec.about}")
