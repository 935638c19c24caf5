"""An opened account: signs, sends once, renews a token, reads refusals.

The one exception to "sent once" is here: a 401 with a renewable credential is renewed once and
the request replayed once, because a 401 was not executed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from yarl import URL

from crossdock.adapter.bodies import decode
from crossdock.adapter.load import Adapter
from crossdock.adapter.manifest import FailuresSpec
from crossdock.adapter.schema import compile_schema
from crossdock.authoring import (
    HumanReply,
    LogLevel,
    Question,
    Renewal,
    UpstreamReply,
    UpstreamRequest,
)
from crossdock.calls.locks import Locks
from crossdock.calls.upstream import Upstream, query_string
from crossdock.errors import (
    BadToolOutput,
    CannotAsk,
    ConfigError,
    InvalidArguments,
    UpstreamFailure,
)
from crossdock.model import Account, Peer, Vault
from crossdock.redaction import redactor

_EARLY = 60.0  # renew this long before a token's end, or at four fifths of a short life
_UNSAID = 300.0
_REMEMBERED = 1000
_UPWARDS = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


class Measured:
    """Counts the requests of one call."""

    __slots__ = ("requests", "seconds", "status", "wrote")

    def __init__(self) -> None:
        self.requests = 0
        self.seconds = 0.0
        self.status: int | None = None
        self.wrote = False


class Connection:
    """One account's line to its provider."""

    def __init__(
        self,
        account: Account,
        adapter: Adapter,
        upstream: Upstream,
        locks: Locks,
        vault: Vault,
        lock_wait: float,
    ) -> None:
        self.account = account
        self.adapter = adapter
        self.generation = adapter.generation
        self.settings: Mapping[str, Any] = {**adapter.defaults(), **account.settings}
        self._upstream = upstream
        self._locks = locks
        self._vault = vault
        self._lock_wait = lock_wait
        self._credentials = {name: s.reveal() for name, s in account.credentials.items()}
        self._base = _base_url(str(self.settings["base_url"]), account.id)
        # The lock belongs to the shop, not to the account's id: two accounts may share a shop.
        shop = [str(self._base), sorted(self._credentials.items())]
        self._shop = hashlib.sha256(msgspec.json.encode(shop)).hexdigest()
        self._fixed = {"Content-Type": "application/json", **adapter.manifest.headers}
        self._signed_headers: dict[str, str] = {}
        self._signed_query: tuple[tuple[str, str], ...] = ()
        self._token: str | None = None
        self._token_ends = 0.0
        self._recalled = False
        self._unkept: Mapping[str, str] = {}
        self._renewing: asyncio.Task[None] | None = None
        self._remembered: dict[str, tuple[float, Any]] = {}
        if not adapter.auth.renews:
            self._sign()

    def _sign(self) -> None:
        headers, query = self.adapter.auth.sign(self._credentials, self.settings, self._token)
        self._signed_headers = {**self._fixed, **dict(headers)}
        self._signed_query = query

    # --- requests ----------------------------------------------------------------------------

    async def send(self, request: UpstreamRequest, measured: Measured) -> UpstreamReply:
        """Send once. Raises UpstreamFailure for everything but a 2xx answer."""
        if not self.adapter.auth.renews:
            return await self._send(request, measured)
        if time.monotonic() >= self._token_ends:
            await self._renewed()
        token, wrote = self._token, measured.wrote
        try:
            return await self._send(request, measured)
        except UpstreamFailure as failure:
            if failure.status != 401:
                raise
        measured.wrote = wrote  # a 401 was not carried out
        if self._token == token:  # nobody renewed it meanwhile
            self._token_ends = 0.0
        await self._renewed()
        return await self._send(request, measured)

    async def _send(self, request: UpstreamRequest, measured: Measured) -> UpstreamReply:
        url = self._url(request)
        headers: Mapping[str, str] = self._signed_headers
        if request.headers:
            headers = {**headers, **dict(request.headers)}
        measured.requests += 1
        if request.verb != "GET":
            measured.wrote = True
        started = time.monotonic()
        try:
            reply = await self._upstream.send(
                request.verb, url, headers, request.body, self.adapter.manifest.failures
            )
        except UpstreamFailure as failure:
            measured.status = failure.status
            raise
        finally:
            measured.seconds += time.monotonic() - started
        measured.status = reply.status
        if reply.body and reply.headers.get("content-type", "").startswith("text/html"):
            raise UpstreamFailure(
                "upstream_malformed",
                "The provider answered an HTML page where JSON belongs. "
                "Check the account's base_url.",
                status=reply.status,
                rate=reply.rate,
            )
        return reply

    def _url(self, request: UpstreamRequest) -> URL:
        if not request.path.startswith("/") or "?" in request.path or "#" in request.path:
            raise ValueError("a request path starts with / and holds no ? or #")
        if _UPWARDS.search(request.path):
            raise ValueError("a request path must not leave the adapter's base_url")
        target = f"{self._base}{request.path}"
        pairs = (*request.query, *self._signed_query)
        if pairs:
            target = f"{target}?{query_string(pairs)}"
        url = URL(target, encoded=True)
        if url.raw_path != f"{self._base.raw_path.rstrip('/')}{request.path}":
            raise ValueError("a request path must not leave the adapter's base_url")
        return url

    # --- tokens ------------------------------------------------------------------------------

    async def _renewed(self) -> None:
        """Wait for the one renewal under way, or start it."""
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
            self._renewing.add_done_callback(self._renewal_done)
        await asyncio.shield(self._renewing)

    def _renewal_done(self, task: asyncio.Task[None]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # everyone who waited has it; asyncio need not report it again

    async def _renew(self) -> None:
        if not self._recalled:
            configured = self.account.credentials
            current = await self._vault.current(self.account.id, configured)
            self._credentials.update({name: s.reveal() for name, s in current.items()})
            self._recalled = True
        await self._keep()
        started = time.monotonic()
        renewal = await self.adapter.auth.renew(self._credentials, self.settings, self)
        redactor.learn([renewal.token, *renewal.changed.values()])
        await self._take(renewal, started)

    async def _keep(self) -> None:
        if self._unkept:
            await self._vault.keep(self.account.id, self.account.credentials, self._unkept)
            self._unkept = {}

    async def _take(self, renewal: Renewal, started: float) -> None:
        # The old one is spent: should the store fail now, the new one must not be lost with it.
        self._credentials.update(renewal.changed)
        self._unkept = {**self._unkept, **renewal.changed}
        await self._keep()
        life = _UNSAID if renewal.expires_in is None else renewal.expires_in
        self._token = renewal.token
        self._token_ends = started + max(life * 0.8, life - _EARLY)
        self._sign()

    async def post(
        self, url: str, *, form: Mapping[str, str] | None = None, json: Any = None
    ) -> UpstreamReply:
        """POST to the token endpoint. Raises UpstreamFailure for everything but a 2xx answer."""
        if form is not None:
            body = query_string(list(form.items())).encode()
            kind = "application/x-www-form-urlencoded"
        else:
            body, kind = msgspec.json.encode(json), "application/json"
        headers = {"Content-Type": kind, "Accept": "application/json"}
        failures = _token_failures(self.adapter.manifest.failures)
        return await self._upstream.send("POST", URL(url), headers, body, failures)

    # --- what a mapper needs besides ---------------------------------------------------------

    @asynccontextmanager
    async def exclusive(self, key: str) -> AsyncIterator[None]:
        """Hold this shop's lock of `key`."""
        async with self._locks.hold("shop", self._shop, key, wait=self._lock_wait):
            yield

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `make` gave less than `ttl` seconds ago; one maker at a time."""
        found = self._fresh(key)
        if found is not None:
            return found[1]
        async with self._locks.hold("remember", self._shop, key, wait=self._lock_wait):
            found = self._fresh(key)
            if found is None:
                found = (time.monotonic() + ttl, await make())
                while len(self._remembered) >= _REMEMBERED:
                    del self._remembered[next(iter(self._remembered))]
                self._remembered[key] = found
            return found[1]

    def _fresh(self, key: str) -> tuple[float, Any] | None:
        found = self._remembered.get(key)
        if found is not None and found[0] > time.monotonic():
            return found
        self._remembered.pop(key, None)
        return None


class Nobody:
    """A client that hears nothing and cannot be asked: of calls that the gateway makes itself."""

    request_id = ""

    def check_headers(self, headers: Any, arguments: Any) -> None:
        """Nobody sends headers."""

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Nobody listens."""

    async def log(self, level: LogLevel, logger: str, data: Any) -> None:
        """Nobody listens."""

    def can_ask(self, method: str) -> bool:
        """Nobody answers."""
        return False

    async def ask(
        self, questions: tuple[Question, ...], *, unasked: bool = False
    ) -> Mapping[str, Any]:
        """Nobody answers. Raises CannotAsk."""
        raise CannotAsk("This call has to ask first, and there is nobody to be asked.", {})

    async def release(self) -> None:
        """Nobody waits."""


class CallContext:
    """The Context of one call. `deadline` ends the mapper, but not while a human is asked.

    `reads` says that the call changes nothing, so answers may come before their question.
    """

    def __init__(
        self,
        connection: Connection,
        measured: Measured,
        client: Peer | None = None,
        *,
        objects: tuple[str, ...] | None = None,
    ) -> None:
        self.objects = objects
        self._connection = connection
        self._client: Peer = client or Nobody()
        self._tells = False
        self.measured = measured
        self.deadline: asyncio.Timeout | None = None
        self.reads = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """The account's settings, defaults included."""
        return self._connection.settings

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send once. Raises UpstreamFailure for everything but a 2xx answer."""
        measured = self.measured
        if measured.requests and not self._tells:
            done = measured.requests
            await self._client.progress(done, None, f"requests made so far: {done}")
        before = measured.seconds
        try:
            return await self._connection.send(request, measured)
        finally:
            told = {
                "request": measured.requests,
                "method": request.verb,
                "status": measured.status,
                "ms": round((measured.seconds - before) * 1000, 1),
            }
            await self._client.log("debug", self._connection.adapter.name, told)

    async def fetch(self, path: str, **query: str) -> Any:
        """GET `path` and decode the JSON answer."""
        request = UpstreamRequest(verb="GET", path=path, query=tuple(query.items()))
        return decode((await self.send(request)).body)

    def exclusive(self, key: str) -> Any:
        """Serialise a read-modify-write on this shop."""
        return self._connection.exclusive(key)

    async def remember(self, key: str, ttl: float, make: Callable[[], Awaitable[Any]]) -> Any:
        """Keep ids and names of this account for `ttl` seconds."""
        return await self._connection.remember(key, ttl, make)

    async def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Tell the client how far the call is."""
        self._tells = True
        await self._client.progress(done, total, redactor.clean(message))

    async def log(self, level: LogLevel, data: Any) -> None:
        """Send the client a log message, if it wants that level."""
        try:
            text = redactor.clean(msgspec.json.encode(data).decode())
        except (TypeError, ValueError, RecursionError) as error:
            raise BadToolOutput(f"The adapter's mapper logs what is not JSON: {error}") from None
        await self._client.log(level, self._connection.adapter.name, msgspec.Raw(text.encode()))

    def can_ask(self, method: str = "elicitation/create") -> bool:
        """Whether the client can be asked this way."""
        return self._client.can_ask(method)

    async def ask(self, key: str, message: str, schema: Mapping[str, Any]) -> HumanReply:
        """Ask the human for a flat object of this JSON Schema."""
        fits = compile_schema(dict(schema), f"{self._connection.adapter.name}: {key}")
        params = {"message": message, "requestedSchema": schema}
        question = Question(key=key, method="elicitation/create", params=params)
        answer = (await self.ask_all(question))[key]
        if answer["action"] != "accept":
            return HumanReply(action=answer["action"])
        content = answer.get("content", {})
        try:
            fits(content)
        except InvalidArguments as error:
            raise InvalidArguments(key, f"the human's answer does not fit: {error}") from None
        return HumanReply(action="accept", content=content)

    async def ask_all(self, *questions: Question) -> Mapping[str, Any]:
        """Ask several things at once; return the client's results by key."""
        if self.measured.wrote:  # the mapper runs again with the answers, and would write again
            raise BadToolOutput("The adapter's mapper asks after it wrote; it must ask before.")
        deadline = self.deadline
        ends = None if deadline is None else deadline.when()
        if deadline is None or ends is None:
            return await self._client.ask(questions, unasked=self.reads)
        loop = asyncio.get_running_loop()
        left = ends - loop.time()
        deadline.reschedule(None)
        try:
            return await self._client.ask(questions, unasked=self.reads)
        finally:
            deadline.reschedule(loop.time() + left)

    async def release(self) -> None:
        """Let a client that can come back for its answer hang up."""
        await self._client.release()


def _base_url(text: str, account: str) -> URL:
    try:
        url = URL(text.rstrip("/"))
    except ValueError:
        url = URL()
    if url.scheme not in ("https", "http") or not url.host or url.query_string or url.fragment:
        raise ConfigError(
            f"account {account}: settings.base_url must be an https URL without query, "
            'as "https://api.example.com/v2"'
        )
    if url.user or url.password:
        raise ConfigError(f"account {account}: settings.base_url must not hold a password")
    return url


def _token_failures(spec: FailuresSpec) -> FailuresSpec:
    """OAuth says why in words of its own (RFC 6749, 5.2), whatever the provider's API does."""
    own = [spec.message] if isinstance(spec.message, str) else spec.message
    return msgspec.structs.replace(spec, message=["/error_description", "/error", *own])
