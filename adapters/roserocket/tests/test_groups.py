"""User groups and their members."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter import InvalidArguments, UpstreamFailure
from crossdock_roserocket.sandbox import known_id

SEARCH = "roserocket_user_groups_search"
CHANGE = "update_a_roserocket_user_group_member_by_id"
MEMBERS = "list_all_roserocket_user_group_members"
DAY = known_id("group:Day Shift Ops")
AMIR, JOANNA, LUIS = (known_id(f"user:usr_{one}") for one in (102, 105, 110))


@pytest.mark.requirement("roserocket:groups:search")
@pytest.mark.parametrize("match", ["contains", "exact", "prefix"])
@pytest.mark.parametrize("case", [False, True])
async def test_a_group_is_found_however_the_provider_matches_names(
    provider: Any, tools: Any, match: str, case: bool
) -> None:
    await provider.switch(group_match=match, group_match_case=case)
    found = await tools.found(SEARCH, name="ltl dispatch")
    assert [group["name"] for group in found] == ["LTL Dispatchers"]


async def test_a_name_that_nobody_has_is_answered_with_the_names_there_are(tools: Any) -> None:
    outcome = await tools.call(SEARCH, name="Swing Shift")
    assert outcome.data == []
    assert "Weekend Operations" in outcome.notes[0]


async def test_groups_are_found_by_ids_and_in_parts(tools: Any) -> None:
    assert [group["id"] for group in await tools.found(SEARCH, ids=[DAY])] == [DAY]
    walked = await tools.everything(SEARCH, 1, name="shift")
    assert [g["name"] for g in walked] == [
        "Day Shift Ops", "Night Shift Ops", "Night Shift Dispatchers",
    ]  # fmt: skip
    assert len(await tools.found(SEARCH, offset=2)) == 4
    with pytest.raises(InvalidArguments, match=r"ids\[0\]: 'grp_A' is no uuid"):
        await tools.call(SEARCH, ids=["grp_A"])


async def test_a_name_in_use_is_refused(tools: Any) -> None:
    made = await tools.found("create_a_roserocket_user_group", name="Yard Crew")
    assert made["type"] == "local"
    with pytest.raises(UpstreamFailure, match="already in use"):
        await tools.call("create_a_roserocket_user_group", name="Yard Crew")


@pytest.mark.requirement("roserocket:members:moved")
async def test_people_are_added_and_removed_in_one_call(provider: Any, tools: Any) -> None:
    outcome = await tools.call(CHANGE, id=DAY, add=[LUIS], remove=[AMIR, "usr_105"])
    assert tools.plain(outcome) == {"added": 1, "removed": 2}
    assert outcome.notes == ()
    (sent,) = await provider.bodies("POST /userGroups")
    assert sent == {"add": [LUIS], "remove": [AMIR, JOANNA]}
    members = {one["id"] for one in await tools.found(MEMBERS, group_id=DAY)}
    assert members == {LUIS, known_id("user:usr_sjenkins")}


async def test_a_difference_between_asked_and_done_is_explained(tools: Any) -> None:
    outcome = await tools.call(CHANGE, id=DAY, add=[AMIR, LUIS], remove=[AMIR])
    assert tools.plain(outcome) == {"added": 1, "removed": 1}
    assert outcome.notes == (f"In add and in remove, so removed: {AMIR}.",)
    again = await tools.call(CHANGE, id=DAY, add=[LUIS], remove=[AMIR])
    assert tools.plain(again) == {"added": 0, "removed": 0}
    assert "for 2 of the users it was so before" in again.notes[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"id": "grp_A", "add": [AMIR]}, "id: 'grp_A' is no uuid, and no group"),
        ({"id": DAY}, "give users to add"),
        ({"id": DAY, "add": ["Sarah"]}, r"add\[0\]: 'Sarah' is no uuid, and no user has it"),
    ],
)
async def test_a_change_that_cannot_be_meant_changes_nothing(
    provider: Any, tools: Any, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidArguments, match=words):
        await tools.call(CHANGE, **arguments)
    assert await provider.requests("POST") == []


async def test_a_group_may_be_named_where_its_id_belongs(provider: Any, tools: Any) -> None:
    outcome = await tools.call(MEMBERS, group_id="day shift ops")
    assert len(outcome.data) == 3
    assert DAY in outcome.notes[0]
    changed = await tools.call(CHANGE, id="Day Shift", remove=[AMIR])
    assert tools.plain(changed) == {"added": 0, "removed": 1}
    with pytest.raises(InvalidArguments, match="could mean several groups: Day Shift Ops") as found:
        await tools.call(MEMBERS, group_id="Shift")
    assert "Night Shift Ops" in str(found.value)
    with pytest.raises(InvalidArguments, match="no group's name holds it") as none:
        await tools.call(MEMBERS, group_id="grp_A")
    assert "Weekend Operations" in str(none.value)
    await provider.forget()
    with pytest.raises(InvalidArguments, match="roserocket_user_groups_search"):
        await tools.call(MEMBERS, group_id="a/b")
    assert await provider.requests() == []


async def test_a_viewer_may_read_and_not_change(provider: Any, tools: Any) -> None:
    await provider.switch(role="viewer")
    assert await tools.found(MEMBERS, group_id=DAY)
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(CHANGE, id=DAY, add=[LUIS])
    assert failed.value.kind == "forbidden"


async def test_users_whose_external_ids_cannot_be_read_are_named_by_uuid(
    provider: Any, tools: Any
) -> None:
    await provider.switch(user_objects=False)
    with pytest.raises(InvalidArguments, match="roserocket_objects_autocomplete"):
        await tools.call(CHANGE, id=DAY, remove=["usr_102"])
    assert (await tools.found(CHANGE, id=DAY, remove=[AMIR]))["removed"] == 1
