"""The sandbox's door: recording, tokens, faults and limits before the API; control routes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate

import msgspec
from aiohttp import web

from crossdock.testing.sandbox import Recorder
from crossdock_roserocket.sandbox import api
from crossdock_roserocket.sandbox.answers import Refusal, answer
from crossdock_roserocket.sandbox.organisation import Organisation
from crossdock_roserocket.sandbox.seed import seed
from crossdock_roserocket.sandbox.switches import Switches, changed
from crossdock_roserocket.sandbox.tokens import ORG_ID, Tokens, authorize, token_request

API_PATH = "/api/v2/platformModel"
_LIMIT = 60


class Sandbox:
    """One running sandbox."""

    def __init__(
        self, switches: Switches, now: Callable[[], datetime], clock: Callable[[], float]
    ) -> None:
        self._first = self._switches = switches
        self._now, self._clock = now, clock
        self._recorder = Recorder(API_PATH)
        self._tokens = Tokens()
        self._passed = self._faults = 0
        self._restore()

    def _restore(self) -> None:
        self._switches = self._first
        self._passed = self._faults = 0
        self._organisation = Organisation(self._now, self._clock)
        seed(self._organisation)

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/_sandbox/switches", self.show_switches),
                web.post("/_sandbox/switches", self.change_switches),
                *self._recorder.routes(),
                web.post("/_sandbox/reset", self.reset),
                web.get("/_sandbox/tokens", self.show_tokens),
                web.post("/_sandbox/expire_tokens", self.expire_tokens),
                web.route("*", "/{rest:.*}", self.handle),
            ]
        )
        return app

    # --- the two hosts -----------------------------------------------------------------------

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer whatever is not a control route."""
        await self._recorder.note(request)
        return await self._recorder.faults.apply(request, self._answered)

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        path = request.raw_path.partition("?")[0]
        try:
            if path.startswith(f"{API_PATH}/"):
                return await self._api(request, path[len(API_PATH) :], body)
            if (request.method, path) == ("POST", "/oauth/token"):
                return await self._token(request)
            if (request.method, path) == ("GET", "/authorize"):
                return authorize(request, self._tokens)
            raise Refusal(404, f"Cannot {request.method} {path}")
        except Refusal as refusal:
            return refusal.response()

    async def _token(self, request: web.Request) -> web.StreamResponse:
        switches = self._switches
        if switches.token_seconds:
            await asyncio.sleep(switches.token_seconds)
        if switches.token_fault == "500":
            self._tokens.requests["failed"] += 1
            raise Refusal(500, "Internal server error")
        response = await token_request(request, self._tokens, switches)
        return _hang_up(request) if switches.token_fault == "drop" else response

    async def _api(self, request: web.Request, path: str, body: bytes) -> web.StreamResponse:
        switches = self._switches
        if not self._tokens.allows(request.headers.get("Authorization", "")):
            raise Refusal(401, "Action is unauthorized.")
        org = request.headers.get("x-org-id")
        if (org is None and switches.require_org_header) or (org is not None and org != ORG_ID):
            raise Refusal(403, "Action is forbidden.")
        self._check_limit()
        fault = self._fault_for(request.method, path)
        if fault == "500":
            raise Refusal(500, "Internal server error")
        if fault == "502_html":
            page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
            return web.Response(status=502, text=page, content_type="text/html")
        if fault == "not_json":
            return web.Response(text="<html>signed out</html>", content_type="text/html")
        if fault == "redirect":
            return web.Response(status=302, headers={"Location": "https://elsewhere.example/"})
        if fault == "drop":
            return _hang_up(request)
        if fault == "slow":
            await asyncio.sleep(switches.slow_seconds)
        response = api.route(request, path, body, self._organisation, switches)
        return _hang_up(request) if fault == "drop_after_commit" else response

    def _fault_for(self, method: str, path: str) -> str:
        switches = self._switches
        if switches.fault == "none" or not f"{method} {path}".startswith(switches.fault_on):
            return "none"
        if switches.fault_times and self._faults >= switches.fault_times:
            return "none"
        self._faults += 1
        return switches.fault

    def _check_limit(self) -> None:
        switches = self._switches
        self._passed += 1
        if switches.rate_limit != "none" and self._passed > switches.rate_limit_after:
            headers = _limit_headers(switches.rate_limit, switches.rate_limit_seconds)
            raise Refusal(429, "ThrottlerException: Too Many Requests", headers)

    # --- control routes ----------------------------------------------------------------------

    async def show_switches(self, _: web.Request) -> web.Response:
        """Answer the switches as they stand."""
        return answer(self._switches)

    async def change_switches(self, request: web.Request) -> web.Response:
        """Merge a JSON object into the switches; faults and limits count from here."""
        try:
            fields = msgspec.json.decode(await request.read())
            self._switches = changed(self._switches, fields)
        except msgspec.MsgspecError as error:
            return answer({"error": str(error)}, 400)
        self._passed = self._faults = 0
        return answer(self._switches)

    async def reset(self, _: web.Request) -> web.Response:
        """Restore the seed and the first switches; tokens stay valid."""
        self._recorder.faults.replace(())
        self._restore()
        return web.Response(status=204)

    async def show_tokens(self, _: web.Request) -> web.Response:
        """Answer the token endpoint's counters."""
        return answer(self._tokens.counts())

    async def expire_tokens(self, _: web.Request) -> web.Response:
        """End every access token."""
        return answer({"expired": self._tokens.expire_all()})


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _limit_headers(profile: str, seconds: int) -> dict[str, str]:
    if profile == "retry_after":
        return {"Retry-After": str(seconds)}
    if profile == "retry_after_date":
        return {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
    if profile == "x_ratelimit":
        return {
            "X-RateLimit-Limit": str(_LIMIT),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int(time.time()) + seconds),
        }
    if profile == "ratelimit":
        return {
            "RateLimit-Limit": str(_LIMIT),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(seconds),
        }
    if profile == "structured":
        return {
            "RateLimit-Policy": f'"default";q={_LIMIT};w=60',
            "RateLimit": f'"default";r=0;t={seconds}',
        }
    return {}
