"""A real gateway on a real socket, from a temporary folder that looks like an operator's."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientSession, ClientTimeout
from harness.speaking import Response, Speaker

from crossdock.access.tokens import mint
from crossdock.config import Settings, check_settings
from crossdock.gateway import Gateway
from crossdock.web.runner import WebRunner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.canaries import Canaries
    from harness.provider import Provider


class Clock:
    """A clock that goes only when told to."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


class Server(Speaker):
    """An MCP server that was created through the admin API."""

    def __init__(self, created: dict[str, Any], *speaking: Any) -> None:
        super().__init__(*speaking)
        self.created = created
        self.id: str = created["id"]
        self.token: str = created["token"]

    def at(self, running: Running) -> Server:
        """Return the same server, spoken to at another gateway of the same store."""
        path = urlsplit(self.url).path
        return Server(self.created, running.http, running.url + path, self._canaries, self._headers)


class Running:
    """An open gateway that listens, with an owner's API token."""

    def __init__(
        self,
        gateway: Gateway,
        url: str,
        folder: Path,
        http: ClientSession,
        canaries: Canaries,
        stack: AsyncExitStack,
        listener: WebRunner,
    ) -> None:
        self.gateway = gateway
        self.listener = listener
        self.url = url
        self.folder = folder
        self.http = http
        self.canaries = canaries
        self._stack = stack
        self.admin_token = mint("api")
        canaries.issue(self.admin_token, "the admin token")
        gateway.accept_admin(self.admin_token)

    async def stop(self) -> None:
        """Close the gateway, so that another can be opened on its folder."""
        await self._stack.aclose()

    async def request(
        self,
        verb: str,
        path: str,
        value: Any = None,
        *,
        body: bytes | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Speak to the admin API, as the owner unless `token` says otherwise (None: nobody)."""
        sent = dict(headers or {})
        bearer = self.admin_token if token == "" else token
        if bearer is not None:
            sent["Authorization"] = f"Bearer {bearer}"
        if value is not None:
            body = msgspec.json.encode(value)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(
            verb, self.url + path, data=body, headers=sent, allow_redirects=False
        ) as reply:
            response = Response(reply.status, reply.headers.copy(), await reply.read())
        # the two answers that show a token
        if response.status != 201 and not path.endswith("/rotate"):
            self.canaries.saw(response.body, str(response.headers))
        return response

    async def server(
        self,
        account: str = "shop",
        *,
        name: str = "Agent",
        expires_at: datetime | None = None,
        headers: Mapping[str, str] | None = None,
        **config: Any,
    ) -> Server:
        """Create an MCP server through the admin API."""
        body = {"name": name, "config": config, "expires_at": expires_at}
        response = await self.request("POST", f"/integrated-account/{account}/mcp", body)
        assert response.status == 201, response.body
        created = response.json
        self.canaries.issue(created["token"], f"the token of {created['id']}")
        return Server(created, self.http, created["url"], self.canaries, headers)

    async def api_token(self, role: str = "client") -> str:
        """Make an API token, good as a second factor."""
        made = await self.request("POST", "/api-token", {"name": role, "role": role})
        token: str = made.json["token"]
        self.canaries.issue(token, f"the token of a {role}")
        return token

    def speaker(self, path: str, headers: Mapping[str, str] | None = None) -> Speaker:
        """Speak MCP to any path of this gateway."""
        return Speaker(self.http, self.url + path, self.canaries, headers)


class Shared(NamedTuple):
    """One gateway with the account `shop` on a scripted provider, through the test adapter."""

    running: Running
    provider: Provider
    server: Server


MakeGateway = Callable[..., Awaitable[Running]]
"""What the fixture `gateway` gives."""

SMALL = {"upstream_answer_bytes": 256 * 1024, "shutdown_seconds": 1.0}
"""Limits that a test can reach; they end nothing sooner that only a busy machine makes slow."""

SHORT = {
    **SMALL,
    "upstream_connect_seconds": 0.5,
    "upstream_idle_seconds": 0.3,
    "upstream_total_seconds": 0.6,
    "read_seconds": 1.0,
    "write_seconds": 1.0,
    "lock_wait_seconds": 0.3,
}
"""The same, with deadlines that a test can wait for: where the provider is to be too slow."""


async def start(
    stack: AsyncExitStack,
    folder: Path,
    empty_store: Path,
    canaries: Canaries,
    *,
    adapters: Iterable[str] = ("malomo",),
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    clock: Clock | None = None,
    linger: float = 0.0,
) -> Running:
    """Open a gateway and listen on a free port of this machine, until the stack unwinds."""
    (folder / "state").mkdir(parents=True, mode=0o700, exist_ok=True)
    if not (folder / "state" / empty_store.name).exists():
        shutil.copy(empty_store, folder / "state")
    configured = settings_of(folder, canaries, adapters, accounts or {}, settings or {})
    given: dict[str, Any] = {} if clock is None else {"clock": clock}
    own = await stack.enter_async_context(AsyncExitStack())
    gateway = await Gateway.open(configured, serving=True, **given)
    listener = WebRunner(gateway, linger=linger)
    own.callback(canaries.read_folder, folder)
    own.push_async_callback(listener.close)
    url = await listener.start("127.0.0.1", 0)
    http = await own.enter_async_context(ClientSession(timeout=ClientTimeout(total=20)))
    return Running(gateway, url, folder, http, canaries, own, listener)


def settings_of(
    folder: Path,
    canaries: Canaries,
    adapters: Iterable[str],
    accounts: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Mapping[str, Any]],
) -> Settings:
    """Return the settings that a config.toml in `folder` would give; secrets lie in files."""
    raw: dict[str, Any] = {section: dict(table) for section, table in settings.items()}
    raw["plugins"] = {"only": [*adapters], **raw.get("plugins", {})}
    raw["upstream"] = {"allow_private": ["127.0.0.1/32"], **raw.get("upstream", {})}
    raw["accounts"] = {}
    for account, given in accounts.items():
        references = dict(given.get("references", {}))
        for field, secret in given.get("credentials", {}).items():
            path = folder / "secrets" / f"{account}.{field}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(secret, encoding="utf-8")
            references.setdefault(field, f"file:secrets/{path.name}")
            canaries.issue(secret, f"{field} of {account}")
        kept = {key: value for key, value in given.items() if key != "references"}
        raw["accounts"][account] = {**kept, "credentials": references}
    made = msgspec.structs.replace(msgspec.convert(raw, Settings), folder=folder)
    check_settings(made, "settings")
    return made
