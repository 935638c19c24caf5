"""Connecting an account: OAuth's authorization code with PKCE, started by an operator."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from harness.guide import write
from harness.provider import Provider, reply
from harness.running import Clock, MakeGateway, Running

pytestmark = pytest.mark.requirement("authors:connected")

TOML = """format = 1
name = "yard"
title = "Yard"
base_url = "https://yard.example"
credentials.client_id = { about = "Id.", secret = false }
credentials.client_secret = { about = "Secret." }
credentials.refresh_token = { about = "By connecting.", required = false }
settings.token_url = { about = "Where tokens come from." }
[auth]
scheme = "oauth2_refresh"
token_url = "https://login.yard.example/token"
client = "basic"
[auth.authorize]
url = "https://login.yard.example/authorize?tenant=7"
scope = "gates:read offline"
extra = { prompt = "consent" }
[resources.gates.methods]
list = "GET /gates"
"""
PAGE = "## list_all_yard_gates\n\nList the gates of the yard, all of them.\n"
PYTHON = """from crossdock.adapter import hookimpl, load_adapter


@hookimpl
def crossdock_adapters():
    yield load_adapter(__name__)
"""
PUBLIC = "https://gw.example"
TOKENS = reply(
    {"access_token": "access-10c9d3", "refresh_token": "refresh-55e0aa", "expires_in": 60}
)


class Yard:
    """A gateway with a stored account that is not connected."""

    def __init__(self, running: Running, account: str) -> None:
        self.running = running
        self.account = account

    async def start(self, token: str | None = "") -> Any:
        path = f"/integrated-account/{self.account}/connect"
        return await self.running.request("POST", path, token=token)

    async def state(self, token: str | None = "") -> tuple[str, dict[str, str]]:
        answer = await self.start(token)
        assert answer.status == 200, answer.body
        asked = dict(parse_qsl(urlsplit(answer.json["url"]).query))
        return asked["state"], asked

    async def back(self, **query: str) -> Any:
        """Come back from the provider, as a browser does, with nothing but the query."""
        pairs = "&".join(f"{name}={value}" for name, value in query.items())
        return await self.running.request("GET", f"/connect/callback?{pairs}", token=None)

    async def status(self) -> str:
        answer = await self.running.request("GET", f"/integrated-account/{self.account}")
        return str(answer.json["status"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def yard(gateway: MakeGateway, tmp_path: Path, provider: Provider, clock: Clock) -> Yard:
    folder = tmp_path / "gateway-1" / "plugins" / "yard"
    write(folder, TOML, {"gates.md": PAGE}, PYTHON)
    running = await gateway(
        adapters=["yard"], settings={"server": {"public_url": PUBLIC}}, clock=clock
    )
    made = await running.request(
        "POST",
        "/integrated-account",
        {
            "integration": "yard",
            "name": "Yard",
            "settings": {"base_url": provider.url, "token_url": f"{provider.url}/token"},
            "credentials": {"client_id": "app-1", "client_secret": "app-secret-7d21"},
        },
    )
    assert made.status == 201, made.body
    return Yard(running, made.json["id"])


async def test_an_account_is_connected_once_and_works(yard: Yard, provider: Provider) -> None:
    made = await yard.running.server(yard.account)
    server = yard.running.speaker(f"/mcp/{made.token}")
    assert await yard.status() == "unconnected"
    early = await server.call("list_all_yard_gates")
    assert early.error["kind"] == "unauthenticated"
    assert "not connected" in early.error["message"]
    assert provider.requests == []
    answer = (await yard.start()).json
    url = urlsplit(answer["url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://login.yard.example/authorize"
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert answer["redirect_uri"] == asked["redirect_uri"] == f"{PUBLIC}/connect/callback"
    assert (asked["tenant"], asked["prompt"], asked["scope"]) == (
        "7",
        "consent",
        "gates:read offline",
    )
    assert (asked["response_type"], asked["client_id"]) == ("code", "app-1")
    provider.plays(TOKENS, TOKENS, reply([]))
    page = await yard.back(state=asked["state"], code="code-1")
    assert page.status == 200, page.body
    (exchange,) = provider.requests
    sent = dict(parse_qsl(exchange.body.decode()))
    assert sent["grant_type"] == "authorization_code"
    assert (sent["code"], sent["redirect_uri"]) == ("code-1", asked["redirect_uri"])
    digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert asked["code_challenge_method"] == "S256"
    assert sent["code_verifier"] not in answer["url"]
    assert "client_secret" not in sent
    assert exchange.headers["authorization"].startswith("Basic ")
    assert await yard.status() == "active"
    assert (await server.call("list_all_yard_gates")).data["result"] == []
    assert dict(parse_qsl(provider.requests[1].body.decode()))["refresh_token"] == "refresh-55e0aa"
    for header in ("Content-Security-Policy", "X-Frame-Options"):
        assert page.headers[header]
    assert page.headers["Referrer-Policy"] == "no-referrer"


async def test_a_state_is_good_once(yard: Yard, provider: Provider) -> None:
    state, _ = await yard.state()
    provider.plays(TOKENS)
    assert (await yard.back(state=state, code="c")).status == 200
    again = await yard.back(state=state, code="c")
    assert again.status == 409
    assert len(provider.requests) == 1


async def test_a_state_that_was_refused_cannot_be_used_later(
    yard: Yard, provider: Provider
) -> None:
    state, _ = await yard.state()
    assert (await yard.back(state=state, error="access_denied")).status == 409
    assert (await yard.back(state=state, code="c")).status == 409
    assert provider.requests == []
    assert await yard.status() == "unconnected"


@pytest.mark.parametrize("change", ["", "x", "cut", "flipped"])
async def test_a_state_that_was_not_made_here_is_refused(
    yard: Yard, provider: Provider, change: str
) -> None:
    state, _ = await yard.state()
    last = "A" if state[-1] != "A" else "Q"
    forged = {"": "", "x": "x", "cut": state[:-4], "flipped": state[:-1] + last}[change]
    assert (await yard.back(state=forged, code="c")).status == 400
    assert provider.requests == []


async def test_a_state_ends_after_ten_minutes(yard: Yard, provider: Provider, clock: Clock) -> None:
    state, _ = await yard.state()
    clock.advance(minutes=10)
    assert (await yard.back(state=state, code="c")).status == 410
    assert provider.requests == []


async def test_the_starter_must_still_be_good_when_the_person_comes_back(
    yard: Yard, provider: Provider
) -> None:
    made = await yard.running.request("POST", "/api-token", {"name": "o", "role": "operator"})
    yard.running.canaries.issue(made.json["token"], "an operator's token")
    state, _ = await yard.state(made.json["token"])
    await yard.running.request("DELETE", f"/api-token/{made.json['id']}")
    assert (await yard.back(state=state, code="c")).status == 403
    assert provider.requests == []


async def test_viewers_may_not_start(yard: Yard) -> None:
    assert (await yard.start(await yard.running.api_token("viewer"))).status == 403


async def test_a_code_that_the_provider_does_not_take_connects_nothing(
    yard: Yard, provider: Provider
) -> None:
    for answer in (reply({"error": "invalid_grant"}, 400), reply({"access_token": "a"})):
        state, _ = await yard.state()
        provider.plays(answer)
        page = await yard.back(state=state, code="code-secret-991")
        assert page.status == 502
        assert b"code-secret-991" not in page.body
    assert await yard.status() == "unconnected"


async def test_what_the_provider_says_is_no_markup_in_the_page(
    yard: Yard, provider: Provider
) -> None:
    state, _ = await yard.state()
    provider.plays(reply({"error_description": "<script>alert(1)</script>"}, 400))
    page = await yard.back(state=state, code="c")
    assert b"<script>" not in page.body
    assert b"&lt;script&gt;" in page.body


async def test_both_ends_are_written_down(yard: Yard, provider: Provider) -> None:
    state, _ = await yard.state()
    provider.plays(TOKENS)
    await yard.back(state=state, code="c")
    await yard.running.gateway.audit.flush()
    lines = await yard.running.gateway.store.audit.list(limit=50)
    told = {one.action: (one.actor, one.account_id, one.outcome) for one in lines.items}
    expected = ("config", yard.account, "ok")
    assert told["account.connect.start"] == told["account.connect"] == expected
