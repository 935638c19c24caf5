"""What happens when the provider limits, stumbles, or answers what nobody can use."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter import UpstreamFailure
from crossdock_roserocket.sandbox import known_id

GET = "get_single_roserocket_object_by_id"
ORDER = known_id("order:PO-88912")


@pytest.mark.parametrize(
    ("profile", "rate"),
    [
        ("retry_after", (None, None, 30)),
        ("retry_after_date", (None, None, 30)),
        ("x_ratelimit", (60, 0, 30)),
        ("ratelimit", (60, 0, 30)),
        ("structured", (60, 0, 30)),
        ("bare", (None, None, None)),
    ],
)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (GET, {"id": ORDER}),
        ("list_all_roserocket_objects", {"objectKey": "order"}),
        ("list_all_roserocket_events", {"record_id": "PO-88912"}),
        ("create_a_roserocket_event", {"recordId": ORDER, "message": "x"}),
        (
            "update_a_roserocket_user_group_member_by_id",
            {"id": known_id("group:Day Shift Ops"), "add": ["usr_110"]},
        ),
    ],
)
async def test_a_limit_is_passed_on_after_exactly_one_request(
    provider: Any,
    tools: Any,
    profile: str,
    rate: tuple[int | None, ...],
    tool: str,
    arguments: dict[str, Any],
) -> None:
    await provider.switch(rate_limit=profile)
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(tool, **arguments)
    assert failed.value.kind == "rate_limited"
    assert len(await provider.requests()) == 1
    found = failed.value.rate
    limit, remaining, wait = rate
    assert (found.limit, found.remaining) == (limit, remaining)
    seconds = found.retry_after if found.retry_after is not None else found.reset
    # An HTTP date has whole seconds, so one may be gone before it is read.
    assert seconds in ({None} if wait is None else {wait - 1, wait, wait + 1})


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", "upstream_error"),
        ("502_html", "upstream_error"),
        ("not_json", "upstream_malformed"),
        ("redirect", "upstream_redirect"),
        ("drop", "upstream_unreachable"),
        ("slow", "upstream_timeout"),
    ],
)
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [(GET, {"id": ORDER}), ("list_all_roserocket_boards", {})],
)
async def test_a_fault_has_its_kind_and_is_not_repeated(
    provider: Any, tools: Any, fault: str, kind: str, tool: str, arguments: dict[str, Any]
) -> None:
    await tools.call(GET, id=ORDER)
    await provider.forget()
    await provider.switch(fault=fault, slow_seconds=3)
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(tool, **arguments)
    assert failed.value.kind == kind
    assert len(await provider.requests()) == 1


@pytest.mark.parametrize(
    "tool",
    ["list_all_roserocket_objects", "list_all_roserocket_events", "list_all_roserocket_boards"],
)
async def test_lists_that_are_no_lists_are_malformed(
    provider: Any, account: Any, tool: str
) -> None:
    # The auth host answers objects where lists belong: as wrong as a base_url can be.
    tools = account(settings={"base_url": f"{provider.url}/_sandbox"})
    with pytest.raises(UpstreamFailure):
        await tools.call(tool, **({} if "boards" in tool else _needed(tool)))


def _needed(tool: str) -> dict[str, str]:
    return {"record_id": ORDER} if "events" in tool else {"objectKey": "order"}


async def test_known_500s_of_search_are_never_provoked(provider: Any, tools: Any) -> None:
    for filters in (
        {"status": {"equals": "new"}},
        {"createdAt": ["2026-11-01", "2026-11-30"]},
        [{"path": "status", "operator": "equals", "value": "new", "fieldType": "SelectField"}],
        [
            {
                "path": "createdAt",
                "operator": "between",
                "value": ["2026-11-01", "2026-11-30"],
                "fieldType": "DateField",
            }
        ],
    ):
        await tools.call("list_all_roserocket_objects", objectKey="order", filters=filters)
