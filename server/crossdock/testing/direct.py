"""An adapter's tools without a gateway: what its mappers give, on an account of one's own."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from crossdock.adapter import Adapter, Call, Outcome, Page
from crossdock.adapter.arguments import split
from crossdock.calls.adapter_threads import AdapterThreads
from crossdock.calls.answers import finished, resumed
from crossdock.calls.connection import Connections, Measured
from crossdock.calls.context import CallContext
from crossdock.calls.sizes import tokens_of
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.model import Account, Renewed, Secret
from crossdock.observe.watchdog import Watchdog

ANSWER_TOKENS = 6000
"""Of an answer, as `[limits] answer_tokens` has it."""


@asynccontextmanager
async def provider_client(seconds: float, most_bytes: int = 1024 * 1024) -> AsyncIterator[Upstream]:
    """The gateway's own client, allowed to reach this machine, with limits a test can wait for."""
    limits = UpstreamLimits(total_seconds=seconds, answer_bytes=most_bytes)
    client = Upstream(limits, [ipaddress.ip_network("127.0.0.0/8")])
    try:
        yield client
    finally:
        await client.close()


class KeptRenewals:
    """Renewed credentials, kept for as long as the test."""

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


class _Silent:
    """A client that listens to nothing, and can be asked nothing."""

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Drop it."""

    async def log(self, level: str, logger: str, data: Any) -> None:
        """Drop it."""


def connections(
    upstream: Upstream, renewed: Renewed | None = None, lock_wait: float = 30.0
) -> Connections:
    """Return what accounts are opened by; those that share it share its locks."""
    threads = AdapterThreads(64, lambda who, _: Watchdog(who, lambda *_: None))
    return Connections(upstream, renewed or KeptRenewals(), lock_wait, threads=threads)


class DirectTools:
    """The tools of one account, called in the test's own loop; failures are raised as they are.

    `given` is an account as a sandbox's `accounts` has it.
    """

    def __init__(
        self,
        adapter: Adapter,
        given: Mapping[str, Any],
        opened: Connections,
        *,
        objects: tuple[str, ...] | None = None,
    ) -> None:
        self.adapter = adapter
        self.connections = opened
        self.objects = objects
        self.account = Account(
            id="sandbox",
            integration=adapter.name,
            name=given["name"],
            settings=given["settings"],
            credentials={name: Secret(value) for name, value in given["credentials"].items()},
        )
        self.connection = opened.of(self.account, adapter)
        self.bindings = adapter.toolset(self.connection.settings).bindings

    async def call(self, tool: str, page: Page | None = None, /, **arguments: Any) -> Outcome:
        """Call a tool; `page` goes on where another outcome ended."""
        _, outcome = await self.run(tool, page, arguments)
        return outcome

    async def answer(
        self, tool: str, page: Page | None = None, /, **arguments: Any
    ) -> tuple[Outcome, Page | None]:
        """Call a tool; return its answer as it is sent (`data` is JSON within the budget), and
        where it goes on."""
        following: list[Page] = []

        def sealed(page: Page) -> str:
            following.append(page)
            return "c" * 120

        call, outcome = await self.run(tool, page, arguments)
        return finished(call, outcome, ANSWER_TOKENS, sealed), next(iter(following), None)

    async def run(
        self, tool: str, page: Page | None, arguments: Mapping[str, Any]
    ) -> tuple[Call, Outcome]:
        """Call a tool; return the call as the mapper had it, and what it gave."""
        binding = self.bindings[tool]
        given = {**arguments, **({} if page is None else {"next_cursor": "sealed"})}
        raw = msgspec.Raw(msgspec.json.encode(given))
        call = split(binding, raw, lambda cursor, filters: page or Page())
        client: Any = _Silent()
        context = CallContext(self.connection, Measured(), client, objects=self.objects)
        return call, await binding.mapper(resumed(call), context)

    def tokens(self) -> dict[str, int]:
        """Return what each tool costs a model."""
        return {name: tokens_of(binding.tool) for name, binding in self.bindings.items()}
