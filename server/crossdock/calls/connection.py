"""An opened account's line to its provider: its base URL, a signature, and one request at a time.

The one exception to "sent once" is here: a 401 with a renewable credential is renewed once and
the request replayed once, because a 401 was not executed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from yarl import URL

from crossdock.adapter.load import Adapter
from crossdock.authoring import Outcome, UpstreamReply, UpstreamRequest
from crossdock.calls.credentials import Credentials, Signature
from crossdock.calls.echoes import without
from crossdock.calls.http_reader import Read
from crossdock.calls.locks import ALONE, Locks
from crossdock.calls.sent import answered, sent_request
from crossdock.calls.targets import Origin, header_lines, joined, origin_of, query_string
from crossdock.calls.tenant import Tenant
from crossdock.calls.upstream import Ready, Upstream
from crossdock.errors import Busy, ConfigError, UpstreamFailure
from crossdock.model import Account, OrderLocks, Renewed, Struct, watcher

if TYPE_CHECKING:
    from crossdock.calls.adapter_threads import AdapterThreads

_UPWARDS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


class _Host(Struct, frozen=True, kw_only=True):
    """Where requests to one host go: `root` is its URL without a path."""

    origin: Origin
    root: str
    path: str


class Measured:
    """Counts the requests of one call, from its start.

    `wrote` says that a write was sent, `accepted` that the provider said yes to one. `read` is told
    of every part of a large answer before it is kept, and may refuse it. `watcher` is told of every
    request, if somebody wants to see them.
    """

    __slots__ = (
        "accepted",
        "read",
        "requests",
        "seconds",
        "started",
        "status",
        "watcher",
        "wrote",
    )

    def __init__(self, read: Read | None = None) -> None:
        self.read = read
        self.watcher = watcher.get()
        self.started = time.monotonic()
        self.requests = 0
        self.seconds = 0.0
        self.status: int | None = None
        self.wrote = False
        self.accepted = False


class Connections:
    """Opens accounts. Each stays open until it is changed, or its adapter's pages are."""

    def __init__(
        self,
        upstream: Upstream,
        renewed: Renewed,
        lock_wait: float,
        orders: OrderLocks = ALONE,
        *,
        threads: AdapterThreads,
    ) -> None:
        self._threads = threads
        self._upstream = upstream
        self._renewed = renewed
        self._orders = orders
        self._lock_wait = lock_wait
        self._locks = Locks()
        self._open: dict[str, Connection] = {}

    def of(self, account: Account, adapter: Adapter) -> Connection:
        """Return the account's connection. Raises ConfigError when its base_url is none."""
        found = self._open.get(account.id)
        if found is None or found.account is not account or found.generation != adapter.generation:
            found = self._opened(account, adapter)
            self._open[account.id] = found
        return found

    def _opened(self, account: Account, adapter: Adapter) -> Connection:
        settings = adapter.complete(account.settings)
        bases = {
            host: _base_url(str(settings[f"{host or 'base'}_url"]), account.id, host or "base")
            for host in ("", *adapter.manifest.hosts)
        }
        secrets = {name: secret.reveal() for name, secret in account.credentials.items()}
        return Connection(
            account,
            adapter,
            bases=bases,
            upstream=self._upstream,
            credentials=Credentials(
                account,
                adapter,
                self._upstream,
                self._renewed,
                orders=self._orders,
                wait=self._lock_wait,
                thread=self._threads.of(adapter),
            ),
            tenant=Tenant(str(bases[""]), secrets, self._locks, self._orders, wait=self._lock_wait),
        )


class Connection:
    """One account's line to its provider."""

    def __init__(
        self,
        account: Account,
        adapter: Adapter,
        *,
        bases: Mapping[str, URL],
        upstream: Upstream,
        credentials: Credentials,
        tenant: Tenant,
    ) -> None:
        self.account = account
        self.adapter = adapter
        self.generation = adapter.generation
        self.settings = adapter.complete(account.settings)
        self.tenant = tenant
        self._hosts = {name: _reached(url) for name, url in bases.items()}
        self._unsigned = {name for name, host in adapter.manifest.hosts.items() if not host.sign}
        self._upstream = upstream
        self._credentials = credentials
        self._failures = adapter.manifest.failures

    async def connected(self, code: str, verifier: str, redirect: str) -> Mapping[str, str]:
        """Change an authorization code into credentials. Raises UpstreamFailure."""
        return await self._credentials.connected(code, verifier, redirect)

    def hiding(self, outcome: Outcome) -> Outcome:
        """Return a finished outcome without this account's credentials."""
        return without(outcome, self._credentials.searched)

    async def send(
        self, request: UpstreamRequest, measured: Measured, announce: Ready | None = None
    ) -> UpstreamReply:
        """Send once. Raises UpstreamFailure for everything but a 2xx answer.

        `announce` is called right before a write leaves; what it raises keeps it here.
        """
        if request.host not in self._hosts:
            raise ValueError(f"the host {request.host!r} is not declared in [hosts]")
        if request.host in self._unsigned:
            return await self._send(request, self._credentials.unsigned, measured, announce)
        wrote = measured.wrote
        try:
            signature = await self._credentials.signature()
        except UpstreamFailure as failure:
            raise _unsigned(failure, wrote) from None
        try:
            return await self._send(request, signature, measured, announce)
        except UpstreamFailure as failure:
            if failure.status != 401 or not self._credentials.renewable:
                raise
        measured.wrote = wrote  # a 401 was not carried out
        try:
            signature = await self._credentials.replace(signature)
        except UpstreamFailure as failure:
            raise _unsigned(failure, wrote) from None
        return await self._send(request, signature, measured, announce)

    async def _send(
        self,
        request: UpstreamRequest,
        signature: Signature,
        measured: Measured,
        announce: Ready | None,
    ) -> UpstreamReply:
        host = self._hosts[request.host]
        target, lines = self._target(request, signature, host), signature.lines
        if self._credentials.seals and request.host not in self._unsigned:
            given = joined(signature.headers, request.headers)
            url, told = await self._credentials.seal(
                request.verb, f"{host.root}{target}", given, request.body
            )
            target, lines = url.removeprefix(host.root), header_lines(told)
        elif request.headers:
            lines = header_lines(signature.headers, request.headers)
        measured.requests += 1
        writes, wrote = request.verb != "GET" and not request.reads, measured.wrote
        measured.wrote |= writes
        started, reply = time.monotonic(), None
        try:
            reply = await self._upstream.send(
                request.verb,
                host.origin,
                target,
                lines,
                request.body,
                self._failures,
                account=self.account.id,
                read=measured.read,
                ready=announce if writes else None,
            )
        except Busy:
            measured.wrote = wrote
            raise
        except UpstreamFailure as failure:
            measured.status = failure.status
            raise
        finally:
            measured.seconds += time.monotonic() - started
            if measured.watcher is not None:
                status = measured.status if reply is None else reply.status
                body = b"" if reply is None else reply.body
                declared = self.adapter.manifest.headers
                sent = sent_request(request, f"{host.root}{target}", lines, declared)
                measured.watcher.append(answered(sent, status, time.monotonic() - started, body))
        measured.status = reply.status
        if reply.body and reply.headers.get("content-type", "").startswith("text/html"):
            raise UpstreamFailure(
                "upstream_malformed",
                "The provider answered an HTML page where JSON belongs. "
                "Check the account's base_url.",
                status=reply.status,
                rate=reply.rate,
            )
        measured.accepted |= writes
        return reply

    def _target(self, request: UpstreamRequest, signature: Signature, host: _Host) -> str:
        path = request.path
        if not path.startswith("/") or "?" in path or "#" in path:
            raise ValueError("a request path starts with / and holds no ? or #")
        if _UPWARDS.search(path):
            raise ValueError("a request path must not leave the adapter's base_url")
        pairs = (*request.query, *signature.query)
        query = f"?{query_string(pairs)}" if pairs else ""
        return f"{'' if request.rooted else host.path}{path}{query}"


def _reached(url: URL) -> _Host:
    origin = origin_of(url)
    root = f"{url.scheme}://{origin.authority.decode()}"
    return _Host(origin=origin, root=root, path=url.raw_path.rstrip("/"))


def _base_url(text: str, account: str, host: str = "base") -> URL:
    try:
        url = URL(text.rstrip("/"))
        origin_of(url)
    except ValueError:
        url = URL()
    if url.scheme not in ("https", "http") or not url.host or url.query_string or url.fragment:
        raise ConfigError(
            f"account {account}: settings.{host}_url must be an https URL without query, "
            'as "https://api.example.com/v2"'
        )
    if url.user or url.password:
        raise ConfigError(f"account {account}: settings.{host}_url must not hold a password")
    return url


def _unsigned(failure: UpstreamFailure, wrote: bool) -> UpstreamFailure:
    """Return why there is no token, as this call's own: others may have waited for the same one.

    The request itself is still here; only an earlier write of the call may be in doubt.
    """
    return UpstreamFailure(
        failure.kind,
        str(failure),
        status=failure.status,
        rate=failure.rate,
        retryable=failure.retryable,
        sent=wrote,
    )
