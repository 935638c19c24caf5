"""config.allowed_ips: from where a server may be used, judged on the peer or on trusted proxies."""

from __future__ import annotations

from typing import Any

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import MakeGateway, Running


@pytest.fixture
async def running(acme_gateway: Running) -> Running:
    return acme_gateway


@pytest.fixture
async def behind_proxy(gateway: MakeGateway, acme_folder: object, provider: Provider) -> Running:
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"server": {"trusted_proxies": ["127.0.0.0/8", "10.9.0.0/16"]}},
    )


@pytest.mark.requirement("server:networks:bound")
async def test_a_server_answers_inside_its_networks_and_refuses_elsewhere(
    running: Running,
) -> None:
    inside = await running.server(allowed_ips=["203.0.113.7", "127.0.0.0/8"])
    assert inside.created["config"]["allowed_ips"] == ["203.0.113.7", "127.0.0.0/8"]
    assert await inside.names()
    outside = await running.server(allowed_ips=["203.0.113.0/24"])
    for method in ("tools/list", "server/discover"):
        refused = await outside.send(method)
        assert refused.status == 403
        assert "allowed_ips" in refused.error["message"]


async def test_without_trusted_proxies_forwarded_addresses_count_for_nothing(
    running: Running,
) -> None:
    server = await running.server(allowed_ips=["203.0.113.0/24"])
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        assert (await server.send("tools/list", headers={header: "203.0.113.7"})).status == 403


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7", 200),  # what stands before the last hop is hearsay
        ("203.0.113.7, 198.51.100.1", 403),
        ("203.0.113.7, 10.9.1.2", 200),  # the second proxy is one of ours
        ("198.51.100.1, 10.9.1.2", 403),
        ("203.0.113.7, nonsense", 403),
        ("203.0.113.7,", 403),
        ("::ffff:203.0.113.7", 200),
        ("", 403),
        (None, 403),
    ],
)
@pytest.mark.requirement("server:networks:bound")
async def test_behind_a_proxy_the_last_address_that_is_none_of_ours_counts(
    behind_proxy: Running, forwarded: str | None, status: int
) -> None:
    server = await behind_proxy.server(allowed_ips=["203.0.113.0/24"])
    response = await server.send("tools/list", headers={"X-Forwarded-For": forwarded})
    assert response.status == status


@pytest.mark.parametrize(
    ("networks", "field"),
    [
        ([], "config.allowed_ips"),
        (["10.0.0.0/33"], "config.allowed_ips[0]"),
        (["10.0.0.1/8"], "config.allowed_ips[0]"),
        (["127.0.0.1", "example.com"], "config.allowed_ips[1]"),
        ("127.0.0.1", "config.allowed_ips"),
    ],
)
async def test_what_is_no_network_is_refused_by_its_place(
    running: Running, networks: Any, field: str
) -> None:
    body = {"name": "x", "config": {"allowed_ips": networks}}
    response = await running.request("POST", "/integrated-account/shop/mcp", body)
    assert response.status == 422
    assert response.json["details"] == {"field": field}


async def test_a_patch_narrows_and_null_opens_again(running: Running) -> None:
    server = await running.server()
    path = f"/integrated-account/shop/mcp/{server.id}"
    await running.request("PATCH", path, {"config": {"allowed_ips": ["203.0.113.0/24"]}})
    assert (await server.send("tools/list")).status == 403
    opened = await running.request("PATCH", path, {"config": {"allowed_ips": None}})
    assert "allowed_ips" not in opened.json["config"]
    assert await server.names()
