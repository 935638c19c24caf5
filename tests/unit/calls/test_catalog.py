"""permits(): methods AND tags, groups and exact names."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.authoring import Endpoint, Tool
from crossdock.calls.catalog import permits
from crossdock.model import Scope

STANDARD = ["list", "get", "create", "update", "delete"]
TOOL = Tool(
    name="n",
    title="",
    description="",
    adapter="x",
    resource="r",
    method="list",
    effect="read",
    tags=("a",),
    endpoint=Endpoint(verb="GET", path="/"),
    arguments=(),
    input_schema={},
    idempotent=True,
    source="",
)
TOOLS = st.builds(
    lambda method, effect, tags: msgspec.structs.replace(
        TOOL, method=method, effect=effect, tags=tuple(tags)
    ),
    st.sampled_from([*STANDARD, "search", "archive"]),
    st.sampled_from(["read", "write", "destructive"]),
    st.lists(st.sampled_from("abc"), unique=True),
)
METHODS = st.none() | st.lists(
    st.sampled_from(["read", "write", "custom", *STANDARD, "search"]), min_size=1
)
TAGS = st.none() | st.lists(st.sampled_from("abcd"), min_size=1)


@pytest.mark.requirement("server:filters:both", "server:methods:groups")
@given(tool=TOOLS, methods=METHODS, tags=TAGS)
def test_a_tool_is_let_out_by_method_and_tag(
    tool: Tool, methods: list[str] | None, tags: list[str] | None
) -> None:
    scope = Scope(
        methods=None if methods is None else tuple(methods),
        tags=None if tags is None else tuple(tags),
    )
    groups = {tool.method, "read" if tool.effect == "read" else "write"}
    if tool.method not in STANDARD:
        groups.add("custom")
    by_method = methods is None or bool(groups & set(methods))
    by_tag = tags is None or bool(set(tool.tags) & set(tags))
    assert permits(scope, tool) == (by_method and by_tag)


@pytest.mark.requirement("server:filters:both")
@given(tool=TOOLS, methods=METHODS, tags=TAGS)
def test_one_more_word_never_hides_and_one_more_filter_never_shows(
    tool: Tool, methods: list[str] | None, tags: list[str] | None
) -> None:
    scope = Scope(
        methods=None if methods is None else tuple(methods),
        tags=None if tags is None else tuple(tags),
    )
    if permits(scope, tool):
        assert permits(msgspec.structs.replace(scope, tags=None), tool)
        assert permits(msgspec.structs.replace(scope, methods=None), tool)
        wider = None if scope.methods is None else (*scope.methods, "write")
        assert permits(msgspec.structs.replace(scope, methods=wider), tool)
