"""The call log says what an operator changed, from what to what, who and from where."""

from __future__ import annotations

from typing import Any

import pytest
from harness import acme
from harness.provider import Provider
from harness.running import Running

from crossdock.store import AuditEntry, AuditFilter

pytestmark = pytest.mark.requirement("security:changes:told")
KEY, NEW_KEY = "sk_the_first_of_keys_1", "sk_the_second_of_keys_2"


async def noted(running: Running, action: str) -> AuditEntry:
    await running.gateway.audit.flush()
    page = await running.gateway.store.audit.list(AuditFilter(action=action))
    return page.items[0]


async def test_a_servers_changes_are_told_from_old_to_new(acme_gateway: Running) -> None:
    server = await acme_gateway.server(name="Agent", methods=["read"])
    created = (await noted(acme_gateway, "server.create")).changes or {}
    assert created["name"] == [None, "Agent"]
    assert created["config.methods"] == [None, ["read"]]
    path = f"/integrated-account/shop/mcp/{server.id}"
    change = {"name": "Other", "config": {"methods": ["read", "create"], "confirm": "destructive"}}
    await acme_gateway.request("PATCH", path, {**change, "expires_at": "2099-01-31T01:00:00+01:00"})
    line = await noted(acme_gateway, "server.change")
    assert line.changes == {
        "name": ["Agent", "Other"],
        "config.methods": [["read"], ["read", "create"]],
        "config.confirm": [None, "destructive"],
        "expires_at": [None, "2099-01-31T00:00:00Z"],
    }
    assert (line.actor, line.address, line.server_id) == ("config", "127.0.0.1", server.id)
    await acme_gateway.request("PATCH", path, {"name": "Other"})
    assert (await noted(acme_gateway, "server.change")).changes is None
    rotated = await acme_gateway.request("POST", f"{path}/rotate", {"overlap_seconds": 60})
    acme_gateway.canaries.issue(rotated.json["token"], "the rotated token")
    assert list((await noted(acme_gateway, "server.rotate")).changes or {}) == ["old_url_until"]
    await acme_gateway.request("DELETE", path)
    assert ((await noted(acme_gateway, "server.revoke")).changes or {})["name"] == ["Other", None]


async def test_of_credentials_no_more_is_told_than_that_they_changed(
    acme_gateway: Running, provider: Provider
) -> None:
    for secret in (KEY, NEW_KEY):
        acme_gateway.canaries.issue(secret, "a key")
    account = {**acme.account(provider.url), "name": "Acme", "credentials": {"api_key": KEY}}
    made = (await acme_gateway.request("POST", "/integrated-account", account)).json
    created = (await noted(acme_gateway, "account.create")).changes or {}
    assert created["credentials.api_key"] == [None, "set"]
    path = f"/integrated-account/{made['id']}"
    await acme_gateway.request("PATCH", path, {"name": "B", "credentials": {"api_key": NEW_KEY}})
    assert (await noted(acme_gateway, "account.change")).changes == {
        "name": ["Acme", "B"],
        "credentials.api_key": ["set", "replaced"],
    }
    await acme_gateway.request("DELETE", path)
    removed = (await noted(acme_gateway, "account.remove")).changes or {}
    assert removed["credentials.api_key"] == ["set", None]


async def test_api_tokens_are_told_by_name_and_role(acme_gateway: Running) -> None:
    created = (
        await acme_gateway.request("POST", "/api-token", {"name": "Kim", "role": "viewer"})
    ).json
    acme_gateway.canaries.issue(created["token"], "Kim's token")
    assert (await noted(acme_gateway, "token.create")).changes == {
        "name": [None, "Kim"],
        "role": [None, "viewer"],
    }
    await acme_gateway.request("DELETE", f"/api-token/{created['id']}")
    gone = await noted(acme_gateway, "token.revoke")
    assert (gone.target, gone.changes) == (
        created["id"],
        {"name": ["Kim", None], "role": ["viewer", None]},
    )


async def test_a_refused_change_changes_nothing_and_a_long_one_is_cut(
    acme_gateway: Running,
) -> None:
    server = await acme_gateway.server()
    path = f"/integrated-account/shop/mcp/{server.id}"

    async def change(**config: Any) -> AuditEntry:
        await acme_gateway.request("PATCH", path, {"config": config})
        return await noted(acme_gateway, "server.change")

    assert (await change(tags=["nonsense"])).changes is None
    many = [f"10.{one}.{two}.0/24" for one in range(4) for two in range(250)]
    line = await change(allowed_ips=many)
    (old, new) = (line.changes or {})["config.allowed_ips"]
    assert old is None
    assert len(new) < 400
    assert new.startswith('["10.0.0.0/24","10.0.1.0/24"')


async def test_what_is_refused_before_it_begins_leaves_one_line_with_its_address(
    acme_gateway: Running,
) -> None:
    servers = "/integrated-account/shop/mcp"
    for verb, path, body in (
        ("POST", servers, b"{"),
        ("POST", servers, b'{"nonsense":1}'),
        ("POST", servers + "?x=1", b'{"name":"A"}'),
        ("PATCH", f"{servers}/nobody", b"{}"),
        ("DELETE", f"{servers}/nobody", None),
        ("POST", f"{servers}/nobody/rotate", None),
        ("POST", servers, b'{"name":"A","config":{"methods":[]}}'),
        ("POST", "/api-token", b"x" * 300_000),
        ("GET", f"{servers}/nobody", None),
    ):
        assert (await acme_gateway.request(verb, path, body=body)).status >= 400
    await acme_gateway.gateway.audit.flush()
    page = await acme_gateway.gateway.store.audit.list(AuditFilter(kind="admin"))
    assert [(line.action, line.outcome) for line in reversed(page.items)] == [
        ("server.create", "malformed_json"),
        ("server.create", "invalid_field"),
        ("server.create", "invalid_field"),
        ("server.change", "not_found"),
        ("server.revoke", "not_found"),
        ("server.rotate", "not_found"),
        ("server.create", "invalid_field"),
        ("token.create", "too_large"),
    ]
    assert {(line.actor, line.address) for line in page.items} == {("config", "127.0.0.1")}
