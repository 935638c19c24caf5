"""User groups: a search that forgives capitals, and membership changes that say what they did."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    InvalidArguments,
    Outcome,
    Page,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    encode,
    rest,
)
from crossdock_roserocket.catalogue import is_uuid
from crossdock_roserocket.identity import need_uuid, text_of, user_id
from crossdock_roserocket.outcomes import answered, noted

_RESERVED = frozenset("/\\?#%")


async def group_id(context: Context, given: Any, argument: str) -> tuple[str, str]:
    """Return the id of the group that an id or a name means, and a note if it was a name.

    Raises InvalidArguments with the names there are."""
    if is_uuid(given):
        return given, ""
    if not isinstance(given, str) or set(given) & _RESERVED:
        raise InvalidArguments(
            argument, f"{given!r} is no group; find its id with roserocket_user_groups_search"
        )
    every = await _groups(context)
    wanted = " ".join(given.split()).casefold()
    found = [one for one in every if str(one.get("name", "")).casefold() == wanted]
    found = found or [one for one in every if wanted in str(one.get("name", "")).casefold()]
    if len(found) == 1:
        return text_of(found[0], "id"), f"{argument} {given!r} is the group {found[0]['id']}."
    names = ", ".join(f"{one.get('name')} ({one.get('id')})" for one in (found or every)[:50])
    if found:
        raise InvalidArguments(argument, f"{given!r} could mean several groups: {names}")
    raise InvalidArguments(
        argument, f"{given!r} is no uuid, and no group's name holds it. Groups: {names or 'none'}"
    )


async def _groups(context: Context) -> list[dict[str, Any]]:
    every = await context.fetch("/userGroups")
    return [one for one in every if isinstance(one, dict)] if isinstance(every, list) else []


def many(value: Any) -> list[Any]:
    """Return a value as a list."""
    return value if isinstance(value, list) else [value]


class _Found(msgspec.Struct):
    results: list[msgspec.Raw]
    total: int | None = None


async def search_groups(call: Call, context: Context) -> Outcome:
    """Search groups; where the provider finds no such name, look through all of them."""
    for number, one in enumerate(call.body.get("ids", [])):
        need_uuid(one, f"ids[{number}]", "Pass name for a group's name.")
    offset = call.body.get("offset", 0) + call.page.skip
    limit = call.limit or call.tool.paging.limit.default
    body = {**call.body, "offset": offset, "limit": limit}
    reply = await context.send(
        UpstreamRequest(verb="POST", path="/userGroups/search", body=encode(body), reads=True)
    )
    found = _decoded(reply)
    name = call.body.get("name")
    if name is not None and not found.results and not offset:
        return await _looked_through(call, context, reply, name)
    end = call.page.skip + len(found.results)
    more = bool(found.results) and (found.total or 0) > offset + len(found.results)
    following = Page(skip=end) if more else None
    return Outcome(data=found.results, next_page=following, rate=reply.rate)


def _decoded(reply: UpstreamReply) -> _Found:
    try:
        return msgspec.json.decode(reply.body, type=_Found)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamFailure(
            "upstream_malformed", f"Rose Rocket's list of groups cannot be read: {error}"
        ) from None


async def _looked_through(call: Call, context: Context, reply: UpstreamReply, name: str) -> Outcome:
    groups = await _groups(context)
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
    data = [msgspec.Raw(encode(one)) for one in found]
    return Outcome(data=data, rate=reply.rate, notes=(note,))


async def list_members(call: Call, context: Context) -> Outcome:
    """List a group's members."""
    group, note = await group_id(context, call.path["group_id"], "group_id")
    return noted(await rest(_at(call, group_id=group), context), (note,) if note else ())


async def change_members(call: Call, context: Context) -> Outcome:
    """Add and remove members in one request, and say what became of each difference."""
    given_add, given_remove = call.body.get("add", []), call.body.get("remove", [])
    if not given_add and not given_remove:
        raise InvalidArguments(
            "add", 'give users to add, or to remove: {"add": ["<user id>"], "remove": []}'
        )
    group, note = await group_id(context, call.path["id"], "id")
    call = _at(call, id=group)
    add = await _users(context, given_add, "add")
    remove = await _users(context, given_remove, "remove")
    outcome = await rest(_with(call, add, remove), context)
    notes = ((note,) if note else ()) + _both(add, remove)
    wanted = [one for one in add if one not in remove]
    if _count(outcome, "added") != len(wanted) or _count(outcome, "removed") != len(remove):
        notes += await _explained(call, context, wanted, remove, outcome)
    return noted(outcome, notes)


def _at(call: Call, **path: str) -> Call:
    return msgspec.structs.replace(call, path={**call.path, **path})


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
