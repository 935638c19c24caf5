"""Who a sandbox lets in: the schemes of adapter.toml's `[auth]`, seen from the provider's side."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from crossdock.testing.recorder import shown

TOKEN_PATH, AUTHORIZE_PATH = "/oauth/token", "/oauth/authorize"
Scheme = Literal[
    "none", "api_key", "bearer", "basic", "oauth2_client_credentials", "oauth2_refresh"
]


class AuthOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a sandbox is entered, in the words of `[auth]`: names of credentials stand in braces.

    `client` says how clients of the token endpoint prove themselves; `expires_in` is in seconds;
    `rotate`: each refresh token is good once.
    """

    scheme: Scheme = "none"
    header: str = ""
    query: str = ""
    format: str = ""
    token: str = "{token}"
    username: str = "{username}"
    password: str = "{password}"
    client: Literal["post", "basic"] = "post"
    expires_in: int = 3600
    rotate: bool = False


class Doorkeeper:
    """Checks each request's credentials, and runs the token endpoint where there is one."""

    def __init__(self, auth: AuthOf, credentials: Mapping[str, str]) -> None:
        self._auth = auth
        self._known = dict(credentials)
        self._live: set[str] = set()
        self._refresh = {credentials.get("refresh_token", "")} - {""}
        self._codes: dict[str, Mapping[str, str]] = {}
        self._check = self._checks()[auth.scheme]

    def _checks(self) -> dict[Scheme, Callable[[web.Request], bool]]:
        return {
            "none": lambda _: True,
            "api_key": self._has_key,
            "bearer": lambda request: _bearer(request) == self._filled(self._auth.token),
            "basic": lambda request: (
                _pair(request)
                == (
                    self._filled(self._auth.username),
                    self._filled(self._auth.password),
                )
            ),
            "oauth2_client_credentials": lambda request: _bearer(request) in self._live,
            "oauth2_refresh": lambda request: _bearer(request) in self._live,
        }

    def admits(self, request: web.Request) -> bool:
        """Tell whether a request may come in."""
        return self._check(request)

    @property
    def issues(self) -> bool:
        """Whether there is a token endpoint."""
        return self._auth.scheme.startswith("oauth2")

    def expire(self) -> None:
        """End every access token now."""
        self._live.clear()

    def _filled(self, template: str) -> str:
        return template.format_map(self._known)

    def _has_key(self, request: web.Request) -> bool:
        auth = self._auth
        given = request.headers.get(auth.header) if auth.header else request.query.get(auth.query)
        return given is not None and _same(given, self._filled(auth.format))

    # --- tokens ------------------------------------------------------------------------------

    async def token(self, request: web.Request) -> web.Response:
        """Answer `POST /oauth/token`: client credentials, a refresh token or a code."""
        asked = await _fields(request)
        if not self._is_client(request, asked):
            return _refused(401, "invalid_client", "The client is unknown, or its secret wrong.")
        kind = asked.get("grant_type", "")
        if kind == "client_credentials":
            return self._issued()
        if kind == "refresh_token":
            old = asked.get("refresh_token", "")
            if old not in self._refresh:
                return _refused(400, "invalid_grant", "The refresh token is unknown or spent.")
            if not self._auth.rotate:
                return self._issued()
            self._refresh.discard(old)
            return self._issued(fresh=True)
        if kind == "authorization_code":
            if not self._redeems(asked):
                return _refused(400, "invalid_grant", "The code is unknown, spent or not yours.")
            return self._issued(fresh=True)
        return _refused(400, "unsupported_grant_type", f"{kind!r} is not known here.")

    async def authorize(self, request: web.Request) -> web.Response:
        """Answer `GET /oauth/authorize`: consent at once, and back with a code and the state."""
        asked = dict(request.query)
        target = asked.get("redirect_uri", "")
        if asked.get("client_id") != self._known.get("client_id") or not target:
            return _refused(400, "invalid_request", "client_id or redirect_uri is wrong.")
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        back = {"code": code, **({"state": asked["state"]} if "state" in asked else {})}
        joint = "&" if "?" in target else "?"
        return web.Response(status=302, headers={"Location": f"{target}{joint}{urlencode(back)}"})

    def _is_client(self, request: web.Request, asked: Mapping[str, str]) -> bool:
        wanted = (self._known.get("client_id", ""), self._known.get("client_secret", ""))
        if self._auth.client == "basic":
            return _pair(request) == wanted
        return (asked.get("client_id"), asked.get("client_secret")) == wanted

    def _redeems(self, asked: Mapping[str, str]) -> bool:
        started = self._codes.pop(asked.get("code", ""), None)
        if started is None or started["redirect_uri"] != asked.get("redirect_uri"):
            return False
        challenge = started.get("code_challenge")
        if challenge is None:
            return True
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        return _same(challenge, base64.urlsafe_b64encode(digest).decode().rstrip("="))

    def _issued(self, *, fresh: bool = False) -> web.Response:
        token = secrets.token_urlsafe(24)
        self._live.add(token)
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self._auth.expires_in,
        }
        if fresh:
            answer["refresh_token"] = secrets.token_urlsafe(24)
            self._refresh.add(answer["refresh_token"])
        return shown(answer)


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _pair(request: web.Request) -> tuple[str, str] | None:
    scheme, _, packed = request.headers.get("Authorization", "").partition(" ")
    try:
        name, colon, word = base64.b64decode(packed, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, word) if scheme.lower() == "basic" and colon else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type == "application/json":
        try:
            return msgspec.json.decode(await request.read(), type=dict[str, str])
        except msgspec.DecodeError:
            return {}
    return {name: str(value) for name, value in (await request.post()).items()}


def _refused(status: int, error: str, why: str) -> web.Response:
    return shown({"error": error, "error_description": why}, status)
