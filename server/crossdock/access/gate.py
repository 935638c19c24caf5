"""Request → Grant, or a refusal. The one authoriser of every transport; no database on a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from crossdock.access.tokens import hash_token, same, well_formed
from crossdock.errors import Refused
from crossdock.model import Grant, Struct

Role = Literal["owner", "operator", "viewer", "client"]
_UNKNOWN = (
    "This MCP URL is not valid: it was mistyped, replaced or revoked. "
    "Ask whoever runs this gateway for a new one."
)
_MISSING = (
    "No token: use the full MCP URL, https://<gateway>/mcp/<token>, or send the token as "
    "Authorization: Bearer."
)
_SECOND = (
    "This server needs an API token besides its URL: send it as Authorization: Bearer, "
    "or as X-Api-Token."
)


class Caller(Struct, frozen=True, kw_only=True):
    """Who holds an API token."""

    id: str
    name: str
    role: Role
    expires_at: datetime | None = None


class Access(Struct, frozen=True, kw_only=True):
    """Everything the gate knows, swapped as a whole: hash → what it opens."""

    grants: Mapping[bytes, tuple[Grant, datetime | None]] = {}
    expired: Mapping[bytes, datetime] = {}
    callers: Mapping[bytes, Caller] = {}


class Gate:
    """Judges tokens by their keyed hash against a map in memory."""

    def __init__(
        self, pepper: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._pepper = pepper
        self._clock = clock
        self._access = Access()
        self._own: dict[bytes, Caller] = {}

    def learn(self, access: Access) -> None:
        """Replace what is known; takes effect with the next request."""
        self._access = access

    def accept_admin(self, token: str) -> None:
        """Accept `[admin] token`, whatever its form, as an owner's."""
        owner = Caller(id="config", name="[admin] token", role="owner")
        self._own[hash_token(self._pepper, token)] = owner

    def admit(self, token: str | None, second: str | None) -> Grant:
        """Return what this MCP token may do. Raises Refused: 401, 403 or 410."""
        if not token:
            raise Refused(401, _MISSING, challenge=True)
        if not well_formed("mcp", token):
            raise Refused(403, _UNKNOWN)
        hashed = hash_token(self._pepper, token)
        now = self._clock()
        access = self._access
        found = access.grants.get(hashed)
        if found is None:
            if (gone := access.expired.get(hashed)) is not None:
                raise _expired(gone)
            raise Refused(403, _UNKNOWN)
        grant, until = found
        if grant.expires_at is not None and now >= grant.expires_at:
            raise _expired(grant.expires_at)
        if until is not None and now >= until:  # the overlap after a rotation is over
            raise Refused(403, _UNKNOWN)
        if grant.scope.require_api_token_auth and self.caller(second) is None:
            raise Refused(401, _SECOND, challenge=True)
        return grant

    def caller(self, token: str | None) -> Caller | None:
        """Return who holds this API token, or None."""
        if not token:
            return None
        hashed = hash_token(self._pepper, token)
        for known, owner in self._own.items():
            if same(known, hashed):
                return owner
        if not well_formed("api", token):
            return None
        found = self._access.callers.get(hashed)
        if found is None or (found.expires_at is not None and self._clock() >= found.expires_at):
            return None
        return found


def _expired(moment: datetime) -> Refused:
    when = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Refused(410, f"This MCP URL expired on {when}. Ask for a new one.")
