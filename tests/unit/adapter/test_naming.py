"""One rule makes every tool name."""

from __future__ import annotations

import pytest

from crossdock.adapter.naming import is_identifier, singular_of, tool_name, tool_title

NAMES = [
    ("malomo", "order_events", "list", "list_all_malomo_order_events"),
    ("malomo", "orders", "get", "get_single_malomo_order_by_id"),
    ("roserocket", "objects_external", "get", "get_single_roserocket_objects_external_by_id"),
    (
        "malomo",
        "orders_by_tracking_code",
        "get",
        "get_single_malomo_orders_by_tracking_code_by_id",
    ),
    ("malomo", "webhooks", "create", "create_a_malomo_webhook"),
    (
        "roserocket",
        "user_group_members",
        "update",
        "update_a_roserocket_user_group_member_by_id",
    ),
    ("malomo", "orders", "delete", "delete_a_malomo_order_by_id"),
    ("roserocket", "user_groups", "search", "roserocket_user_groups_search"),
]


@pytest.mark.requirement("tools:names:grammar")
@pytest.mark.parametrize(("adapter", "resource", "method", "name"), NAMES)
def test_the_names_of_the_articles_follow_from_the_grammar(
    adapter: str, resource: str, method: str, name: str
) -> None:
    assert tool_name(adapter, resource, method, singular_of(resource)) == name


def test_titles_are_words_for_people() -> None:
    assert tool_title("Malomo", "order_events", "list", "order_event") == "List Malomo order events"
    assert tool_title("Malomo", "orders", "get", "order") == "Get Malomo order"
    assert tool_title("Rose", "user_groups", "search", "user_group") == "Rose user groups: search"


@pytest.mark.parametrize("text", ["", "A", "a-b", "1a", "a b", "a\n", "é", "_a", "aB"])
def test_names_are_plain(text: str) -> None:
    assert not is_identifier(text)
