"""How one account's requests are signed, and how its tokens are renewed.

A renewal runs once for all who wait for it, in this process and in all others, and what it rotates
is kept before it is used.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from yarl import URL

from crossdock.adapter.auth import OAuth2, may_rotate
from crossdock.adapter.load import Adapter
from crossdock.adapter.manifest import FailuresSpec
from crossdock.authoring import Outgoing, Renewal, UpstreamReply
from crossdock.calls.across import across
from crossdock.calls.echoes import searched, secret_values
from crossdock.calls.locks import ALONE
from crossdock.calls.seals import sealed
from crossdock.calls.targets import Origin, header_lines, origin_of, query_string
from crossdock.calls.upstream import Upstream
from crossdock.errors import Busy, StoreAway, StoreError, UpstreamFailure
from crossdock.model import ACCESS_TOKEN, Account, OrderLocks, Renewed, Struct
from crossdock.redaction import likely_secrets, redactor

if TYPE_CHECKING:
    from crossdock.calls.adapter_threads import AdapterThread

_EARLY = 60.0  # renew this long before a token's end, or at four fifths of a short life
_UNSAID = 300.0
_RENEWING = 30.0  # for a scheme of an adapter's own
_LONGEST = 100 * 365 * 86_400.0  # seconds; what claims more was not meant


_AGAIN = 0.25  # seconds until what could not be kept is tried to be kept again


class _Access(Struct, frozen=True, kw_only=True):
    """A token as it is kept for other processes; `ends` is when it is to be renewed."""

    token: str
    ends: float


class Signature(Struct, frozen=True, kw_only=True):
    """What every request of an account carries: its headers, as `lines` too, and query pairs
    behind its own."""

    headers: Mapping[str, str]
    lines: bytes
    query: tuple[tuple[str, str], ...] = ()


class Credentials:
    """Signs for one account, by its adapter's scheme: one of the adapter's own runs on `thread`."""

    def __init__(
        self,
        account: Account,
        adapter: Adapter,
        upstream: Upstream,
        renewed: Renewed,
        *,
        orders: OrderLocks = ALONE,
        wait: float = 10.0,
        thread: AdapterThread | None = None,
    ) -> None:
        self._thread = thread if adapter.has_own_auth else None
        self._account = account
        self._orders = orders
        self._wait = wait
        self._auth = adapter.auth
        self._settings = adapter.complete(account.settings)
        self._kept = renewed
        self._endpoint = TokenEndpoint(account.id, upstream, adapter.manifest.failures)
        self._fixed = {"Content-Type": "application/json", **adapter.manifest.headers}
        self._values = {name: secret.reveal() for name, secret in account.credentials.items()}
        self._recalled = False
        self._token = self._refused = ""
        self._unkept: Mapping[str, str] = {}
        self._renewing: asyncio.Task[Signature] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.renewable = self._auth.renews
        here = self._thread is None and not self.renewable
        self._signature = self._sign(None) if here else None
        self.unsigned = Signature(headers=self._fixed, lines=header_lines(self._fixed))
        self._sign_request = getattr(self._auth, "sign_request", None)
        self._ends = math.inf
        self._manifest = adapter.manifest
        self.searched = searched(secret_values(adapter.manifest, self._values))

    async def signature(self) -> Signature:
        """Return what is valid now. Raises UpstreamFailure when there is no token to be had."""
        if self._signature is None or time.monotonic() >= self._ends:
            if self.renewable:
                return await self._renewed()
            self._signature = await self._signed(None)
        return self._signature

    async def replace(self, refused: Signature) -> Signature:
        """Return another signature for one that the provider refused with a 401."""
        if self._signature is refused:  # else somebody renewed it meanwhile
            self._signature, self._refused = None, self._token
        return await self.signature()

    @property
    def seals(self) -> bool:
        """Whether each request is signed by itself."""
        return self._sign_request is not None

    async def seal(
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
        sign, values = self._sign_request, self._values
        if self._thread is None:
            return sealed(request, sign(request, values))
        return sealed(request, await self._thread.call(lambda: sign(request, values)))

    async def connected(self, code: str, verifier: str, redirect: str) -> Mapping[str, str]:
        """Change an authorization code into credentials. Raises UpstreamFailure."""
        if not isinstance(self._auth, OAuth2):
            raise UpstreamFailure("unauthenticated", "This account has nothing to connect.")
        changed = await self._auth.connect(
            {"code": code, "code_verifier": verifier, "redirect_uri": redirect},
            self._values,
            self._settings,
            self._endpoint,
        )
        redactor.learn([*changed.values()])
        return changed

    async def _signed(self, token: str | None) -> Signature:
        if self._thread is None:
            return self._sign(token)
        return await self._thread.call(lambda: self._sign(token))

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
        """Renew as the only process that does, unless another one has done so by then."""
        async with AsyncExitStack() as stack:
            try:
                lock = self._orders.hold("renewal", self._account.id, wait=self._wait)
                await stack.enter_async_context(lock)
            except StoreAway:
                if may_rotate(self._auth, self._values):
                    raise _unsafe() from None
                return await self._exchange()
            except Busy:
                raise _elsewhere(self._wait) from None
            await self._keep()
            await self._recall()
            if self._signature is not None and time.monotonic() < self._ends:
                return self._signature
            return await self._exchange()

    async def _recall(self) -> None:
        """Read what was kept: once, and each time where other processes renew as well."""
        if self._recalled and not self._orders.shared:
            return
        current = await self._kept.current(self._account.id, self._account.credentials)
        found = {name: secret.reveal() for name, secret in current.items()}
        access = found.pop(ACCESS_TOKEN, None)
        self._values.update(found)
        self._recalled = True
        if access is None or not self._orders.shared:
            return
        kept = msgspec.json.decode(access, type=_Access)
        left = kept.ends - time.time()
        if kept.token in (self._token, self._refused) or left <= 0:
            return
        self._hide(kept.token)
        await self._use(kept.token, left)

    async def _exchange(self) -> Signature:
        """Ask the provider for a token; what that changes is kept before it is used."""
        started = time.monotonic()
        renewal = await self._renewal()
        use = _use_of(renewal)
        # The old one is spent: should anything fail now, the new one must not be lost with it.
        self._values.update(renewal.changed)
        self._unkept = {**self._unkept, **renewal.changed}
        if renewal.token and self._orders.shared:
            access = _Access(token=renewal.token, ends=time.time() + use)
            text = msgspec.json.encode(access).decode()
            self._unkept = {**self._unkept, ACCESS_TOKEN: text}
        self._hide(renewal.token)
        try:
            await self._keep()
        except StoreError:
            if renewal.changed or not self._orders.shared:
                raise
        if not renewal.token:
            raise UpstreamFailure(
                "upstream_malformed",
                "The provider's token service answered without an access_token.",
            )
        return await self._use(renewal.token, use - (time.monotonic() - started))

    async def _use(self, token: str, seconds: float) -> Signature:
        self._token = token
        self._ends = time.monotonic() + seconds
        self._signature = await self._signed(token)
        return self._signature

    async def _renewal(self) -> Renewal:
        auth, values, settings = self._auth, self._values, self._settings
        if self._thread is None:
            return await auth.renew(values, settings, self._endpoint)
        far = _FarEndpoint(self._endpoint, asyncio.get_running_loop())
        try:
            async with asyncio.timeout(_RENEWING):
                return await self._thread.run(lambda: auth.renew(values, settings, far))
        except TimeoutError:
            raise UpstreamFailure(
                "upstream_timeout",
                f"The adapter's scheme had no token after {_RENEWING:g} s.",
                retryable=True,
            ) from None

    def _hide(self, token: str) -> None:
        """Hide what is current for as long as it is; what it replaces is hidden for a while."""
        current = [token, *secret_values(self._manifest, self._values)]
        redactor.pin(tokens_of(self._account.id), current)
        self.searched = searched(current)

    async def _keep(self) -> None:
        if not self._unkept:
            return
        keeping = self._unkept
        try:
            await self._kept.keep(self._account.id, self._account.credentials, keeping)
        except StoreError:
            if self._orders.shared and self._keeping is None:  # or another process uses a spent one
                self._keeping = asyncio.create_task(self._keep_again())
            raise
        if self._unkept is keeping:
            self._unkept = {}

    async def _keep_again(self) -> None:
        try:
            while self._unkept:
                await asyncio.sleep(_AGAIN)
                with suppress(StoreError):
                    await self._keep()
        finally:
            self._keeping = None


def _unsafe() -> Busy:
    return Busy(
        "The account's credentials cannot be renewed safely now, since the gateway's store does "
        "not answer; nothing was sent. Try again shortly."
    )


def _elsewhere(seconds: float) -> Busy:
    return Busy(
        f"The account's credentials have been renewed elsewhere for {seconds:g} s, without an end; "
        "nothing was sent. Try again shortly."
    )


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


class _FarEndpoint:
    """The same for a scheme that runs on a loop of its own."""

    def __init__(self, near: TokenEndpoint, home: asyncio.AbstractEventLoop) -> None:
        self._near = near
        self._home = home

    async def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> UpstreamReply:
        """POST once. Raises UpstreamFailure for everything but a 2xx answer."""
        return await across(
            self._home, lambda: self._near.post(url, form=form, json=json, headers=headers)
        )


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
