"""The worked example of a drop-in plugin: the gates of a yard, behind an API that does not exist.

Tidewater drops every door that an update leaves out; that is why there is any Python here beyond
the hook.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import (
    Adapter,
    Call,
    Context,
    Outcome,
    hookimpl,
    load_adapter,
    one_segment,
    rest,
)


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter whose adapter.toml and docs/ lie beside this file."""
    yield load_adapter(__name__, mappers={"gates.update": update_gate}, sandbox=".sandbox")


async def update_gate(call: Call, context: Context) -> Outcome:
    """Send every door of the gate: the given ones changed, the others as they are stored."""
    gate = f"/gates/{one_segment(call.path['id'])}"
    given = {door["number"]: door for door in call.body.get("doors", [])}
    async with context.exclusive(gate):
        stored = {door["number"]: door for door in (await context.fetch(gate))["doors"]}
        doors = [stored.get(n, {}) | given.get(n, {}) for n in sorted(stored | given)]
        return await rest(call.with_body(doors=doors), context)
