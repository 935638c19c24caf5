"""Schemas as hosts are shown them, and what `check` says of those that some host refuses."""

from __future__ import annotations

import pytest

from crossdock.adapter.hosts import shown, unfit

pytestmark = pytest.mark.requirement("tools:schema:hosts")


def test_what_is_for_us_is_not_shown() -> None:
    closed = {"type": "object", "properties": {"a": {"type": "string"}}}
    own = {**closed, "additionalProperties": False}
    schema = {
        "type": "object",
        "properties": {"door": own, "doors": {"type": "array", "items": own}},
        "$defs": {"door": {**own, "examples": [{}]}},
        "additionalProperties": False,
    }
    assert shown(schema) == {
        "type": "object",
        "properties": {"door": closed, "doors": {"type": "array", "items": closed}},
        "$defs": {"door": closed},
    }


def test_properties_named_like_keywords_stay() -> None:
    schema = {"properties": {"examples": {"type": "string"}, "type": {"type": "string"}}}
    assert shown(schema) == schema


def test_a_room_for_further_properties_stays() -> None:
    schema = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
    assert shown(schema) == {"type": "object", "additionalProperties": {"type": "string"}}


def test_null_is_not_shown_and_several_types_are_branches() -> None:
    assert shown({"type": ["string", "null"], "description": "d"}) == {
        "type": "string",
        "description": "d",
    }
    both = {"type": ["object", "array"], "items": {"type": "string"}, "description": "d"}
    assert shown(both) == {
        "description": "d",
        "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "string"}}],
    }


def test_what_some_host_refuses_is_named() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "array"},
            "b": {"type": "array", "items": {"description": "x" * 1025}},
        },
        "anyOf": [{"required": ["a"]}],
    }
    assert list(unfit(schema)) == [
        (["anyOf"], "the arguments as a whole have `anyOf`, which hosts refuse"),
        (["properties", "a", "type"], "it is an array without `items`"),
        (
            ["properties", "b", "items", "description"],
            "its description has more than 1,024 characters",
        ),
    ]
    assert list(unfit(shown({"type": "object", "properties": {}}))) == []


def test_an_enum_is_shown_with_its_type() -> None:
    assert shown({"enum": ["a", "b", None]}) == {"type": "string", "enum": ["a", "b", None]}
    assert shown({"enum": [1, 2]}) == {"type": "integer", "enum": [1, 2]}
