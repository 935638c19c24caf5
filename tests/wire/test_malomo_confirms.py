"""A Malomo server that asks first: before a delete, and before shipments are removed."""

from __future__ import annotations

from typing import Any

import pytest
from harness.malomo import Malomo
from harness.speaking import META, Called

UPDATE = "update_a_malomo_order_by_id"
CAN = {META + "clientCapabilities": {"elicitation": {}}}
FEDEX = {"carrier": "fedex", "tracking_code": "FX-1"}


async def _call(server: Any, tool: str, arguments: Any, **more: Any) -> Any:
    params = {"name": tool, "arguments": arguments, "_meta": CAN, **more}
    return (await server.send("tools/call", params)).result


@pytest.mark.requirement("server:confirm:destructive", "malomo:shipments:removed-by-name")
async def test_a_human_is_asked_before_shipments_are_removed_and_not_otherwise(
    malomo: Malomo,
) -> None:
    careful = await malomo.running.server(confirm="destructive")
    (order, *_) = (await malomo.call("list_all_malomo_orders", {"limit": 1})).data["result"]
    given = {"id": order["id"], "shipments": [FEDEX]}
    added = await _call(careful, UPDATE, given)
    assert added["resultType"] == "complete"
    assert added["isError"] is False
    await malomo.forget()
    removing = {"id": order["id"], "remove_shipments": [FEDEX]}
    asked = await _call(careful, UPDATE, removing)
    assert asked["resultType"] == "input_required"
    assert "FX-1" in asked["inputRequests"]["confirm"]["params"]["message"]
    assert await malomo.requests() == []
    agreed = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    done = await _call(
        careful, UPDATE, removing, requestState=asked["requestState"], inputResponses=agreed
    )
    assert done["isError"] is False
    # The order is read after the human agreed, not before.
    assert [one["method"] for one in await malomo.requests()][:2] == ["GET", "PUT"]


@pytest.mark.requirement("server:confirm:destructive")
async def test_a_human_is_asked_before_an_order_is_deleted(malomo: Malomo) -> None:
    careful = await malomo.running.server(confirm="destructive")
    (order, *_) = (await malomo.call("list_all_malomo_orders", {"limit": 1})).data["result"]
    await malomo.forget()
    asked = await _call(careful, "delete_a_malomo_order_by_id", {"id": order["id"]})
    assert asked["resultType"] == "input_required"
    refused = await careful.call("delete_a_malomo_order_by_id", {"id": order["id"]})
    assert isinstance(refused, Called)
    assert refused.error["kind"] == "forbidden"
    assert await malomo.requests() == []
