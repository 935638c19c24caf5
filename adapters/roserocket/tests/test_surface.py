"""The surface: tools, arguments, scopes, size, and the table behind it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import ClientSession

import crossdock_roserocket
from crossdock.adapter import InvalidArguments, Tool
from crossdock_roserocket.catalogue import CATALOGUE, key_of, option_of
from crossdock_roserocket.fields import Fields

INVENTORY = {
    "list_all_roserocket_objects": ("POST", "/objects/search", "read"),
    "get_single_roserocket_object_by_id": ("GET", "/objects/{}", "read"),
    "create_a_roserocket_object": ("POST", "/objects", "write"),
    "update_a_roserocket_object_by_id": ("PUT", "/objects/{}", "write"),
    "delete_a_roserocket_object_by_id": ("DELETE", "/objects/{}", "destructive"),
    "roserocket_objects_upsert": ("PATCH", "/objects", "write"),
    "roserocket_objects_bulk_delete": ("POST", "/objects/bulk_delete", "destructive"),
    "roserocket_objects_autocomplete": ("GET", "/objects/autocomplete", "read"),
    "get_single_roserocket_objects_external_by_id": ("GET", "/objects/{}/{}/external", "read"),
    "update_a_roserocket_objects_external_by_id": ("PATCH", "/objects/{}/{}/external", "write"),
    "delete_a_roserocket_objects_external_by_id": (
        "DELETE",
        "/objects/{}/{}/external",
        "destructive",
    ),
    "list_all_roserocket_events": ("GET", "/events", "read"),
    "create_a_roserocket_event": ("POST", "/events", "write"),
    "list_all_roserocket_boards": ("GET", "/boards/nav", "read"),
    "list_all_roserocket_user_groups": ("GET", "/userGroups", "read"),
    "create_a_roserocket_user_group": ("POST", "/userGroups", "write"),
    "roserocket_user_groups_search": ("POST", "/userGroups/search", "read"),
    "list_all_roserocket_user_group_members": ("GET", "/userGroups/{}/members", "read"),
    "update_a_roserocket_user_group_member_by_id": ("POST", "/userGroups/{}/members", "write"),
}


def bindings(**settings: Any) -> dict[str, Any]:
    adapter = next(iter(crossdock_roserocket.crossdock_adapters()))
    found = adapter.toolset(adapter.complete(settings))
    assert found.problems == ()
    assert found.withheld == ()
    return dict(found.bindings)


def surface(**settings: Any) -> dict[str, Tool]:
    return {name: binding.tool for name, binding in bindings(**settings).items()}


async def permitted(gateway: Any, **scope: str) -> set[str]:
    """Return the tools that an MCP server of this scope would have."""
    url = f"{gateway.origin}/integrated-account/workbench/tools"
    door = {"Authorization": f"Bearer {gateway.admin_token}"}
    async with ClientSession(headers=door) as http, http.get(url, params=scope) as reply:
        assert reply.status == 200, await reply.text()
        return {tool["name"] for tool in (await reply.json())["result"]}


@pytest.mark.requirement("roserocket:tools:complete")
def test_the_inventory_is_complete() -> None:
    found = {
        name: (tool.endpoint.verb, re.sub(r"\{\w+\}", "{}", tool.endpoint.path), tool.effect)
        for name, tool in surface().items()
    }
    assert found == INVENTORY


def test_every_schema_compiles_and_takes_its_required_arguments_only() -> None:
    for name, binding in bindings(object_tools=list(CATALOGUE)).items():
        with pytest.raises(InvalidArguments, match="is unknown"):
            binding.validate({"no_such_argument": 1})
        assert len(name) <= 64


def test_no_description_repeats_another() -> None:
    tools = surface().values()
    descriptions = [tool.description for tool in tools]
    assert len(set(descriptions)) == len(descriptions)
    sentences = [s for text in descriptions for s in re.split(r"(?<=[.:])\s+", text) if len(s) > 40]
    assert sorted(s for s in set(sentences) if sentences.count(s) > 1) == []
    ours = [
        argument.schema["description"]
        for tool in tools
        for argument in tool.arguments
        if argument.where not in ("limit", "cursor", "fields")
    ]
    assert sorted(text for text in set(ours) if ours.count(text) > 1) == []


@pytest.mark.requirement("roserocket:objects:typed")
def test_the_model_is_told_every_kind_and_status_and_the_fields_of_the_common_kinds() -> None:
    tools = surface()
    create = tools["create_a_roserocket_object"].input_schema["properties"]["json"]["description"]
    search = tools["list_all_roserocket_objects"]
    said = search.description + str(search.input_schema)
    for key in ("order", "task", "customer"):
        (line,) = re.findall(rf"\n{key}: (.*?)\.(?=\n|$)", create)
        known = CATALOGUE[key].fields.items()
        written = {name for name, field in known if field.kind != "derived"}
        assert written - {"incompleteAt", "inProgressAt"} <= set(re.findall(r"\w+", line)), key
    for about in CATALOGUE.values():
        status = about.fields.get("status")
        assert status is None or all(option in said for option in status.options)
    common = {key for key, about in CATALOGUE.items() if about.about}
    assert all(re.search(rf"\b{key}\b", search.description) for key in common)


@pytest.mark.parametrize("key", [key for key, about in CATALOGUE.items() if about.fields])
def test_what_the_model_is_not_told_a_refusal_tells_it(key: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        Fields(key).named("zzz", "json.zzz")
    assert set(CATALOGUE[key].fields) <= set(re.findall(r"\w+", str(refused.value)))
    for name, field in CATALOGUE[key].fields.items():
        if field.options and not field.open:
            with pytest.raises(InvalidArguments) as wrong:
                option_of(key, name, "zzz", f"json.{name}")
            assert all(option in str(wrong.value) for option in field.options)


async def test_a_reader_has_the_group_search_and_no_write(gateway: Any) -> None:
    kept = await permitted(gateway, methods="read")
    assert "roserocket_user_groups_search" in kept
    assert kept == {name for name, (_, _, effect) in INVENTORY.items() if effect == "read"}


async def test_tags_part_the_surface(gateway: Any) -> None:
    events, teams, logistics = [
        await permitted(gateway, tags=tag) for tag in ("events", "teams", "logistics")
    ]
    assert events == {"list_all_roserocket_events", "create_a_roserocket_event"}
    assert {n for n in INVENTORY if "user_group" in n} == teams
    assert logistics | events | teams == set(INVENTORY)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("Order", "order"),
        (" ORDERS ", "order"),
        ("financial line item", "financialLineItem"),
        ("pay_stub", "payStub"),
        ("yardMove__c", "yardMove__c"),
    ],
)
def test_an_object_key_is_understood_as_people_write_it(given: str, key: str) -> None:
    assert key_of(given, "objectKey") == key


def test_an_unknown_object_key_is_refused_with_near_misses() -> None:
    with pytest.raises(InvalidArguments, match="Did you mean order") as refused:
        key_of("Ordr", "objectKey")
    assert "manifest" in str(refused.value)
    assert refused.value.argument == "objectKey"


def test_options_forgive_case_and_blanks_only() -> None:
    assert option_of("order", "status", "In Transit", "x") == "in transit"
    assert option_of("order", "status", "in_transit", "x") == "in transit"
    assert option_of("manifest", "status", "in transit", "x") == "inTransit"
    assert option_of("customer", "customerType", "shipper", "x") == "shipper"
    for wrong in ("Delayed", "Completed", "pending dispatch"):
        with pytest.raises(InvalidArguments, match="log it with create_a_roserocket_event"):
            option_of("order", "status", wrong, "x")


def test_the_account_fields_are_those_of_the_contract() -> None:
    manifest = next(iter(crossdock_roserocket.crossdock_adapters())).manifest
    assert set(manifest.credentials) == {
        "client_id", "client_secret", "org_id", "user_id", "refresh_token",
    }  # fmt: skip
    needed = {name for name, spec in manifest.credentials.items() if spec.required}
    assert needed == {"client_id", "client_secret", "org_id"}
    assert manifest.settings["send_org_header"].default is True
    assert manifest.base_url.endswith("/api/v2/platformModel")
