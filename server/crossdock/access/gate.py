"""Request → Grant, or a refusal. The one authoriser of every transport; no database on a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

from msgspec.structs import replace

from crossdock.access.tokens import hash_token, same, well_formed
from crossdock.errors import Denied, Refused
from crossdock.model import Grant, Role, Struct
from crossdock.store import boottime

Address = IPv4Address | IPv6Address
_UNKNOWN = (
    "This MCP URL is not valid: it was mistyped, replaced or revoked. "
    "Ask whoever runs this gateway for a new one."
)
_MISSING = (
    "No token: use the full MCP URL, https://<gateway>/mcp/<token>, or send the token as "
    "Authorization: Bearer."
)
_SECOND = (
    "This server needs an API token that counts for it besides its URL: send it as "
    "Authorization: Bearer, or as X-Api-Token."
)

_ELSEWHERE = (
    "This MCP server may not be used from your network. "
    "Ask whoever runs this gateway to add it to the server's allowed_ips."
)


_STALE = (
    "The gateway has not heard from its store for so long that it could have missed a revocation. "
    "It serves again once the store answers; try again shortly."
)


class Stale(Refused):
    """What the gate knows is too old to judge by."""

    error = "stale"
    retry_after = 5


class Caller(Struct, frozen=True, kw_only=True):
    """Who holds an API token; `address` is where a request of theirs comes from."""

    id: str
    name: str
    role: Role
    expires_at: datetime | None = None
    address: str | None = None


Entry = tuple[Grant, datetime | None]
"""What a hash opens, and until when if it was rotated."""


class Access(Struct, frozen=True, kw_only=True):
    """Everything the gate knows: hash → what it opens."""

    grants: Mapping[bytes, Entry] = {}
    expired: Mapping[bytes, datetime] = {}
    callers: Mapping[bytes, Caller] = {}


class Gate:
    """Judges tokens by their keyed hash against a map in memory."""

    def __init__(
        self, pepper: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._pepper = pepper
        self._clock = clock
        self._grants: dict[bytes, Entry] = {}
        self._expired: dict[bytes, datetime] = {}
        self._callers: dict[bytes, Caller] = {}
        self._of_server: dict[str, tuple[bytes, ...]] = {}
        self._of_token: dict[str, bytes] = {}
        self._good_until: float | None = None
        self._own: dict[bytes, Caller] = {}
        self._used_servers: dict[str, datetime] = {}
        self._used_tokens: dict[str, datetime] = {}

    def learn(self, access: Access) -> None:
        """Replace what is known; takes effect with the next request."""
        self._grants, self._callers = {}, dict(access.callers)
        self._of_server = {}
        self._expired = dict(access.expired)
        self._of_token = {caller.id: hashed for hashed, caller in access.callers.items()}
        servers: dict[str, dict[bytes, Entry]] = {}
        for hashed, entry in access.grants.items():
            servers.setdefault(entry[0].server_id, {})[hashed] = entry
        for server_id, entries in servers.items():
            self.put_server(server_id, entries)

    def put_server(self, server_id: str, entries: Mapping[bytes, Entry]) -> None:
        """Replace what is known of one server; without entries it opens nothing any more."""
        for hashed in self._of_server.pop(server_id, ()):
            del self._grants[hashed]
        if entries:
            self._of_server[server_id] = tuple(entries)
            self._grants.update(entries)

    def put_caller(self, token_id: str, entry: tuple[bytes, Caller] | None) -> None:
        """Replace what is known of one API token; without an entry it opens nothing any more."""
        if (known := self._of_token.pop(token_id, None)) is not None:
            del self._callers[known]
        if entry is not None:
            self._callers[entry[0]] = entry[1]
            self._of_token[token_id] = entry[0]

    def put_stub(self, token_hash: bytes, expired: datetime | None) -> None:
        """Learn when the server of a token expired; None forgets that there was one."""
        if expired is None:
            self._expired.pop(token_hash, None)
        else:
            self._expired[token_hash] = expired

    def expire(self, stubs: Mapping[bytes, datetime]) -> None:
        """Take what is left of expired servers in place of their grants."""
        for server_id in {self._grants[one][0].server_id for one in stubs if one in self._grants}:
            self.put_server(server_id, {})
        self._expired.update(stubs)

    def good_until(self, moment: float) -> None:
        """Admit nobody after this moment, as `boottime` counts, until a later one is named."""
        self._good_until = moment

    def accept_admin(self, token: str) -> None:
        """Accept `[admin] token`, whatever its form, as an owner's."""
        owner = Caller(id="config", name="[admin] token", role="owner")
        self._own[hash_token(self._pepper, token)] = owner

    def admit(
        self,
        token: str | None,
        second: str | None,
        address: Callable[[], Address | None] = lambda: None,
    ) -> Grant:
        """Return what this MCP token may do. Raises Refused: 401, 403 or 410; 503 while what is
        known may be too old.

        `address` tells where the request comes from; it is asked only where that matters.
        """
        if not token:
            raise Denied(401, "no_token", _MISSING, challenge="missing")
        if self._good_until is not None and boottime() > self._good_until:
            raise Stale(503, _STALE)
        hashed = hash_token(self._pepper, token)
        now = self._clock()
        found = self._grants.get(hashed)
        if found is None:
            if (gone := self._expired.get(hashed)) is not None:
                raise _expired(gone)
            raise _unknown()
        grant, until = found
        if grant.expires_at is not None and now >= grant.expires_at:
            raise _expired(grant.expires_at, grant)
        if until is not None and now >= until:  # the overlap after a rotation is over
            raise Denied(403, "replaced_token", _UNKNOWN, about=_about(grant))
        allowed = grant.scope.allowed_ips
        if allowed is not None and not _inside(address(), allowed):
            raise Denied(403, "network", _ELSEWHERE, about=_about(grant))
        if grant.scope.require_api_token_auth:
            grant = self._with_second(grant, second)
        self._used_servers[grant.server_id] = now
        return grant

    def _with_second(self, grant: Grant, token: str | None) -> Grant:
        """Return the grant with the id of its second factor. `[admin] token` is never one."""
        holder = self._holder(hash_token(self._pepper, token), token) if token else None
        counting = grant.scope.second_factors
        if holder is None or (counting is not None and holder.id not in counting):
            raise Denied(
                401,
                "second_factor",
                _SECOND,
                challenge="invalid" if token else "missing",
                about=_about(grant),
            )
        return replace(grant, second_factor=holder.id)

    def caller(self, token: str | None) -> Caller | None:
        """Return who holds this API token, or None."""
        if not token:
            return None
        hashed = hash_token(self._pepper, token)
        for known, owner in self._own.items():
            if same(known, hashed):
                return owner
        return self._holder(hashed, token)

    def holder_of(self, token_id: str) -> Caller | None:
        """Return who holds the API token of this id, while it is good."""
        for owner in self._own.values():
            if owner.id == token_id:
                return owner
        hashed = self._of_token.get(token_id)
        found = None if hashed is None else self._callers.get(hashed)
        if found is None or (found.expires_at is not None and self._clock() >= found.expires_at):
            return None
        return found

    def _holder(self, hashed: bytes, token: str) -> Caller | None:
        """Return who holds an API token of the store."""
        if not well_formed("api", token):
            return None
        found = self._callers.get(hashed)
        now = self._clock()
        if found is None or (found.expires_at is not None and now >= found.expires_at):
            return None
        self._used_tokens[found.id] = now
        return found

    def take_used(self) -> tuple[dict[str, datetime], dict[str, datetime]]:
        """Return when which servers and API tokens were used since this was last asked."""
        used = self._used_servers, self._used_tokens
        self._used_servers, self._used_tokens = {}, {}
        return used

    @property
    def live_servers(self) -> int:
        """How many MCP servers are known."""
        return len(self._of_server)


def _unknown() -> Denied:
    return Denied(403, "unknown_token", _UNKNOWN)


def _expired(moment: datetime, grant: Grant | None = None) -> Denied:
    when = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = f"This MCP URL expired on {when}. Ask for a new one."
    return Denied(410, "expired", text, about=_about(grant) if grant else None)


def _about(grant: Grant) -> tuple[str, str]:
    return grant.server_id, grant.account_id


@lru_cache(maxsize=1024)
def _networks(texts: tuple[str, ...]) -> Mapping[tuple[int, int], frozenset[int]]:
    """Return the networks by IP version and number of free bits, each as what stands above these.

    An address is looked up once for each size of network, however many networks there are.
    """
    found: dict[tuple[int, int], set[int]] = {}
    for network in map(ip_network, texts):
        free = network.max_prefixlen - network.prefixlen
        found.setdefault((network.version, free), set()).add(int(network.network_address) >> free)
    return {size: frozenset(heads) for size, heads in found.items()}


def _inside(address: Address | None, texts: tuple[str, ...]) -> bool:
    if address is None:
        return False
    number = int(address)
    return any(
        version == address.version and number >> free in heads
        for (version, free), heads in _networks(texts).items()
    )
