"""Whatever a provider does: a typed error, within the deadline, in bounded memory, sent once."""

from __future__ import annotations

import asyncio
import socket
import tracemalloc
from typing import Any

import pytest
from harness import acme, provider, running
from harness.patience import turns, until
from harness.provider import Provider, Reply, reply
from harness.running import MakeGateway, Running, Server, Shared

SHARED = pytest.mark.asyncio(loop_scope="session")
GET = ("get_single_acme_item_by_id", {"id": "a"})
LIST = ("list_all_acme_items", {})
PUT = ("update_a_acme_item_by_id", {"id": "a", "title": "x"})
POST = ("create_a_acme_item", {"title": "x"})
DELETE = ("delete_a_acme_item_by_id", {"id": "a"})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DEEP = b"[" * 10_000 + b"]" * 10_000


async def _error(
    server: Server, upstream: Provider, played: Reply, call: tuple[str, dict[str, Any]] = GET
) -> dict[str, Any]:
    upstream.plays(played)
    called = await server.call(*call)
    assert len(upstream.requests) == 1
    return called.error


# --- no answer -------------------------------------------------------------------------------


@SHARED
@pytest.mark.requirement("upstream:slow:deadline")
@pytest.mark.parametrize("call", [GET, LIST])
@pytest.mark.parametrize(
    "played",
    [
        pytest.param(provider.silent(), id="silent"),
        pytest.param(provider.trickle(b""), id="a byte at a time"),
        pytest.param(provider.trickle(b"HTTP/1.1 200 OK\r\nX: "), id="headers without end"),
        pytest.param(
            provider.trickle(HEAD + b"Content-Length: 1000000\r\n\r\n"), id="a body at a trickle"
        ),
        pytest.param(provider.silent(HEAD + b"Content-Length: 10\r\n\r\n{"), id="half a body"),
    ],
)
async def test_a_slow_provider_is_a_timeout_within_the_deadline(
    impatient: Shared, played: Reply, call: tuple[str, dict[str, Any]]
) -> None:
    error = await _error(impatient.server, impatient.provider, played, call)
    assert error["kind"] in ("upstream_timeout", "upstream_malformed")
    if error["kind"] == "upstream_timeout":
        assert error["retryable"] is True
    assert error["upstream_status"] is None


@SHARED
@pytest.mark.requirement("upstream:slow:deadline")
@pytest.mark.parametrize("call", [POST, PUT, DELETE])
async def test_a_write_without_an_answer_says_that_nobody_knows(
    impatient: Shared, call: tuple[str, dict[str, Any]]
) -> None:
    error = await _error(impatient.server, impatient.provider, provider.silent(), call)
    assert error["kind"] == "write_outcome_unknown"
    assert error["retryable"] is False
    assert error["cause"] == "upstream_timeout"
    assert "read the record before you try again" in error["message"]


@SHARED
@pytest.mark.requirement("upstream:request:once")
@pytest.mark.parametrize("call", [GET, LIST, PUT, POST, DELETE], ids=lambda call: call[0])
async def test_a_dropped_connection_is_never_tried_again_not_even_by_the_http_library(
    server: Server, upstream: Provider, call: tuple[str, dict[str, Any]]
) -> None:
    # The first answer leaves a connection behind that is kept alive; only on such a one the
    # library would repeat by itself.
    upstream.plays(reply([]), provider.drop())
    await server.call(*LIST)
    upstream.requests.clear()
    error = (await server.call(*call)).error
    assert len(upstream.requests) == 1
    if call in (GET, LIST):
        assert (error["kind"], error["retryable"]) == ("upstream_unreachable", True)
    else:
        assert error["kind"] == "write_outcome_unknown"


@pytest.mark.requirement("upstream:down:typed")
async def test_a_provider_that_is_down_is_unreachable_and_a_write_was_certainly_not_done(
    gateway: MakeGateway, acme_folder: Any
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        running_ = await _on(gateway, f"http://127.0.0.1:{taken.getsockname()[1]}")
        server = await running_.server()
        for call in (GET, POST, PUT, DELETE):
            error = (await server.call(*call)).error
            assert error["kind"] == "upstream_unreachable"
            assert "carried out" not in error["message"]
            assert error["retryable"] is True


@pytest.mark.requirement("upstream:down:typed")
async def test_a_name_that_does_not_resolve_is_unreachable(
    gateway: MakeGateway, acme_folder: Any
) -> None:
    server = await (await _on(gateway, "https://provider.invalid")).server()
    error = (await server.call(*GET)).error
    assert (error["kind"], error["retryable"]) == ("upstream_unreachable", True)


@pytest.mark.requirement("upstream:down:typed")
async def test_plain_http_behind_an_https_address_is_unreachable(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    server = await (await _on(gateway, provider.url.replace("http:", "https:"))).server()
    error = (await server.call(*POST)).error
    assert error["kind"] == "upstream_unreachable"
    assert provider.requests == []


async def _on(gateway: MakeGateway, base_url: str, **upstream: Any) -> Running:
    return await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(base_url)},
        settings={"limits": running.SHORT, "upstream": upstream},
    )


# --- addresses -------------------------------------------------------------------------------


PRIVATE = (
    "127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]",
    "0.0.0.0", "[::]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1",
    "[fe80::1]", "[fc00::1]", "224.0.0.1", "[::ffff:a9fe:a9fe]", "198.18.0.1", "192.0.2.1",
    "255.255.255.255", "0177.0.0.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::7f00:1]",
)  # fmt: skip


@pytest.mark.requirement("upstream:address:public")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_private_address_is_not_reached_however_it_is_written(
    gateway: MakeGateway, acme_folder: Any, provider: Provider, scheme: str
) -> None:
    port = provider.url.rpartition(":")[2]
    hosts = {f"host{number}": host for number, host in enumerate(PRIVATE)}
    made = await gateway(
        adapters=["acme"],
        accounts={name: acme.account(f"{scheme}://{host}:{port}") for name, host in hosts.items()},
        settings={"limits": running.SHORT, "upstream": {"allow_private": []}},
    )
    for name, host in hosts.items():
        server = await made.server(name)
        for call in (GET, POST):
            error = (await server.call(*call)).error
            assert error["kind"] == "upstream_unreachable", host
            assert "base_url" in error["message"], host  # refused by us, not by the network
    assert provider.requests == []


@pytest.mark.requirement("upstream:address:public")
async def test_plain_http_is_only_for_the_networks_that_are_allowed(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    port = provider.url.rpartition(":")[2]
    allowed = ["10.0.0.0/8"]
    server = await (await _on(gateway, f"http://127.0.0.1:{port}", allow_private=allowed)).server()
    error = (await server.call(*GET)).error
    assert error["kind"] == "upstream_unreachable"
    assert "allow_private" in error["message"]
    assert provider.requests == []


@pytest.mark.requirement("upstream:address:public")
async def test_plain_http_to_a_public_address_is_refused(
    gateway: MakeGateway, acme_folder: Any
) -> None:
    server = await (await _on(gateway, "http://1.1.1.1", allow_private=["127.0.0.1/32"])).server()
    error = (await server.call(*GET)).error
    assert error["kind"] == "upstream_unreachable"
    assert "allow_private" in error["message"]


# --- bad answers -----------------------------------------------------------------------------


@SHARED
@pytest.mark.requirement("upstream:body:malformed")
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"id": 1', id="truncated"),
        pytest.param(b'{"id": NaN}', id="NaN"),
        pytest.param(b'{"id": Infinity}', id="Infinity"),
        pytest.param(b"\xef\xbb\xbf" + b'{"id": 1}', id="byte order mark"),
        pytest.param('{"id": "é"}'.encode("latin-1"), id="latin-1"),
        pytest.param('{"id": 1}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"id": 1} {"id": 2}', id="two values"),
        pytest.param(b"{'id': 1}", id="python"),
        pytest.param(b'{"id": 01}', id="octal"),
        pytest.param(b'{"id": "a\nb"}', id="bare line end"),
        pytest.param(b"OK", id="words"),
        pytest.param(DEEP, id="nested without end"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="objects without end"),
        pytest.param(b"\x00", id="nul"),
    ],
)
@pytest.mark.parametrize("call", [GET, LIST], ids=["get", "list"])
async def test_an_answer_that_is_not_json_is_malformed(
    server: Server, upstream: Provider, body: bytes, call: tuple[str, dict[str, Any]]
) -> None:
    error = await _error(server, upstream, provider.raw(body), call)
    assert error["kind"] == "upstream_malformed"
    assert len(error["message"]) < 300


@SHARED
@pytest.mark.requirement("upstream:body:malformed")
@pytest.mark.parametrize("body", [b'[{"id":"\xe9"}]', b'[{"id":"\xed\xa0\x80"}]', b'[{"\xff":1}]'])
async def test_a_record_that_is_not_utf_8_is_malformed_also_where_nobody_decodes_it(
    server: Server, upstream: Provider, body: bytes
) -> None:
    for call in (LIST, ("get_single_acme_code_by_id", {"id": "c"})):
        error = await _error(server, upstream, provider.raw(body), call)
        assert error["kind"] == "upstream_malformed"


@SHARED
@pytest.mark.requirement("upstream:body:malformed")
async def test_an_html_page_is_malformed_and_not_repeated(
    server: Server, upstream: Provider
) -> None:
    page = provider.raw(b"<html>Please sign in: canary</html>", kind="text/html; charset=utf-8")
    for call in (GET, LIST):
        error = await _error(server, upstream, page, call)
        assert error["kind"] == "upstream_malformed"
        assert "HTML" in error["message"]
        assert "canary" not in error["message"]
    assert (await _error(server, upstream, page, POST))["kind"] == "upstream_malformed"


@SHARED
@pytest.mark.requirement("upstream:body:malformed")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not http at all\r\n\r\n", id="no HTTP"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="bad status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA b\r\n\r\n{}", id="bad header"),
        pytest.param(HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}", id="NUL in a header"),
        pytest.param(HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n{}", id="a header without end"),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\n{}", id="short body"),
        pytest.param(HEAD + b"Content-Length: x\r\n\r\n{}", id="length is no number"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", id="bad chunk"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", id="no last chunk"),
        pytest.param(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", id="not gzip"
        ),
        pytest.param(HEAD + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", id="br"),
        pytest.param(HEAD + b"Content-Encoding: zstd\r\nContent-Length: 2\r\n\r\n{}", id="zstd"),
    ],
)
async def test_an_answer_that_is_hardly_http_is_a_typed_error(
    server: Server, upstream: Provider, data: bytes
) -> None:
    error = await _error(server, upstream, provider.wire(data))
    assert error["kind"] in ("upstream_malformed", "upstream_unreachable", "upstream_timeout")
    upstream.plays(reply({"id": 1}))
    assert (await server.call(*GET)).data == {"id": 1}


@SHARED
@pytest.mark.requirement("upstream:redirect:not-followed")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("call", [GET, POST, DELETE], ids=["get", "post", "delete"])
async def test_a_redirect_is_reported_and_not_followed(
    server: Server, upstream: Provider, status: int, call: tuple[str, dict[str, Any]]
) -> None:
    played = provider.raw(b"", status, Location=f"{upstream.url}/elsewhere?canary=1")
    error = await _error(server, upstream, played, call)
    assert (error["kind"], error["upstream_status"]) == ("upstream_redirect", status)
    assert "canary" not in error["message"]


@SHARED
@pytest.mark.requirement("upstream:request:once")
async def test_cookies_are_never_kept(server: Server, upstream: Provider) -> None:
    upstream.plays(provider.raw(b"{}", Set_Cookie="session=abc; Path=/"))
    await server.call(*GET)
    await server.call(*GET)
    assert "cookie" not in upstream.requests[1].headers


@SHARED
@pytest.mark.requirement("tools:errors:typed")
async def test_a_provider_that_echoes_the_credential_does_not_show_it(
    server: Server, upstream: Provider
) -> None:
    words = f"Key {acme.API_KEY} is not valid (Authorization: {acme.API_KEY})"
    error = await _error(server, upstream, reply({"message": words}, 401))
    assert error["kind"] == "unauthenticated"
    assert acme.API_KEY not in error["message"]


# --- size ------------------------------------------------------------------------------------


@SHARED
@pytest.mark.requirement("upstream:size:bounded")
@pytest.mark.parametrize("call", [GET, LIST], ids=["get", "list"])
async def test_an_answer_without_end_is_cut_off(
    server: Server, upstream: Provider, call: tuple[str, dict[str, Any]]
) -> None:
    upstream.written = 0
    error = await _error(server, upstream, provider.endless(upstream), call)
    assert error["kind"] == "upstream_too_large"
    assert "262,144 bytes" in error["message"]
    assert upstream.written < 64 * 1024 * 1024
    before = upstream.written
    await turns(1)
    upstream.plays(reply([]))
    await server.call(*LIST)
    assert upstream.written - before < 16 * 1024 * 1024  # nobody went on reading


@SHARED
@pytest.mark.requirement("upstream:size:bounded")
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_packed_bomb_is_cut_off_in_bounded_memory(
    server: Server, upstream: Provider, encoding: str
) -> None:
    played = provider.bomb(256 * 1024 * 1024, encoding)
    tracemalloc.start()
    try:
        error = await _error(server, upstream, played)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error["kind"] == "upstream_too_large"
    assert peak < 16 * 1024 * 1024


@SHARED
@pytest.mark.requirement("upstream:size:bounded")
async def test_an_answer_of_just_the_limit_is_read_and_one_byte_more_is_not(
    server: Server, upstream: Provider
) -> None:
    limit = running.SHORT["upstream_answer_bytes"]
    body = b'"' + b"x" * (int(limit) - 2) + b'"'
    upstream.plays(provider.raw(body))
    assert len((await server.call(*GET)).text) == limit
    error = await _error(server, upstream, provider.raw(body + b" "))
    assert error["kind"] == "upstream_too_large"


@SHARED
@pytest.mark.requirement("upstream:size:bounded")
async def test_of_a_huge_refusal_only_the_beginning_is_read(
    server: Server, upstream: Provider
) -> None:
    error = await _error(server, upstream, provider.raw(b" " * 1_000_000, 400))
    assert (error["kind"], error["upstream_status"]) == ("upstream_rejected", 400)


@SHARED
@pytest.mark.requirement("upstream:size:bounded")
async def test_a_write_whose_answer_is_too_large_says_that_it_may_have_been_done(
    server: Server, upstream: Provider
) -> None:
    error = await _error(server, upstream, provider.raw(b" " * 1_000_000), POST)
    assert error["kind"] in ("upstream_too_large", "write_outcome_unknown")
    assert "may have been carried out" in error["message"]


# --- many at once ----------------------------------------------------------------------------


@SHARED
@pytest.mark.requirement("tools:errors:typed")
async def test_answers_never_cross_between_calls_with_equal_ids(
    server: Server, upstream: Provider
) -> None:
    async def echo(request: Any) -> Any:
        await turns(len(upstream.requests) * 7 % 50)  # so that they answer in another order
        return await reply({"path": request.path})(request)

    upstream.plays(echo)
    names = [f"item{number}" for number in range(60)]
    calls = [server.call("get_single_acme_item_by_id", {"id": name}) for name in names]
    found = [called.data["path"] for called in await asyncio.gather(*calls)]
    assert found == [f"/items/{name}" for name in names]


@pytest.mark.requirement("tools:errors:typed")
async def test_more_calls_than_allowed_are_busy_and_send_nothing(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    running_ = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": {"calls_per_server": 2}},
    )
    server, other = await running_.server(), await running_.server()
    let_go = asyncio.Event()

    async def wait(request: Any) -> Any:
        await let_go.wait()
        return await reply({})(request)

    provider.plays(wait)
    held = [asyncio.create_task(server.call(*GET)) for _ in range(2)]
    await until(lambda: len(provider.requests) == 2)
    error = (await server.call(*GET)).error
    assert (error["kind"], error["retryable"]) == ("busy", True)
    assert len(provider.requests) == 2
    elsewhere = asyncio.create_task(other.call(*GET))
    await until(lambda: len(provider.requests) == 3)
    let_go.set()
    for called in await asyncio.gather(*held, elsewhere):
        assert called.data == {}
    assert (await server.call(*GET)).data == {}


@pytest.mark.requirement("tools:errors:typed")
async def test_a_client_that_leaves_ends_a_read_but_not_a_write(
    gateway: MakeGateway, acme_folder: Any, provider: Provider
) -> None:
    running_ = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running_.server()
    ended: list[str] = []
    let_go = asyncio.Event()

    async def slow(request: Any) -> Any:
        try:
            await let_go.wait()
        except asyncio.CancelledError:
            ended.append(f"{request.method} cut")
            raise
        ended.append(f"{request.method} done")
        return await reply({})(request)

    provider.plays(slow)
    for call in (GET, POST):
        count = len(provider.requests)
        task = asyncio.create_task(server.call(*call))
        await until(lambda count=count: len(provider.requests) > count)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: ended)
    let_go.set()
    await until(lambda: len(ended) == 2)
    assert ended == ["GET cut", "POST done"]
