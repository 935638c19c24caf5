"""The auth host: tokens for service accounts, refresh tokens and authorization codes.

Consent is given at once, since nobody sits before a sandbox.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections import Counter
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from crossdock_roserocket.sandbox.answers import answer
from crossdock_roserocket.sandbox.switches import Switches

AUDIENCE = "https://roserocket.com"
CLIENT_ID = "rr-sandbox-client"
CLIENT_SECRET = "rr-sandbox-secret"
ORG_ID = "5f0c1a52-6d0e-4b6f-9a53-2f6f9f6f0c01"
USER_ID = "0d9a3c1e-94c4-4f0a-8d53-9d9c5a4b7e02"
REFRESH_TOKEN = "rr-sandbox-refresh"


class OAuthRefusal(Exception):
    """A refusal of the token endpoint, worded as Auth0 words it."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description


class Tokens:
    """Issued tokens, with counters that tests read."""

    def __init__(self) -> None:
        self._valid_until: dict[str, float] = {}
        self._refresh = {REFRESH_TOKEN}
        self._spent: set[str] = set()
        self._codes: dict[str, dict[str, str]] = {}
        self.requests: Counter[str] = Counter()
        self.issued = 0

    def allows(self, header: str) -> bool:
        """Tell whether an Authorization header carries a live token."""
        scheme, _, token = header.partition(" ")
        live = self._valid_until.get(token.strip(), 0) > time.monotonic()
        return scheme.casefold() == "bearer" and live

    def expire_all(self) -> int:
        """End every access token at once; return how many there were."""
        count = len(self._valid_until)
        self._valid_until.clear()
        return count

    def counts(self) -> dict[str, object]:
        """Return how often the token endpoint was asked, by grant."""
        return {
            "requests": self.requests.total(),
            "by_grant": dict(self.requests),
            "issued": self.issued,
        }

    def code_for(self, asked: dict[str, str]) -> str:
        """Return the redirect that grants access. Raises OAuthRefusal."""
        if asked.get("client_id") != CLIENT_ID:
            raise OAuthRefusal(400, "invalid_request", "Unknown client.")
        if asked.get("audience") != AUDIENCE:
            raise OAuthRefusal(400, "invalid_request", "Parameter audience is missing or unknown.")
        if asked.get("response_type") != "code" or not asked.get("redirect_uri"):
            raise OAuthRefusal(400, "invalid_request", "response_type must be code.")
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        query = {"code": code}
        if "state" in asked:
            query["state"] = asked["state"]
        joint = "&" if "?" in asked["redirect_uri"] else "?"
        return f"{asked['redirect_uri']}{joint}{urlencode(query)}"

    def grant(self, asked: dict[str, str], switches: Switches) -> dict[str, object]:
        """Return the answer of the token endpoint. Raises OAuthRefusal."""
        kind = asked.get("grant_type", "")
        self.requests[kind] += 1
        if asked.get("client_id") != CLIENT_ID or asked.get("client_secret") != CLIENT_SECRET:
            raise OAuthRefusal(401, switches.wrong_secret, "Unauthorized")
        if kind == "client_credentials":
            self._check_service_account(asked)
            return self._token(switches, None)
        if kind == "refresh_token":
            return self._token(switches, self._exchanged(asked, switches))
        if kind == "authorization_code":
            self._check_code(asked)
            first = secrets.token_urlsafe(24)
            self._refresh.add(first)
            return self._token(switches, first)
        raise OAuthRefusal(403, "unsupported_grant_type", f"Unsupported grant type: {kind}")

    def _check_service_account(self, asked: dict[str, str]) -> None:
        if asked.get("audience") != AUDIENCE:
            raise OAuthRefusal(403, "access_denied", "Service not enabled within domain")
        for field, expected in (("org_id", ORG_ID), ("user_id", USER_ID)):
            if asked.get(field) != expected:
                raise OAuthRefusal(401, "access_denied", f"{field} is missing or unknown")

    def _exchanged(self, asked: dict[str, str], switches: Switches) -> str | None:
        old = asked.get("refresh_token", "")
        known = old in self._refresh or (switches.refresh_reuse == "accept" and old in self._spent)
        if not known or asked.get("org_id") != ORG_ID:
            raise OAuthRefusal(403, "invalid_grant", "Unknown or invalid refresh token.")
        if not switches.rotate_refresh_tokens:
            return None
        self._refresh.discard(old)
        self._spent.add(old)
        fresh = secrets.token_urlsafe(24)
        self._refresh.add(fresh)
        return fresh

    def _check_code(self, asked: dict[str, str]) -> None:
        started = self._codes.pop(asked.get("code", ""), None)
        if started is None or started["redirect_uri"] != asked.get("redirect_uri"):
            raise OAuthRefusal(403, "invalid_grant", "Invalid authorization code")
        challenge = started.get("code_challenge")
        if challenge:
            given = asked.get("code_verifier", "")
            if started.get("code_challenge_method") == "S256":
                digest = hashlib.sha256(given.encode()).digest()
                given = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if given != challenge:
                raise OAuthRefusal(403, "invalid_grant", "Failed to verify code verifier")

    def _token(self, switches: Switches, refresh: str | None) -> dict[str, object]:
        token = secrets.token_urlsafe(32)
        self._valid_until[token] = time.monotonic() + switches.token_ttl
        self.issued += 1
        body: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if switches.token_says_expiry:
            body["expires_in"] = int(switches.token_ttl)
        if refresh:
            body["refresh_token"] = refresh
        return body


async def token_request(request: web.Request, tokens: Tokens, switches: Switches) -> web.Response:
    """Answer `POST /oauth/token`, JSON or form."""
    asked: dict[str, str] = {}
    if request.content_type == "application/json":
        try:
            decoded = msgspec.json.decode(await request.read(), type=dict[str, str])
        except msgspec.DecodeError:
            return _refused(OAuthRefusal(400, "invalid_request", "The body is not a JSON object."))
        asked = decoded
    else:
        asked = {name: str(value) for name, value in (await request.post()).items()}
    try:
        body = tokens.grant(asked, switches)
    except OAuthRefusal as refusal:
        return _refused(refusal)
    if switches.token_fault == "no_token":
        body.pop("access_token")
    return answer(body)


def authorize(request: web.Request, tokens: Tokens) -> web.Response:
    """Answer `GET /authorize`: consent at once, and back to the client."""
    try:
        target = tokens.code_for(dict(request.query))
    except OAuthRefusal as refusal:
        return _refused(refusal)
    return web.Response(status=302, headers={"Location": target})


def _refused(refusal: OAuthRefusal) -> web.Response:
    return answer(
        {"error": refusal.error, "error_description": refusal.description}, refusal.status
    )
