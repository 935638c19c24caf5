"""User groups: a search that forgives capitals, and membership changes that say what they did."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    UpstreamFailure,
    encode,
    rest,
)
from crossdock_roserocket.identity import need_uuid, user_id
from crossdock_roserocket.objects import answered, noted

_FIND = "Find the group's id with roserocket_user_groups_search."


async def search_groups(call: Call, context: Context) -> Outcome:
    """Search groups; where the provider finds no such name, look through all of them."""
    outcome = await rest(call, context)
    name = call.body.get("name")
    answer = answered(outcome)
    if name is None or not isinstance(answer, dict) or answer.get("results"):
        return outcome
    every = await context.fetch("/userGroups")
    groups = [one for one in every if isinstance(one, dict)] if isinstance(every, list) else []
    wanted = name.casefold()
    found = [one for one in groups if wanted in str(one.get("name", "")).casefold()]
    if ids := call.body.get("ids"):
        found = [one for one in found if one.get("id") in ids]
    names = ", ".join(str(one.get("name")) for one in groups[:50])
    note = (
        "Rose Rocket's own search did not find the name; all groups were looked through."
        if found
        else f"No group's name holds {name!r}. Groups: {names or 'none'}."
    )
    data = msgspec.Raw(encode({"total": len(found), "results": found}))
    return Outcome(data=data, rate=outcome.rate, notes=(note,))


async def list_members(call: Call, context: Context) -> Outcome:
    """List a group's members."""
    need_uuid(call.path["group_id"], "group_id", _FIND)
    return await rest(call, context)


async def change_members(call: Call, context: Context) -> Outcome:
    """Add and remove members in one request, and say what became of each difference."""
    need_uuid(call.path["id"], "id", _FIND)
    add = await _users(context, call.body.get("add", []), "add")
    remove = await _users(context, call.body.get("remove", []), "remove")
    if not add and not remove:
        raise InvalidArguments("add", "give users to add, or to remove")
    outcome = await rest(_with(call, add, remove), context)
    notes = _both(add, remove)
    wanted = [one for one in add if one not in remove]
    if _count(outcome, "added") != len(wanted) or _count(outcome, "removed") != len(remove):
        notes += await _explained(call, context, wanted, remove, outcome)
    return noted(outcome, notes)


async def _users(context: Context, given: list[str], argument: str) -> list[str]:
    found = [await user_id(context, one, f"{argument}[{i}]") for i, one in enumerate(given)]
    return list(dict.fromkeys(found))


def _with(call: Call, add: list[str], remove: list[str]) -> Call:
    body = {name: ids for name, ids in (("add", add), ("remove", remove)) if ids}
    return call.without_body("add", "remove").with_body(**body)


def _both(add: list[str], remove: list[str]) -> tuple[str, ...]:
    both = [one for one in add if one in remove]
    return (f"In add and in remove, so removed: {', '.join(both)}.",) if both else ()


def _count(outcome: Outcome, name: str) -> Any:
    answer = answered(outcome)
    return answer.get(name) if isinstance(answer, dict) else None


async def _explained(
    call: Call, context: Context, add: list[str], remove: list[str], outcome: Outcome
) -> tuple[str, ...]:
    """Read the group back, because the counts differ from what was asked."""
    try:
        answer = await context.fetch(f"/userGroups/{call.path['id']}/members")
    except UpstreamFailure as failure:
        return (f"The counts differ from what was asked, and reading back failed: {failure}",)
    members = answer.get("members", []) if isinstance(answer, dict) else []
    now = {one.get("id") for one in members if isinstance(one, dict)}
    notes: list[str] = []
    if missing := [one for one in add if one not in now]:
        notes.append(f"Not members, though they were to be added: {', '.join(missing)}.")
    if left := [one for one in remove if one in now]:
        notes.append(f"Still members, though they were to be removed: {', '.join(left)}.")
    if not notes:
        same = len(add) + len(remove) - _total(outcome)
        notes.append(f"The group is as asked; for {same} of the users it was so before.")
    return tuple(notes)


def _total(outcome: Outcome) -> int:
    counts = (_count(outcome, "added"), _count(outcome, "removed"))
    return sum(count for count in counts if isinstance(count, int))
