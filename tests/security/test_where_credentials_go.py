"""Whoever leads an account's credentials elsewhere has to know them; networks are found quickly."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import MakeGateway, Running
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access.gate import _inside, _networks

pytestmark = pytest.mark.requirement("security:credentials:stay")


async def stored(running: Running, body: dict[str, Any]) -> str:
    for value in body["credentials"].values():
        running.canaries.issue(value, "a stored credential")
    made = await running.request("POST", "/integrated-account", {"name": "x", **body})
    assert made.status == 201, made.body
    return f"/integrated-account/{made.json['id']}"


@pytest.mark.parametrize("elsewhere", [None, "https://a.example.com"])
async def test_a_base_url_that_is_taken_away_or_replaced_asks_for_the_credentials(
    acme_gateway: Running, provider: Provider, elsewhere: str | None
) -> None:
    path = await stored(acme_gateway, {"integration": "acme", **acme.account(provider.url)})
    change: dict[str, Any] = {"settings": {"base_url": elsewhere}}
    refused = await acme_gateway.request("PATCH", path, change)
    assert (refused.status, refused.json["details"]) == (422, {"field": "settings.base_url"})
    assert "credentials.api_key again" in refused.json["message"]
    shown = await acme_gateway.request("GET", path)
    assert shown.json["settings"]["base_url"] == provider.url
    acme_gateway.canaries.issue("k-once-more-and-known", "the key once more")
    change["credentials"] = {"api_key": "k-once-more-and-known"}
    assert (await acme_gateway.request("PATCH", path, change)).status == 200


TOKENS = {
    "client_id": "the-client-itself",
    "client_secret": "a-secret-that-stays-here",
    "org_id": "org-1",
    "user_id": "user-1",
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"token_url": "https://login.example.com/token"}, {"token_url": None}),
        ({"token_url": "https://login.example.com/token"}, {"token_url": ""}),
        ({"token_url": "https://login.example.com/token"}, {"token_url": "https://a.example.com"}),
        ({}, {"token_url": "https://a.example.com"}),
        ({}, {"base_url": "https://a.example.com"}),
        ({"base_url": "https://a.example.com"}, {"base_url": None}),
    ],
)
async def test_so_does_each_address_that_credentials_are_sent_to(
    gateway: MakeGateway, before: dict[str, str], after: dict[str, str | None]
) -> None:
    running = await gateway(adapters=["roserocket"])
    body = {"integration": "roserocket", "settings": before, "credentials": TOKENS}
    path = await stored(running, body)
    refused = await running.request("PATCH", path, {"settings": after})
    assert refused.status == 422, refused.body
    assert refused.json["details"] == {"field": f"settings.{next(iter(after))}"}
    known = await running.request("PATCH", path, {"settings": after, "credentials": TOKENS})
    assert known.status == 200


async def test_what_moves_nothing_asks_for_nothing(gateway: MakeGateway) -> None:
    running = await gateway(adapters=["roserocket"])
    path = await stored(
        running, {"integration": "roserocket", "settings": {}, "credentials": TOKENS}
    )
    defaults = running.gateway.plugins.adapters["roserocket"]
    for settings in (
        {"base_url": defaults.manifest.base_url},
        {"base_url": None},
        {"token_url": defaults.manifest.auth.token_url},
        {"send_org_header": False},
    ):
        assert (await running.request("PATCH", path, {"settings": settings})).status == 200


# --- allowed_ips -----------------------------------------------------------------------------


async def test_more_networks_than_a_thousand_are_refused(acme_gateway: Running) -> None:
    many = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(1_001)]
    path = "/integrated-account/shop/mcp"
    body: dict[str, Any] = {"name": "A", "config": {"allowed_ips": many}}
    refused = await acme_gateway.request("POST", path, body)
    assert (refused.status, refused.json["details"]) == (422, {"field": "config.allowed_ips"})
    server = await acme_gateway.server(allowed_ips=[*many[:999], "127.0.0.1"])
    assert await server.names()


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
networks = st.builds(
    lambda address, bits: ipaddress.ip_network(f"{address}/{bits % (address.max_prefixlen + 1)}", strict=False),
    addresses,
    st.integers(0, 128),
)  # fmt: skip


@given(addresses, st.lists(networks, max_size=20))
def test_an_address_is_found_in_exactly_the_networks_that_hold_it(
    address: Any, listed: list[Any]
) -> None:
    texts = tuple(map(str, listed))
    assert _inside(address, texts) == any(address in network for network in listed)
    for network in listed:
        assert _inside(network[0], texts)
        assert _inside(network[-1], texts)


def test_a_look_up_asks_once_for_each_size_of_network() -> None:
    texts = tuple(f"10.{number >> 8}.{number & 255}.0/24" for number in range(1_000))
    assert [*_networks(texts)] == [(4, 8)]
    assert len(_networks(texts)[4, 8]) == 1_000
