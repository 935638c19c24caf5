"""`crossdock demo`: the main job without any account. Keeps nothing after exit."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.output import Json, print_json

if TYPE_CHECKING:
    from crossdock.gateway import Gateway
    from crossdock.plugins import Plugins


class DemoSandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A running sandbox and the accounts to open on it."""

    integration: str
    base_url: str
    accounts: list[dict[str, Any]]


def demo(
    *,
    port: Annotated[
        int,
        Parameter(
            help="Port of the gateway; 0 takes a free one.", validator=Number(gte=0, lte=65535)
        ),
    ] = 8787,
    json: Json = False,
) -> int:
    """Start the gateway and a sandbox of every adapter that has one, and print URLs to paste.

    Nothing is kept: state lies in a temporary folder until Ctrl-C. With --json one line tells
    all, when everything is ready: {"url", "admin_token", "servers", "sandboxes"}.
    Example: `crossdock demo --port 0 --json`
    """
    from crossdock import log

    log.configure("warning")
    with tempfile.TemporaryDirectory(prefix="crossdock-demo-") as folder:
        asyncio.run(_demo(Path(folder), port, json))
    return 0


async def _demo(folder: Path, port: int, as_json: bool) -> None:
    from crossdock.access.tokens import mint
    from crossdock.config import LogSettings, Settings, UpstreamSettings
    from crossdock.gateway import Gateway
    from crossdock.plugins import load_plugins
    from crossdock.store.master_key import MasterKey
    from crossdock.web.runner import WebRunner, signals

    settings = Settings(
        folder=folder,
        upstream=UpstreamSettings(allow_private=["127.0.0.1/32"]),
        log=LogSettings(level="warning"),
    )
    with signals() as told:
        async with AsyncExitStack() as stack:
            plugins = await asyncio.to_thread(load_plugins, settings)
            sandboxes = await _start_sandboxes(plugins, stack)
            gateway = await Gateway.open(
                settings, plugins=plugins, master=MasterKey.for_this_process(), serving=True
            )
            listener = WebRunner(gateway)
            stack.push_async_callback(listener.close)
            admin_token = mint("api")
            gateway.accept_admin(admin_token)
            url = await listener.start(settings.server.host, port)
            servers = await make_servers(gateway, sandboxes, url)
            if not told.is_set():
                ready = ready_of(url, admin_token, servers, sandboxes)
                print_json(ready) if as_json else print(_page(ready), flush=True)
                await told.wait()
    if not as_json:
        print("\nThe demo has ended; nothing was kept.")


def ready_of(
    url: str, admin_token: str, servers: list[dict[str, str]], sandboxes: list[DemoSandbox]
) -> dict[str, Any]:
    """Return what the first line of --json tells."""
    return {
        "url": url,
        "admin_token": admin_token,
        "servers": servers,
        "sandboxes": [
            {"integration": one.integration, "base_url": one.base_url} for one in sandboxes
        ],
    }


async def _start_sandboxes(plugins: Plugins, stack: AsyncExitStack) -> list[DemoSandbox]:
    from aiohttp import web

    found = []
    for name, adapter in sorted(plugins.adapters.items()):
        sandbox = adapter.sandbox
        if sandbox is None:
            continue
        runner = web.AppRunner(sandbox.create_app(), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1)
        await site.start()
        base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        found.append(
            DemoSandbox(integration=name, base_url=base_url, accounts=sandbox.accounts(base_url))
        )
    return found


async def make_servers(
    gateway: Gateway, sandboxes: list[DemoSandbox], url: str, purpose: str = "demo"
) -> list[dict[str, str]]:
    """Open an account and an MCP server on each of the sandboxes' accounts."""
    from crossdock.access.gate import Caller
    from crossdock.control import NewServer
    from crossdock.model import Account, Scope, Secret

    actor = Caller(id=purpose, name=purpose, role="owner")
    servers = []
    for sandbox in sandboxes:
        for number, given in enumerate(sandbox.accounts, 1):
            suffix = f"-{number}" if number > 1 else ""
            account = Account(
                id=f"{purpose}-{sandbox.integration}{suffix}",
                integration=sandbox.integration,
                name=given["name"],
                settings=given["settings"],
                credentials={name: Secret(value) for name, value in given["credentials"].items()},
            )
            gateway.accounts.put(account)
            scope = Scope(accept_new_tools=True)
            new = NewServer(name=f"{given['name']} ({purpose})", config=scope)
            issued = await gateway.control.servers.create(account.id, new, actor)
            servers.append(
                {
                    "integration": sandbox.integration,
                    "account_id": account.id,
                    "url": f"{url}/mcp/{issued.token}",
                }
            )
    return servers


_CURL = """curl -s '{url}' -H 'Content-Type: application/json' \\
  -d '{{"jsonrpc":"2.0","id":1,"method":"tools/list"}}'"""


def _page(ready: dict[str, Any]) -> str:
    from crossdock.client.setups import Target, setup, slug

    lines = ["crossdock is up. Nothing here is real, and nothing is kept after Ctrl-C.", ""]
    for server in ready["servers"]:
        lines += [f"MCP server for {server['integration']} (paste this URL into an MCP client):"]
        lines += [f"  {server['url']}"]
        lines += [f"  (its integrated account in the admin API: {server['account_id']})", ""]
    if ready["servers"]:
        first = ready["servers"][0]
        for client in ("claude-code", "claude-desktop", "cursor"):
            made = setup(client, Target(url=first["url"], name=slug(first["integration"])))
            for snippet in made.snippets[-1:]:
                lines += [f"{made.title}, {snippet.where}:", *_indented(snippet.text), ""]
        seen = "Any shell (others on this machine can read the URL while the command runs):"
        lines += [seen, *_indented(_CURL.format(url=first["url"])), ""]
        lines += ["Other clients: open a URL above in a browser.", ""]
    account = ready["servers"][0]["account_id"] if ready["servers"] else "…"
    lines += [
        f"Admin API: {ready['url']}/integrated-account/{account}",
        f"  with Authorization: Bearer {ready['admin_token']}",
        "Ctrl-C ends the demo.",
    ]
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
