"""Where an account's credentials are sent: no change of it goes by who does not know them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crossdock.control.requests import invalid

if TYPE_CHECKING:
    from crossdock.adapter.load import Adapter


def refuse_redirection(
    adapter: Adapter, before: Mapping[str, Any], after: Mapping[str, Any], kept: Iterable[str]
) -> None:
    """Whoever sends a credential to another host must know it: it cannot be read here, and
    would be there. Raises Rejected (422)."""
    declared = adapter.manifest.credentials
    secret = sorted(name for name in kept if name not in declared or declared[name].secret)
    old, new = _destinations(adapter, before), _destinations(adapter, after)
    for name in new:
        if secret and new[name] != old.get(name):
            again = ", ".join(f"credentials.{field}" for field in secret)
            raise invalid(
                f"settings.{name}",
                f"leads the account's credentials to another host; give {again} again with it",
            )


def _destinations(adapter: Adapter, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return where credentials may be sent, by setting, with the defaults where nothing is set."""
    found = {
        name: value for name, value in adapter.complete(settings).items() if name.endswith("_url")
    }
    found["token_url"] = found.get("token_url") or adapter.manifest.auth.token_url
    return found
