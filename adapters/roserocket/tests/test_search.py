"""Search: boards found, filters that work, pages over a search without pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crossdock.adapter import InvalidArguments, UpstreamFailure
from crossdock_roserocket.catalogue import CATALOGUE
from crossdock_roserocket.fields import Fields
from crossdock_roserocket.filters import Reader
from crossdock_roserocket.moments import span_of
from crossdock_roserocket.sandbox import known_id

OBJECTS = "list_all_roserocket_objects"
HARBOR = known_id("customer:Harbor Foods")


async def sent_filters(provider: Any) -> list[dict[str, Any]]:
    bodies = await provider.bodies("POST /objects/search")
    return list(bodies[-1]["filters"])


@pytest.mark.requirement("roserocket:objects:search")
async def test_a_search_needs_no_board_and_says_which_it_used(provider: Any, tools: Any) -> None:
    outcome = await tools.call(OBJECTS, objectKey="Order", filters={"status": "in transit"})
    assert "Board: Active Dispatch" in outcome.notes[0]
    assert "Billing Review" in outcome.notes[0]
    statuses = {
        o["status"]
        for o in await tools.found(OBJECTS, objectKey="order", filters={"status": "in transit"})
    }
    assert statuses == {"in transit"}
    assert len(await provider.requests("GET /boards/nav")) == 1  # remembered


async def test_a_board_may_be_given_by_id_or_name(provider: Any, tools: Any) -> None:
    await tools.call(OBJECTS, boardId=known_id("board:Task Queue"))
    await tools.call(OBJECTS, objectKey="order", boardId="billing review")
    boards = [body["boardId"] for body in await provider.bodies("POST /objects/search")]
    assert boards == [known_id("board:Task Queue"), known_id("board:Billing Review")]
    with pytest.raises(InvalidArguments, match="there is no board 'Nowhere'"):
        await tools.call(OBJECTS, objectKey="order", boardId="Nowhere")


async def test_a_board_outside_the_navigation_is_taken_if_it_shows_what_was_asked(
    tools: Any,
) -> None:
    unlisted = known_id("board:Yard Archive")
    tasks = await tools.found(OBJECTS, object_key="task", board_id=unlisted)
    assert {task["objectKey"] for task in tasks} == {"task"}
    with pytest.raises(InvalidArguments, match="board_id: shows other records than order"):
        await tools.call(OBJECTS, object_key="order", board_id=unlisted)


async def test_a_key_without_a_board_is_refused_with_the_boards_there_are(tools: Any) -> None:
    with pytest.raises(InvalidArguments, match="no board in the navigation shows tariff"):
        await tools.call(OBJECTS, objectKey="tariff")
    with pytest.raises(InvalidArguments, match="object_key: is required"):
        await tools.call(OBJECTS)


# --- filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "entry"),
    [
        ({"status": "Booked"}, ("status", "in", ["booked"], "SelectField")),
        ({"Status": ["new", "booked"]}, ("status", "in", ["new", "booked"], "SelectField")),
        ({"customer": HARBOR}, ("customer", "in", [HARBOR], "ConnectionField")),
        ({"customer": {"id": HARBOR}}, ("customer", "in", [HARBOR], "ConnectionField")),
        ({"customer": None}, ("customer", "empty", None, "ConnectionField")),
        ({"partner": {"notEmpty": True}}, ("partner", "notEmpty", None, "ConnectionField")),
        ({"poNum": "44-100"}, ("poNum", "equals", "44-100", "TextField")),
        ({"poNum": {"contains": "44"}}, ("poNum", "contains", "44", "TextField")),
        ({"hot__c": True}, ("hot__c", "equals", True, "ToggleField")),
        ([{"status": "new"}], ("status", "in", ["new"], "SelectField")),
        (
            [{"path": "status", "operator": "equals", "value": "new", "fieldType": "SelectField"}],
            ("status", "in", ["new"], "SelectField"),
        ),
        (
            [{"filterKey": "poNum", "operator": "freeText", "value": "44"}],
            ("poNum", "freeText", "44", "TextField"),
        ),
    ],
)
async def test_filters_become_what_the_provider_is_known_to_answer(
    provider: Any, tools: Any, filters: Any, entry: tuple[Any, ...]
) -> None:
    await tools.call(OBJECTS, objectKey="order", filters=filters)
    path, operator, value, kind = entry
    assert await sent_filters(provider) == [
        {
            "filterKey": path,
            "path": path,
            "operator": operator,
            "value": value,
            "fieldType": kind,
        }
    ]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"poNum": ["44-100", "PO-5561"]}, 2),
        ({"poNum": {"startsWith": "70-00"}}, 9),
        ({"status": {"not": "delivered"}}, 29),
        ({"version": 3}, 1),
        ({"version": {"in": [2, 3]}}, 3),
        ({"refNum": {"notEmpty": True}}, 1),
        ([{"path": "name", "operator": "in", "value": ["x"], "fieldType": "DerivedField"}], 0),
    ],
)
async def test_what_the_provider_cannot_answer_is_judged_here_and_said(
    provider: Any, tools: Any, filters: Any, count: int
) -> None:
    found = await tools.everything(OBJECTS, 50, objectKey="order", filters=filters)
    assert len(found) == count
    assert await sent_filters(provider) == []
    outcome = await tools.call(OBJECTS, objectKey="order", filters=filters)
    assert any("Rose Rocket cannot filter by" in note for note in outcome.notes)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filters": {"status": "pending dispatch"}}, "is not a status of order"),
        ({"filters": {"customer": "Harbor Foods"}}, "roserocket_objects_autocomplete"),
        ({"filters": {"poNum": {"resembles": "x"}}}, "'resembles' is no operator"),
        ({"filters": ["new"]}, "filters.0"),
        ({"filters": {"createdAt": "soon"}}, "'soon' is no date"),
        ({"filters": {"createdAt": {"around": "today"}}}, "'around' is unknown"),
        ({"filters": {"createdAt": "today"}, "timezone": "Chicago"}, "no IANA zone"),
        (
            {"filters": {"createdAt": "today", "status": "new"}, "filtersOperator": "or"},
            "or cannot be combined with createdAt",
        ),
        ({"objectKey": "Ordr"}, "Did you mean order?"),
        ({"limit": 101}, "limit"),
        ({"boardID": "x"}, "boardID: is unknown"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused_before_sending(
    provider: Any, tools: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments) as refused:
        await tools.call(OBJECTS, **{"objectKey": "order", **arguments})
    assert words in str(refused.value)
    assert await provider.requests() == []


def test_no_filter_becomes_one_that_answers_500() -> None:
    fatal = {("SelectField", "equals"), ("DateField", "between"), ("DerivedField", "in")}
    values: list[Any] = [
        "today", ["2026-11-01", "2026-11-02"], {"from": "2026-11-01"}, HARBOR, [HARBOR], None,
        {"notEmpty": True}, True, 5, {"in": [5]}, {"equals": 5}, {"not": "x"}, {"contains": "x"},
    ]  # fmt: skip
    tried = 0
    for key, about in CATALOGUE.items():
        for name, field in about.fields.items():
            wanted = [*values, *field.options, list(field.options), {"equals": "new"}]
            for value in wanted:
                try:
                    plan = Reader(Fields(key), UTC).plan({name: value})
                except InvalidArguments:
                    continue
                tried += 1
                assert not {(e["fieldType"], e["operator"]) for e in plan.entries} & fatal
    assert tried > 500


async def test_tasks_of_a_group_need_the_setting_and_say_so(provider: Any, account: Any) -> None:
    tools = account(settings={"task_group_field": ""})
    with pytest.raises(InvalidArguments, match="task_group_field"):
        await tools.call(OBJECTS, objectKey="task", filters={"user_group": HARBOR})
    assert await provider.requests() == []


# --- dates -----------------------------------------------------------------------------------


def test_spans_are_what_people_mean() -> None:
    now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
    chicago = ZoneInfo("America/Chicago")
    today = span_of("today", chicago, "x", now)
    assert today.since == datetime(2026, 11, 20, tzinfo=chicago)
    assert today.holds("2026-11-21T03:00:00.000Z")
    assert not today.holds("2026-11-21T07:00:00Z")
    span = span_of({"from": "2026-11-20", "to": "2026-11-21"}, UTC, "x", now)
    assert span.holds("2026-11-21T23:59:59Z")
    assert span.holds("2026-11-20")
    assert span.holds({"dateTimeInLocation": "2026-11-20T00:00:00"})
    assert not span.holds("2026-11-22")
    assert not span.holds(None)
    assert not span.holds("someday")
    after = span_of({"after": "yesterday"}, UTC, "x", now)
    assert after.holds("2026-11-21T00:00:00Z")
    assert not after.holds("2026-11-20T23:00:00Z")


async def test_yesterday_is_cut_out_of_the_middle(tools: Any) -> None:
    found = await tools.everything(
        OBJECTS, 3, objectKey="order", filters={"createdAt": "yesterday"}
    )
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert found
    assert {order["createdAt"][:10] for order in found} == {yesterday}


async def test_a_date_filter_says_how_far_it_looked(tools: Any) -> None:
    outcome = await tools.call(
        OBJECTS, objectKey="order", filters={"createdAt": "today", "status": "new"}
    )
    (said,) = [note for note in outcome.notes if "cannot filter" in note]
    assert "in the order of createdAt" in said
    assert "no more match" in said


# --- pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
async def test_walking_the_orders_meets_each_once(tools: Any, limit: int) -> None:
    ids = [order["id"] for order in await tools.everything(OBJECTS, limit, objectKey="order")]
    assert len(ids) == len(set(ids)) == 74


async def test_orders_that_come_in_meanwhile_shift_nothing(tools: Any) -> None:
    before = {o["id"] for o in await tools.everything(OBJECTS, 100, objectKey="order")}
    seen: list[str] = []
    page = None
    while True:
        outcome = await tools.call(OBJECTS, page, objectKey="order", limit=10)
        seen += [order["id"] for order in tools.plain(outcome)]
        page = outcome.next_page
        if page is None:
            break
        for _ in range(3):
            await tools.call("create_a_roserocket_object", objectKey="order", json={"poNum": "new"})
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


async def test_a_flood_of_new_orders_repeats_nothing(provider: Any, tools: Any) -> None:
    first = await tools.call(OBJECTS, objectKey="order", limit=10)
    for _ in range(30):
        await tools.call("create_a_roserocket_object", objectKey="order", json={"poNum": "new"})
    second = await tools.call(OBJECTS, first.next_page, objectKey="order", limit=10)
    shown = [order["id"] for order in tools.plain(first) + tools.plain(second)]
    assert len(set(shown)) == 20
    limits = [body["limit"] for body in await provider.bodies("POST /objects/search")]
    assert limits == [11, 21, 1000]


async def test_search_ends_at_a_thousand_and_says_so(tools: Any) -> None:
    for _ in range(50):
        await asyncio.gather(
            *(
                tools.call("create_a_roserocket_object", objectKey="order", json={"refNum": "x"})
                for _ in range(20)
            )
        )
    ids: list[str] = []
    page = None
    while True:
        outcome = await tools.call(OBJECTS, page, objectKey="order", limit=100)
        ids += [order["id"] for order in tools.plain(outcome)]
        page = outcome.next_page
        if page is None:
            break
    assert len(ids) == len(set(ids)) == 1000
    assert any("no further than 1000" in note for note in outcome.notes)
    scan = await tools.call(OBJECTS, objectKey="order", filters={"createdAt": "2020-01-01"})
    assert any("1000 records were read" in note for note in scan.notes)
    assert any("narrow the filters" in note for note in scan.notes)


async def test_a_provider_with_a_smaller_limit_is_not_taken_for_the_end(
    provider: Any, tools: Any
) -> None:
    await provider.switch(search_max=20)
    outcome = await tools.call(OBJECTS, objectKey="order", limit=25)
    assert len(outcome.data) == 20
    assert any("gave 20 of about 74" in note for note in outcome.notes)
    await provider.switch(search_over_max="reject")
    with pytest.raises(UpstreamFailure, match="must not be greater than 20"):
        await tools.call(OBJECTS, objectKey="order", limit=25)


async def test_a_lagging_index_shows_old_records_and_reading_does_not(
    provider: Any, tools: Any
) -> None:
    await provider.switch(search_lag=60)
    made = await tools.found(
        "create_a_roserocket_object", objectKey="order", json={"poNum": "fresh"}
    )
    assert await tools.found(OBJECTS, objectKey="order", filters={"poNum": "fresh"}) == []
    assert (await tools.found("get_single_roserocket_object_by_id", id=made["id"]))["poNum"]
    assert "lags" in tools.bindings[OBJECTS].tool.description


# --- boards ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["query", "body", "nothing"])
async def test_boards_are_narrowed_however_the_provider_reads_the_request(
    provider: Any, tools: Any, read: str
) -> None:
    await provider.switch(boards_read=read)
    boards = await tools.found("list_all_roserocket_boards", object_key="Order")
    assert {board["objectKey"] for board in boards} == {"order"}
    ordered = await tools.found(
        "list_all_roserocket_boards", orderBy="name", orderByDirection="desc"
    )
    names = [board["name"] for board in ordered]
    assert names == sorted(names, key=str.casefold, reverse=True)
    walked = await tools.everything("list_all_roserocket_boards", 2)
    assert len({board["id"] for board in walked}) == len(walked) == 9


async def test_boards_are_asked_for_with_a_body_when_the_account_says_so(
    provider: Any, account: Any
) -> None:
    await provider.switch(boards_read="body")
    tools = account(settings={"boards_body": True})
    await tools.found("list_all_roserocket_boards", objectKey="task")
    (sent,) = await provider.requests("GET /boards/nav")
    assert sent["body"] == '{"objectKey":"task"}'
