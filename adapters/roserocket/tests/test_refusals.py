"""Wrong calls that agents plausibly make: each refusal names the argument, the rule, and a next
step; and that step, tried as the second call, works."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from crossdock.adapter import InvalidArguments, ToolFailure, UpstreamFailure
from crossdock_roserocket.sandbox import known_id

LIST = "list_all_roserocket_objects"
GET = "get_single_roserocket_object_by_id"
CREATE = "create_a_roserocket_object"
UPDATE = "update_a_roserocket_object_by_id"
DELETE = "delete_a_roserocket_object_by_id"
UPSERT = "roserocket_objects_upsert"
BULK = "roserocket_objects_bulk_delete"
FIND = "roserocket_objects_autocomplete"
EXTERNAL = "get_single_roserocket_objects_external_by_id"
CHANGE_EXTERNAL = "update_a_roserocket_objects_external_by_id"
EVENTS = "list_all_roserocket_events"
LOG = "create_a_roserocket_event"
BOARDS = "list_all_roserocket_boards"
GROUPS = "roserocket_user_groups_search"
MEMBERS = "list_all_roserocket_user_group_members"
MOVE = "update_a_roserocket_user_group_member_by_id"

ORDER = known_id("order:PO-88912")
TASK = known_id("task:1")
HARBOR = known_id("customer:Harbor Foods")
AMIR = known_id("user:usr_102")
DAY = known_id("group:Day Shift Ops")


class Wrong(NamedTuple):
    """A call, what its refusal says, and the call that it leads to."""

    tool: str
    given: dict[str, Any]
    argument: str
    words: tuple[str, ...]
    then: tuple[str, dict[str, Any]]


def order(**given: Any) -> dict[str, Any]:
    return {"object_key": "order", **given}


WRONG = [
    # --- filters, orders and paths that name nothing
    Wrong(
        LIST,
        order(filters={"stattus": "new"}),
        "filters.stattus",
        ("order has no field 'stattus'", "Did you mean status"),
        (LIST, order(filters={"status": "new"})),
    ),
    Wrong(
        LIST,
        order(filters={"customer.name": "Harbor Foods"}),
        "filters.customer.name",
        ("not by name of its customer", "roserocket_objects_autocomplete"),
        (FIND, {"object_key": "customer", "search_term": "Harbor Foods"}),
    ),
    Wrong(
        LIST,
        order(filters={"custommer.nmae": "Harbor Foods"}),
        "filters.custommer.nmae",
        ("Did you mean customer",),
        (LIST, order(filters={"customer": HARBOR})),
    ),
    Wrong(
        LIST,
        {"object_key": "task", "filters": {"order": ORDER}},
        "filters.order",
        ("task has no field 'order'", 'paths "tasks"'),
        (GET, {"id": ORDER, "paths": "tasks"}),
    ),
    Wrong(
        LIST,
        order(filters=[{"field": "status", "op": "eq", "value": "new"}]),
        "filters[0]",
        ("another shape", '{"status": "new"}'),
        (LIST, order(filters={"status": "new"})),
    ),
    Wrong(
        LIST,
        order(filters=[{"path": "stattus", "operator": "in", "value": ["new"]}]),
        "filters[0].path",
        ("Did you mean status",),
        (LIST, order(filters=[{"path": "status", "operator": "in", "value": ["new"]}])),
    ),
    Wrong(
        LIST,
        order(filters=[{"path": "status", "comparator": "in", "value": ["new"]}]),
        "filters[0].comparator",
        ("unknown in a filter", '"operator": "in"'),
        (LIST, order(filters=[{"path": "status", "operator": "in", "value": ["new"]}])),
    ),
    Wrong(
        LIST,
        order(filters=[{"path": "status", "operator": "is", "value": "new"}]),
        "filters[0].operator",
        ("'is' is no operator", "equals"),
        (LIST, order(filters=[{"path": "status", "operator": "equals", "value": "new"}])),
    ),
    Wrong(
        LIST,
        order(filters=[{"path": "status", "value": "new", "fieldType": "String"}]),
        "filters[0].fieldType",
        ("'String' is none of", "SelectField"),
        (LIST, order(filters=[{"path": "status", "value": "new", "fieldType": "SelectField"}])),
    ),
    Wrong(
        LIST,
        order(filters="status=new"),
        "filters",
        ("is not of types",),
        (LIST, order(filters={"status": "new"})),
    ),
    Wrong(
        LIST,
        order(filters={"status": "pending dispatch"}),
        "filters.status",
        ("allowed: new, booked", "Filter by one or several of these"),
        (LIST, order(filters={"status": ["new", "booked"]})),
    ),
    Wrong(
        LIST,
        order(filters={"status": []}),
        "filters.status",
        ("names no value", "null for records where it is empty"),
        (LIST, order(filters={"refNum": None})),
    ),
    Wrong(
        LIST,
        order(filters={"customer": "Harbor Foods"}),
        "filters.customer",
        ("by its uuid", "roserocket_objects_autocomplete"),
        (FIND, {"object_key": "customer", "search_term": "Harbor Foods"}),
    ),
    Wrong(
        LIST,
        order(filters={"createdAt": "last week"}),
        "filters.createdAt",
        ("is no date", '{"from": …, "to": …}'),
        (LIST, order(filters={"createdAt": {"from": "2026-11-01", "to": "today"}})),
    ),
    Wrong(
        LIST,
        order(filters={"version": "three"}),
        "filters.version",
        ("is a number",),
        (LIST, order(filters={"version": "3"})),
    ),
    Wrong(
        LIST,
        {"object_key": "task", "filters": {"user_group": "Dispatchers"}},
        "filters.user_group",
        ("could mean several groups", "LTL Dispatchers"),
        (LIST, {"object_key": "task", "filters": {"user_group": "LTL Dispatchers"}}),
    ),
    Wrong(
        LIST,
        order(order_by_path="nonsense"),
        "order_by_path",
        ("order has no field 'nonsense'", "createdAt"),
        (LIST, order(order_by_path="createdAt")),
    ),
    Wrong(
        LIST,
        order(order_by_path="customer"),
        "order_by_path",
        ("is a connected record", "createdAt"),
        (LIST, order(orderByPath="createdAt")),
    ),
    Wrong(
        LIST,
        order(board_id=known_id("board:Task Queue")),
        "board_id",
        ("is a board of task", "leave it out"),
        (LIST, order()),
    ),
    Wrong(LIST, {}, "object_key", ("is required", "order"), (LIST, order())),
    Wrong(
        LIST,
        order(status="new"),
        "status",
        ("unknown", "filters"),
        (LIST, order(filters={"status": "new"})),
    ),
    Wrong(
        GET,
        {"id": ORDER, "paths": "custommer"},
        "paths",
        ("Did you mean customer",),
        (GET, {"id": ORDER, "paths": "customer"}),
    ),
    Wrong(
        GET,
        {"id": ORDER, "paths": "tasks.order"},
        "paths",
        ("task has no field 'order'",),
        (GET, {"id": ORDER, "paths": "tasks.stops"}),
    ),
    Wrong(
        GET,
        {"id": ORDER, "paths": "status"},
        "paths",
        ("is no connected record of order", "customer"),
        (GET, {"id": ORDER, "paths": "customer"}),
    ),
    Wrong(
        GET,
        {"id": "ord_8821"},
        "",
        ("No order has the external id 'ord_8821'", "list_all_roserocket_objects"),
        (LIST, order(filters={"poNum": "PO-5561"})),
    ),
    Wrong(
        GET,
        {"id": known_id("nobody")},
        "",
        ("No record has the id", "get_single_roserocket_objects_external_by_id"),
        (EXTERNAL, {"id": "PO-5561"}),
    ),
    Wrong(
        GET,
        {"id": TASK, "object_key": "order"},
        "object_key",
        ("is of kind task", "pass task"),
        (GET, {"id": TASK, "object_key": "task"}),
    ),
    # --- writes that would not take
    Wrong(
        UPDATE,
        {"id": ORDER, "json": {"stauts": "booked"}},
        "json.stauts",
        ("Did you mean status",),
        (UPDATE, {"id": ORDER, "json": {"status": "booked"}}),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, json={"status": "Delayed"}),
        "json.status",
        ("allowed: new, booked", "create_a_roserocket_event"),
        (LOG, {"record_id": ORDER, "message": "Delayed by two hours"}),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, json={"customer": "Harbor Foods"}),
        "json.customer",
        ('{"id": "<uuid>"}', "roserocket_objects_autocomplete"),
        (FIND, {"object_key": "customer", "search_term": "Harbor Foods"}),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, json={"poNum": 44100}),
        "json.poNum",
        ('must be text, as "44100"',),
        (UPDATE, order(id=ORDER, json={"poNum": "44100"})),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, json={"customer": None}),
        "json",
        ("holds nothing to write",),
        (UPDATE, order(id=ORDER, clear=["customer"])),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, clear=["custommer"]),
        "clear[0]",
        ("Did you mean customer",),
        (UPDATE, order(id=ORDER, clear=["customer"])),
    ),
    Wrong(
        UPDATE,
        order(id=ORDER, remove={"customer": HARBOR}),
        "remove.customer",
        ("is no list", 'clear: ["customer"]'),
        (UPDATE, order(id=ORDER, clear=["customer"])),
    ),
    Wrong(
        UPDATE,
        {"id": TASK, "object_key": "order", "json": {"poNum": "1"}},
        "object_key",
        ("is of kind task", "pass task"),
        (UPDATE, {"id": TASK, "object_key": "task", "json": {"ordinal": 1}}),
    ),
    Wrong(
        UPDATE,
        {"id": TASK, "object_key": "task", "json": {"user_group": "Dispatchers"}},
        "json.user_group",
        ("could mean several groups",),
        (UPDATE, {"id": TASK, "object_key": "task", "json": {"user_group": "Night Shift Disp"}}),
    ),
    Wrong(
        UPDATE,
        {
            "id": TASK,
            "object_key": "task",
            "json": {"actualCompletionTime": "2026-11-21T10:00:00Z"},
        },
        "json.actualCompletionTime",
        ("dateTimeInLocation", "without Z or offset"),
        (
            UPDATE,
            {
                "id": TASK,
                "object_key": "task",
                "json": {
                    "actualCompletionTime": {"dateTimeInLocation": "2026-11-21T10:00:00"},
                },
            },
        ),
    ),
    Wrong(
        CREATE,
        order(),
        "json",
        ("is required", '"poNum"'),
        (CREATE, order(json={"poNum": "44-100"})),
    ),
    Wrong(
        CREATE,
        order(json={}),
        "json",
        (),
        (CREATE, order(json={"poNum": "44-100"})),
    ),
    Wrong(
        CREATE,
        order(json={"poNumber__c": None, "tags": []}),
        "json",
        ("holds nothing to write", '"poNum"'),
        (CREATE, order(json={"poNum": "44-100"})),
    ),
    Wrong(
        CREATE,
        {"object_key": "Ordr", "json": {"poNum": "1"}},
        "object_key",
        ("Did you mean order",),
        (CREATE, order(json={"poNum": "1"})),
    ),
    Wrong(
        CREATE,
        order(json={"customer": {"nmae": "New Co"}}),
        "json.customer.nmae",
        ("Did you mean name",),
        (CREATE, order(json={"customer": {"name": "New Co"}})),
    ),
    Wrong(
        CREATE,
        order(poNum="1"),
        "poNum",
        ("unknown", "json"),
        (CREATE, order(json={"poNum": "1"})),
    ),
    Wrong(
        UPSERT,
        order(json={"poNum": "7"}),
        "json.externalId",
        ("is required", '"externalId"'),
        (UPSERT, order(json={"externalId": "ERP-9921", "poNum": "7"})),
    ),
    Wrong(
        CHANGE_EXTERNAL,
        order(id="ERP-9921", json={"externalId": "ERP-1", "poNum": "7"}),
        "json.externalId",
        ("differs from id", "leave it out"),
        (CHANGE_EXTERNAL, order(id="ERP-9921", json={"poNum": "7"})),
    ),
    Wrong(
        DELETE,
        {"id": "PO-5561"},
        "object_key",
        ("is needed", "record of another kind"),
        (DELETE, {"id": "PO-5561", "object_key": "invoice"}),
    ),
    Wrong(
        BULK,
        order(ids=["ord_12345"]),
        "ids[0]",
        ("is no uuid", "get_single_roserocket_objects_external_by_id"),
        (EXTERNAL, order(id="ord_12345")),
    ),
    # --- events
    Wrong(
        LOG,
        {"record_id": ORDER},
        "message",
        ("is required", '{"message": "Delayed by 2 hours"}'),
        (LOG, {"record_id": ORDER, "message": "Delayed by 2 hours"}),
    ),
    Wrong(
        LOG,
        {"message": "Delayed"},
        "record_id",
        ("is required",),
        (LOG, {"recordId": ORDER, "message": "Delayed"}),
    ),
    Wrong(
        LOG,
        {"record_id": ORDER, "message": "Late", "json": {"logMessage": "Broken down"}},
        "message",
        ("json.logMessage too", "one of them"),
        (LOG, {"record_id": ORDER, "json": {"logMessage": "Broken down"}}),
    ),
    Wrong(
        EVENTS,
        {"record_id": ORDER, "type": "Delay"},
        "type",
        ("no type that is shown", "a note by a person is internal"),
        (EVENTS, {"record_id": ORDER, "type": "internal"}),
    ),
    Wrong(
        EVENTS,
        {"record_id": ORDER, "in_types": ["status"]},
        "in_types",
        ("mutate",),
        (EVENTS, {"record_id": ORDER, "in_types": ["mutate"]}),
    ),
    Wrong(
        EVENTS,
        {"record_id": ORDER, "user_id": "Sarah"},
        "user_id",
        ("no user has it", '{"object_key": "user"'),
        (FIND, {"object_key": "user", "search_term": "Sarah"}),
    ),
    Wrong(
        EVENTS,
        {"record_id": "4410", "object_key": "Order"},
        "",
        ("No order has the external id '4410'", "uuid"),
        (EXTERNAL, {"id": "ERP-9921", "object_key": "Order"}),
    ),
    # --- boards, groups, members
    Wrong(
        BOARDS,
        {"object_key": "Shipment"},
        "object_key",
        ("no object key 'Shipment'", "order"),
        (BOARDS, {"objectKey": "order"}),
    ),
    Wrong(
        FIND,
        {"search_term": "Harbor"},
        "object_key",
        ("is required",),
        (FIND, {"object_key": "customer", "search_term": "Harbor"}),
    ),
    Wrong(
        FIND,
        {"object_key": "customer", "search_term": "Harbor", "label_path": "nmae"},
        "label_path",
        ("Did you mean name",),
        (FIND, {"object_key": "customer", "search_term": "Harbor", "label_path": "name"}),
    ),
    Wrong(
        MEMBERS,
        {"group_id": "grp_A"},
        "group_id",
        ("is no uuid", "Day Shift Ops"),
        (MEMBERS, {"group_id": "Day Shift Ops"}),
    ),
    Wrong(
        MEMBERS,
        {"group_id": known_id("nobody")},
        "",
        ("not found", "roserocket_user_groups_search"),
        (GROUPS, {"name": "Shift"}),
    ),
    Wrong(
        MOVE,
        {"id": known_id("nobody"), "add": [AMIR]},
        "",
        ("not found", "Give the group's name"),
        (MOVE, {"id": "Weekend Operations", "add": [AMIR]}),
    ),
    Wrong(
        "delete_a_roserocket_objects_external_by_id",
        {"id": "po-88912", "object_key": "order"},
        "",
        ("not found", "Capitals and blanks count"),
        (EXTERNAL, {"id": "PO-88912", "object_key": "order"}),
    ),
    Wrong(
        GROUPS,
        {"ids": ["LTL Dispatchers"]},
        "ids[0]",
        ("is no uuid", "Pass name"),
        (GROUPS, {"name": "LTL Dispatchers"}),
    ),
    Wrong(
        MOVE,
        {"id": DAY},
        "add",
        ("give users to add, or to remove",),
        (MOVE, {"id": DAY, "remove": [AMIR]}),
    ),
    Wrong(
        MOVE,
        {"id": DAY, "add": ["Sarah"]},
        "add[0]",
        ("no user has it", "roserocket_objects_autocomplete"),
        (FIND, {"object_key": "user", "search_term": "Sarah"}),
    ),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: f"{one.tool}-{one.argument}")
async def test_a_second_call_repairs_what_was_refused(
    provider: Any, tools: Any, wrong: Wrong
) -> None:
    with pytest.raises(ToolFailure) as refused:
        await tools.call(wrong.tool, **wrong.given)
    if wrong.argument:
        assert isinstance(refused.value, InvalidArguments)
        assert refused.value.argument == wrong.argument
    else:
        assert isinstance(refused.value, UpstreamFailure)
        assert refused.value.kind == "not_found"
    for words in wrong.words:
        assert words in str(refused.value)
    sent = [f"{one['method']} {one['path']}" for one in await provider.requests()]
    if not wrong.argument:
        sent = sent[:-1]  # the one that the provider did not find
    reads = ("GET ", "POST /objects/search", "POST /userGroups/search")
    assert all(one.startswith(reads) for one in sent)
    tool, given = wrong.then
    await tools.call(tool, **given)
