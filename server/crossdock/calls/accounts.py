"""Integrated accounts, opened: from config.toml and from the store, as one type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crossdock.adapter.addresses import is_name, is_public, literal, meant_by
from crossdock.adapter.load import Adapter
from crossdock.adapter.manifest import Manifest
from crossdock.calls.credentials import tokens_of
from crossdock.calls.dialing import Network
from crossdock.calls.echoes import secret_values
from crossdock.config import AccountSettings
from crossdock.errors import ConfigError, InvalidArguments, PluginError, Refused
from crossdock.log import logger
from crossdock.model import Account, Secret
from crossdock.redaction import redactor

_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}
_LONGEST_URL = 2_000
log = logger(__name__)


class InvalidAccount(ConfigError):
    """An account that its adapter cannot use. `field` is the path of the guilty key."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class OpenAccounts:
    """Every account that can be used, by id. A look-up costs one dict access."""

    def __init__(self, adapters: Mapping[str, Adapter]) -> None:
        self._adapters = adapters
        self._open: dict[str, Account] = {}
        self._unusable: dict[str, str] = {}
        self._refused: set[str] = set()
        self.configured: Mapping[str, AccountSettings] = {}

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

    def problem(self, account_id: str) -> str | None:
        """Return why a known account cannot be used; None for one that can, or is not known."""
        return self._unusable.get(account_id)

    def refused(self, account_id: str) -> bool:
        """Whether the provider refused this account's credentials the last time."""
        return account_id in self._refused

    def note_refusal(self, account_id: str, refused: bool) -> None:
        """Remember whether the provider refuses the credentials."""
        (self._refused.add if refused else self._refused.discard)(account_id)

    def all(self) -> tuple[Account, ...]:
        """Return every opened account."""
        return tuple(self._open.values())

    def open_configured(
        self,
        configured: Mapping[str, AccountSettings],
        resolve: Callable[[str, str], str],
        *,
        lenient: bool = False,
    ) -> None:
        """Open the accounts of config.toml; `resolve(reference, key)` blocks.

        Raises ConfigError for a wrong account. One whose adapter is not loaded is set aside:
        a broken plugin must not stop the others. So is one whose secrets a plugin fails to find,
        and where `lenient` one whose secrets are not at hand: a command that needs none of them
        must not ask for them.
        """
        self.configured = configured
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
            overlay = Path(given.overlay) if given.overlay else None
            if overlay is not None:
                adapter.watch(overlay)
            check_tools(adapter, given.settings, place)
            try:
                secrets = {
                    field: resolve(reference, f"{place}.credentials.{field}")
                    for field, reference in given.credentials.items()
                }
            except PluginError as error:
                self.set_aside(account_id, str(error).rstrip("."))
                log.error("account.unusable", account=account_id, error=str(error))
                continue
            except ConfigError as error:
                if not lenient:
                    raise
                self.set_aside(account_id, str(error).rstrip("."))
                continue
            self.put(
                Account(
                    id=account_id,
                    integration=given.integration,
                    name=given.name or account_id,
                    settings=given.settings,
                    credentials={field: Secret(value) for field, value in secrets.items()},
                    overlay=overlay,
                )
            )

    def put(self, *accounts: Account) -> None:
        """Add or replace opened accounts; their secrets are hidden from the logs from now on."""
        for account in accounts:
            values = {name: secret.reveal() for name, secret in account.credentials.items()}
            manifest = self._adapters[account.integration].manifest
            redactor.pin(f"account {account.id}", secret_values(manifest, values))
            self._unusable.pop(account.id, None)
            self._open[account.id] = account

    def set_aside(self, account_id: str, why: str) -> None:
        """Take an account out of use; `why` is shown to whoever calls."""
        self._open.pop(account_id, None)
        self._unusable[account_id] = why

    def drop(self, account_id: str) -> None:
        """Forget an account."""
        redactor.pin(f"account {account_id}", ())
        redactor.pin(tokens_of(account_id), ())
        self._open.pop(account_id, None)
        self._unusable.pop(account_id, None)
        self._refused.discard(account_id)


def check_account(
    manifest: Manifest,
    settings: Mapping[str, Any],
    credentials: Iterable[str],
    place: str = "",
) -> None:
    """Refuse settings and credentials that adapter.toml does not declare. Raises InvalidAccount."""
    prefix = f"{place}." if place else ""
    hosts = ["base_url", *(f"{name}_url" for name in manifest.hosts)]
    known = [*hosts, *manifest.settings]
    for name, value in settings.items():
        if name not in known:
            raise InvalidAccount(
                f"{prefix}settings.{name}", f"is unknown; {manifest.title} takes {', '.join(known)}"
            )
        kind = "string" if name in hosts else manifest.settings[name].type
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


def check_tools(adapter: Adapter, settings: Mapping[str, Any], place: str = "") -> None:
    """Refuse settings of which the adapter cannot make tools. Raises InvalidAccount."""
    try:
        adapter.toolset(adapter.complete(settings))
    except InvalidArguments as error:
        field = f"{place}.{error.argument}" if place else error.argument
        raise InvalidAccount(field, error.why) from None


def check_addresses(
    settings: Mapping[str, Any], allow_private: Sequence[Network], place: str = ""
) -> None:
    """Refuse URLs that could never be used, or that should not be. Raises InvalidAccount.

    This is a courtesy to whoever types them: what counts is the address that is connected to,
    and that is judged on every connection.
    """
    prefix = f"{place}." if place else ""
    for name, value in settings.items():
        if not name.endswith("_url") or not isinstance(value, str):
            continue
        if name == "base_url" and not value:
            raise InvalidAccount(
                f"{prefix}settings.{name}", "is empty; leave it out to use the provider's own"
            )
        if not value:
            continue
        if len(value) > _LONGEST_URL:
            raise InvalidAccount(
                f"{prefix}settings.{name}", f"is longer than {_LONGEST_URL:,} characters"
            )
        if why := _why_not(value, allow_private):
            raise InvalidAccount(f"{prefix}settings.{name}", why)


def _why_not(text: str, allow_private: Sequence[Network]) -> str:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        return "is not a URL"
    if url.scheme not in ("https", "http") or not host or not text.isprintable() or " " in text:
        return 'must be an https URL, as "https://api.example.com/v2"'
    if url.username is not None or url.password is not None:
        return "must not hold a user or password; those belong into credentials"
    if url.query or url.fragment:
        return "must have no query and no fragment"
    address = literal(host)
    if address is None and not is_name(host):
        return "has no valid host name"
    if url.scheme == "https" and (address is None or is_public(address)):
        return ""
    if address is None:
        return "" if allow_private else "must begin with https://"
    if any(meant_by(address) in network for network in allow_private):
        return ""
    return f"leads to {address}; list its network in [upstream] allow_private if that is meant"
