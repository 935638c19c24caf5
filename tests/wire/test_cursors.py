"""Lists in pages: every record once, and no cursor but our own, unchanged, where it belongs."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from harness import malomo as sandbox
from harness.malomo import Malomo
from harness.provider import Provider
from harness.running import MakeGateway, Server, Shared

LIST = "list_all_malomo_orders"
WORDS = "pass next_cursor back unchanged"


async def _first(malomo: Malomo, **arguments: Any) -> str:
    page = (await malomo.call(LIST, {"limit": 7, **arguments})).data
    assert isinstance(page["next_cursor"], str)
    return str(page["next_cursor"])


@pytest.mark.requirement("malomo:orders:every-one-once", "tools:paging:uniform")
@pytest.mark.parametrize(
    ("limit", "page_size"),
    [(limit, size) for size in (7, 50, 1000) for limit in (None, 1, 7, 50)]
    + [(1, 1), (50, 1), (24, 25), (25, 25), (26, 25), (49, 50)],
)
async def test_walking_with_any_limit_meets_every_order_exactly_once(
    malomo: Malomo, limit: int | None, page_size: int
) -> None:
    await malomo.switch(page_size=page_size)
    arguments = {} if limit is None else {"limit": limit}
    met = [order["id"] for order in await malomo.walk(LIST, **arguments)]
    assert len(met) == len(set(met))
    assert len(met) > 100
    if page_size == 1000:
        # One page of the provider holds them all, in its own order: nothing is left out.
        whole = [order["id"] for order in await malomo.walk(LIST, limit=50)]
        assert met == whole


@pytest.mark.requirement("malomo:orders:every-one-once")
@pytest.mark.parametrize("tool", ["list_all_malomo_customers", "list_all_malomo_webhooks"])
async def test_the_other_lists_walk_alike(malomo: Malomo, tool: str) -> None:
    met = [record["id"] for record in await malomo.walk(tool, limit=1)]
    assert met == [record["id"] for record in await malomo.walk(tool)]
    assert len(met) == len(set(met)) > 1


@pytest.mark.requirement("malomo:orders:every-one-once")
@pytest.mark.parametrize("limit", [3, 25, 50])
async def test_orders_that_arrive_meanwhile_do_not_show_another_twice_or_hide_one(
    malomo: Malomo, limit: int
) -> None:
    before = {order["id"] for order in await malomo.walk(LIST)}
    met: list[str] = []
    cursor = None
    for step in range(200):
        given: dict[str, Any] = {"limit": limit}
        if cursor is not None:
            given["next_cursor"] = cursor
        page = (await malomo.call(LIST, given)).data
        met += [order["id"] for order in page["result"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if step < 5:
            arrived = {"alternate_id": f"new-{step}", "number": f"#9{step}", "email": "n@e.w"}
            made = await malomo.call("create_a_malomo_order", arrived)
            assert not made.is_error, made.text
    assert len(met) == len(set(met))
    assert before <= set(met)


@pytest.mark.requirement("malomo:orders:filters", "malomo:orders:every-one-once")
async def test_a_filtered_list_walks_within_its_filter(malomo: Malomo) -> None:
    await malomo.switch(page_size=2)
    found = await malomo.walk(LIST, customer_email="help@example.com", limit=1)
    assert len(found) == 3
    assert {order["customer"]["email"] for order in found} == {"help@example.com"}


@pytest.mark.requirement("malomo:orders:ignored-filter", "malomo:orders:every-one-once")
async def test_a_filter_that_the_provider_ignores_still_holds_over_all_pages(
    malomo: Malomo,
) -> None:
    await malomo.switch(ignore_filters=True, page_size=10)
    found = await malomo.walk(LIST, customer_email="help@example.com", limit=50)
    assert len(found) == 3


# --- what is refused -------------------------------------------------------------------------


async def _refused(malomo: Malomo, cursor: Any, tool: str = LIST, **arguments: Any) -> None:
    await malomo.forget()
    error = (await malomo.call(tool, {**arguments, "next_cursor": cursor})).error
    assert error["kind"] == "invalid_arguments"
    assert error["argument"] == "next_cursor"
    assert await malomo.requests() == []
    if isinstance(cursor, str):
        assert WORDS in error["message"]


@pytest.mark.requirement("tools:paging:cursor-unchanged")
async def test_a_cursor_with_any_character_changed_is_refused(malomo: Malomo) -> None:
    cursor = await _first(malomo)
    for place in range(len(cursor)):
        other = "A" if cursor[place] != "A" else "B"
        await _refused(malomo, cursor[:place] + other + cursor[place + 1 :])


@pytest.mark.requirement("tools:paging:cursor-unchanged")
async def test_a_cursor_that_was_cut_padded_or_wrapped_is_refused(malomo: Malomo) -> None:
    cursor = await _first(malomo)
    padded = cursor + "=" * (-len(cursor) % 4)
    for other in (
        cursor[:-1],
        cursor[1:],
        cursor + "A",
        padded if padded != cursor else cursor + "====",
        f" {cursor}",
        f"{cursor}\n",
        cursor + cursor,
        "",
        "A" * 22,
        "x" * 100_000,
        "ü",
        "\x00",
        "null",
        base64.urlsafe_b64encode(b"\x00" * 16 + b"[2,7]").decode(),
    ):
        await _refused(malomo, other)


@pytest.mark.requirement("tools:paging:cursor-unchanged")
@pytest.mark.parametrize("cursor", [7, True, [], {}])
async def test_a_cursor_that_is_no_text_is_refused(malomo: Malomo, cursor: Any) -> None:
    await _refused(malomo, cursor)


@pytest.mark.requirement("tools:paging:cursor-unchanged")
async def test_a_cursor_serves_its_own_server_tool_and_filters_only(malomo: Malomo) -> None:
    cursor = await _first(malomo)
    other = Malomo(malomo.running, await malomo.running.server(), malomo.base_url)
    await _refused(other, cursor)
    await _refused(malomo, cursor, tool="list_all_malomo_customers")
    await _refused(malomo, cursor, customer_email="help@example.com")
    await _refused(malomo, cursor, number="#1042")
    filtered = await _first(malomo, customer_email="help@example.com", limit=1)
    await _refused(malomo, filtered)
    await _refused(malomo, filtered, customer_email="Help@example.com")
    again = await malomo.call(LIST, {"next_cursor": filtered, "customer_email": "help@example.com"})
    assert not again.is_error


@pytest.mark.requirement("tools:paging:cursor-unchanged")
async def test_a_cursor_can_be_used_again_and_with_another_limit(malomo: Malomo) -> None:
    cursor = await _first(malomo)
    one = (await malomo.call(LIST, {"next_cursor": cursor, "limit": 5})).data["result"]
    two = (await malomo.call(LIST, {"next_cursor": cursor, "limit": 9})).data["result"]
    assert two[:5] == one


@pytest.mark.requirement("tools:paging:cursor-unchanged")
async def test_a_cursor_survives_a_restart_as_the_url_does(gateway: MakeGateway, shop: str) -> None:
    accounts = {"shop": sandbox.account(shop)}
    first = await gateway(accounts=accounts)
    server = await first.server()
    page = (await server.call(LIST, {"limit": 7})).data
    await first.stop()
    second = await gateway(accounts=accounts, folder=first.folder)
    again = second.speaker(f"/mcp/{server.token}")
    rest = await again.call(LIST, {"limit": 7, "next_cursor": page["next_cursor"]})
    met = [order["id"] for order in [*page["result"], *rest.data["result"]]]
    assert len(set(met)) == 14


# --- pages of a provider that behaves oddly --------------------------------------------------


def _pages(records: list[dict[str, Any]], size: int) -> Callable[[web.Request], Awaitable[Any]]:
    async def play(request: web.Request) -> web.Response:
        start = int(request.query.get("page", "0"))
        shown = records[start : start + size]
        headers = {}
        if start + size < len(records):
            target = f'<{request.url.with_query(page=start + size)}>; rel="next"'
            headers["Link"] = f'<https://x.example/?page=0>; rel="first", {target}; title="a, b"'
        return web.json_response(shown, headers=headers)

    return play


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.requirement("tools:paging:uniform")
async def test_the_link_header_is_read_among_others(server: Server, upstream: Provider) -> None:
    records = [{"id": number} for number in range(11)]
    upstream.plays(_pages(records, 4))
    met: list[Any] = []
    cursor = None
    for _ in range(20):
        given: dict[str, Any] = (
            {"limit": 3} if cursor is None else {"limit": 3, "next_cursor": cursor}
        )
        page = (await server.call("list_all_acme_items", given)).data
        met += page["result"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert met == records


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.requirement("tools:paging:uniform")
async def test_a_page_that_names_itself_as_the_next_ends_the_list(
    server: Server, upstream: Provider
) -> None:
    async def play(request: web.Request) -> web.Response:
        return web.json_response([{"id": 1}], headers={"Link": "</items?page=1>; rel=next"})

    upstream.plays(play)
    first = (await server.call("list_all_acme_items", {})).data
    given = {"next_cursor": first["next_cursor"]}
    assert (await server.call("list_all_acme_items", given)).data["next_cursor"] is None


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.requirement("tools:paging:uniform", "upstream:body:malformed")
@pytest.mark.parametrize("body", ['{"items":[]}', "null", '"x"', "7", "[1,2", ""])
async def test_a_list_that_is_none_is_malformed(
    server: Server, upstream: Provider, body: str
) -> None:
    async def play(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    upstream.plays(play)
    error = (await server.call("list_all_acme_items", {})).error
    assert error["kind"] == "upstream_malformed"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.requirement("tools:paging:uniform")
async def test_records_without_an_id_are_walked_by_their_place(
    shared: Shared, server: Server, upstream: Provider
) -> None:
    records = [[number] for number in range(5)]

    async def play(request: web.Request) -> web.Response:
        return web.json_response(records)

    upstream.plays(play)
    page = (await server.call("list_all_acme_items", {"limit": 2})).data
    rest = await server.call(
        "list_all_acme_items", {"limit": 50, "next_cursor": page["next_cursor"]}
    )
    assert [*page["result"], *rest.data["result"]] == records
