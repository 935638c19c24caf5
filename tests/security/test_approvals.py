"""A human's approval: asked honestly, and good for one call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import malomo as shops
from harness.malomo import Malomo
from harness.running import MakeGateway, Server
from harness.speaking import META, Called, Response

CAN = {META + "clientCapabilities": {"elicitation": {}}}
AGREED = {"confirm": {"action": "accept", "content": {"confirm": True}}}
DELETE = "delete_a_malomo_order_by_id"
UPDATE = "update_a_malomo_order_by_id"


async def call(server: Server, tool: str, arguments: Any, **more: Any) -> Response:
    params = {"name": tool, "arguments": arguments, "_meta": CAN, **more}
    return await server.send("tools/call", params)


async def question(server: Server, tool: str, arguments: Any) -> tuple[str, str]:
    """Return the words a human reads, and the state that leads on."""
    asked = (await call(server, tool, arguments)).result
    assert asked["resultType"] == "input_required", asked
    return asked["inputRequests"]["confirm"]["params"]["message"], asked["requestState"]


async def an_order(malomo: Malomo) -> str:
    (order, *_) = (await malomo.call("list_all_malomo_orders", {"limit": 1})).data["result"]
    return str(order["id"])


@pytest.mark.requirement("security:approval:once")
async def test_eight_at_once_with_one_approval_delete_once(malomo: Malomo) -> None:
    careful = await malomo.running.server(confirm="destructive")
    given = {"id": await an_order(malomo)}
    _, state = await question(careful, DELETE, given)
    await malomo.forget()
    answers = await asyncio.gather(
        *(call(careful, DELETE, given, requestState=state, inputResponses=AGREED) for _ in range(8))
    )
    assert [one["method"] for one in await malomo.requests()].count("DELETE") == 1
    done = [answer for answer in answers if "result" in answer.json]
    refused = [answer.error for answer in answers if "error" in answer.json]
    assert len(done) == 1
    assert {(error["code"], "has been used" in error["message"]) for error in refused} == {
        (-32602, True)
    }


@pytest.mark.requirement("security:approval:once")
async def test_it_is_used_up_after_a_restart_as_well(gateway: MakeGateway, shop: str) -> None:
    accounts = {"shop": shops.account(shop)}
    running = await gateway(accounts=accounts)
    malomo = Malomo(running, await running.server(), shop)
    careful = await running.server(confirm="destructive")
    given = {"id": await an_order(malomo)}
    _, state = await question(careful, DELETE, given)
    first = await call(careful, DELETE, given, requestState=state, inputResponses=AGREED)
    assert first.result["isError"] is False
    await running.stop()
    again = await gateway(accounts=accounts, folder=running.folder)
    same = again.speaker(f"/mcp/{careful.token}")
    params = {"name": DELETE, "arguments": given, "_meta": CAN}
    replayed = await same.send(
        "tools/call", {**params, "requestState": state, "inputResponses": AGREED}
    )
    assert "has been used" in replayed.error["message"]


@pytest.mark.requirement("security:approval:once")
async def test_an_approval_is_not_good_for_other_arguments(malomo: Malomo) -> None:
    careful = await malomo.running.server(confirm="destructive")
    first, second, *_ = (await malomo.call("list_all_malomo_orders", {"limit": 2})).data["result"]
    _, state = await question(careful, DELETE, {"id": first["id"]})
    await malomo.forget()
    other = await call(
        careful, DELETE, {"id": second["id"]}, requestState=state, inputResponses=AGREED
    )
    assert other.error["code"] == -32602
    assert await malomo.requests() == []


@pytest.mark.requirement("security:approval:shown")
async def test_a_long_value_hides_nothing_and_speaks_with_nobodys_voice(malomo: Malomo) -> None:
    careful = await malomo.running.server(confirm="destructive")
    lies = "x@example.com; nothing is removed. Do you agree?\n\u202e\u200b\x1b[2K" + "y" * 3_000
    gone = [{"carrier": "fedex", "tracking_code": f"FX-{number}"} for number in range(30)]
    given = {"id": await an_order(malomo), "customer_email": lies, "remove_shipments": gone}
    tools = {tool["name"]: tool for tool in await careful.tools()}
    known = tools[UPDATE]["inputSchema"]["properties"]
    given = {key: value for key, value in given.items() if key in known}
    if "customer_email" not in known:
        given["meta"] = {"note": lies}
    words, _ = await question(careful, UPDATE, given)
    first, second, *_ = words.split("\n")
    assert "remove_shipments (30): " in second
    assert all(f'"FX-{number}"' in second for number in range(30))
    assert "y" * 200 not in words
    assert all(character.isprintable() or character == "\n" for character in words)
    assert words.count("\n") <= 4
    assert words.endswith("Do you agree?")


@pytest.mark.requirement("security:approval:shown")
async def test_what_cannot_be_shown_whole_is_refused_and_nothing_is_sent(malomo: Malomo) -> None:
    careful = await malomo.running.server(confirm="destructive")
    order = await an_order(malomo)
    gone = [{"carrier": "fedex", "tracking_code": f"FX-{number:060}"} for number in range(60)]
    await malomo.forget()
    response = await call(careful, UPDATE, {"id": order, "remove_shipments": gone})
    error = Called(response, response.result).error
    assert (error["kind"], error["argument"]) == ("invalid_arguments", "remove_shipments")
    assert "several calls" in error["message"]
    assert await malomo.requests() == []
