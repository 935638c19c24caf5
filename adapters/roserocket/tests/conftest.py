"""The sandbox on a real socket, and the adapter speaking to it through the gateway's own client."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

import crossdock_roserocket
from crossdock.adapter import Outcome
from crossdock.adapter.arguments import split
from crossdock.authoring import Call, Page
from crossdock.calls.answers import finished, resumed
from crossdock.calls.connection import Connections, Measured
from crossdock.calls.context import CallContext
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.model import Account, Renewed, Secret
from crossdock_roserocket.sandbox import Switches, accounts, create_app

TOKENS = 6000  # of an answer, as [limits] answer_tokens has it


class Provider:
    """A running sandbox and its control routes."""

    def __init__(self, url: str, http: ClientSession) -> None:
        self.url = url
        self.http = http

    async def switch(self, **switches: Any) -> None:
        """Turn switches."""
        async with self.http.post(f"{self.url}/_sandbox/switches", json=switches) as reply:
            assert reply.status == 200, await reply.text()

    async def requests(self, start: str = "") -> list[dict[str, Any]]:
        """Return what was received by the API, by the start of `VERB path`."""
        async with self.http.get(f"{self.url}/_sandbox/requests") as reply:
            received: list[dict[str, Any]] = await reply.json()
        prefix = "/api/v2/platformModel"
        return [
            {**one, "path": one["path_qs"].removeprefix(prefix)}
            for one in received
            if one["path_qs"].startswith(prefix)
            and f"{one['method']} {one['path_qs'].removeprefix(prefix)}".startswith(start)
        ]

    async def bodies(self, start: str) -> list[Any]:
        """Return the decoded bodies of those requests."""
        return [msgspec.json.decode(one["body"]) for one in await self.requests(start)]

    async def forget(self) -> None:
        """Forget what was received."""
        await self.http.delete(f"{self.url}/_sandbox/requests")

    async def tokens(self) -> dict[str, Any]:
        """Return the token endpoint's counters."""
        async with self.http.get(f"{self.url}/_sandbox/tokens") as reply:
            counts: dict[str, Any] = await reply.json()
        return counts

    async def expire_tokens(self) -> None:
        """End every access token."""
        await self.http.post(f"{self.url}/_sandbox/expire_tokens")


class Memory:
    """A vault that keeps renewed credentials for as long as the test."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def current(
        self, account_id: str, configured: Mapping[str, Secret]
    ) -> Mapping[str, Secret]:
        """Return the configured credentials with the renewed ones in their place."""
        return {**configured, **{name: Secret(value) for name, value in self.kept.items()}}

    async def keep(
        self, account_id: str, configured: Mapping[str, Secret], changed: Mapping[str, str]
    ) -> None:
        """Keep renewed values."""
        self.kept.update(changed)


class Silent:
    """A client that listens to nothing. These mappers ask nobody, so that part is left out."""

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Drop it."""

    async def log(self, level: str, logger: str, data: Any) -> None:
        """Drop it."""


class Tools:
    """The adapter's tools on one account, through the gateway's way of a call."""

    def __init__(
        self,
        url: str,
        upstream: Upstream,
        *,
        settings: Mapping[str, Any] | None = None,
        credentials: Mapping[str, str] | None = None,
        vault: Renewed | None = None,
        objects: tuple[str, ...] | None = None,
    ) -> None:
        self.objects = objects
        self.adapter = next(iter(crossdock_roserocket.crossdock_adapters()))
        (given,) = accounts(url)
        self.account = Account(
            id="sandbox",
            integration="roserocket",
            name=given["name"],
            settings={**given["settings"], **(settings or {})},
            credentials={
                name: Secret(value) for name, value in (credentials or given["credentials"]).items()
            },
        )
        connections = Connections(upstream, vault or Memory(), 10.0)
        self.connection = connections.of(self.account, self.adapter)
        self.bindings = self.adapter.toolset(self.connection.settings).bindings

    async def call(self, tool: str, page: Page | None = None, /, **arguments: Any) -> Outcome:
        """Call a tool as an agent would; `page` goes on where another answer ended."""
        _, outcome = await self._run(tool, page, arguments)
        return outcome

    async def answer(
        self, tool: str, page: Page | None = None, /, **arguments: Any
    ) -> tuple[Any, tuple[str, ...], Page | None, int]:
        """Call a tool; return what an agent gets: the answer, the notes beside it, where a list
        goes on, and the answer's bytes."""
        following: list[Page] = []

        def sealed(page: Page) -> str:
            following.append(page)
            return "c" * 120

        call, outcome = await self._run(tool, page, arguments)
        done = finished(call, outcome, TOKENS, sealed)
        assert isinstance(done.data, bytes)
        size = len(done.data) + sum(map(len, done.notes))
        return msgspec.json.decode(done.data), done.notes, next(iter(following), None), size

    async def _run(
        self, tool: str, page: Page | None, arguments: dict[str, Any]
    ) -> tuple[Call, Outcome]:
        binding = self.bindings[tool]
        if page is not None:
            arguments["next_cursor"] = "sealed"
        raw = msgspec.Raw(msgspec.json.encode(arguments))
        call = split(binding, raw, lambda cursor, filters: page or Page())
        client: Any = Silent()
        context = CallContext(self.connection, Measured(), client, objects=self.objects)
        return call, await binding.mapper(resumed(call), context)

    @staticmethod
    def plain(outcome: Outcome) -> Any:
        """Return an outcome's data as plain values."""
        if isinstance(outcome.data, list):
            return [msgspec.json.decode(record) for record in outcome.data]
        return None if outcome.data is None else msgspec.json.decode(outcome.data)

    async def found(self, tool: str, /, **arguments: Any) -> Any:
        """Call a tool and return its data as plain values."""
        return self.plain(await self.call(tool, **arguments))

    async def everything(self, tool: str, limit: int, /, **arguments: Any) -> list[Any]:
        """Walk a list to its end."""
        records: list[Any] = []
        page = None
        for _ in range(300):
            outcome = await self.call(tool, page, limit=limit, **arguments)
            assert len(outcome.data) <= limit
            records += self.plain(outcome)
            page = outcome.next_page
            if page is None:
                return records
        raise AssertionError("the list has no end")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A sandbox where everything shows at once; tests turn the lags on."""
    switches = Switches(search_lag=0, event_lag=0)
    async with TestServer(create_app(switches)) as server, ClientSession() as http:
        yield Provider(str(server.make_url("")).rstrip("/"), http)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """The gateway's client, allowed to reach this machine, with limits a test can wait for."""
    limits = UpstreamLimits(total_seconds=1.0, answer_bytes=1024 * 1024)
    client = Upstream(limits, [ipaddress.ip_network("127.0.0.0/8")])
    yield client
    await client.close()


@pytest.fixture
def account(provider: Provider, upstream: Upstream) -> Callable[..., Tools]:
    """Make tools of an account with other settings or credentials."""
    return lambda **given: Tools(provider.url, upstream, **given)


@pytest.fixture
def tools(account: Callable[..., Tools]) -> Tools:
    """The adapter's tools on the sandbox's account."""
    return account()
