"""Events: histories without loss or repeat, and notes that are written once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crossdock.adapter import Conflict, InvalidArguments, UpstreamFailure, WriteOutcomeUnknown
from crossdock_roserocket.sandbox import known_id

EVENTS = "list_all_roserocket_events"
LOG = "create_a_roserocket_event"
ORDER = known_id("order:ERP-9921")


async def notes(tools: Any, record: str = ORDER) -> list[str]:
    found = await tools.found(EVENTS, record_id=record, type="internal", limit=100)
    return [event["json"]["logMessage"] for event in found]


# --- reading ---------------------------------------------------------------------------------


@pytest.mark.requirement("roserocket:events:history")
async def test_a_history_comes_newest_first_or_oldest_first(provider: Any, tools: Any) -> None:
    newest = await tools.found(EVENTS, record_id=ORDER, object_key="Order")
    times = [event["createdAt"] for event in newest]
    assert times == sorted(times, reverse=True)
    oldest = await tools.found(EVENTS, record_id=ORDER, order_by_direction="asc")
    assert [event["id"] for event in oldest] == [event["id"] for event in reversed(newest)]
    assert oldest[0]["type"] == "create"


async def test_the_record_id_alone_is_enough_for_any_kind_of_record(tools: Any) -> None:
    outcome = await tools.call(EVENTS, record_id=known_id("task:1"))
    assert len(outcome.data) == 1
    assert outcome.notes == ("object_key was not given; the record says it is task.",)


async def test_a_history_asked_for_with_the_wrong_kind_is_no_empty_one(tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="is of kind task; pass task"):
        await tools.call(EVENTS, record_id=known_id("task:1"), object_key="Order")
    outcome = await tools.call(EVENTS, record_id=known_id("task:1"), type="internal")
    assert "No event of task" in outcome.notes[-1]


@pytest.mark.parametrize("bad", ["", " ", ".", "..", "a\nb"])
async def test_a_record_id_that_cannot_be_one_is_refused(
    provider: Any, tools: Any, bad: str
) -> None:
    with pytest.raises(InvalidArguments):
        await tools.call(EVENTS, record_id=bad)
    with pytest.raises(InvalidArguments):
        await tools.call(LOG, recordId=bad, message="x")
    assert await provider.requests() == []


async def test_filters_reach_the_provider_as_it_spells_them(provider: Any, tools: Any) -> None:
    await tools.call(
        EVENTS,
        record_id=ORDER,
        object_key="order",
        in_types=["mutate", "internal"],
        not_in_types=["create", "mutate"],
        user_id=known_id("user:usr_sjenkins"),
        order_by="type",
        offset=0,
    )
    (sent,) = await provider.requests("GET /events")
    assert "inTypes=mutate%2Cinternal" in sent["path"]
    assert "notInTypes=create%2Cmutate" in sent["path"]
    assert "orderBy=type" in sent["path"]


@pytest.mark.parametrize("bookmark", ["exclusive", "inclusive"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_pages_neither_lose_nor_repeat_an_event(
    provider: Any, tools: Any, bookmark: str, direction: str, limit: int
) -> None:
    await provider.switch(bookmark=bookmark)
    for number in range(9):
        await tools.call(LOG, recordId=ORDER, object_key="order", message=f"Mile {number}")
    before = [e["id"] for e in await tools.found(EVENTS, record_id=ORDER, limit=100)]
    seen: list[str] = []
    page = None
    while True:
        outcome = await tools.call(
            EVENTS, page, record_id=ORDER, order_by_direction=direction, limit=limit
        )
        assert len(outcome.data) <= limit
        seen += [event["id"] for event in tools.plain(outcome)]
        page = outcome.next_page
        if page is None:
            break
        if len(seen) < 10:  # what comes in meanwhile shifts nothing
            await tools.call(
                LOG, recordId=ORDER, object_key="order", message=f"Meanwhile {len(seen)}"
            )
    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)


async def test_a_bookmark_of_the_agents_own_is_passed_on(provider: Any, tools: Any) -> None:
    first, second, *_ = await tools.found(EVENTS, record_id=ORDER)
    found = await tools.found(EVENTS, record_id=ORDER, bookmark=first["id"])
    assert found[0]["id"] == second["id"]


# --- writing ---------------------------------------------------------------------------------


@pytest.mark.requirement("roserocket:events:delay-note")
@pytest.mark.parametrize(
    ("given", "text", "status"),
    [
        ({"type": "Delay", "message": "Flat tyre"}, "Delay: Flat tyre", "Delay"),
        ({"type": "Delay", "json": {"reason": "Flat tyre"}}, "Delay: Flat tyre", "Delay"),
        ({"type": "Delay"}, "Delay", "Delay"),
        ({"type": "INTERNAL", "json": {"logMessage": "Hello"}}, "Hello", None),
        ({"message": "Delayed by 2 h", "status": "Delay"}, "Delayed by 2 h", "Delay"),
        (
            {"message": "Delayed by 2 h", "status": "Delay", "severity": "critical"},
            "(critical) Delayed by 2 h",
            "Delay",
        ),
        ({"message": "Late", "severity": "minor"}, "(minor): Late", None),
    ],
)
async def test_what_an_agent_says_becomes_a_valid_event(
    provider: Any, tools: Any, given: dict[str, Any], text: str, status: str | None
) -> None:
    await tools.call(LOG, recordId=ORDER, **given)
    (sent,) = await provider.bodies("POST /events")
    assert set(sent) == {"recordId", "boardId", "type", "json"}
    assert sent["type"] == "internal"
    assert sent["json"]["logMessage"] == text
    assert sent["json"].get("status") == status


@pytest.mark.requirement("roserocket:events:board-found")
async def test_the_board_is_that_of_the_records_kind(provider: Any, tools: Any) -> None:
    await tools.call(LOG, record_id=known_id("task:1"), message="Dock is closed")
    (sent,) = await provider.bodies("POST /events")
    assert sent["boardId"] == known_id("board:Task Queue")


async def test_data_beside_the_text_is_kept(provider: Any, tools: Any) -> None:
    await tools.call(LOG, recordId=ORDER, message="Late", json={"delayHours": 2})
    (sent,) = await provider.bodies("POST /events")
    assert sent["json"] == {"delayHours": 2, "logMessage": "Late"}


async def test_an_event_without_words_is_refused(provider: Any, tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="message: is required"):
        await tools.call(LOG, recordId=ORDER)
    assert await provider.requests() == []


async def test_an_equal_note_is_offered_instead_of_written_again(provider: Any, tools: Any) -> None:
    late = known_id("order:5519")
    text = "Driver checked in  at the destination FACILITY."
    with pytest.raises(Conflict, match=r"An equal event was logged \d+ minutes ago") as refused:
        await tools.call(LOG, recordId=late, message=text)
    assert refused.value.details()["event_id"]
    assert await provider.requests("POST /events") == []
    await tools.call(LOG, recordId=late, message=text, allow_duplicate=True)
    assert len(await notes(tools, late)) == 2


async def test_an_equal_note_is_known_before_the_provider_shows_it(
    provider: Any, tools: Any
) -> None:
    await provider.switch(event_lag=60)
    await tools.call(LOG, recordId=ORDER, message="Breakdown")
    with pytest.raises(Conflict, match="less than a minute ago"):
        await tools.call(LOG, recordId=ORDER, message="breakdown")
    await tools.call(LOG, recordId=ORDER, message="Breakdown, second truck")
    assert len(await provider.requests("POST /events")) == 2


async def test_twenty_agents_with_one_breakdown_log_it_once(provider: Any, tools: Any) -> None:
    answers = await asyncio.gather(
        *(tools.call(LOG, recordId=ORDER, message="Breakdown") for _ in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, Conflict) for answer in answers) == 19
    assert await notes(tools) == ["Breakdown"]


async def test_a_lost_answer_is_told_and_the_note_not_written_twice(
    provider: Any, tools: Any
) -> None:
    await provider.switch(event_lag=60, fault="drop_after_commit", fault_on="POST /events")
    with pytest.raises(WriteOutcomeUnknown, match="Read list_all_roserocket_events"):
        await tools.call(LOG, recordId=ORDER, message="Breakdown")
    await provider.switch(fault="none")
    with pytest.raises(Conflict, match="its answer was lost"):
        await tools.call(LOG, recordId=ORDER, message="Breakdown")
    assert len(await provider.requests("POST /events")) == 1


async def test_a_refused_note_may_be_tried_again(provider: Any, tools: Any) -> None:
    await provider.switch(role="viewer")
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(LOG, recordId=ORDER, message="Breakdown")
    assert failed.value.kind == "forbidden"
    await provider.switch(role="manager")
    await tools.call(LOG, recordId=ORDER, message="Breakdown")
    assert await notes(tools) == ["Breakdown"]
