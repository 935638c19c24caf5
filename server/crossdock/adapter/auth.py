"""How requests are signed: API keys, basic, OAuth 2 client credentials and refresh tokens."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from crossdock.adapter.bodies import decode
from crossdock.adapter.manifest import AuthRefresh, AuthSpec
from crossdock.authoring import Auth, Renewal, TokenHttp
from crossdock.errors import AdapterError, UpstreamFailure

Pairs = tuple[tuple[str, str], ...]


class NoAuth:
    """Requests go out as they are."""

    renews = False

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Add nothing."""
        return (), ()

    async def renew(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], http: TokenHttp
    ) -> Renewal:
        """Refuse: there is nothing to renew."""
        raise UpstreamFailure("unauthenticated", "The credential cannot be renewed.")


class ApiKey(NoAuth):
    """One header or query parameter, filled from the credentials by `format`."""

    def __init__(self, format: str, *, header: str = "", query: str = "") -> None:
        self._format, self._header, self._query = format, header, query

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the header or the query pair."""
        value = self._format.format_map(credentials)
        if self._header:
            return ((self._header, value),), ()
        return (), ((self._query, value),)


class Basic(NoAuth):
    """HTTP basic authentication from two credentials."""

    def __init__(self, username: str = "username", password: str = "password") -> None:
        self._username, self._password = username, password

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the Authorization header."""
        pair = f"{credentials[self._username]}:{credentials[self._password]}"
        return (("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),), ()


class OAuth2:
    """Client credentials, or a refresh token where the account has one.

    The token goes out as `Authorization: Bearer`, beside the account headers of adapter.toml.
    """

    renews = True

    def __init__(self, spec: AuthSpec) -> None:
        self._spec = spec

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the bearer header and the account's own headers."""
        headers = [("Authorization", f"Bearer {token}")]
        for name, source in self._spec.account_headers.items():
            value = credentials.get(source.credential)
            if value and (not source.when or settings.get(source.when)):
                headers.append((name, value))
        return tuple(headers), ()

    async def renew(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], http: TokenHttp
    ) -> Renewal:
        """Fetch an access token; `changed` carries a rotated refresh token."""
        spec = self._spec
        refresh = spec.refresh or AuthRefresh()
        if old := credentials.get("refresh_token"):
            fields = {"grant_type": "refresh_token", "refresh_token": old, **refresh.extra}
            encoding, send = refresh.encoding, refresh.send
        else:
            fields = {"grant_type": "client_credentials", **spec.extra}
            encoding, send = spec.encoding, spec.send
        for name in ("client_id", "client_secret", *send):
            if credentials.get(name):
                fields[name] = credentials[name]
        url = settings.get("token_url") or spec.token_url
        try:
            reply = await (
                http.post(url, form=fields) if encoding == "form" else http.post(url, json=fields)
            )
        except UpstreamFailure as failure:
            raise _refused(failure) from None
        return _read_token(reply.body, old)


def _refused(failure: UpstreamFailure) -> UpstreamFailure:
    if failure.status is None or failure.kind == "rate_limited" or failure.status >= 500:
        return failure
    return UpstreamFailure(
        "unauthenticated",
        f"The provider's token service refused this account's credentials: {failure}",
        status=failure.status,
    )


def _read_token(body: bytes, old: str | None) -> Renewal:
    answer = decode(body)
    if not isinstance(answer, dict):
        answer = {}
    token, rotated = answer.get("access_token"), answer.get("refresh_token")
    changed = {}
    if isinstance(rotated, str) and rotated and rotated != old and old:
        changed["refresh_token"] = rotated
    if not isinstance(token, str):
        token = ""
    if not token and not changed:
        raise UpstreamFailure(
            "upstream_malformed", "The provider's token service answered without an access_token."
        )
    return Renewal(
        token=token,
        expires_in=_seconds(answer.get("expires_in")),
        changed=changed,
    )


def _seconds(value: Any) -> float | None:
    """Read a span; None for what is none, since a rotated token must not be lost by it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < math.inf else None


def auth_of(spec: AuthSpec, source: str) -> Auth:
    """Return the scheme that `[auth]` declares. Raises AdapterError."""
    if spec.scheme == "none":
        return NoAuth()
    if spec.scheme == "api_key":
        if bool(spec.header) == bool(spec.query) or not spec.format:
            raise AdapterError(
                f"{source}: [auth] api_key takes `format` and either `header` or `query`"
            )
        return ApiKey(spec.format, header=spec.header, query=spec.query)
    if spec.scheme == "basic":
        return Basic()
    if spec.scheme in ("oauth2_client_credentials", "oauth2_refresh"):
        if not spec.token_url:
            raise AdapterError(f"{source}: [auth] {spec.scheme} takes `token_url`")
        return OAuth2(spec)
    raise AdapterError(
        f"{source}: [auth] scheme {spec.scheme!r} is unknown; use api_key, basic, "
        "oauth2_client_credentials, oauth2_refresh or none, or pass load_adapter(auth=…)"
    )
