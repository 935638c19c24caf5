"""Whether a record holds what was asked for, where the argument and the wire differ in name."""

from __future__ import annotations

import pytest

from crossdock.adapter.matching import matcher
from crossdock.authoring import Argument, Call, Endpoint, Tool


def _tool(argument: Argument) -> Tool:
    return Tool(
        name="get_single_acme_code_by_id",
        title="Get Acme code",
        description="Find an item by its code.",
        adapter="acme",
        resource="codes",
        method="get",
        effect="read",
        tags=(),
        endpoint=Endpoint(verb="GET", path="/codes/{code}", one=True),
        arguments=(argument,),
        input_schema={},
        idempotent=True,
        source="acme/docs/codes.md:1",
    )


@pytest.mark.parametrize("where", ["path", "query"])
def test_a_renamed_argument_is_still_matched(where: str) -> None:
    argument = Argument(key="id", where=where, name="code", schema={}, match=("code",))  # type: ignore[arg-type]
    call = Call(tool=_tool(argument), **{where: {"code": "A-1"}})  # type: ignore[arg-type]
    fits = matcher(call)
    assert fits is not None
    assert fits({"code": "a-1 "})
    assert not fits({"code": "B-2"})
    assert not fits({})
