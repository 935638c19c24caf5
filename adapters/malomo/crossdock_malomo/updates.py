"""An update that is proved: read, written once, read back until it shows, under the record's lock.

Never writes after a failed read, never writes twice, and says of a write that cannot be confirmed
that it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import msgspec

from crossdock.adapter import (
    Call,
    Context,
    Outcome,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    WriteNotVerified,
    WriteOutcomeUnknown,
    decode,
    encode,
    one_segment,
)
from crossdock_malomo.fields import Given

READ_BACK_PAUSES = (0.0, 0.5, 1.5)
"""Pauses before each reading back: at once, after half a second, after two."""

NOTHING = "Nothing to change was given, so nothing was written."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The record that a call is about."""

    noun: str
    path: str
    id: str
    hint: str

    @property
    def check(self) -> str:
        """What to do when nobody can say whether a write was carried out."""
        return (
            "Do not repeat the update as it is: read the "
            f"{self.noun} with get_single_malomo_{self.noun}_by_id and compare it with `expected`."
        )


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was read: decoded for comparison, and as it came for the answer."""

    fields: dict[str, Any]
    reply: UpstreamReply


R = TypeVar("R", bound=Reading)
R_contra = TypeVar("R_contra", bound=Reading, contravariant=True)


class Plan(Protocol[R_contra]):
    """What has to be seen after a write."""

    def shown_by(self, seen: R_contra) -> bool:
        """Whether the record holds what an accepted write should have made of it."""

    def proved_by(self, seen: R_contra) -> bool:
        """Whether the record shows exactly what was to be written."""

    def details(self, seen: R_contra | None) -> dict[str, Any]:
        """Return what should be seen and what is, for the one who has to find out."""


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an update that has nothing but fields."""

    before: Reading
    given: Given

    def shown_by(self, seen: Reading) -> bool:
        """Whether no given field still shows what it showed before."""
        return not self.given.ignored(self.before.fields, seen.fields)

    def proved_by(self, seen: Reading) -> bool:
        """Whether every given field shows."""
        return not self.given.untaken(seen.fields)

    def details(self, seen: Reading | None) -> dict[str, Any]:
        """Return what was given and what those fields show."""
        names = self.given.fields
        found = None if seen is None else {name: seen.fields.get(name) for name in names}
        return {"expected": names, "seen": found}


def target_of(call: Call, noun: str) -> Target:
    """Return the record that the call's id names."""
    id = call.path["id"]
    hint = " ".join(one.hint for one in call.tool.arguments if one.hint and one.where == "path")
    return Target(noun=noun, path=f"/{noun}s/{one_segment(id)}", id=id, hint=hint)


async def update_fields(
    call: Call, context: Context, noun: str, given: Given, notes: list[str]
) -> Outcome:
    """Change the given fields of a record and tell what they were and are, then the notes."""
    target = target_of(call, noun)
    # Over-cautious on purpose: an id in another case may be the same record.
    async with context.exclusive(target.path.casefold()):
        before = await read(context, target)
        if not given.fields:
            return shown(before, [NOTHING, *notes])
        plan = Fields(before=before, given=given)
        doubt = await write(context, target, given.fields)
        seen = await read_back(lambda: read(context, target), target, plan, doubt)
    return shown(seen, [*lost(doubt), *given.told(before.fields, seen.fields), *notes])


async def read(context: Context, target: Target) -> Reading:
    """Read the record. Raises UpstreamFailure, also for an answer that is another one."""
    try:
        reply = await context.send(UpstreamRequest(verb="GET", path=target.path))
    except UpstreamFailure as failure:
        if failure.kind == "not_found" and target.hint:
            failure.args = (f"{str(failure).rstrip('.')}. {target.hint}",)
        raise
    fields = decode(reply.body)
    if not isinstance(fields, dict):
        raise unusable(target, "it is not an object", reply)
    found = fields.get("id")
    if found is not None and str(found).casefold() != target.id.casefold():
        raise unusable(target, f"it is {target.noun} {found}, not {target.id}", reply)
    return Reading(fields=fields, reply=reply)


def unusable(target: Target, why: str, reply: UpstreamReply) -> UpstreamFailure:
    """Return the failure for an answer to a read that cannot be trusted."""
    return UpstreamFailure(
        "upstream_malformed",
        f"Malomo's answer to reading the {target.noun} cannot be used: {why}",
        status=reply.status,
        rate=reply.rate,
    )


async def write(context: Context, target: Target, body: dict[str, Any]) -> UpstreamFailure | None:
    """Write once. Return the failure that leaves the outcome open; raise one that does not."""
    try:
        await context.send(UpstreamRequest(verb="PUT", path=target.path, body=encode(body)))
    except UpstreamFailure as failure:
        if failure.rejected:
            raise
        return failure
    return None


async def read_back(
    again: Callable[[], Awaitable[R]],
    target: Target,
    plan: Plan[R],
    doubt: UpstreamFailure | None,
) -> R:
    """Read until the write shows. Raises WriteNotVerified, in doubt WriteOutcomeUnknown."""
    seen: R | None = None
    failed = ""
    for pause in READ_BACK_PAUSES:
        await asyncio.sleep(pause)
        try:
            seen = await again()
            if plan.shown_by(seen) if doubt is None else plan.proved_by(seen):
                return seen
        except UpstreamFailure as failure:
            failed = f" Reading it back failed ({failure.kind}: {failure})."
            break
        except RecursionError:
            failed = " A stored field is nested too deeply to be compared."
            break
    if doubt is None:
        raise WriteNotVerified(
            f"Malomo accepted the update, but the {target.noun} was not seen to show it: it was "
            "not carried out in full, shows late, or someone else changed it meanwhile."
            f"{failed} {target.check}",
            **plan.details(seen),
        )
    raise WriteOutcomeUnknown(
        f"Malomo may or may not have carried out the update ({doubt.kind}: {doubt}), and reading "
        f"the {target.noun} did not settle it; it may still show later.{failed} {target.check}",
        **plan.details(seen),
    ) from doubt


def lost(doubt: UpstreamFailure | None) -> list[str]:
    """Say that only the reading back proves the write."""
    if doubt is None:
        return []
    return [f"The answer to the write was lost ({doubt}), but the record shows it."]


def shown(reading: Reading, notes: list[str]) -> Outcome:
    """Return the record as it was read."""
    return Outcome(
        data=msgspec.Raw(reading.reply.body), rate=reading.reply.rate, notes=tuple(notes)
    )
