"""What the adapter declares: names, endpoints, effects, tags and words."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest

import crossdock_malomo
from crossdock.adapter import InvalidArguments

SURFACE = {
    "list_all_malomo_orders": ("GET /orders", "read", "orders"),
    "get_single_malomo_order_by_id": ("GET /orders/{id}", "read", "orders"),
    "create_a_malomo_order": ("POST /orders", "write", "orders"),
    "update_a_malomo_order_by_id": ("PUT /orders/{id}", "destructive", "orders"),
    "delete_a_malomo_order_by_id": ("DELETE /orders/{id}", "destructive", "orders"),
    "get_single_malomo_orders_by_tracking_code_by_id": (
        "GET /orders/?tracking_code={id}",
        "read",
        "orders",
    ),
    "get_single_malomo_orders_by_alternate_id_by_id": (
        "GET /orders/?alternate_id={id}",
        "read",
        "orders",
    ),
    "get_single_malomo_orders_by_number_by_id": (
        "GET /orders/?number={id}&customer_email={customer_email}",
        "read",
        "orders",
    ),
    "list_all_malomo_order_events": ("GET /orders/{order_id}/events", "read", "orders events"),
    "create_a_malomo_order_event": ("POST /orders/{order_id}/events", "write", "orders events"),
    "list_all_malomo_customers": ("GET /customers", "read", "customers"),
    "get_single_malomo_customer_by_id": ("GET /customers/{id}", "read", "customers"),
    "create_a_malomo_customer": ("POST /customers", "write", "customers"),
    "update_a_malomo_customer_by_id": ("PUT /customers/{id}", "write", "customers"),
    "delete_a_malomo_customer_by_id": ("DELETE /customers/{id}", "destructive", "customers"),
    "list_all_malomo_customer_events": ("GET /customers/{customer_id}/events", "read", "events"),
    "list_all_malomo_webhooks": ("GET /webhooks", "read", "webhooks"),
    "get_single_malomo_webhook_by_id": ("GET /webhooks/{id}", "read", "webhooks"),
    "create_a_malomo_webhook": ("POST /webhooks", "write", "webhooks"),
    "update_a_malomo_webhook_by_id": ("PUT /webhooks/{id}", "write", "webhooks"),
    "delete_a_malomo_webhook_by_id": ("DELETE /webhooks/{id}", "destructive", "webhooks"),
}


@pytest.fixture(scope="module")
def bindings() -> dict[str, Any]:
    adapter = next(iter(crossdock_malomo.crossdock_adapters()))
    toolset = adapter.toolset(adapter.defaults())
    assert toolset.problems == ()
    assert toolset.withheld == ()
    return dict(toolset.bindings)


def test_the_surface_is_the_inventory(bindings: dict[str, Any]) -> None:
    found = {}
    for name, binding in bindings.items():
        tool = binding.tool
        query = "&".join(f"{key}={template}" for key, template in tool.endpoint.query)
        target = f"{tool.endpoint.path}?{query}" if query else tool.endpoint.path
        found[name] = (f"{tool.endpoint.verb} {target}", tool.effect, " ".join(tool.tags))
    assert found == SURFACE


def test_every_schema_is_valid_and_every_argument_described(bindings: dict[str, Any]) -> None:
    for binding in bindings.values():
        with pytest.raises(InvalidArguments, match="is unknown"):
            binding.validate({"no_such_argument": 1})
        assert binding.schema["additionalProperties"] is False
        for argument in binding.tool.arguments:
            assert argument.schema["description"], (binding.tool.name, argument.key)


def test_no_description_repeats_another(bindings: dict[str, Any]) -> None:
    sentences = {
        name: {part for part in re.split(r"(?<=\.)\s+", b.tool.description) if len(part) > 25}
        for name, b in bindings.items()
    }
    for one, other in combinations(sentences, 2):
        assert not sentences[one] & sentences[other], (one, other)


def test_ids_that_people_make_up_are_free_and_malomos_own_are_not(
    bindings: dict[str, Any],
) -> None:
    free = {
        (binding.tool.resource, argument.key)
        for binding in bindings.values()
        for argument in binding.tool.arguments
        if argument.free
    }
    assert free == {
        ("orders", "alternate_id"),
        ("orders", "customer_email"),
        ("orders", "number"),
        ("orders", "tracking_code"),
        ("orders_by_alternate_id", "id"),
        ("orders_by_number", "customer_email"),
        ("orders_by_number", "id"),
        ("orders_by_tracking_code", "id"),
    }


def test_every_lookup_value_is_matched_against_the_answer(bindings: dict[str, Any]) -> None:
    for binding in bindings.values():
        if binding.tool.endpoint.one or binding.tool.name == "list_all_malomo_orders":
            sought = [a for a in binding.tool.arguments if a.where in ("path", "query")]
            assert sought
            assert all(argument.match for argument in sought), binding.tool.name


def test_the_topic_of_a_webhook_is_not_a_closed_list(bindings: dict[str, Any]) -> None:
    tool = bindings["create_a_malomo_webhook"].tool
    assert "enum" not in tool.input_schema["properties"]["topic"]
    assert "events:created" in tool.description


@pytest.mark.requirement("malomo:shipments:explained")
def test_the_update_tells_of_the_change_that_nobody_can_see(bindings: dict[str, Any]) -> None:
    words = bindings["update_a_malomo_order_by_id"].tool.description
    assert "remove_shipments" in words
    assert "cannot be seen" in words
