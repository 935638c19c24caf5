"""How one account's requests are signed, and how its tokens are renewed.

A renewal runs once for all who wait for it, and what it rotates is kept before it is used.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from yarl import URL

from crossdock.adapter.load import Adapter
from crossdock.adapter.manifest import FailuresSpec
from crossdock.authoring import Outgoing, Renewal, UpstreamReply
from crossdock.calls.echoes import searched, secret_values
from crossdock.calls.seals import sealed
from crossdock.calls.targets import Origin, header_lines, origin_of, query_string
from crossdock.calls.upstream import Upstream
from crossdock.errors import UpstreamFailure
from crossdock.model import Account, Renewed, Struct
from crossdock.redaction import likely_secrets, redactor

_EARLY = 60.0  # renew this long before a token's end, or at four fifths of a short life
_UNSAID = 300.0
_LONGEST = 100 * 365 * 86_400.0  # seconds; what claims more was not meant


class Signature(Struct, frozen=True, kw_only=True):
    """What every request of an account carries: its headers, as `lines` too, and query pairs
    behind its own."""

    headers: Mapping[str, str]
    lines: bytes
    query: tuple[tuple[str, str], ...] = ()


class Credentials:
    """Signs for one account, by its adapter's scheme."""

    def __init__(
        self, account: Account, adapter: Adapter, upstream: Upstream, renewed: Renewed
    ) -> None:
        self._account = account
        self._auth = adapter.auth
        self._settings = adapter.complete(account.settings)
        self._kept = renewed
        self._endpoint = TokenEndpoint(account.id, upstream, adapter.manifest.failures)
        self._fixed = {"Content-Type": "application/json", **adapter.manifest.headers}
        self._values = {name: secret.reveal() for name, secret in account.credentials.items()}
        self._recalled = False
        self._unkept: Mapping[str, str] = {}
        self._renewing: asyncio.Task[Signature] | None = None
        self.renewable = self._auth.renews
        self._signature = None if self.renewable else self._sign(None)
        self.unsigned = Signature(headers=self._fixed, lines=header_lines(self._fixed))
        self._sign_request = getattr(self._auth, "sign_request", None)
        self._ends = math.inf
        self._manifest = adapter.manifest
        self.searched = searched(secret_values(adapter.manifest, self._values))

    async def signature(self) -> Signature:
        """Return what is valid now. Raises UpstreamFailure when there is no token to be had."""
        if self._signature is None or time.monotonic() >= self._ends:
            return await self._renewed()
        return self._signature

    async def replace(self, refused: Signature) -> Signature:
        """Return another signature for one that the provider refused with a 401."""
        if self._signature is refused:  # else somebody renewed it meanwhile
            self._signature = None
        return await self.signature()

    @property
    def seals(self) -> bool:
        """Whether each request is signed by itself."""
        return self._sign_request is not None

    def seal(
        self, verb: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[str, Mapping[str, str]]:
        """Return URL and headers of a request with a signature of its own, where there are such.

        Raises BadToolOutput when the scheme changes more than it may.
        """
        if self._sign_request is None:
            return url, headers
        request = Outgoing(
            verb=verb, url=url, headers=headers, body=body or b"", settings=self._settings
        )
        return sealed(request, self._sign_request(request, self._values))

    def _sign(self, token: str | None) -> Signature:
        headers, query = self._auth.sign(self._values, self._settings, token)
        signed = {**self._fixed, **dict(headers)}
        return Signature(headers=signed, lines=header_lines(signed), query=query)

    # --- renewal -----------------------------------------------------------------------------

    async def _renewed(self) -> Signature:
        """Wait for the one renewal under way, or start it."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(self._renewal_done)
        return await asyncio.shield(self._renewing)

    def _renewal_done(self, task: asyncio.Task[Signature]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # everyone who waited has it; asyncio need not report it again

    async def _renew(self) -> Signature:
        if not self._recalled:
            configured = self._account.credentials
            current = await self._kept.current(self._account.id, configured)
            self._values.update({name: secret.reveal() for name, secret in current.items()})
            self._recalled = True
        await self._keep()
        started = time.monotonic()
        renewal = await self._auth.renew(self._values, self._settings, self._endpoint)
        # The old one is spent: should anything fail now, the new one must not be lost with it.
        self._values.update(renewal.changed)
        self._unkept = {**self._unkept, **renewal.changed}
        self._hide(renewal)
        await self._keep()
        if not renewal.token:
            raise UpstreamFailure(
                "upstream_malformed",
                "The provider's token service answered without an access_token.",
            )
        self._ends = started + _use_of(renewal)
        self._signature = self._sign(renewal.token)
        return self._signature

    def _hide(self, renewal: Renewal) -> None:
        """Hide what is current for as long as it is; what it replaces is hidden for a while."""
        current = [renewal.token, *secret_values(self._manifest, self._values)]
        redactor.pin(tokens_of(self._account.id), current)
        self.searched = searched(current)

    async def _keep(self) -> None:
        if self._unkept:
            await self._kept.keep(self._account.id, self._account.credentials, self._unkept)
            self._unkept = {}


def tokens_of(account_id: str) -> str:
    """Return the name under which an account's current tokens are hidden."""
    return f"tokens of {account_id}"


def _use_of(renewal: Renewal) -> float:
    """For how many seconds a token is used. What is no span of time counts as unsaid."""
    life = renewal.expires_in
    if not isinstance(life, int | float) or not 0 < life <= _LONGEST:
        life = _UNSAID
    return max(life * 0.8, life - _EARLY)


class TokenEndpoint:
    """Where tokens come from. Implements the authors' `TokenHttp`."""

    def __init__(self, account: str, upstream: Upstream, failures: FailuresSpec) -> None:
        self._account = account
        self._upstream = upstream
        # OAuth says why in words of its own (RFC 6749, 5.2), whatever the provider's API does.
        own = [failures.message] if isinstance(failures.message, str) else failures.message
        pointers = ["/error_description", "/error", *own]
        self._failures = msgspec.structs.replace(failures, message=pointers)

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> UpstreamReply:
        """POST once. Raises UpstreamFailure for everything but a 2xx answer."""
        if form is not None:
            body = query_string(list(form.items())).encode()
            kind = "application/x-www-form-urlencoded"
        else:
            body, kind = msgspec.json.encode(json), "application/json"
        target, origin = _parsed(url)
        told = {"Content-Type": kind, "Accept": "application/json", **(headers or {})}
        reply = await self._upstream.send(
            "POST",
            origin,
            target.raw_path_qs,
            header_lines(told),
            body,
            self._failures,
            account=self._account,
        )
        redactor.learn(likely_secrets(reply.body))
        return reply


def _parsed(url: str) -> tuple[URL, Origin]:
    try:
        target = URL(url)
        return target, origin_of(target)
    except ValueError:
        raise UpstreamFailure(
            "upstream_unreachable",
            "The account's token_url names no host that can be reached; check its spelling.",
            sent=False,
        ) from None
