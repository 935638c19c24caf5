"""Several nodes as an operator has them: PostgreSQL, Redis, `crossdock serve` n times, nginx.

    cluster = Cluster(folder, nodes=2)      # settings={"limits": {…}}, workers=2, adapters=[…]
    cluster.start()
    a, b = cluster.nodes                    # addressed directly: a.url, b.url
    cluster.front.url                       # nginx: each request goes to the next node
    a.kill(); a.start(); b.freeze(); b.thaw(); cluster.redis.kill(); cluster.postgres.start()
    a.cut("store"); a.mend("store")         # the network between a node and an engine
    async with cluster.visit(canaries) as visitor:
        await visitor.account("shop", "malomo", shop_url, api_key=…)
        server = await visitor.server("shop")       # a Speaker at nginx; .at(a) speaks to node a

Everything listens on this machine, on free ports. `tests/e2e/conftest.py` has fixtures.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from harness.engines import Postgres, Redis
from harness.parts import Part
from harness.patience import until
from harness.ports import free_port
from harness.proxied import Front
from harness.relay import Relay
from harness.running import Server
from harness.speaking import Response

from crossdock.access.tokens import mint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from harness.canaries import Canaries

READY = "gateway.started"
_TEMPLATE = "crossdock_template"


class Node(Part):
    """`crossdock serve` with a configuration of its own. `lines` is its log."""

    def __init__(self, name: str, folder: Path, settings: dict[str, Any], workers: int) -> None:
        self.port = settings["server"]["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.workers = workers
        self.config = folder / "config.toml"
        self.relays: dict[str, Relay] = {}
        super().__init__(
            name,
            [sys.executable, "-m", "crossdock", "serve", "--config", str(self.config)],
            ready=READY,
            folder=folder,
        )
        self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write config.toml; it counts from the next start on."""
        self.settings = settings
        self.config.write_text(_toml(settings), encoding="utf-8")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines of one event."""
        return [line for line in self.lines if line["event"] == event]

    def cut(self, what: str) -> None:
        """Cut it off from the `store` or the `bus`: nothing passes, no connection is closed."""
        self.relays[what].hold()

    def mend(self, what: str) -> None:
        """Let it reach that again; what was open before is closed."""
        self.relays[what].release()


class Cluster:
    """The engines, the nodes and nginx. `start`, and `stop` in the end.

    `postgres` and `redis` may be given, running, to be shared; they are not stopped then.
    `settings` are sections of config.toml, for all nodes alike; `each` are those of single nodes,
    by number. Accounts come by the admin API (`Visitor.account`) or with `settings["accounts"]`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 2,
        workers: int = 1,
        adapters: Sequence[str] = ("malomo",),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        each: Mapping[int, Mapping[str, Mapping[str, Any]]] | None = None,
        postgres: Postgres | None = None,
        redis: Redis | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.admin_token = mint("api")
        self.postgres = postgres or self._own(Postgres())
        self.redis = redis or self._own(Redis())
        self.database = f"c{os.urandom(6).hex()}"
        (folder / "secrets").mkdir(parents=True, exist_ok=True)
        (folder / "secrets" / "admin").write_text(self.admin_token, encoding="utf-8")
        common = {"plugins": {"only": [*adapters]}, **(settings or {})}
        self.nodes = [
            self._node(number, workers, _merged(common, (each or {}).get(number, {})))
            for number in range(nodes)
        ]
        (folder / "nginx").mkdir(exist_ok=True)
        self.front = Front(folder / "nginx", [node.port for node in self.nodes])

    def _own(self, engine: Any) -> Any:
        self._stack.callback(engine.remove)
        return engine

    def _node(self, number: int, workers: int, given: dict[str, Any]) -> Node:
        folder = self.folder / f"node-{'abcdefgh'[number]}"
        folder.mkdir(exist_ok=True)
        store, bus = Relay(self.postgres.port), Relay(self.redis.port)
        known = {
            "server": {
                "node": folder.name,
                "port": free_port(),
                "workers": workers,
                "trusted_proxies": ["127.0.0.1/32"],
            },
            "store": {"url": self.postgres.url(self.database, store.port)},
            "bus": {"url": self.redis.url(bus.port)},
            "secrets": {"key": "file:../secrets/master.key"},
            "admin": {"token": "file:../secrets/admin"},
            "upstream": {"allow_private": ["127.0.0.1/32"]},
            "log": {"format": "json"},
        }
        node = Node(folder.name, folder, _merged(known, given), workers)
        node.relays = {"store": store, "bus": bus}
        return node

    def start(self, *, nodes: bool = True) -> None:
        """Start what does not run yet; the database is made with the tables of this version."""
        self.start_engines()
        _migrated(self.postgres, self.folder)
        self.postgres.create(self.database, _TEMPLATE)
        for node in self.nodes:
            for relay in node.relays.values():
                relay.start()
        if nodes:
            self.start_nodes()
            self.front.start()

    def start_engines(self) -> None:
        """Start PostgreSQL and Redis, unless they run."""
        for engine in (self.postgres, self.redis):
            if not engine.running:
                engine.start()

    def start_nodes(self) -> None:
        """Start the nodes that do not run, at the same time."""
        begun = [(node, node.launch()) for node in self.nodes if not node.running]
        for node, since in begun:
            node.wait_for(READY, since=since)

    def mend(self) -> None:
        """Put right what a test did: everything runs, nothing is frozen or cut off."""
        for part in (self.postgres, self.redis, *self.nodes):
            if part.running:
                part.thaw()
        self.start_engines()
        for node in self.nodes:
            for relay in node.relays.values():
                relay.release()
        self.start_nodes()
        if not self.front.running:
            self.front.start()

    def stop(self) -> None:
        """End everything; fail if a token stands in a log."""
        self.front.kill()
        for node in self.nodes:
            if node.running:
                node.thaw()
            node.kill()
            for relay in node.relays.values():
                relay.stop()
        self._stack.close()
        assert self.admin_token not in "".join(node.text for node in self.nodes)

    @asynccontextmanager
    async def visit(self, canaries: Canaries) -> AsyncIterator[Visitor]:
        """Speak to it as an operator and as MCP clients."""
        connector = TCPConnector(limit=0)
        async with ClientSession(connector=connector, timeout=ClientTimeout(total=60)) as http:
            canaries.issue(self.admin_token, "the admin token")
            yield Visitor(self, http, canaries)
        for node in self.nodes:
            canaries.saw(node.text, where=f"the log of {node.name}")


class Visitor:
    """Who speaks to a cluster: through nginx, or to a node of it when one is named."""

    def __init__(self, cluster: Cluster, http: ClientSession, canaries: Canaries) -> None:
        self.cluster = cluster
        self.http = http
        self.canaries = canaries

    async def request(
        self, verb: str, path: str, value: Any = None, *, at: Node | None = None
    ) -> Response:
        """Speak to the admin API as the owner."""
        headers = {"Authorization": f"Bearer {self.cluster.admin_token}"}
        body = None if value is None else msgspec.json.encode(value)
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = (at or self.cluster.front).url + path
        async with self.http.request(verb, url, data=body, headers=headers) as reply:
            return Response(reply.status, reply.headers.copy(), await reply.read())

    async def account(
        self,
        id: str,
        integration: str,
        base_url: str,
        *,
        at: Node | None = None,
        **credentials: str,
    ) -> str:
        """Make an account on a sandbox; return its id, once every node knows it."""
        for field, secret in credentials.items():
            self.canaries.issue(secret, f"{field} of {id}")
        body = {
            "integration": integration,
            "name": id,
            "settings": {"base_url": base_url},
            "credentials": credentials,
        }
        made = await self.request("POST", "/integrated-account", body, at=at)
        assert made.status == 201, made
        account_id: str = made.json["id"]

        async def knows(node: Node) -> bool:
            path = f"/integrated-account/{account_id}/tools"
            return (await self.request("GET", path, at=node)).status == 200

        await self.everywhere(knows)
        return account_id

    async def server(self, account: str, *, at: Node | None = None, **config: Any) -> ClusterServer:
        """Create an MCP server; it speaks to nginx, and `.at(node)` to that node."""
        body = {"name": "Agent", "config": config}
        made = await self.request("POST", f"/integrated-account/{account}/mcp", body, at=at)
        assert made.status == 201, made
        self.canaries.issue(made.json["token"], f"the token of {made.json['id']}")
        return ClusterServer(made.json, self)

    async def everywhere(self, ask: Any) -> None:
        """Wait until `ask(node)`, a coroutine, is true at every node that runs."""
        for node in self.cluster.nodes:
            if node.running:
                await until(lambda node=node: ask(node), 30)


class ClusterServer(Server):
    """An MCP server of a cluster."""

    def __init__(self, created: dict[str, Any], visitor: Visitor, base: str = "") -> None:
        path = urlsplit(created["url"]).path
        url = (base or visitor.cluster.front.url) + path
        super().__init__(created, visitor.http, url, visitor.canaries)
        self._visitor = visitor

    def at(self, node: Node) -> ClusterServer:
        """Return the same server, spoken to at one node directly."""
        return ClusterServer(self.created, self._visitor, node.url)

    async def known(self) -> ClusterServer:
        """Wait until every node has heard of it; return it."""

        async def serves(node: Node) -> bool:
            if (await self.at(node).send("tools/list")).status != 200:
                return False
            async with self._http.get(f"{node.url}/metrics") as reply:  # of all its workers
                known = re.findall(r"crossdock_mcp_servers\{\S+ (\d+)", await reply.text())
            return node.workers == 1 or (len(known) == node.workers and len({*known}) == 1)

        await self._visitor.everywhere(serves)
        return self


def _migrated(postgres: Postgres, folder: Path) -> None:
    """Make sure that the server has a database with our tables, to be copied for each cluster."""
    from crossdock.store import upgrade

    seen = postgres.execute(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'")
    if not seen:
        postgres.create(f"{_TEMPLATE}_new")
        work = upgrade(postgres.url(f"{_TEMPLATE}_new"), folder=folder)
        _alone(work)
        postgres.execute(f"ALTER DATABASE {_TEMPLATE}_new RENAME TO {_TEMPLATE}")


def _alone(work: Any) -> None:
    """Run a coroutine to its end, whether or not a loop runs in this thread."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        threads.submit(asyncio.run, work).result()


def _merged(common: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        section: {**common.get(section, {}), **more.get(section, {})}
        for section in (*common, *(name for name in more if name not in common))
    }


def _toml(settings: Mapping[str, Any]) -> str:
    """Write settings as TOML: what JSON calls strings, numbers and lists is the same there."""

    def table(name: str, values: Mapping[str, Any]) -> str:
        plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
        inner = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines = [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
        return "\n".join([*lines, "", *(table(f"{name}.{key}", v) for key, v in inner.items())])

    return "\n".join(table(name, values) for name, values in settings.items())
