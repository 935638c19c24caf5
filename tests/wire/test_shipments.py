"""Malomo's shipments through the whole gateway: parallel additions, by several servers, all stay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import malomo as sandbox
from harness.malomo import Malomo
from harness.patience import until
from harness.running import MakeGateway

from crossdock_malomo import updates

UPDATE = "update_a_malomo_order_by_id"
STORED = ("usps", "9400111899223100012345")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a write back without the pauses that a real Malomo is given."""
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0,) * len(updates.READ_BACK_PAUSES))


async def _stored(malomo: Malomo) -> set[tuple[str, str]]:
    order = (await malomo.call("get_single_malomo_order_by_id", {"id": "89123"})).data
    return {(one["carrier"], one["tracking_code"]) for one in order["shipments"]}


def _adding(code: str, carrier: str = "fedex") -> dict[str, Any]:
    return {"id": "89123", "shipments": [{"carrier": carrier, "tracking_code": code}]}


@pytest.mark.requirement("malomo:workflow:add-shipment", "malomo:shipments:kept")
async def test_the_articles_fedex_shipment_joins_the_usps_one(malomo: Malomo) -> None:
    called = await malomo.call(UPDATE, _adding("123456789044"))
    found = {(one["carrier"], one["tracking_code"]) for one in called.data["shipments"]}
    assert found == {STORED, ("fedex", "123456789044")} == await _stored(malomo)
    assert any("Added" in note for note in called.notes)


@pytest.mark.requirement("malomo:shipments:parallel")
async def test_twenty_additions_at_once_through_two_servers_and_two_accounts_all_stay(
    gateway: MakeGateway, shop: str
) -> None:
    # Two accounts of one shop: the lock belongs to the shop, not to the account's id.
    accounts = {"shop": sandbox.account(shop), "same": sandbox.account(shop)}
    running = await gateway(accounts=accounts, settings={"limits": {"lock_wait_seconds": 30.0}})
    servers = [
        await running.server("shop"),
        await running.server("shop"),
        await running.server("same"),
    ]
    codes = [f"parallel-{number:02}" for number in range(20)]
    calls = [servers[number % 3].call(UPDATE, _adding(code)) for number, code in enumerate(codes)]
    for called in await asyncio.gather(*calls):
        assert not called.is_error, called.text
    assert await _stored(Malomo(running, servers[0], shop)) == {
        STORED,
        *(("fedex", code) for code in codes),
    }


@pytest.mark.requirement("malomo:shipments:parallel")
async def test_an_update_that_waits_too_long_is_busy_and_writes_nothing(
    gateway: MakeGateway, shop: str
) -> None:
    running = await gateway(
        accounts={"shop": sandbox.account(shop)},
        settings={"limits": {"lock_wait_seconds": 0.1}},
    )
    malomo = Malomo(running, await running.server(), shop)
    await malomo.fault("slow", method="GET", seconds=0.5, times=1)
    first = asyncio.create_task(malomo.call(UPDATE, _adding("one")))
    await until(malomo.requests)
    error = (await malomo.call(UPDATE, _adding("two"))).error
    assert (error["kind"], error["retryable"]) == ("busy", True)
    assert not (await first).is_error
    assert await _stored(malomo) == {STORED, ("fedex", "one")}


@pytest.mark.requirement("malomo:shipments:unknown-outcome", "upstream:request:once")
@pytest.mark.parametrize("commit", [True, False])
async def test_a_lost_answer_to_the_write_is_settled_by_reading_and_never_by_writing_again(
    malomo: Malomo, commit: bool, at_once: None
) -> None:
    await malomo.fault("drop", method="PUT", commit=commit, times=1)
    called = await malomo.call(UPDATE, _adding("lost"))
    assert len(await malomo.requests("PUT")) == 1
    if commit:
        assert not called.is_error
        assert await _stored(malomo) == {STORED, ("fedex", "lost")}
    else:
        assert called.error["kind"] == "write_outcome_unknown"
        assert called.error["retryable"] is False
        assert await _stored(malomo) == {STORED}


@pytest.mark.requirement("malomo:shipments:verified")
async def test_a_write_that_the_provider_only_pretended_is_not_believed(
    malomo: Malomo, at_once: None
) -> None:
    await malomo.fault("lie", method="PUT")
    called = await malomo.call(UPDATE, _adding("believed"))
    assert called.error["kind"] == "write_not_verified"
    assert len(await malomo.requests("PUT")) == 1
