"""Guessing API tokens is slow, seen, and cannot go around the proxy's limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.patience import until
from harness.provider import Provider
from harness.running import Clock, MakeGateway, Running
from harness.speaking import Response, raw_exchange

from crossdock.access.attempts import Attempts
from crossdock.access.tokens import mint
from crossdock.errors import ConfigError, Denied
from crossdock.observe.denials import Denials
from crossdock.store import AuditEntry, AuditFilter

pytestmark = pytest.mark.requirement("security:guessing:slow")
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.fixture
async def held(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, clock: Clock
) -> Running:
    """A gateway whose minute goes only when it is told to."""
    accounts = {"shop": acme.account(provider.url)}
    return await gateway(adapters=["acme"], accounts=accounts, clock=clock)


async def guess(running: Running, token: str | None = None) -> Response:
    return await running.request("GET", "/integrated-account", token=token or mint("api"))


# --- around the proxy ------------------------------------------------------------------------

ROUNDABOUT = (
    "/integrated-account/../mcp",
    "/integrated-account/%2e%2e/mcp",
    "/integrated-account/.%2E/mcp",
    "/integrated-account/..%2fmcp",
    "/integrated-account/x%2F..%2F..%2Fmcp/mcp",
    "/integrated-account/./mcp",
    "/integrated-account/..",
    "/integrated-account/..?x=1",
    "/mcp/../integrated-account",
    "/mcp/%2e%2e/integrated-account",
    "/mcp/..%2fintegrated-account",
    "/mcp/x/%2e",
    "/./healthz",
    "/../healthz",
    "//integrated-account",
    "/integrated-account//shop",
    "/mcp//",
    "/mcp/%2f%2fx",
    "/%2fhealthz",
    "/healthz#/../mcp",
    "/connect.tgz/../connect.tgz",
    "/nothing/../nothing",
    "/openapi.json/..%2fopenapi.json",
    "http://localhost/integrated-account/../mcp",
    "http://localhost//healthz",
)


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
async def test_no_path_means_one_thing_to_a_proxy_and_another_to_the_gateway(
    acme_gateway: Running, verb: str
) -> None:
    for target in ROUNDABOUT:
        request = (
            f"{verb} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
            f"Authorization: Bearer {acme_gateway.admin_token}\r\nConnection: close\r\n\r\n"
        )
        answer = await raw_exchange(acme_gateway.url, request.encode())
        assert answer.startswith(b"HTTP/1.1 400 "), (target, answer[:200])
        assert b"segment" in answer


async def test_plain_paths_with_dots_and_escapes_are_what_they_were(acme_gateway: Running) -> None:
    for path, status in {
        "/.well-known/oauth-protected-resource": 404,
        "/integrated-account/shop": 200,
        "/integrated-account/...": 404,
        "/integrated-account/a..b": 404,
        "/integrated-account/shop?cursor=../x": 422,
        "/integrated-account/%73hop": 200,
        "/healthz?x=a/../b": 200,
    }.items():
        assert (await acme_gateway.request("GET", path)).status == status, path


# --- the budget ------------------------------------------------------------------------------


async def test_after_thirty_wrong_tokens_in_a_minute_the_next_is_told_to_wait(
    held: Running, clock: Clock
) -> None:
    for _ in range(30):
        response = await guess(held)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    clock.advance(seconds=20)
    for token in (mint("api"), "x", held.admin_token[:-1], mint("mcp")):
        response = await guess(held, token)
        assert (response.status, response.headers["Retry-After"]) == (429, "40")
        assert response.json["error"] == "too_many_failures"
        assert "WWW-Authenticate" not in response.headers
    assert (await guess(held, held.admin_token)).status == 200
    missing = await held.request("GET", "/integrated-account", token=None)
    assert (missing.status, missing.headers["WWW-Authenticate"]) == (401, "Bearer")
    clock.advance(seconds=40)
    assert (await guess(held)).status == 401


async def test_a_missing_token_is_no_guess(held: Running) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic eDp5"}) * 20:
        response = await held.request("GET", "/api-token", token=None, headers=headers)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await guess(held)).status == 401


def by_bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by_header(token: str) -> dict[str, str]:
    return {"X-Api-Token": token}


@pytest.mark.parametrize("shown", [by_bearer, by_header])
async def test_the_second_factor_is_guessed_from_the_same_budget(
    held: Running, shown: Callable[[str], dict[str, str]]
) -> None:
    server = await held.server(require_api_token_auth=True)
    good = await held.api_token()
    assert (await server.post(PING)).headers["WWW-Authenticate"] == "Bearer"
    for _ in range(30):
        refused = await server.post(PING, shown(mint("api")))
        assert (refused.status, refused.error["code"]) == (401, 40101)
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    put_off = await server.post(PING, shown(mint("api")))
    assert (put_off.status, put_off.error["code"]) == (429, 42901)
    assert put_off.json["id"] == 1
    assert put_off.headers["Retry-After"] == "60"
    assert (await guess(held)).status == 429
    assert (await server.post(PING, shown(good))).status == 200
    assert (await server.post(PING)).status == 401
    page = await server.request("GET", server.url, headers={"Accept": "text/html", **shown("x")})
    assert (page.status, page.headers["Retry-After"]) == (429, "60")


async def test_wrong_url_tokens_stay_alike_however_many_came(held: Running) -> None:
    told = set()
    for _ in range(40):
        response = await held.speaker(f"/mcp/{mint('mcp')}").post(PING, by_header(mint("api")))
        told.add((response.status, response.body))
    assert len(told) == 1
    assert told.pop()[0] == 403


async def test_the_token_of_config_is_never_a_second_factor_nor_can_be_found_as_one(
    held: Running,
) -> None:
    server = await held.server(require_api_token_auth=True)
    answers = []
    for shown in (by_bearer, by_header):
        for token in (held.admin_token, mint("api")):
            answer = await server.post(PING, shown(token))
            answers.append((answer.status, answer.body, answer.headers["WWW-Authenticate"]))
    assert len(set(answers)) == 1
    assert answers[0][0] == 401
    for _ in range(26):
        await server.post(PING, by_header(mint("api")))
    assert (await server.post(PING, by_header(held.admin_token))).status == 429


def attempts(clock: Clock, **given: Any) -> Attempts:
    return Attempts(
        lambda: clock().timestamp(), **{"most": 3, "in_all": 1_000_000, "seconds": 60, **given}
    )


def test_one_network_has_one_budget_and_others_have_theirs(clock: Clock) -> None:
    budget = attempts(clock)
    near, far = ip_address("2001:db8:1:2::1"), ip_address("2001:db8:1:3::1")
    same = IPv6Address(int(near) + 2**63)
    assert [budget.fail(one) for one in (near, same, near, same, near)] == [0, 0, 0, 60, 60]
    for other in (far, ip_address("203.0.113.7"), ip_address("203.0.113.8"), None):
        assert [budget.fail(other) for _ in range(4)] == [0, 0, 0, 60]


def test_a_budget_in_all_bounds_those_who_come_from_everywhere(clock: Clock) -> None:
    budget = attempts(clock, in_all=100)
    waits = [budget.fail(ip_address(number)) for number in range(200)]
    assert waits == [0] * 100 + [60] * 100
    clock.advance(seconds=59.5)
    assert budget.wait(None) == 1
    clock.advance(seconds=0.5)
    assert budget.fail(None) == 0


def test_the_memory_of_failures_is_bounded(clock: Clock) -> None:
    budget = attempts(clock)
    for number in range(25_000):
        budget.fail(IPv6Address(number << 64))
    assert len(budget._windows) == 10_000
    assert budget.fail(IPv6Address(24_999 << 64)) == 0


# --- what is written down --------------------------------------------------------------------


async def denied_lines(running: Running) -> list[AuditEntry]:
    await running.gateway.audit.flush()
    page = await running.gateway.store.audit.list(AuditFilter(kind="door"), limit=500)
    return list(reversed(page.items))


async def test_failures_are_written_down_with_their_address_once_and_then_counted(
    held: Running, clock: Clock
) -> None:
    tried = mint("api")
    held.canaries.issue(tried, "a guessed token")
    for _ in range(45):
        await guess(held, tried)
    (line,) = await denied_lines(held)
    assert (line.action, line.outcome, line.address) == (
        "admin.denied",
        "invalid_api_token",
        "127.0.0.1",
    )
    clock.advance(seconds=60)

    async def counted() -> bool:
        return len(await denied_lines(held)) == 2

    await until(counted)
    assert (await denied_lines(held))[1].target == "44 times"
    text = held.canaries.log_text()
    logged = [json.loads(one) for one in text.splitlines() if '"door.denied"' in one]
    ours = [one for one in logged if one["reason"] == "invalid_api_token"][-2:]
    assert [(one["address"], one["times"]) for one in ours] == [("127.0.0.1", 1), ("127.0.0.1", 44)]


async def test_each_kind_of_denial_leaves_a_line_that_names_the_server(
    held: Running, clock: Clock
) -> None:
    server = await held.server(require_api_token_auth=True)
    elsewhere = await held.server(allowed_ips=["203.0.113.0/24"])
    await server.post(PING)
    await elsewhere.post(PING)
    await held.speaker("/mcp").post(PING)
    await held.speaker(f"/mcp/{mint('mcp')}").post(PING)
    await held.request("DELETE", "/integrated-account/shop", token=None)
    lines = await denied_lines(held)
    assert [(one.action, one.outcome, one.server_id, one.account_id) for one in lines] == [
        ("mcp.denied", "second_factor", server.id, "shop"),
        ("mcp.denied", "network", elsewhere.id, "shop"),
        ("mcp.denied", "no_token", None, None),
        ("mcp.denied", "unknown_token", None, None),
        ("admin.denied", "missing_api_token", None, None),
    ]
    assert {one.address for one in lines} == {"127.0.0.1"}


def test_whoever_comes_from_everywhere_leaves_no_more_lines_than_are_bounded(clock: Clock) -> None:
    lines: list[AuditEntry] = []
    denials = Denials(lines.append, clock, seconds=60, most=20)
    for number in range(1_000):
        denials.note("admin", Denied(401, "invalid_api_token", ""), ip_address(number))
    assert len(lines) == 21
    assert lines[-1].address == "elsewhere"
    clock.advance(seconds=60)
    denials.settle()
    assert [(one.address, one.target) for one in lines[21:]] == [("elsewhere", "979 times")]
    clock.advance(seconds=60)
    denials.settle()
    denials.settle(ending=True)
    assert len(lines) == 22


# --- the token of config ---------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 20, 31])
async def test_a_short_admin_token_stops_the_start_with_the_command_that_makes_one(
    gateway: MakeGateway, tmp_path: Path, length: int
) -> None:
    (tmp_path / "token").write_text(("weak-token-" * 9)[:length])
    settings = {"admin": {"token": f"file:{tmp_path}/token"}}
    with pytest.raises(ConfigError) as caught:
        await gateway(adapters=[], settings=settings)
    for word in ("admin.token", "openssl rand -base64 32", "crossdock token create"):
        assert word in str(caught.value)
    assert "xxx" not in str(caught.value)
