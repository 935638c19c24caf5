"""How requests are signed: API keys, basic, OAuth 2 client credentials and refresh tokens."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from crossdock.adapter.bodies import decode
from crossdock.adapter.manifest import AuthRefresh, AuthSpec
from crossdock.authoring import Auth, Renewal, SignsRequests, TokenHttp
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


class _Known(dict[str, str]):
    """Credentials; one that an account need not have, and has not, is empty."""

    def __missing__(self, name: str) -> str:
        return ""


def filled(template: str, credentials: Mapping[str, str]) -> str:
    """Return a template of adapter.toml with an account's credentials in it."""
    return template.format_map(_Known(credentials))


class ApiKey(NoAuth):
    """One header or query parameter, filled from the credentials by `format`."""

    def __init__(self, format: str, *, header: str = "", query: str = "") -> None:
        self._format, self._header, self._query = format, header, query

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the header or the query pair."""
        value = filled(self._format, credentials)
        if self._header:
            return ((self._header, value),), ()
        return (), ((self._query, value),)


class Basic(NoAuth):
    """HTTP basic authentication from two credentials."""

    def __init__(self, username: str = "username", password: str = "password") -> None:
        self._templates = f"{{{username}}}", f"{{{password}}}"

    @classmethod
    def of(cls, username: str, password: str) -> Basic:
        """Return a scheme of two templates, filled from the credentials."""
        made = cls()
        made._templates = username, password
        return made

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the Authorization header."""
        username, password = (filled(one, credentials) for one in self._templates)
        return (("Authorization", basic(username, password)),), ()


def basic(username: str, password: str) -> str:
    """Return the value of a basic Authorization header."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


class Bearer(NoAuth):
    """A token that does not change, as `Authorization: Bearer`; without one nothing is sent."""

    def __init__(self, token: str = "{token}") -> None:
        self._token = token

    def sign(
        self, credentials: Mapping[str, str], settings: Mapping[str, Any], token: str | None
    ) -> tuple[Pairs, Pairs]:
        """Return the Authorization header."""
        value = filled(self._token, credentials)
        return ((("Authorization", f"Bearer {value}"),) if value else ()), ()


class _Completed(NoAuth):
    """An author's scheme that has not every method."""

    def __init__(self, given: Any) -> None:
        self.renews = bool(getattr(given, "renews", hasattr(given, "renew")))
        self.sign = getattr(given, "sign", self.sign)  # type: ignore[method-assign]
        self.renew = getattr(given, "renew", self.renew)  # type: ignore[method-assign]
        self.sign_request = getattr(given, "sign_request", None)


def completed(given: Auth | SignsRequests) -> Auth:
    """Return what was given to load_adapter as a whole scheme."""
    if all(hasattr(given, name) for name in ("renews", "sign", "renew")):
        return given  # type: ignore[return-value]
    return _Completed(given)


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
        old = credentials.get("refresh_token")
        if spec.authorize is not None and not old:
            raise UpstreamFailure(
                "unauthenticated",
                "This account is not connected yet: its owner has to let the gateway in at the "
                "provider (`crossdock account connect`).",
                sent=False,
            )
        if old:
            fields = {"grant_type": "refresh_token", "refresh_token": old, **refresh.extra}
            encoding, send = refresh.encoding, refresh.send
        else:
            fields = {"grant_type": "client_credentials", **spec.extra}
            encoding, send = spec.encoding, spec.send
        for name in send:
            if credentials.get(name):
                fields[name] = credentials[name]
        body = await self._exchange(fields, encoding, credentials, settings, http)
        return _read_token(body, old)

    async def connect(
        self,
        given: Mapping[str, str],
        credentials: Mapping[str, str],
        settings: Mapping[str, Any],
        http: TokenHttp,
    ) -> dict[str, str]:
        """Change an authorization code into the credential that is kept. Raises UpstreamFailure."""
        fields = {"grant_type": "authorization_code", **given}
        body = await self._exchange(fields, self._spec.encoding, credentials, settings, http)
        answer = decode(body)
        found = answer.get("refresh_token") if isinstance(answer, dict) else None
        if not isinstance(found, str) or not found:
            raise UpstreamFailure(
                "upstream_malformed",
                "The provider gave no refresh_token; auth.authorize.scope may have to ask for one.",
            )
        return {"refresh_token": found}

    async def _exchange(
        self,
        fields: dict[str, str],
        encoding: str,
        credentials: Mapping[str, str],
        settings: Mapping[str, Any],
        http: TokenHttp,
    ) -> bytes:
        """Ask the token endpoint, and say who asks as `auth.client` says."""
        spec, more = self._spec, {}
        client, secret = credentials.get("client_id", ""), credentials.get("client_secret", "")
        if spec.client == "basic" and secret:  # RFC 6749, 2.3.1: both are encoded first
            more["headers"] = {"Authorization": basic(quote_plus(client), quote_plus(secret))}
        else:
            known = {"client_id": client, "client_secret": secret}
            fields = fields | {name: value for name, value in known.items() if value}
        url = settings.get("token_url") or spec.token_url
        body: dict[str, Any] = {"form" if encoding == "form" else "json": fields}
        try:
            reply = await http.post(url, **body, **more)
        except UpstreamFailure as failure:
            raise _refused(failure) from None
        return reply.body


def may_rotate(auth: Auth, credentials: Mapping[str, str]) -> bool:
    """Whether a renewal may spend what it renews from; of an author's own scheme nobody knows."""
    return not isinstance(auth, OAuth2) or bool(credentials.get("refresh_token"))


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
    if spec.scheme == "bearer":
        return Bearer(spec.token)
    if spec.scheme == "basic":
        return Basic.of(spec.username, spec.password)
    if spec.scheme in ("oauth2_client_credentials", "oauth2_refresh"):
        if not spec.token_url:
            raise AdapterError(f"{source}: [auth] {spec.scheme} takes `token_url`")
        return OAuth2(spec)
    raise AdapterError(
        f"{source}: [auth] scheme {spec.scheme!r} is unknown; use api_key, basic, bearer, "
        "oauth2_client_credentials, oauth2_refresh or none, or pass load_adapter(auth=…)"
    )
