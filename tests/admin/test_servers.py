"""Creating, listing, showing and revoking MCP servers over the admin API."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import Clock, MakeGateway, Running

from crossdock.access.tokens import mint, well_formed

PATH = "/integrated-account/shop/mcp"
ALIAS = "/admin/integrated-accounts/shop/mcp"
PATHS = pytest.mark.parametrize("path", [PATH, ALIAS], ids=["path", "alias"])


@pytest.fixture
async def running(
    gateway: MakeGateway, acme_folder: object, provider: Provider, clock: Clock
) -> Running:
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url), "other": acme.account(provider.url)},
        clock=clock,
    )


def _known(running: Running, created: Any) -> Any:
    running.canaries.issue(created["token"], "a token")
    return created


# --- create ----------------------------------------------------------------------------------


@PATHS
@pytest.mark.requirement("server:create:answer", "server:create:admin-alias")
async def test_creating_answers_everything_and_the_url_works(
    running: Running, clock: Clock, path: str
) -> None:
    config = {"methods": ["read", "create"], "tags": ["goods"], "tool_exposure": "all"}
    body = {"name": "Dispatch agent", "config": config, "expires_at": "2027-01-31T00:00:00Z"}
    response = await running.request("POST", path, body)
    assert response.status == 201
    created = _known(running, response.json)
    assert re.fullmatch(r"mcp_srv_[0-9a-z]{20,}", created["id"])
    assert created["name"] == "Dispatch agent"
    assert created["integrated_account_id"] == "shop"
    assert config.items() <= created["config"].items()
    assert created["config"]["require_api_token_auth"] is False
    assert created["created_by"]
    assert datetime.fromisoformat(created["created_at"]) == clock.now
    assert created["updated_at"] == created["created_at"]
    assert datetime.fromisoformat(created["expires_at"]) == datetime(2027, 1, 31, tzinfo=UTC)
    assert well_formed("mcp", created["token"])
    assert created["url"] == f"{running.url}/mcp/{created['token']}"
    names = await running.speaker(f"/mcp/{created['token']}").names()
    assert created["tools"] == len(names)
    assert 300 < created["tokens"] < 2_000
    assert "create_a_acme_item" in names
    assert "update_a_acme_item_by_id" not in names


@pytest.mark.requirement("server:token:hashed")
async def test_the_token_is_shown_once_and_kept_as_a_hash_only(running: Running) -> None:
    created = _known(running, (await running.request("POST", PATH, {"name": "A"})).json)
    for path in (PATH, f"{PATH}/{created['id']}"):
        text = (await running.request("GET", path)).body.decode()
        assert created["token"] not in text
        assert '"token"' not in text
        assert '"url"' not in text
    for file in (running.folder / "state").iterdir():
        assert created["token"].encode() not in file.read_bytes()


@pytest.mark.requirement("server:create:answer")
async def test_discovery_costs_less_than_the_tools_that_it_finds(running: Running) -> None:
    costs = {}
    for exposure in ("all", "discovery"):
        body = {"name": "A", "config": {"tool_exposure": exposure}}
        created = _known(running, (await running.request("POST", PATH, body)).json)
        assert created["tools"] == 10
        costs[exposure] = created["tokens"]
    assert costs["discovery"] < costs["all"]


@pytest.mark.requirement("server:create:answer")
async def test_a_name_is_all_that_is_needed(running: Running) -> None:
    created = _known(running, (await running.request("POST", PATH, {"name": "A"})).json)
    assert created["expires_at"] is None
    assert "methods" not in created["config"]
    assert "tags" not in created["config"]
    assert len(await running.speaker(f"/mcp/{created['token']}").names()) == 10


@pytest.mark.requirement("server:second-factor:required")
@pytest.mark.parametrize(
    "body",
    [
        {"config": {"require_api_token_auth": True}},
        {"require_api_token_auth": True},
        {"config": {"require_api_token_auth": True}, "require_api_token_auth": True},
    ],
)
async def test_the_second_factor_is_asked_for_in_either_place(
    running: Running, body: dict[str, Any]
) -> None:
    created = _known(running, (await running.request("POST", PATH, {"name": "A", **body})).json)
    assert created["config"]["require_api_token_auth"] is True
    speaker = running.speaker(f"/mcp/{created['token']}")
    assert (await speaker.send("tools/list")).status == 401
    headers = {"X-Api-Token": await running.api_token()}
    assert (await speaker.send("tools/list", headers=dict(headers))).status == 200


WRONG: list[tuple[Any, str]] = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": 7}, "name"),
    ({"name": "A", "nam": 1}, "nam"),
    ({"name": "A", "config": []}, "config"),
    ({"name": "A", "config": {"method": ["read"]}}, "config.method"),
    ({"name": "A", "config": {"methods": []}}, "config.methods"),
    ({"name": "A", "config": {"tags": []}}, "config.tags"),
    ({"name": "A", "config": {"methods": "read"}}, "config.methods"),
    ({"name": "A", "config": {"methods": ["read", 7]}}, "config.methods[1]"),
    ({"name": "A", "config": {"methods": ["read", "reed"]}}, "config.methods[1]"),
    ({"name": "A", "config": {"methods": ["READ"]}}, "config.methods[0]"),
    ({"name": "A", "config": {"methods": [""]}}, "config.methods[0]"),
    ({"name": "A", "config": {"tool_exposure": "some"}}, "config.tool_exposure"),
    ({"name": "A", "config": {"result_format": "xml"}}, "config.result_format"),
    ({"name": "A", "config": {"require_api_token_auth": "yes"}}, "config.require_api_token_auth"),
    ({"name": "A", "require_api_token_auth": 1}, "require_api_token_auth"),
    ({"name": "A", "expires_at": "soon"}, "expires_at"),
    ({"name": "A", "expires_at": 1800000000}, "expires_at"),
    ({"name": "A", "expires_at": "2027-01-31"}, "expires_at"),
    ({"name": "A", "expires_at": "2027-01-31T00:00:00"}, "expires_at"),
    ({"name": "A", "expires_at": "2026-11-21T12:00:00Z"}, "expires_at"),
    ({"name": "A", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"name": "A", "expires_at": "2027-02-30T00:00:00Z"}, "expires_at"),
]


@pytest.mark.requirement("server:create:filters-checked")
@pytest.mark.parametrize(("body", "field"), WRONG, ids=lambda value: json.dumps(value)[:60])
async def test_a_wrong_field_is_refused_by_its_name_and_nothing_is_made(
    running: Running, body: Any, field: str
) -> None:
    response = await running.request("POST", PATH, body)
    assert response.status == 422
    told = response.json
    assert told["statusCode"] == 422
    assert told["error"] == "invalid_field"
    assert told["details"]["field"] == field
    assert told["message"].startswith(field)
    assert (await running.request("GET", PATH)).json["result"] == []


@pytest.mark.requirement("server:create:filters-checked")
async def test_an_unknown_method_is_answered_with_those_that_there_are(running: Running) -> None:
    body = {"name": "A", "config": {"methods": ["remove"]}}
    message = (await running.request("POST", PATH, body)).json["message"]
    for word in ("read", "write", "custom", "list", "archive", "count"):
        assert word in message


@pytest.mark.requirement("server:create:documented-only", "tools:documented:only")
@pytest.mark.parametrize(
    "config",
    [{"tags": ["hidden"]}, {"tags": ["nonsense"]}, {"methods": ["archive"], "tags": ["names"]}],
)
async def test_a_server_without_a_tool_is_refused_and_what_was_withheld_is_named(
    running: Running, config: dict[str, Any]
) -> None:
    response = await running.request("POST", PATH, {"name": "A", "config": config})
    if response.status == 422:  # a misspelt tag may be told as such
        assert response.json["details"]["field"].startswith("config.tags")
        return
    assert response.status == 400
    told = response.json
    assert told["error"] == "no_documented_tools"
    assert told["details"]["withheld"] == ["list_all_acme_secrets_of_state"]
    assert "goods" in told["message"]
    assert "names" in told["message"]


@pytest.mark.requirement("server:create:answer")
@pytest.mark.parametrize(
    ("zone", "hour"), [("Z", 10), ("+00:00", 10), ("+02:00", 8), ("-05:30", 15.5)]
)
async def test_an_expiry_may_be_given_in_any_zone(running: Running, zone: str, hour: float) -> None:
    body = {"name": "A", "expires_at": f"2027-03-01T10:00:00{zone}"}
    created = _known(running, (await running.request("POST", PATH, body)).json)
    moment = datetime.fromisoformat(created["expires_at"])
    assert moment == datetime(2027, 3, 1, tzinfo=UTC) + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"{", {}, 400, "malformed_json"),
        (b"", {}, 400, "malformed_json"),
        (b'{"name":"\xff"}', {}, 400, "malformed_json"),
        (b"[" * 50_000, {}, 422, "invalid_field"),
        (b"null", {}, 422, "invalid_field"),
        (b"[]", {}, 422, "invalid_field"),
        (b'{"name":"A"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"name":"A"}', {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (b'{"name":"' + b"x" * 300_000 + b'"}', {}, 413, None),
    ],
    ids=["cut", "empty", "latin", "deep", "null", "list", "kind", "encoding", "large"],
)
async def test_a_body_that_cannot_be_read_is_refused(
    running: Running, body: bytes, headers: dict[str, str], status: int, word: str | None
) -> None:
    response = await running.request("POST", PATH, body=body, headers=headers)
    assert response.status == status, response.body
    assert response.json["statusCode"] == status
    if word:
        assert response.json["error"] == word


# --- who may ---------------------------------------------------------------------------------


@PATHS
@pytest.mark.requirement("server:create:authorised")
async def test_only_bearers_of_an_api_token_see_or_make_servers(
    running: Running, path: str
) -> None:
    server = await running.server()
    strangers = [None, "", mint("api"), server.token, running.admin_token[:-1], "x" * 5000]
    for token in strangers:
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        for verb, where, value in (
            ("GET", path, None),
            ("POST", path, {"name": "A"}),
            ("POST", path, {"nonsense": 1}),
            ("GET", f"{path}/{server.id}", None),
            ("DELETE", f"{path}/{server.id}", None),
            ("GET", f"{path}/nothing", None),
            ("GET", path.replace("shop", "nowhere"), None),
        ):
            response = await running.request(verb, where, value, token=None, headers=sent)
            assert response.status == 401, (token, verb, where)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.json["statusCode"] == 401
    assert (await server.send("tools/list")).status == 200


@pytest.mark.requirement("server:create:authorised")
async def test_without_an_admin_token_the_admin_api_answers_401(
    gateway: MakeGateway, acme_folder: object, provider: Provider
) -> None:
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    assert (await running.request("GET", PATH, token=None)).status == 401


@pytest.mark.requirement("server:create:authorised")
async def test_the_admin_token_of_config_is_an_owners(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    folder = acme_folder.parents[1]
    (folder / "secrets").mkdir()
    (folder / "secrets" / "admin").write_text(
        "a-token-of-my-own-6c1-and-then-some", encoding="utf-8"
    )
    running = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"admin": {"token": "file:secrets/admin"}},
    )
    running.canaries.issue("a-token-of-my-own-6c1-and-then-some", "the admin token of config.toml")
    response = await running.request("GET", PATH, token="a-token-of-my-own-6c1-and-then-some")  # noqa: S106
    assert response.status == 200
    for wrong in (
        "a-token-of-my-own-6c1-and-then-som",
        "A-token-of-my-own-6c1",
        "a-token-of-my-own-6c1-and-then-some x",
    ):
        assert (await running.request("GET", PATH, token=wrong)).status == 401


# --- list, show, revoke ----------------------------------------------------------------------


@PATHS
async def test_servers_are_listed_by_account_newest_first_in_pages(
    running: Running, clock: Clock, path: str
) -> None:
    made = []
    for number in range(5):
        made.append((await running.server(name=f"Agent {number}")).id)
        clock.advance(seconds=1)
    await running.server("other")
    met = []
    cursor = None
    for _ in range(9):
        query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
        page = (await running.request("GET", path + query)).json
        assert set(page) == {"result", "next_cursor"}
        met += [server["id"] for server in page["result"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert met == made[::-1]
    whole = (await running.request("GET", path)).json
    assert [server["id"] for server in whole["result"]] == met


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=201", "limit=x", "limit=1e3", "limit=", "cursor=nonsense",
     "offset=1", "limit=%D9%A3", "limit=" + "9" * 5000],
)  # fmt: skip
async def test_a_wrong_page_is_refused_by_its_name(running: Running, query: str) -> None:
    response = await running.request("GET", f"{PATH}?{query}")
    assert response.status == 422
    assert response.json["details"]["field"] == query.partition("=")[0]


@PATHS
async def test_a_server_is_shown_and_revoked_by_its_own_account_only(
    running: Running, path: str
) -> None:
    server = await running.server()
    shown = (await running.request("GET", f"{path}/{server.id}")).json
    assert shown == {key: server.created[key] for key in shown}
    elsewhere = path.replace("/shop/", "/other/")
    for verb in ("GET", "DELETE"):
        for where in (f"{elsewhere}/{server.id}", f"{path}/mcp_srv_none", f"{path}/{'x' * 3000}"):
            response = await running.request(verb, where)
            assert (response.status, response.json["error"]) == (404, "not_found")
    assert (await server.send("tools/list")).status == 200
    assert (await running.request("DELETE", f"{path}/{server.id}")).status == 204
    assert (await running.request("DELETE", f"{path}/{server.id}")).status == 404
    assert (await running.request("GET", f"{path}/{server.id}")).status == 404


@pytest.mark.requirement("server:revoked:refused")
async def test_a_revoked_url_is_dead_with_the_next_request(running: Running) -> None:
    servers = [await running.server() for _ in range(3)]
    path = f"{PATH}/{servers[1].id}"
    assert (await running.request("DELETE", path)).status == 204
    assert [(await server.send("tools/list")).status for server in servers] == [200, 403, 200]


async def test_an_unknown_account_is_404(running: Running) -> None:
    for verb, value in (("GET", None), ("POST", {"name": "A"})):
        response = await running.request(verb, "/integrated-account/nowhere/mcp", value)
        assert (response.status, response.json["error"]) == (404, "not_found")
        assert "nowhere" in response.json["message"]


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
async def test_a_verb_that_does_nothing_here_is_405(running: Running, verb: str) -> None:
    response = await running.request(verb, PATH, {})
    assert response.status == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.requirement("server:url:self-contained")
async def test_servers_outlive_a_restart_with_their_urls(
    gateway: MakeGateway, acme_folder: object, provider: Provider
) -> None:
    given: dict[str, Any] = {"adapters": ["acme"], "accounts": {"shop": acme.account(provider.url)}}
    first = await gateway(**given)
    server = await first.server(methods=["read"])
    await first.stop()
    second = await gateway(**given, folder=first.folder)
    names = await second.speaker(f"/mcp/{server.token}").names()
    assert names
    assert "create_a_acme_item" not in names


@pytest.mark.requirement("server:expired:erased")
async def test_expired_servers_are_not_listed(running: Running, clock: Clock) -> None:
    await running.server(expires_at=clock.now + timedelta(minutes=1))
    lasting = await running.server()
    clock.advance(minutes=2)
    await running.gateway.store.expire()
    listed = (await running.request("GET", PATH)).json["result"]
    assert [server["id"] for server in listed] == [lasting.id]
