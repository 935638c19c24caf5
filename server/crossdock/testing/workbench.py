"""An adapter on its sandbox, behind a gateway of its own: what fixtures and contract work with.

Everything runs in one loop of a thread, so that tests may have whichever loop they like, or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import logging
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import ClientSession, web
from yarl import URL

from crossdock import log
from crossdock.access.gate import Caller
from crossdock.access.tokens import mint
from crossdock.adapter import Adapter
from crossdock.client.http import Client
from crossdock.config import LimitSettings, Settings, StoreSettings, UpstreamSettings
from crossdock.control import NewServer
from crossdock.errors import CrossdockError
from crossdock.gateway import Gateway
from crossdock.model import Account, Secret
from crossdock.observe.watchdog import Watchdog
from crossdock.plugins import Plugins, load_folders
from crossdock.store import upgrade, utc_now
from crossdock.store.master_key import MasterKey
from crossdock.testing.connected import Connected, noting
from crossdock.testing.fault import OTHER_WRITER, Fault
from crossdock.testing.recorder import Recorder
from crossdock.testing.tools import AccountTools
from crossdock.web.runner import WebRunner

T = TypeVar("T")
ACCOUNT = "workbench"
STALL = 0.1
_STORE = "sqlite:///workbench.db"
PATIENCE = 600.0
SHORT = LimitSettings(upstream_total_seconds=1.0, upstream_idle_seconds=1.0, lock_wait_seconds=60.0)
"""For what a provider is too slow for."""


class Clock:
    """The gateway's time: the machine's, and what tests add. Deadlines do not ask it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def advance(self, **by: float) -> None:
        """Let time pass, as `advance(minutes=5)`."""
        self._ahead += timedelta(**by)

    def reset(self) -> None:
        """Return to the machine's time."""
        self._ahead = timedelta()


class Provider:
    """The sandbox behind a recorder that makes faults; its methods work from any thread."""

    def __init__(self, recorder: Recorder, restore: Callable[[], None]) -> None:
        self._recorder = recorder
        self._restore = restore

    def requests(self, method: str = "") -> list[dict[str, Any]]:
        """Return what came over the wire: `{method, path_qs, headers, body}` each, in order."""
        return [one for one in [*self._recorder.received] if method in ("", one["method"])]

    def fault(self, kind: str, **fields: Any) -> None:
        """Let something go wrong from now on, after what was there first: see `Fault`."""
        self._recorder.faults.add(msgspec.convert({"kind": kind, **fields}, Fault))

    def calm(self) -> None:
        """Let nothing go wrong any more, and forget what came."""
        self._recorder.faults.replace(())
        self._recorder.forget()

    def reset(self) -> None:
        """Calm down, and restore the sandbox's seed."""
        self._restore()


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that serves the adapter: `url` is that of an MCP server with all tools."""

    url: str
    origin: str
    admin_token: str
    core: Gateway
    tools: AccountTools


class Workbench:
    """An adapter, its sandbox and a gateway; enter it. `adapter` is a module's name or a folder.

    `settings` are put over those of the sandbox's first account, `switches` are the sandbox's.
    """

    def __init__(
        self,
        adapter: str | Path,
        *,
        near: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        switches: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder_of(adapter, near)
        self.at_load = Connected(main=True)
        with noting(self.at_load):
            self._plugins = load_folders([self.folder])
        self.adapter = _adapter_of(self._plugins, self.folder)
        self.adapter.trusted = True  # on the loop that is watched for stalls
        self.outgoing = Connected()
        self.own: list[tuple[str, int]] = []
        self.stalls: list[str] = []
        self.trials: dict[str, Any] = {}
        self.clock = Clock()
        self._given_settings = dict(settings or {})
        self._switches = dict(switches or {})
        self._recorder = Recorder()
        self.provider = Provider(self._recorder, lambda: self.run(self.restore()))

    # --- the thread --------------------------------------------------------------------------

    def __enter__(self) -> Self:
        started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(started)), name="workbench", daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _live(self, started: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                started.set()
                await self._over.wait()
        except BaseException as error:  # whoever waits for the start is told
            if started.is_set():
                raise
            self._failure = error
            started.set()

    def submit(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run a coroutine in the workbench's loop; the future is of the caller's."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the workbench's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    # --- what is open ------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> None:
        sandbox = self.adapter.sandbox
        if sandbox is None:
            raise CrossdockError(
                f"{self.adapter.name} has no sandbox, and without one nothing can be proven; "
                'write one and name it: load_adapter(__name__, sandbox=".sandbox")'
            )
        application = sandbox.create_app()
        application.middlewares.insert(0, self._recorder.middleware)
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.05
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address: tuple[str, int] = runner.addresses[0][:2]
        self.own.append(self.address)
        self.origin = f"http://{self.address[0]}:{self.address[1]}"
        self.given: dict[str, Any] = sandbox.accounts(self.origin)[0]
        self.given["settings"] = {**self.given["settings"], **self._given_settings}
        self._http = await stack.enter_async_context(ClientSession())
        stack.enter_context(noting(self.outgoing))
        await self.restore()
        self.served = await stack.enter_async_context(self.serving(LimitSettings()))
        watchdog = Watchdog(self.served.core.calls.who, self._note_stall, STALL)
        watchdog.run()
        stack.push_async_callback(watchdog.close)

    @asynccontextmanager
    async def serving(self, limits: LimitSettings) -> AsyncIterator[Served]:
        """Open a gateway with these limits on the sandbox's account."""
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crossdock-workbench-"))
            await _make_store(Path(folder))
            settings = Settings(
                folder=Path(folder),
                store=StoreSettings(url=_STORE),
                upstream=UpstreamSettings(allow_private=["127.0.0.1/32"]),
                limits=limits,
            )
            gateway = await Gateway.open(
                settings,
                plugins=self._plugins,
                master=MasterKey.for_this_process(),
                serving=True,
                clock=self.clock,
            )
            listener = WebRunner(gateway)
            stack.push_async_callback(listener.close)
            origin = await listener.start("127.0.0.1", 0)
            self.own.append(("127.0.0.1", urlsplit(origin).port or 0))
            self.put_account(gateway, ACCOUNT, self.given["credentials"])
            issued = await gateway.control.servers.create(
                ACCOUNT, NewServer(name="Workbench"), Caller(id="kit", name="kit", role="owner")
            )
            url, admin_token = f"{origin}/mcp/{issued.token}", mint("api")
            gateway.accept_admin(admin_token)
            tools = AccountTools(await stack.enter_async_context(Client(url)), self)
            await tools.listed()  # the client learns which arguments are repeated in headers
            yield Served(url=url, origin=origin, admin_token=admin_token, core=gateway, tools=tools)

    @property
    def tools(self) -> AccountTools:
        """The tools of the sandbox's account, through this gateway."""
        return self.served.tools

    def put_account(self, gateway: Gateway, id: str, credentials: Mapping[str, str]) -> Account:
        """Open an account of the sandbox, with these credentials."""
        account = Account(
            id=id,
            integration=self.adapter.name,
            name=self.given["name"],
            settings=self.given["settings"],
            credentials={name: Secret(value) for name, value in credentials.items()},
        )
        gateway.accounts.put(account)
        return account

    async def restore(self) -> None:
        """Calm the sandbox down, and restore its seed and this workbench's switches."""
        self.provider.calm()
        await self._control("reset", None)
        if self._switches:
            await self._control("switches", self._switches)

    async def _control(self, route: str, value: Any) -> None:
        async with self._http.post(f"{self.origin}/_sandbox/{route}", json=value) as reply:
            if reply.status >= 300:
                raise CrossdockError(
                    f"the sandbox answers {reply.status} to POST /_sandbox/{route}; the kit needs "
                    "that route, which Sandbox of crossdock.testing.sandbox brings along"
                )

    async def raw(self, method: str, path_qs: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Speak to the sandbox past the gateway; what is asked is not recorded."""
        kept = {name: v for name, v in headers.items() if name not in _OF_THE_WIRE}
        kept[OTHER_WRITER] = "1"
        target = URL(f"{self.origin}{path_qs}", encoded=True)
        async with self._http.request(method, target, headers=kept) as reply:
            return reply.status, await reply.read()

    def _note_stall(self, adapter: str, tool: str) -> None:
        if tool:
            self.stalls.append(tool)

    # --- what the account says ---------------------------------------------------------------

    @property
    def base(self) -> str:
        """The path that the account's base URL begins with."""
        return str(urlsplit(self.given["settings"]["base_url"]).path).rstrip("/")

    @property
    def secrets(self) -> dict[str, str]:
        """The credentials that nobody may see, by name, and the tokens that were sent."""
        declared = self.adapter.manifest.credentials
        found = {
            name: value
            for name, value in self.given["credentials"].items()
            if value and (name not in declared or declared[name].secret)
        }
        for number, one in enumerate(self.provider.requests()):
            scheme, _, token = one["headers"].get("authorization", "").partition(" ")
            if token and token not in found.values() and scheme.lower() in ("bearer", "basic"):
                found[f"token {number}"] = token
        return found

    @property
    def token_path(self) -> str:
        """The path of the token endpoint; empty where there is none."""
        settings = self.given["settings"]
        token_url: str = settings.get("token_url") or self.adapter.manifest.auth.token_url
        return str(urlsplit(token_url).path) if token_url else ""

    def called_api(self) -> list[dict[str, Any]]:
        """Return what came for the API, as `requests` does with paths below the base URL; what
        came for tokens is left out."""
        elsewhere = self.token_path
        found = []
        for one in self.provider.requests():
            path = one["path_qs"].partition("?")[0]
            if path.startswith(self.base) and path != elsewhere:
                found.append({**one, "path_qs": one["path_qs"].removeprefix(self.base)})
        return found


_OF_THE_WIRE = {"host", "content-length", "content-type", "transfer-encoding", "accept-encoding"}


@contextmanager
def written() -> Iterator[io.StringIO]:
    """Collect what is logged and printed within, by whom ever."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        log.configure("debug", "json", stream)
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield stream
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


_empty: list[bytes] = []


async def _make_store(folder: Path) -> None:
    """Put an empty store into a folder: migrating one takes most of a gateway's start."""
    place = folder / _STORE.rpartition("/")[2]
    if not _empty:
        await upgrade(_STORE, folder=folder)
        _empty.append(place.read_bytes())
    else:
        place.write_bytes(_empty[0])
        place.chmod(0o600)


def folder_of(adapter: str | Path, near: Path | None = None) -> Path:
    """Return the folder of an adapter: named by its module, or by a path, which counts from the
    file `near` or the current folder."""
    text = str(adapter)
    places = [*(near.parents if near else ()), Path.cwd()]
    if isinstance(adapter, str) and "/" not in text and "\\" not in text:
        spec = importlib.util.find_spec(text) if text.isidentifier() else None
        if spec is not None and spec.origin is not None:
            return Path(spec.origin).parent
    for place in places:
        if (place / text / "adapter.toml").is_file():
            return (place / text).resolve()
    raise CrossdockError(
        f"no adapter {text!r}: it is no module that can be imported, and no folder with an "
        "adapter.toml; install it (`pip install -e .`) or name its folder"
    )


def _adapter_of(plugins: Plugins, folder: Path) -> Adapter:
    found = [*plugins.adapters.values()]
    for record in plugins.records():
        if record.error and not found:
            raise CrossdockError(f"{folder.name} does not load: {record.error}")
    if len(found) != 1:
        raise CrossdockError(f"{folder} gives {len(found)} adapters; the kit works on one")
    return found[0]
