"""The door: who gets in, and how those who do not are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from harness import malomo
from harness.malomo import Malomo
from harness.running import Clock, MakeGateway, Running, Server, Shared
from harness.speaking import MODERN, REVISIONS, Response, Speaker, envelope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.access.tokens import mint

PING = b'{"jsonrpc":"2.0","id":"who","method":"ping"}'
SHARED = pytest.mark.asyncio(loop_scope="session")
JSON = {"Content-Type": "application/json"}


def _told(response: Response) -> tuple[Any, ...]:
    """All that a stranger could compare, request ids apart."""
    own = ("date", "x-request-id")
    headers = {name: text for name, text in response.headers.items() if name.lower() not in own}
    return response.status, response.body, headers


async def _refusals(speaker: Speaker) -> list[Response]:
    """Try everything that could be different for a token that is known."""
    message, headers = envelope("tools/call", {"name": "get_single_malomo_order_by_id"})
    return [
        await speaker.post(PING),
        await speaker.post(b"{"),
        await speaker.post(b""),
        await speaker.post(PING, {"Content-Type": "text/plain"}),
        await speaker.post(PING, {"Accept": "text/html"}),
        await speaker.post(json.dumps(message).encode(), {k: v for k, v in headers.items() if v}),
        await speaker.send("initialize", {}, revision="2024-11-05"),
    ]


@pytest.mark.requirement("door:token:unknown", "server:revoked:refused")
async def test_unknown_malformed_and_revoked_tokens_are_refused_alike_byte_for_byte(
    malomo_gateway: Running,
) -> None:
    revoked = await malomo_gateway.server()
    assert (await revoked.post(PING)).status == 200
    path = f"/integrated-account/shop/mcp/{revoked.id}"
    assert (await malomo_gateway.request("DELETE", path)).status == 204
    unknown = mint("mcp")
    mistyped = unknown[:-1] + ("a" if unknown[-1] != "a" else "b")
    expected = [_told(response) for response in await _refusals(revoked)]
    assert {told[0] for told in expected} == {403}
    for token in (
        unknown,
        mistyped,
        mint("api"),
        "x",
        "cdm_",
        unknown[:-1],
        unknown.lower(),
        "%00",
    ):
        speaker = malomo_gateway.speaker(f"/mcp/{token}")
        assert [_told(response) for response in await _refusals(speaker)] == expected


@pytest.mark.requirement("door:token:unknown")
async def test_a_refusal_is_a_json_rpc_error_with_the_requests_id_and_words_for_a_person(
    malomo_gateway: Running,
) -> None:
    response = await malomo_gateway.speaker(f"/mcp/{mint('mcp')}").post(PING)
    assert response.status == 403
    assert response.json["id"] == "who"
    assert response.error["code"] == 40301
    assert "Ask whoever runs this gateway for a new one" in response.error["message"]
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.requirement("door:token:unknown")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    token=st.text(st.characters(codec="utf-8", exclude_characters="/?#"), min_size=1, max_size=80)
)
async def test_no_invented_token_opens_anything(malomo_gateway: Running, token: str) -> None:
    from urllib.parse import quote

    if token in (".", ".."):
        return
    speaker = malomo_gateway.speaker(f"/mcp/{quote(token, safe='')}")
    assert (await speaker.post(PING)).status in (403, 404)


@pytest.mark.requirement("door:token:unknown")
async def test_a_token_with_one_character_changed_opens_nothing(malomo: Malomo) -> None:
    token = malomo.server.token
    for place in range(len(token)):
        other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert (await malomo.running.speaker(f"/mcp/{other}").post(PING)).status == 403


@pytest.mark.requirement("door:token:missing")
@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic eA=="}]
)
async def test_no_token_at_all_is_401_with_a_challenge(
    malomo_gateway: Running, headers: dict[str, str]
) -> None:
    response = await malomo_gateway.speaker("/mcp").post(PING, headers)
    assert (response.status, response.error["code"]) == (401, 40101)
    assert response.json["id"] == "who"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "/mcp/<token>" in response.error["message"]


@pytest.mark.requirement("door:token:bearer")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_token_may_come_as_a_bearer_token_instead(malomo: Malomo, revision: str) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {malomo.server.token}"}
        speaker = malomo.running.speaker("/mcp", headers)
        assert len(await speaker.names(revision)) == 21
    wrong = malomo.running.speaker("/mcp", {"Authorization": f"Bearer {mint('mcp')}"})
    assert (await wrong.post(PING)).status == 403


@pytest.mark.requirement("door:token:bearer")
async def test_a_token_in_the_query_is_no_token(malomo: Malomo) -> None:
    token = malomo.server.token
    for query in (f"token={token}", f"access_token={token}", f"api_key={token}"):
        assert (await malomo.running.speaker(f"/mcp?{query}").post(PING)).status == 401


@pytest.mark.requirement("server:url:self-contained", "server:url:one-account")
async def test_two_servers_reach_two_accounts_and_neither_the_others(
    gateway: MakeGateway, shop: str
) -> None:
    other, other_url = await malomo.start()
    try:
        accounts = {"shop": malomo.account(shop), "other": malomo.account(other_url)}
        running = await gateway(accounts=accounts)
        one, two = await running.server("shop"), await running.server("other")
        body = {"topic": "events:created", "url": "https://hooks.example.com/one"}
        made = (await one.call("create_a_malomo_webhook", body)).data
        found = [
            hook["id"] for hook in (await one.call("list_all_malomo_webhooks", {})).data["result"]
        ]
        assert made["id"] in found
        others = (await two.call("list_all_malomo_webhooks", {})).data["result"]
        assert made["id"] not in [hook["id"] for hook in others]
        missing = await two.call("get_single_malomo_webhook_by_id", {"id": made["id"]})
        assert missing.error["kind"] == "not_found"
    finally:
        await other.cleanup()


# --- expiry ----------------------------------------------------------------------------------


@pytest.mark.requirement("server:expired:gone")
async def test_expiry_counts_to_the_second_and_names_the_date(
    gateway: MakeGateway, shop: str, clock: Clock
) -> None:
    running = await gateway(accounts={"shop": malomo.account(shop)}, clock=clock)
    server = await running.server(expires_at=clock.now + timedelta(hours=1))
    clock.advance(hours=1, milliseconds=-1)
    assert (await server.post(PING)).status == 200
    clock.advance(milliseconds=1)
    for response in await _refusals(server):
        assert response.status == 410
        assert "2026-11-21 13:00 UTC" in response.error["message"]
        assert response.error["code"] == 41001


@pytest.mark.requirement("server:expired:erased", "server:expired:gone")
async def test_an_expired_server_is_erased_and_explained_for_thirty_days(
    gateway: MakeGateway, shop: str, clock: Clock
) -> None:
    running = await gateway(accounts={"shop": malomo.account(shop)}, clock=clock)
    server = await running.server(
        name="Temporary contractor", expires_at=clock.now + timedelta(hours=1)
    )
    store = running.gateway.store
    clock.advance(hours=2)
    await store.expire()
    await running.gateway.sync.reload()
    assert (await server.post(PING)).status == 410
    assert await store.servers.get(server.id) is None
    path = f"/integrated-account/shop/mcp/{server.id}"
    assert (await running.request("GET", path)).status == 404
    clock.advance(days=31)
    await store.expire()
    await running.gateway.sync.reload()
    assert (await server.post(PING)).status == 403


# --- the second factor -----------------------------------------------------------------------


@pytest.mark.requirement("server:second-factor:required")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_with_a_second_factor_the_url_alone_is_worth_nothing(
    malomo_gateway: Running, revision: str
) -> None:
    server = await malomo_gateway.server(require_api_token_auth=True)
    right = await malomo_gateway.api_token()
    wrong = {
        "none": {},
        "another": {"Authorization": f"Bearer {mint('api')}"},
        "its own": {"Authorization": f"Bearer {server.token}"},
        "empty": {"X-Api-Token": ""},
        "basic": {"Authorization": f"Basic {right}"},
        "cut": {"X-Api-Token": right[:-1]},
    }
    for headers in wrong.values():
        response = await server.send("tools/list", revision=revision, headers=dict(headers))
        assert (response.status, response.error["code"]) == (401, 40101)
        sent = any(value.startswith(("Bearer", "cda_")) for value in headers.values())
        challenge = 'Bearer error="invalid_token"' if sent else "Bearer"
        assert response.headers["WWW-Authenticate"] == challenge
        assert response.json["id"] == 1
    for headers in ({"Authorization": f"Bearer {right}"}, {"X-Api-Token": right}):
        response = await server.send("tools/list", revision=revision, headers=dict(headers))
        assert len(response.result["tools"]) == 21


@pytest.mark.requirement("server:second-factor:required", "door:token:bearer")
async def test_beside_a_bearer_token_the_second_factor_is_x_api_token(
    malomo_gateway: Running,
) -> None:
    server = await malomo_gateway.server(require_api_token_auth=True)
    bearer = {"Authorization": f"Bearer {server.token}"}
    assert (await malomo_gateway.speaker("/mcp", bearer).post(PING)).status == 401
    right = await malomo_gateway.api_token()
    both = {**bearer, "X-Api-Token": right}
    assert (await malomo_gateway.speaker("/mcp", both).post(PING)).status == 200
    swapped = {"Authorization": f"Bearer {right}", "X-Api-Token": server.token}
    assert (await malomo_gateway.speaker("/mcp", swapped).post(PING)).status == 403


@pytest.mark.requirement("server:second-factor:required")
async def test_a_server_without_a_second_factor_asks_for_none(malomo: Malomo) -> None:
    headers = {"Authorization": "Bearer nonsense", "X-Api-Token": "nonsense"}
    response = await malomo.server.send("tools/list", headers=dict(headers))
    assert len(response.result["tools"]) == 21


@pytest.mark.requirement("server:second-factor:required")
async def test_neither_token_reaches_the_provider(malomo_gateway: Running, shop: str) -> None:
    server = await malomo_gateway.server(require_api_token_auth=True)
    right = await malomo_gateway.api_token()
    headers = {
        "Authorization": f"Bearer {right}",
        "Cookie": "session=stolen",
        "X-Forwarded-For": "203.0.113.9",
    }
    called = await server.call("list_all_malomo_webhooks", {}, headers=dict(headers))
    assert called.data["result"]
    sandbox = Malomo(malomo_gateway, server, shop)
    (request,) = await sandbox.requests()
    text = json.dumps(request)
    assert server.token not in text
    assert right not in text
    assert "stolen" not in text
    assert "203.0.113.9" not in text
    assert request["headers"]["authorization"] == f"Bearer {malomo.API_KEY}"


# --- Host and Origin -------------------------------------------------------------------------


def _paths(running: Running, server: Server) -> list[tuple[str, str]]:
    return [
        ("POST", server.url),
        ("GET", server.url),
        ("DELETE", server.url),
        ("GET", running.url + "/integrated-account/shop/mcp"),
        ("POST", running.url + "/admin/integrated-accounts/shop/mcp"),
    ]


@SHARED
@pytest.mark.requirement("door:host:checked")
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1",
     "[::2]", "127.0.0.1@evil.example", "", "127.0.0.1 evil", "localhost:80:80"],
)  # fmt: skip
async def test_a_foreign_host_reaches_nothing(shared: Shared, host: str) -> None:
    for verb, url in _paths(shared.running, shared.server):
        response = await shared.server.request(verb, url, PING, {**JSON, "Host": host})
        assert response.status == 421, (verb, url)
        if verb == "POST" and url == shared.server.url:
            assert response.json["id"] == json.loads(PING)["id"]
        assert "allowed_hosts" in response.body.decode()


@SHARED
@pytest.mark.requirement("door:host:checked")
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9999", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8"]
)
async def test_loopback_goes_by_several_names(shared: Shared, host: str) -> None:
    assert (await shared.server.post(PING, {"Host": host})).status == 200


@SHARED
@pytest.mark.requirement("door:health:open")
async def test_probes_of_health_may_ask_by_any_address(shared: Shared) -> None:
    for path in ("/healthz", "/readyz"):
        url = shared.running.url + path
        response = await shared.server.request("GET", url, headers={"Host": "10.1.2.3:8787"})
        assert response.status == 200


@SHARED
@pytest.mark.requirement("door:origin:checked")
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://evil.example", "null", "", "http://127.0.0.1.evil.example",
     "https://localhost.evil.example", "file://", "chrome-extension://abc", "http://[::2]", "http://[",
     "javascript:alert(1)", "https://127.0.0.1@evil.example"],
)  # fmt: skip
async def test_a_foreign_page_may_not_call_whatever_the_path(shared: Shared, origin: str) -> None:
    for verb, url in _paths(shared.running, shared.server):
        response = await shared.server.request(verb, url, PING, {**JSON, "Origin": origin})
        assert response.status == 403, (verb, url)
        assert "Access-Control-Allow-Origin" not in response.headers


@SHARED
@pytest.mark.requirement("door:origin:checked")
@pytest.mark.parametrize(
    "origin", [None, "http://localhost:3000", "http://127.0.0.1", "http://[::1]:8787"]
)
async def test_no_origin_and_pages_of_this_machine_may_call(
    shared: Shared, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert (await shared.server.post(PING, headers)).status == 200


@pytest.mark.requirement("door:origin:checked", "door:host:checked")
async def test_listed_hosts_and_pages_are_let_in_with_cors(gateway: MakeGateway, shop: str) -> None:
    running = await gateway(
        accounts={"shop": malomo.account(shop)},
        settings={
            "server": {
                "public_url": "https://gw.example.com",
                "allowed_hosts": ["inner.example"],
                "allowed_origins": ["https://app.example.com"],
            }
        },
    )
    created = await running.request(
        "POST",
        "/integrated-account/shop/mcp",
        {"name": "Agent"},
        headers={"Host": "gw.example.com"},
    )
    assert created.status == 201
    running.canaries.issue(created.json["token"], "a token")
    assert created.json["url"] == f"https://gw.example.com/mcp/{created.json['token']}"
    speaker = running.speaker(f"/mcp/{created.json['token']}", {"Host": "inner.example"})
    page = {"Origin": "https://app.example.com"}
    response = await speaker.post(PING, page)
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Mcp-Session-Id" in response.headers["Access-Control-Expose-Headers"]
    own = await speaker.post(PING, {"Origin": "https://gw.example.com"})
    assert own.status == 200
    preflight = await speaker.request(
        "OPTIONS",
        speaker.url,
        headers={
            **page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, mcp-param-region, x-evil",
        },
    )
    allowed = preflight.headers["Access-Control-Allow-Headers"].lower()
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    for name in (
        "content-type",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
    ):
        assert name in allowed
    assert "x-evil" not in allowed
    assert (await speaker.post(PING, {"Host": "127.0.0.1"})).status == 200
    assert (await speaker.post(PING, {"Host": "other.example"})).status == 421


@pytest.mark.requirement("door:host:checked")
async def test_forwarded_headers_count_only_from_a_trusted_proxy(
    gateway: MakeGateway, shop: str
) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    accounts = {"shop": malomo.account(shop)}
    untrusting = await gateway(accounts=accounts)
    made = await untrusting.request(
        "POST", "/integrated-account/shop/mcp", {"name": "A"}, headers=forwarded
    )
    assert made.json["url"].startswith(untrusting.url)
    trusting = await gateway(
        accounts=accounts, settings={"server": {"trusted_proxies": ["127.0.0.1/32"]}}
    )
    made = await trusting.request(
        "POST", "/integrated-account/shop/mcp", {"name": "A"}, headers=forwarded
    )
    assert made.json["url"].startswith("https://evil.example/mcp/")


@pytest.mark.requirement("mcp2026:methods:removed")
async def test_the_door_comes_before_everything_else_that_could_be_said(
    malomo_gateway: Running,
) -> None:
    speaker = malomo_gateway.speaker(f"/mcp/{mint('mcp')}")
    response = await speaker.send("no/such/method", headers={"MCP-Protocol-Version": "x"})
    assert response.status == 403
    response = await speaker.post(b"x" * 1_040_000, {"MCP-Protocol-Version": MODERN})
    assert response.status in (403, 413)
