"""The sandbox toolkit: a provider in a few lines, for `crossdock demo`, `dev` and the contract kit.

A sandbox module makes one `Sandbox`, its collections and odd routes, and gives `create_app` and
`accounts` under these names:

    sandbox = Sandbox(auth={"scheme": "api_key", "header": "X-Key", "format": "{api_key}"},
                      credentials={"api_key": "yard-key"})
    gates = sandbox.collection("gates", [{"id": "g7", "doors": []}])
    create_app, accounts = sandbox.create_app, sandbox.accounts

Beside the routes there are control routes, which are not recorded:

    GET, DELETE /_sandbox/requests       what was received; forget it
    GET, POST, DELETE /_sandbox/faults   what goes wrong: `Fault`, or a list of them
    GET, POST /_sandbox/switches         read the switches; merge a JSON object into them
    POST /_sandbox/expire_tokens         end every access token
    POST /_sandbox/reset                 restore the seed and the first switches, end the faults
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import msgspec
from aiohttp import web

from crossdock.testing.collection import (
    Collection,
    PagesOf,
    Record,
    Refusal,
    fields_of,
    records_now,
)
from crossdock.testing.doorkeeper import AUTHORIZE_PATH, TOKEN_PATH, AuthOf, Doorkeeper
from crossdock.testing.fault import Fault, OtherWrite, Profile, dropped, rate_headers
from crossdock.testing.recorder import CONTROL, Handler, Recorder, shown

__all__ = [
    "Collection",
    "Fault",
    "OtherWrite",
    "Profile",
    "Recorder",
    "Refusal",
    "Sandbox",
    "dropped",
    "fields_of",
    "rate_headers",
    "shown",
]

Given = Callable[[web.Request], Any]
_LARGEST_BODY = 32 * 1024 * 1024
_switches: ContextVar[Any] = ContextVar("switches of this sandbox")


class Sandbox:
    """A provider to try adapters on; keeps everything in memory.

    `auth` has the keys of adapter.toml's `[auth]`, `credentials` the values that let in. In
    `settings` of the account it offers, `{origin}` stands for the sandbox's own; `base` is the path
    that all routes begin with. `switches` is a frozen msgspec Struct with defaults: what the
    provider leaves undocumented.
    """

    def __init__(
        self,
        *,
        name: str = "Sandbox",
        auth: Mapping[str, Any] | Callable[[web.Request], bool] | None = None,
        credentials: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        base: str = "",
        switches: Any = None,
    ) -> None:
        self._name = name
        self._admits = auth if callable(auth) else None
        self._auth = AuthOf() if auth is None or callable(auth) else msgspec.convert(auth, AuthOf)
        self._credentials = dict(credentials or {})
        self._settings = dict(settings or {})
        self._base = base
        self._first = switches
        self._collections: list[Collection] = []
        self._routes: list[tuple[str, str, Given, bool]] = []

    @property
    def switches(self) -> Any:
        """The switches as they stand; for use inside a route."""
        return _switches.get()

    def collection(
        self,
        name: str,
        seed: Sequence[Record] = (),
        *,
        paging: Mapping[str, Any] | None = None,
        id: str = "id",
        wrap: str = "",
        replaces: bool = False,
    ) -> Collection:
        """Serve records at `/NAME` and `/NAME/{id}`: list, get, create, update, delete.

        `paging` has the keys of `[paging]`, and `size` and `most` of the provider's pages. `wrap`
        is the JSON Pointer under which a single record lies in bodies; `replaces`: a PUT forgets
        what it leaves out. A route of the same endpoint wins.
        """
        made = Collection(
            name,
            seed,
            msgspec.convert(paging or {}, PagesOf),
            id=id,
            wrap=wrap,
            replaces=replaces,
        )
        self._collections.append(made)
        return made

    def route(self, endpoint: str, *, public: bool = False) -> Callable[[Given], Given]:
        """Serve `"POST /x/{id}"` by the decorated function of the request, async or not.

        It returns a JSON value or an aiohttp response, or raises Refusal. What is `public` asks for
        no credentials, as a further host that keeps files.
        """
        verb, _, path = endpoint.partition(" ")

        def register(function: Given) -> Given:
            self._routes.append((verb, path, function, public))
            return function

        return register

    def accounts(self, base_url: str) -> list[dict[str, Any]]:
        """Return the account that a sandbox at `base_url` has, ready for the gateway."""
        origin = base_url.rstrip("/")
        settings = {
            name: value.replace("{origin}", origin) if isinstance(value, str) else value
            for name, value in self._settings.items()
        }
        return [
            {
                "name": self._name,
                "settings": {"base_url": f"{origin}{self._base}", **settings},
                "credentials": dict(self._credentials),
            }
        ]

    def create_app(self, switches: Any = None) -> web.Application:
        """Build the application, with a state of its own."""
        running = _Running(
            Recorder(self._base),
            Doorkeeper(self._auth, self._credentials),
            self._admits,
            self._first if switches is None else switches,
            collections=self._collections,
        )
        app = web.Application(
            client_max_size=_LARGEST_BODY,
            middlewares=[running.recorder.middleware, running.middleware],
        )
        app.add_routes(running.routes())
        own = {(verb, f"{self._base}{path}") for verb, path, _, _ in self._routes}
        for verb, path, function, public in self._routes:
            handler = _handler(function)
            app.router.add_route(verb, f"{self._base}{path}", handler)
            if public:
                running.public.add(handler)
        for collection in self._collections:
            served = collection.routes(self._base)
            app.add_routes(one for one in served if (one.method, one.path) not in own)
        return app


class _Running:
    """What one application keeps."""

    def __init__(
        self,
        recorder: Recorder,
        doorkeeper: Doorkeeper,
        admits: Callable[[web.Request], bool] | None,
        switches: Any,
        *,
        collections: Sequence[Collection],
    ) -> None:
        self.recorder = recorder
        self._doorkeeper = doorkeeper
        self._admits = admits or doorkeeper.admits
        self._first = switches
        self._collections = collections
        self.public: set[object] = set()
        self._restore()

    def _restore(self) -> None:
        self._switches = self._first
        self._records = {one.name: one.fresh() for one in self._collections}

    def routes(self) -> list[web.RouteDef]:
        tokens = [
            web.post(TOKEN_PATH, self._doorkeeper.token),
            web.get(AUTHORIZE_PATH, self._doorkeeper.authorize),
        ]
        return [
            *(tokens if self._doorkeeper.issues else []),
            *self.recorder.routes(),
            web.get("/_sandbox/switches", self._show_switches),
            web.post("/_sandbox/switches", self._change_switches),
            web.post("/_sandbox/expire_tokens", self._expire),
            web.post("/_sandbox/reset", self._reset),
        ]

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        open_to_all = self._doorkeeper.issues and request.path in (TOKEN_PATH, AUTHORIZE_PATH)
        records_now.set(self._records)
        _switches.set(self._switches)
        try:
            open_to_all |= request.match_info.handler in self.public
            if not open_to_all and not self._admits(request):
                raise Refusal(401, "These credentials are not known here")
            return await handler(request)
        except Refusal as refusal:
            return shown(refusal.body, refusal.status)
        except web.HTTPException as error:
            return shown({"message": f"{error.reason}: {request.path}"}, error.status)

    async def _show_switches(self, _: web.Request) -> web.Response:
        return shown({} if self._switches is None else self._switches)

    async def _change_switches(self, request: web.Request) -> web.Response:
        try:
            changes = msgspec.json.decode(await request.read(), type=dict[str, Any])
            merged = {**msgspec.structs.asdict(self._switches), **changes}
            self._switches = msgspec.convert(merged, type(self._switches))
        except (msgspec.MsgspecError, TypeError) as error:
            return shown({"message": str(error)}, 400)
        return shown(self._switches)

    async def _expire(self, _: web.Request) -> web.Response:
        self._doorkeeper.expire()
        return web.Response(status=204)

    async def _reset(self, _: web.Request) -> web.Response:
        self.recorder.faults.replace(())
        self._restore()
        return web.Response(status=204)


def _handler(function: Given) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        made = function(request)
        if inspect.isawaitable(made):
            made = await made
        return made if isinstance(made, web.StreamResponse) else shown(made)

    return handle
