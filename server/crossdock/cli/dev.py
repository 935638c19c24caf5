"""`crossdock dev`: one folder, its sandbox and a gateway; what is saved counts at once."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from crossdock.cli.options import UsageError
from crossdock.cli.output import Json, print_json

if TYPE_CHECKING:
    from aiohttp import web

    from crossdock.adapter import Adapter
    from crossdock.model import SentRequest
    from crossdock.plugins import Plugins

LOOK_SECONDS = 0.3
_WATCHED = {".py", ".toml", ".md"}
Stamp = dict[str, tuple[int, int]]


def dev(
    path: Annotated[Path, Parameter(help="A folder with an adapter.toml, or one around it.")],
    *,
    port: Annotated[
        int,
        Parameter(
            help="Port of the gateway; 0 takes a free one.", validator=Number(gte=0, lte=65535)
        ),
    ] = 8787,
    json: Json = False,
) -> int:
    """Serve the adapter in a folder on its sandbox while you write it.

    Saved pages, TOML and Python count at once, and clients are told; what is broken is printed,
    and the last good state goes on serving. Each request to the provider is shown with its reply,
    credentials as `***`. With --json the first line is as `crossdock demo --json` has it.
    Example: `crossdock dev ./crossdock-tidewater --port 0`
    """
    from crossdock import log

    log.configure("error")
    folder = _folder(path)
    with tempfile.TemporaryDirectory(prefix="crossdock-dev-") as state:
        asyncio.run(_dev(folder, Path(state), port, json))
    return 0


def _folder(path: Path) -> Path:
    searches = (path.glob(f"{depth}adapter.toml") for depth in ("", "*/", "*/*/"))
    found = next((some for search in searches if (some := sorted(search))), [])
    if len(found) != 1:
        raise UsageError(f"{path} holds {len(found)} adapter.toml; name the folder of one")
    return found[0].parent.resolve()


async def _dev(folder: Path, state: Path, port: int, as_json: bool) -> None:
    from crossdock.access.tokens import mint
    from crossdock.cli.demo import make_servers, ready_of
    from crossdock.config import LogSettings, Settings, UpstreamSettings
    from crossdock.gateway import Gateway
    from crossdock.model import watcher
    from crossdock.store.master_key import MasterKey
    from crossdock.web.runner import WebRunner, signals

    settings = Settings(
        folder=state,
        upstream=UpstreamSettings(allow_private=["127.0.0.1/32"]),
        log=LogSettings(level="error"),
    )
    with signals() as told:
        async with AsyncExitStack() as stack:
            plugins, adapter = await asyncio.to_thread(_loaded, folder)
            sandbox = RunningSandbox(adapter)
            await sandbox.start()
            stack.push_async_callback(sandbox.stop)
            gateway = await Gateway.open(
                settings, plugins=plugins, master=MasterKey.for_this_process(), serving=True
            )
            listener = WebRunner(gateway)
            stack.push_async_callback(listener.close)
            watcher.set(Shown())  # what the listener starts inherits it
            admin_token = mint("api")
            gateway.accept_admin(admin_token)
            url = await listener.start(settings.server.host, port)
            sandboxes = [sandbox.told()]
            servers = await make_servers(gateway, sandboxes, url, "dev")
            ready = ready_of(url, admin_token, servers, sandboxes)
            print_json(ready) if as_json else print(_page(adapter, ready), flush=True)
            watching = asyncio.create_task(_watch(folder, adapter, sandbox))
            stack.callback(watching.cancel)
            await told.wait()


def _loaded(folder: Path) -> tuple[Plugins, Adapter]:
    """Load the adapter of a folder. Raises CrossdockError with everything that is wrong."""
    from crossdock.errors import CrossdockError
    from crossdock.plugins import load_folders

    plugins = load_folders([folder])
    problems = [record.error for record in plugins.records() if record.error]
    found = [*plugins.adapters.values()]
    for adapter in found:
        problems += adapter.toolset(adapter.defaults()).problems
    if problems or len(found) != 1:
        words = dict.fromkeys(map(str, problems)) or ["the folder gives no single adapter"]
        raise CrossdockError("; ".join(words))
    if found[0].sandbox is None:
        raise CrossdockError(f"{folder.name} has no sandbox; name one in load_adapter(sandbox=…)")
    return plugins, found[0]


class RunningSandbox:
    """The sandbox of an adapter on a port of its own, which it keeps."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Start, with the seed that the sandbox begins with."""
        from aiohttp import web

        module: Any = self._adapter.sandbox
        runner = web.AppRunner(
            module.create_app(), access_log=None, handler_cancellation=True, shutdown_timeout=1
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._runner, self._port = runner, runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    def told(self) -> Any:
        """Return where it runs, and the accounts that it has."""
        from crossdock.cli.demo import DemoSandbox

        module: Any = self._adapter.sandbox
        base_url = f"http://127.0.0.1:{self._port}"
        return DemoSandbox(
            integration=self._adapter.name, base_url=base_url, accounts=module.accounts(base_url)
        )


class Shown:
    """Prints every request of every call, with its reply."""

    def append(self, sent: SentRequest, /) -> None:
        """Print one."""
        _say(f"{sent.verb} {sent.url}")
        for name, value in sent.headers.items():
            _say(f"    {name}: {value}")
        if sent.body:
            _say(f"    {sent.body}")
        _say(f"  → {sent.status or 'no answer'} in {sent.ms} ms  {sent.reply}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stamp(folder: Path) -> Stamp:
    found = {}
    for path in folder.rglob("*"):
        if path.suffix in _WATCHED and path.is_file():
            state = path.stat()
            found[str(path)] = state.st_mtime_ns, state.st_size
    return found


async def _watch(folder: Path, adapter: Adapter, sandbox: RunningSandbox) -> None:
    """Load the folder again whenever a file of it changed; a broken one changes nothing."""
    from crossdock.errors import CrossdockError

    seen = _stamp(folder)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = await asyncio.to_thread(_stamp, folder)
        if now == seen:
            continue
        changed = sorted(
            Path(name).name for name in now.keys() | seen.keys() if now.get(name) != seen.get(name)
        )
        python = any(name.endswith(".py") for name in changed)
        seen = now
        try:
            _, newer = await asyncio.to_thread(_loaded, folder)
            if newer.name != adapter.name:
                raise CrossdockError(f"its name is now {newer.name}; start crossdock dev again")
        except CrossdockError as error:
            _say(f"{', '.join(changed)}: {error}\n  The last good state goes on serving.")
            continue
        adapter.adopt(newer)
        if python:
            await sandbox.stop()
            await sandbox.start()
        tools = len(adapter.toolset(adapter.defaults()).bindings)
        _say(f"{', '.join(changed)}: loaded, {tools} tools")


def _page(adapter: Adapter, ready: dict[str, Any]) -> str:
    lines = [f"{adapter.manifest.title} is up on its sandbox. Save a file, and it counts."]
    for server in ready["servers"]:
        lines += ["", f"  {server['url']}"]
    first = ready["servers"][0]["url"]
    tools = [*adapter.toolset(adapter.defaults()).bindings]
    lines += ["", f"  crossdock call {first} {tools[0]}" if tools else "", "Ctrl-C ends it."]
    return "\n".join(lines)
