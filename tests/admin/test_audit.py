"""The call log: who did what, without a word of what was said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from harness.malomo import Malomo
from harness.patience import until
from harness.provider import Provider, reply
from harness.running import Clock, Running

from crossdock.observe.audit import AuditLog
from crossdock.store import AuditEntry, AuditFilter, StoreFault


async def lines(running: Running, which: AuditFilter | None = None) -> list[AuditEntry]:
    await running.gateway.audit.flush()
    page = await running.gateway.store.audit.list(which or AuditFilter(), limit=500)
    return list(reversed(page.items))


@pytest.mark.requirement("audit:lines:no-content")
async def test_every_verb_of_an_operator_is_written_down_with_who_and_what(
    malomo: Malomo, shop: str
) -> None:
    running = malomo.running
    key = "sk_sandbox_audited_5e1"
    running.canaries.issue(key, "the stored key")
    body = {
        "integration": "malomo",
        "name": "Acme",
        "settings": {"base_url": shop},
        "credentials": {"api_key": key},
    }
    account = (await running.request("POST", "/integrated-account", body)).json["id"]
    path = f"/integrated-account/{account}"
    await running.request("PATCH", path, {"name": "Acme Ltd"})
    await running.request("POST", f"{path}/test")
    server = await running.server(account)
    await running.request("PATCH", f"{path}/mcp/{server.id}", {"name": "New"})
    rotated = await running.request("POST", f"{path}/mcp/{server.id}/rotate")
    running.canaries.issue(rotated.json["token"], "the rotated token")
    await running.request("POST", f"{path}/mcp/{server.id}/accept-tools")
    await running.request("DELETE", f"{path}/mcp/{server.id}")
    await running.request("DELETE", path)
    token = (await running.request("POST", "/api-token", {"name": "x", "role": "client"})).json
    running.canaries.issue(token["token"], "the client's token")
    await running.request("DELETE", f"/api-token/{token['id']}")
    noted = [
        (one.action, one.account_id, one.server_id, one.target)
        for one in await lines(running)
        if one.account_id != "shop"
    ]
    assert noted == [
        ("account.create", account, None, None),
        ("account.change", account, None, None),
        ("account.test", account, None, None),
        ("server.create", account, server.id, None),
        ("server.change", account, server.id, None),
        ("server.rotate", account, server.id, None),
        ("server.accept_tools", account, server.id, None),
        ("server.revoke", account, server.id, None),
        ("account.remove", account, None, None),
        ("token.create", None, None, token["id"]),
        ("token.revoke", None, None, token["id"]),
    ]
    assert {(one.kind, one.actor, one.outcome) for one in await lines(running)} == {
        ("admin", "config", "ok")
    }


async def test_what_was_refused_is_written_down_without_what_was_sent(malomo: Malomo) -> None:
    running = malomo.running
    secret = "cdm_" + "7" * 49
    running.canaries.issue(secret, "a token in the wrong place")
    await running.request("POST", "/integrated-account", {"integration": secret, "name": secret})
    await running.request("DELETE", f"/integrated-account/{secret}?cascade=true")
    await running.request("POST", f"/integrated-account/{secret}/mcp", {"name": secret})
    refused = [(one.action, one.outcome) for one in await lines(running)][-3:]
    assert refused == [
        ("account.create", "invalid_field"),
        ("account.remove", "not_found"),
        ("server.create", "not_found"),
    ]


@pytest.mark.requirement("audit:lines:no-content")
async def test_every_call_is_written_down_with_its_outcome_and_no_argument(
    acme_gateway: Running, provider: Provider
) -> None:
    server = await acme_gateway.server()
    secret = "what-the-agent-asked-about-4b1f"
    acme_gateway.canaries.issue(secret, "an argument")
    provider.plays(reply({"count": secret[:4]}), reply({"message": "later"}, 429))
    good = await server.call("acme_items_count")
    await server.call("acme_items_archive", {"id": "i1"})
    await server.call("acme_items_archive", {"id": f"{secret}/"})
    noted = [one for one in await lines(acme_gateway) if one.kind == "call"]
    assert [(one.action, one.outcome, one.upstream_status) for one in noted] == [
        ("acme_items_count", "ok", 200),
        ("acme_items_archive", "rate_limited", 429),
        ("acme_items_archive", "invalid_arguments", None),
    ]
    assert {(one.actor, one.server_id, one.account_id) for one in noted} == {
        (server.id, server.id, "shop")
    }
    assert noted[0].request_id == good.response.headers["X-Request-ID"]
    assert all(one.seconds is not None and one.seconds > 0 for one in noted)


async def test_lines_are_stored_within_a_second_by_themselves(
    acme_gateway: Running, provider: Provider
) -> None:
    server = await acme_gateway.server()
    provider.plays(reply({"count": 1}))
    await server.call("acme_items_count")

    async def stored() -> bool:
        page = await acme_gateway.gateway.store.audit.list(AuditFilter(kind="call"))
        return bool(page.items)

    await until(stored, 1.5)


# --- the queue alone -------------------------------------------------------------------------


class Shelf:
    """A store that can be taken away."""

    def __init__(self) -> None:
        self.kept: list[AuditEntry] = []
        self.down = False

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        if self.down:
            raise StoreFault("full", "the disk is full")
        self.kept += entries


def entry(clock: Clock, number: int) -> AuditEntry:
    return AuditEntry(
        time=clock() + timedelta(seconds=number),
        kind="call",
        actor="s",
        action=str(number),
        outcome="ok",
    )


async def test_lines_wait_in_order_while_the_store_is_down(clock: Clock) -> None:
    shelf = Shelf()
    audit = AuditLog(shelf.append, clock, most=100, patience=1)
    shelf.down = True
    for number in range(5):
        audit.note(entry(clock, number))
    await audit.flush()
    audit.note(entry(clock, 5))
    shelf.down = False
    await audit.flush()
    assert [one.action for one in shelf.kept] == ["0", "1", "2", "3", "4", "5"]
    assert audit.waiting == 0


async def test_what_is_left_is_stored_when_the_gateway_closes(clock: Clock) -> None:
    shelf = Shelf()
    audit = AuditLog(shelf.append, clock, most=100, patience=1)
    audit.run()
    for number in range(1200):
        audit.note(entry(clock, number))
    await audit.close()
    assert [one.action for one in shelf.kept] == [str(number) for number in range(1200)]
