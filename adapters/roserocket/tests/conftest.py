"""The sandbox on a real socket, and the adapter speaking to it through the gateway's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

import crossdock_roserocket
from crossdock.adapter import Outcome, Page
from crossdock.testing.direct import DirectTools, KeptRenewals, connections, provider_client
from crossdock_roserocket.sandbox import Switches, accounts, create_app


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


Memory = KeptRenewals


class Tools(DirectTools):
    """The adapter's tools on one account, through the gateway's way of a call."""

    def __init__(
        self,
        url: str,
        upstream: Any,
        *,
        settings: Mapping[str, Any] | None = None,
        credentials: Mapping[str, str] | None = None,
        vault: Any = None,
        objects: tuple[str, ...] | None = None,
    ) -> None:
        (given,) = accounts(url)
        account = {
            "name": given["name"],
            "settings": {**given["settings"], **(settings or {})},
            "credentials": credentials or given["credentials"],
        }
        adapter = next(iter(crossdock_roserocket.crossdock_adapters()))
        opened = connections(upstream, vault, 10.0)
        super().__init__(adapter, account, opened, objects=objects)

    async def answer(  # type: ignore[override]
        self, tool: str, page: Page | None = None, /, **arguments: Any
    ) -> tuple[Any, tuple[str, ...], Page | None, int]:
        """Call a tool; return what an agent gets: the answer, the notes beside it, where a list
        goes on, and the answer's bytes."""
        done, following = await super().answer(tool, page, **arguments)
        assert isinstance(done.data, bytes)
        size = len(done.data) + sum(map(len, done.notes))
        return msgspec.json.decode(done.data), done.notes, following, size

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
async def upstream() -> AsyncIterator[Any]:
    """The gateway's client, allowed to reach this machine, with limits a test can wait for."""
    async with provider_client(1.0) as client:
        yield client


@pytest.fixture
def account(provider: Provider, upstream: Any) -> Callable[..., Tools]:
    """Make tools of an account with other settings or credentials."""
    return lambda **given: Tools(provider.url, upstream, **given)


@pytest.fixture
def tools(account: Callable[..., Tools]) -> Tools:
    """The adapter's tools on the sandbox's account."""
    return account()
