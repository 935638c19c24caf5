"""The sandbox on a real socket, and the adapter speaking to it through the gateway's own client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from yarl import URL

import crossdock_malomo
from crossdock.adapter import Outcome
from crossdock.testing.direct import DirectTools, provider_client
from crossdock.testing.direct import connections as opened_by
from crossdock_malomo.sandbox import accounts
from crossdock_malomo.sandbox.routes import build
from crossdock_malomo.sandbox.seed import seeded
from crossdock_malomo.sandbox.shop import Shop
from crossdock_malomo.sandbox.switches import Switches

NOW = datetime(2026, 11, 19, 15, 30, tzinfo=UTC)  # a Thursday


class Provider:
    """A running sandbox, with a door for strangers' HTTP and one into its memory."""

    def __init__(self, shop: Shop, url: str, http: ClientSession) -> None:
        self.shop = shop
        self.url = url
        self._http = http

    async def switch(self, **switches: Any) -> None:
        """Change switches, as any test of any part would."""
        async with self._http.post(f"{self.url}/_sandbox/switches", json=switches) as reply:
            assert reply.status == 200, await reply.text()

    async def requests(self, method: str = "") -> list[dict[str, Any]]:
        """Return what was received."""
        async with self._http.get(f"{self.url}/_sandbox/requests") as reply:
            received: list[dict[str, Any]] = await reply.json()
        return [one for one in received if method in ("", one["method"])]

    async def written(self) -> list[Any]:
        """Return the bodies of all PUTs."""
        return [msgspec.json.decode(one["body"]) for one in await self.requests("PUT")]

    def state(self) -> bytes:
        """Return everything that is truly stored."""
        shop = self.shop
        return msgspec.json.encode([shop.orders, shop.customers, shop.webhooks, shop.events])

    def pairs(self, order_id: str = "89123") -> set[tuple[str, str]]:
        """Return what is truly stored, past every fault."""
        shipments = self.shop.orders[order_id]["shipments"]
        return {(one["carrier"], one["tracking_code"]) for one in shipments}

    async def http(
        self, method: str, path: str, key: str | None = "sk_sandbox", **kw: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Speak to the sandbox directly: status, decoded body, headers."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **kw.pop("headers", {})}
        url = URL(path if path.startswith("http") else f"{self.url}{path}", encoded=True)
        async with self._http.request(method, url, headers=headers, **kw) as reply:
            body = await reply.read()
            return reply.status, msgspec.json.decode(body) if body else None, dict(reply.headers)


class Tools(DirectTools):
    """The adapter's tools on one account, through the gateway's way of a call."""

    def __init__(
        self,
        base_url: str,
        upstream: Any,
        *,
        key: str = "",
        connections: Any = None,
        lock_wait: float = 30.0,
    ) -> None:
        (given,) = accounts(base_url)
        credentials = {**given["credentials"], **({"api_key": key} if key else {})}
        opened = connections or opened_by(upstream, lock_wait=lock_wait)
        adapter = next(iter(crossdock_malomo.crossdock_adapters()))
        super().__init__(adapter, {**given, "credentials": credentials}, opened)

    async def answer(self, name: str, /, **arguments: Any) -> Outcome:  # type: ignore[override]
        """Call a tool and return its answer as it is sent: `data` is JSON within the budget."""
        done, _ = await super().answer(name, **arguments)
        return done


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """A sandbox at a fixed moment."""
    shop = seeded(NOW)
    at_once = Switches(lag_seconds=0.0)  # tests of the lag set their own
    async with TestServer(build(shop, at_once)) as server, ClientSession() as http:
        yield Provider(shop, str(server.make_url("")).rstrip("/"), http)


@pytest.fixture
async def upstream() -> AsyncIterator[Any]:
    """The gateway's client, allowed to reach this machine, with limits that a test can wait for."""
    async with provider_client(3.0) as client:
        yield client


@pytest.fixture
def tools(provider: Provider, upstream: Any) -> Tools:
    """The adapter's tools on the sandbox's account."""
    return Tools(provider.url, upstream)
