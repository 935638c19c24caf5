"""A label is bought once, at a price that was agreed to, and given as a document."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from crossdock.testing import ToolError

BUY, LABEL = "easypost_shipments_buy", "easypost_shipments_label"
GIVEN = {"id": "shp_5", "rate_id": "rate_51", "most": "8.00"}


def sent(provider: Any, end: str = "/buy") -> list[str]:
    requests = (f"{one['method']} {one['path_qs']}" for one in provider.requests())
    return [one for one in requests if one.endswith(end)]


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"most": "7.57"}, "conflict", "costs 7.58 USD, more than 7.57"),
        ({"rate_id": "rate_62"}, "invalid_arguments", "rate_51 (USPS GroundAdvantage, 7.58)"),
        ({"id": "shp_45", "rate_id": "rate_451"}, "conflict", "has a label already"),
        ({"most": "much"}, "invalid_arguments", "most"),
        ({"id": "shp_99"}, "not_found", ""),
    ],
)
async def test_what_was_not_agreed_to_is_not_bought(
    tools: Any, provider: Any, changes: dict[str, str], kind: str, said: str
) -> None:
    with pytest.raises(ToolError) as refused:
        await tools.call(BUY, **{**GIVEN, **changes})
    assert (refused.value.kind, said in str(refused.value)) == (kind, True), refused.value
    assert sent(provider) == []


async def test_the_price_itself_is_not_above_itself(tools: Any) -> None:
    bought = await tools.call(BUY, **{**GIVEN, "most": "7.58"})
    assert bought.data["selected_rate"]["id"] == "rate_51"


async def test_of_two_agents_at_once_one_buys(tools: Any, provider: Any) -> None:
    second = {**GIVEN, "rate_id": "rate_52", "most": "10"}
    found = await asyncio.gather(
        tools.call(BUY, **GIVEN), tools.call(BUY, **second), return_exceptions=True
    )
    (refused,) = [one for one in found if isinstance(one, ToolError)]
    assert refused.kind == "conflict"
    assert len(sent(provider)) == 1


async def test_a_purchase_without_an_answer_is_read_back(tools: Any, provider: Any) -> None:
    provider.fault("drop", method="POST", commit=True)
    bought = await tools.call(BUY, **GIVEN)
    assert bought.data["selected_rate"]["id"] == "rate_51"
    assert len(sent(provider)) == 1


async def test_a_purchase_that_never_came_is_in_doubt_and_not_repeated(
    tools: Any, provider: Any
) -> None:
    provider.fault("drop", method="POST")
    with pytest.raises(ToolError) as refused:
        await tools.call(BUY, **GIVEN)
    assert refused.value.kind == "write_outcome_unknown"
    assert len(sent(provider)) == 1


class TestWhereYesBuysNothing:
    switches = {"buys_nothing": True}

    async def test_that_is_told(self, tools: Any) -> None:
        with pytest.raises(ToolError) as refused:
            await tools.call(BUY, **GIVEN)
        assert refused.value.kind == "write_not_verified"


@pytest.mark.parametrize(
    ("format", "kind", "begin"),
    [("PDF", "application/pdf", b"%PDF-"), ("PNG", "image/png", b"\x89PNG")],
)
async def test_a_label_is_a_document(tools: Any, format: str, kind: str, begin: bytes) -> None:
    (block,) = (await tools.call(LABEL, id="shp_45", format=format)).content
    found = block.get("resource", block)
    assert found["mimeType"] == kind
    assert base64.b64decode(found.get("blob") or found["data"]).startswith(begin)


async def test_a_shipment_without_a_label_says_how_to_get_one(tools: Any) -> None:
    with pytest.raises(ToolError, match=BUY):
        await tools.call(LABEL, id="shp_5")


class TestWhereLabelsLieElsewhere:
    switches = {"elsewhere": True}

    async def test_a_strange_host_is_not_asked(self, tools: Any) -> None:
        with pytest.raises(ToolError, match="files_url") as refused:
            await tools.call(LABEL, id="shp_45")
        assert refused.value.kind == "upstream_malformed"


async def test_the_host_of_the_labels_gets_no_key(tools: Any, provider: Any) -> None:
    await tools.call(LABEL, id="shp_45")
    *rest, document = provider.requests()
    assert all("authorization" in one["headers"] for one in rest)
    assert "authorization" not in document["headers"]
