"""Integrated accounts over the admin API: what goes in, what is refused, and what never comes out."""

from __future__ import annotations

from typing import Any

import pytest
from harness import acme, malomo
from harness.malomo import API_KEY, Malomo
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running

KEY = "sk_sandbox_another_9c2d77"


@pytest.fixture
async def running(malomo_gateway: Running) -> Running:
    malomo_gateway.canaries.issue(KEY, "the stored account's key")
    return malomo_gateway


async def created(running: Running, shop: str, **changes: Any) -> dict[str, Any]:
    body = {
        "integration": "malomo",
        "name": "Acme",
        "settings": {"base_url": shop},
        "credentials": {"api_key": KEY},
        **changes,
    }
    response = await running.request("POST", "/integrated-account", body)
    assert response.status == 201, response
    running.canaries.saw(response.body)  # unlike a server's, this answer holds no secret
    answer: dict[str, Any] = response.json
    return answer


@pytest.mark.requirement("account:credentials:write-only")
async def test_a_created_account_shows_that_its_credential_is_set_and_how_it_ends(
    running: Running, shop: str
) -> None:
    account = await created(running, shop)
    assert account["id"].startswith("acc_")
    assert account["integration"] == "malomo"
    assert account["credentials"] == {"api_key": {"set": True, "last4": KEY[-4:]}}
    assert account["status"] == "active"
    assert account["source"] == "store"
    assert account["problem"] is None
    assert account["created_at"] == account["updated_at"]
    shown = await running.request("GET", f"/integrated-account/{account['id']}")
    assert shown.json == account


async def test_a_short_credential_shows_no_part_of_itself(running: Running, shop: str) -> None:
    account = await created(running, shop, credentials={"api_key": "sk_short"})
    assert account["credentials"] == {"api_key": {"set": True, "last4": None}}


async def test_an_account_of_the_store_can_be_used_at_once(running: Running, shop: str) -> None:
    account = await created(running, shop)
    server = await running.server(account["id"], methods=["read"])
    assert (await server.call("list_all_malomo_webhooks")).data["result_count"] >= 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "integration"),
        ({"integration": "malomo"}, "name"),
        ({"integration": "nobody", "name": "x"}, "integration"),
        ({"integration": "malomo", "name": ""}, "name"),
        ({"integration": "malomo", "name": "a\nb"}, "name"),
        ({"integration": "malomo", "name": "x"}, "credentials.api_key"),
        ({"integration": "malomo", "name": "x", "colour": 1}, "colour"),
        (
            {"integration": "malomo", "name": "x", "credentials": {"api_key": 7}},
            "credentials.api_key",
        ),
        (
            {"integration": "malomo", "name": "x", "credentials": {"api_key": " "}},
            "credentials.api_key",
        ),
        (
            {"integration": "malomo", "name": "x", "credentials": {"api_key": "a\r\nX: 1"}},
            "credentials.api_key",
        ),
        (
            {"integration": "malomo", "name": "x", "credentials": {"api_key": "k", "pin": "1"}},
            "credentials.pin",
        ),
        (
            {
                "integration": "malomo",
                "name": "x",
                "credentials": {"api_key": "k"},
                "settings": {"base_uri": ""},
            },
            "settings.base_uri",
        ),
        (
            {
                "integration": "malomo",
                "name": "x",
                "credentials": {"api_key": "k"},
                "settings": {"base_url": 3},
            },
            "settings.base_url",
        ),
        ({"integration": "malomo", "name": "x", "credentials": "k"}, "credentials"),
    ],
)
@pytest.mark.requirement("account:fields:named")
async def test_what_an_adapter_cannot_use_is_refused_by_the_name_of_its_field(
    running: Running, body: dict[str, Any], field: str
) -> None:
    response = await running.request("POST", "/integrated-account", body)
    assert response.status == 422
    assert response.json["error"] == "invalid_field"
    assert response.json["details"] == {"field": field}
    assert field in response.json["message"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.example.com",
        "api.example.com",
        "https://user:password@api.example.com",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://10.0.0.1/v1",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "http://10.1.2.3",
        "https://0x7f.1/",
        "https://2130706433/",
        "https://localhost:99999/",
        "https://[::ffff:10.0.0.1]/",
        "https://api example.com/",
        "https://api.example.com/\n",
    ],
)
async def test_an_address_that_could_never_be_meant_is_refused(running: Running, url: str) -> None:
    body = {
        "integration": "malomo",
        "name": "x",
        "credentials": {"api_key": "k"},
        "settings": {"base_url": url},
    }
    response = await running.request("POST", "/integrated-account", body)
    assert response.status == 422
    assert response.json["details"] == {"field": "settings.base_url"}


async def test_plain_http_is_refused_where_no_private_network_is_allowed(
    gateway: MakeGateway,
) -> None:
    running = await gateway(settings={"upstream": {"allow_private": []}})
    for url in ("http://api.example.com", "http://127.0.0.1:8080", "http://localhost"):
        body = {
            "integration": "malomo",
            "name": "x",
            "credentials": {"api_key": "k"},
            "settings": {"base_url": url},
        }
        response = await running.request("POST", "/integrated-account", body)
        assert response.status == 422, url


async def test_a_patch_merges_settings_and_replaces_credentials_by_field(
    running: Running, shop: str
) -> None:
    account = await created(running, shop)
    path = f"/integrated-account/{account['id']}"
    renamed = await running.request("PATCH", path, {"name": "Acme Ltd"})
    assert renamed.status == 200
    assert renamed.json["name"] == "Acme Ltd"
    assert renamed.json["settings"] == {"base_url": shop}
    assert renamed.json["credentials"]["api_key"]["last4"] == KEY[-4:]
    rekeyed = await running.request("PATCH", path, {"credentials": {"api_key": API_KEY}})
    assert rekeyed.json["credentials"]["api_key"] == {"set": True, "last4": API_KEY[-4:]}
    assert rekeyed.json["settings"] == {"base_url": shop}
    without = await running.request(
        "PATCH", path, {"settings": {"base_url": None}, "credentials": {"api_key": API_KEY}}
    )
    assert without.json["settings"] == {}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"credentials": {"api_key": None}}, "credentials.api_key"),
        ({"credentials": {"api_key": ""}}, "credentials.api_key"),
        ({"settings": {"colour": "red"}}, "settings.colour"),
        ({"settings": {"base_url": "http://10.0.0.1"}}, "settings.base_url"),
        ({"integration": "malomo"}, "integration"),
        ({"status": "active"}, "status"),
        ({"id": "acc_1"}, "id"),
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    running: Running, shop: str, change: dict[str, Any], field: str
) -> None:
    account = await created(running, shop)
    path = f"/integrated-account/{account['id']}"
    response = await running.request("PATCH", path, {"name": "never", **change})
    assert response.status == 422
    assert response.json["details"] == {"field": field}
    assert (await running.request("GET", path)).json == account


async def test_a_credential_is_not_sent_to_another_host_by_who_does_not_know_it(
    running: Running, shop: str
) -> None:
    account = await created(running, shop)
    path = f"/integrated-account/{account['id']}"
    elsewhere = {"settings": {"base_url": "https://collector.example"}}
    refused = await running.request("PATCH", path, elsewhere)
    assert refused.status == 422
    assert refused.json["details"] == {"field": "settings.base_url"}
    assert "credentials.api_key" in refused.json["message"]
    assert (await running.request("GET", path)).json == account
    known = {**elsewhere, "credentials": {"api_key": API_KEY}}
    moved = await running.request("PATCH", path, known)
    assert moved.status == 200
    assert moved.json["settings"] == elsewhere["settings"]


async def test_an_account_with_servers_is_deleted_only_with_them(
    running: Running, shop: str
) -> None:
    account = await created(running, shop)
    server = await running.server(account["id"])
    path = f"/integrated-account/{account['id']}"
    refused = await running.request("DELETE", path)
    assert refused.status == 409
    assert refused.json["details"] == {"servers": [server.id]}
    wrong = await running.request("DELETE", f"{path}?cascade=yes")
    assert wrong.status == 422
    assert (await running.request("DELETE", f"{path}?cascade=true")).status == 204
    assert (await running.request("GET", path)).status == 404
    assert (await server.attempt("list_all_malomo_webhooks")).status == 403


async def test_accounts_are_listed_page_by_page_and_each_one_once(
    running: Running, shop: str
) -> None:
    ids = [(await created(running, shop, name=f"Shop {n}"))["id"] for n in range(4)]
    for limit in (1, 2, 3, 5):
        seen: list[str] = []
        cursor = ""
        while True:
            page = (await running.request("GET", f"/integrated-account?limit={limit}{cursor}")).json
            assert len(page["result"]) <= limit
            seen += [one["id"] for one in page["result"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == ["shop", *reversed(ids)]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=~", "page=2"])
async def test_a_list_refuses_what_it_does_not_know(running: Running, query: str) -> None:
    response = await running.request("GET", f"/integrated-account?{query}")
    assert response.status == 422
    assert response.json["details"]["field"] == query.partition("=")[0]


@pytest.mark.requirement("account:config:read-only")
async def test_an_account_of_config_toml_is_shown_and_changed_only_there(
    running: Running,
) -> None:
    shown = (await running.request("GET", "/integrated-account/shop")).json
    assert shown["source"] == "config"
    assert shown["created_at"] is None
    assert shown["credentials"] == {"api_key": {"set": True, "last4": API_KEY[-4:]}}
    for verb, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        response = await running.request(verb, "/integrated-account/shop", body)
        assert response.status == 409
        assert response.json["error"] == "read_only"
        assert "config.toml" in response.json["message"]


async def test_an_account_whose_adapter_is_missing_says_so(gateway: MakeGateway, shop: str) -> None:
    running = await gateway(accounts={"shop": malomo.account(shop), "lost": acme.account(shop)})
    shown = (await running.request("GET", "/integrated-account/lost")).json
    assert "not loaded" in shown["problem"]
    response = await running.request("POST", "/integrated-account/lost/mcp", {"name": "x"})
    assert response.status == 409
    assert response.json["error"] == "account_unusable"
    assert "not loaded" in response.json["message"]


# --- verification ----------------------------------------------------------------------------


async def test_a_test_asks_the_provider_once_and_says_what_it_said(
    malomo: Malomo, shop: str
) -> None:
    await malomo.forget()
    good = await malomo.running.request("POST", "/integrated-account/shop/test")
    assert (good.status, good.json) == (200, {"ok": True})
    assert [one["path_qs"] for one in await malomo.requests()] == ["/webhooks"]
    account = await created(malomo.running, shop, credentials={"api_key": "wrong_key_91c3"})
    bad = await malomo.running.request("POST", f"/integrated-account/{account['id']}/test")
    assert bad.status == 200
    assert bad.json["ok"] is False
    assert bad.json["kind"] == "unauthenticated"
    assert bad.json["message"]


async def test_a_provider_that_is_down_is_told_from_one_that_refuses(
    malomo: Malomo,
) -> None:
    await malomo.fault("status", status=503)
    answer = (await malomo.running.request("POST", "/integrated-account/shop/test")).json
    assert answer["kind"] == "upstream_error"
    shown = (await malomo.running.request("GET", "/integrated-account/shop")).json
    assert shown["status"] == "active"


async def test_an_account_of_an_adapter_without_a_verification_call_cannot_be_tested(
    acme_gateway: Running,
) -> None:
    response = await acme_gateway.request("POST", "/integrated-account/shop/test")
    assert response.status == 409
    assert response.json["error"] == "not_verifiable"


@pytest.mark.requirement("account:status:needs-reauth")
async def test_a_refused_test_marks_the_account_and_new_credentials_clear_it(
    malomo: Malomo, shop: str
) -> None:
    running = malomo.running
    account = await created(running, shop, credentials={"api_key": "wrong_key_91c3"})
    path = f"/integrated-account/{account['id']}"
    await running.request("POST", f"{path}/test")
    assert (await running.request("GET", path)).json["status"] == "needs_reauth"
    changed = await running.request("PATCH", path, {"credentials": {"api_key": API_KEY}})
    assert changed.json["status"] == "active"
    assert (await running.request("POST", f"{path}/test")).json == {"ok": True}
    assert (await running.request("GET", path)).json["status"] == "active"


@pytest.mark.requirement("account:status:needs-reauth")
async def test_a_call_that_the_provider_refuses_marks_the_account_and_a_good_one_clears_it(
    gateway: MakeGateway, acme_folder: object, provider: Provider
) -> None:
    running = await gateway(adapters=["acme"])
    running.canaries.issue(acme.API_KEY, "the account's key")
    body = {
        "integration": "acme",
        "name": "Acme",
        "settings": {"base_url": provider.url},
        "credentials": {"api_key": acme.API_KEY},
    }
    account = (await running.request("POST", "/integrated-account", body)).json["id"]
    server = await running.server(account)
    path = f"/integrated-account/{account}"

    async def status_after(answer: Any) -> str:
        provider.plays(answer)
        await server.call("acme_items_count")
        await running.gateway.housekeeping.settle()
        shown: str = (await running.request("GET", path)).json["status"]
        return shown

    assert await status_after(reply({"message": "no"}, 401)) == "needs_reauth"
    assert await status_after(reply({"message": "no"}, 500)) == "needs_reauth"
    assert await status_after(reply({"count": 1})) == "active"
    assert await status_after(reply({"message": "no"}, 403)) == "active"


# --- the preview -----------------------------------------------------------------------------


async def test_the_preview_shows_what_a_server_would_have(running: Running) -> None:
    path = "/integrated-account/shop/tools"
    preview = (await running.request("GET", f"{path}?methods=read&tags=webhooks")).json
    server = await running.server(methods=["read"], tags=["webhooks"])
    assert [tool["name"] for tool in preview["result"]] == await server.names()
    assert preview["hidden"] > 0
    assert preview["next_cursor"] is None
    assert {"name", "description", "effect", "input_schema", "endpoint"} <= set(
        preview["result"][0]
    )
    everything = (await running.request("GET", path)).json
    assert len(everything["result"]) == 21
    mistyped = await running.request("GET", f"{path}?methods=reed")
    assert mistyped.json["details"] == {"field": "methods[0]"}
    empty = await running.request("GET", f"{path}?tags=")
    assert empty.json["details"] == {"field": "tags"}


async def test_an_unknown_account_is_not_found_on_every_path(running: Running) -> None:
    for verb, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("GET", "/tools"),
        ("GET", "/mcp"),
        ("POST", "/mcp"),
    ):
        for id in ("nobody", "x%2Fshop", "%00", "a" * 5000):
            body = {"name": "x"} if verb in ("PATCH", "POST") and path != "/test" else None
            response = await running.request(verb, f"/integrated-account/{id}{path}", body)
            assert response.status == 404, (verb, path, id)
