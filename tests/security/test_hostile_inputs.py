"""Every hostile request of the table gets its one answer, and the next good one is served."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.hostile import JSON_TYPE, PING, Case, ping, request, table
from harness.hostile_streams import streams
from harness.patience import until
from harness.proxied import Nginx
from harness.running import Running, Server
from harness.speaking import raw_exchange

CASES = (*table(), *streams())
PARTS = 8


def judge(case: Case, answer: bytes, marks: dict[str, str], *, proxied: bool = False) -> list[str]:
    """Return what is wrong with an answer; nothing when it is right."""
    wrong = [
        f"shows {mark}"
        for mark in ("TOKEN", "OWNER", "VIEWER", "NEIGHBOUR")
        if marks[mark].encode() in answer
    ]
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if found is None:
        return wrong if case.shut else [*wrong, f"no answer: {answer[:80]!r}"]
    status = int(found[1])
    if status == 429 and b"wrong API tokens" in body and 401 in case.statuses:
        return wrong  # more guesses than a minute allows
    if status not in case.statuses and not (proxied and (status in case.proxied or status == 400)):
        wrong.append(f"{status}, not {sorted(case.statuses)}: {body[:200]!r}")
    if case.code is not None and status in case.statuses:
        try:
            code = json.loads(body)["error"]["code"]
        except (ValueError, KeyError, TypeError):
            wrong.append(f"no JSON-RPC error: {body[:200]!r}")
        else:
            if code != case.code:
                wrong.append(f"code {code}, not {case.code}: {body[:200]!r}")
    if b"-32603" in body or b"Traceback" in answer or b"nternal error" in body:
        wrong.append(f"an internal error: {body[:200]!r}")
    if not proxied and re.search(rb"(?im)^server:.*(aiohttp|python)", head):
        wrong.append("names its libraries")
    return wrong


async def marks_of(running: Running, server: Server, host: str) -> dict[str, str]:
    """Return what the marks of the table stand for."""
    made = await running.request("POST", "/api-token", {"name": "v", "role": "viewer"})
    running.canaries.issue(made.json["token"], "a viewer's token")
    neighbour = await running.server()
    return {
        "NEIGHBOUR": neighbour.token,
        "FOREIGN": await session_of(neighbour),
        "SESSION": await session_of(server),
        "TOKEN": server.token,
        "OWNER": running.admin_token,
        "VIEWER": made.json["token"],
        "SERVER": server.id,
        "HOST": host,
    }


async def session_of(server: Server) -> str:
    """Return a session of a server."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    hello = await server.send("initialize", params, revision="2025-11-25")
    return hello.headers["Mcp-Session-Id"]


async def ask(
    url: str, case: Case, marks: dict[str, str], trust: ssl.SSLContext | None = None
) -> tuple[bytes, str]:
    """Send a case; return the answer, or why there is none."""
    try:
        # What is answered is answered at once; what is not may keep the connection open for longer.
        return await raw_exchange(url, case.filled(marks), 3, trust), ""
    except (TimeoutError, ConnectionError, ssl.SSLError) as error:
        return b"", "" if case.shut else f"{case.name}: {type(error).__name__}"


@pytest.mark.requirement("security:hostile:answered")
def test_the_table_is_large_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 1_000


@pytest.mark.requirement("security:hostile:answered")
@pytest.mark.parametrize("part", range(PARTS))
async def test_each_gets_its_one_answer_and_the_next_is_served(
    acme_gateway: Running, part: int
) -> None:
    server = await acme_gateway.server()
    marks = await marks_of(acme_gateway, server, urlsplit(server.url).netloc)
    failed = []
    for case in CASES[part::PARTS]:
        answer, silent = await ask(server.url, case, marks)
        acme_gateway.canaries.saw(answer, where=f"the answer to {case.name}")
        failed += [silent] if silent else [f"{case.name}: {w}" for w in judge(case, answer, marks)]
    assert failed == []
    assert (await server.post(PING)).result == {}


@pytest.mark.e2e
@pytest.mark.requirement("security:hostile:answered")
async def test_behind_nginx_each_is_answered_as_well(acme_gateway: Running, tmp_path: Path) -> None:
    server = await acme_gateway.server()
    (tmp_path / "nginx").mkdir()
    nginx = Nginx(tmp_path / "nginx")
    marks = await marks_of(acme_gateway, server, "localhost")
    failed = []
    turns = asyncio.Semaphore(4)

    async def turn(case: Case) -> None:
        async def passed() -> tuple[bytes, str] | None:
            asked = await ask(nginx.url, case, marks, nginx.trust)
            return None if b'"code":42901' in asked[0] else asked  # nginx's own limit of requests

        async with turns:
            answer, silent = await until(passed, 60)
        acme_gateway.canaries.saw(answer, where=f"the answer to {case.name}")
        found = [silent] if silent else judge(case, answer, marks, proxied=True)
        failed.extend(f"{case.name}: {why}" for why in found)

    async with nginx.in_front_of(acme_gateway.url):
        await asyncio.gather(*map(turn, CASES))
    assert failed == [], "\n".join(failed)
    assert (await server.post(PING)).result == {}
    acme_gateway.canaries.saw(nginx.logs, where="nginx's logs")


# --- connections -----------------------------------------------------------------------------


async def exchange(running: Running, *parts: bytes, half: bool = False) -> bytes:
    """Send parts over one connection, and return all that comes until it is closed."""
    where = urlsplit(running.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        if half:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def asked(server: Server, body: bytes, *more: tuple[str, str], close: bool = False) -> bytes:
    return request(
        "POST",
        f"/mcp/{server.token}",
        (JSON_TYPE, *more),
        body,
        host=urlsplit(server.url).netloc,
        close=close,
    )


@pytest.mark.requirement("security:hostile:answered")
async def test_what_is_pipelined_behind_an_error_is_answered_in_turn_or_not_at_all(
    acme_gateway: Running,
) -> None:
    server = await acme_gateway.server()
    last = asked(server, json.dumps(ping("last")).encode(), close=True)
    for first in (b"{", b"[]", b"", json.dumps(ping({})).encode()):
        answer = await exchange(acme_gateway, asked(server, first) + last)
        assert answer.count(b"HTTP/1.1 ") == 2, answer
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.index(b'"id":"last"') > answer.index(b'"error"')
    for broken in (b"POST /x HTTP/1.1\r\nContent-Length: +1\r\n\r\n", b"nonsense\r\n\r\n"):
        answer = await exchange(acme_gateway, broken + last)
        assert answer.count(b"HTTP/1.") == 1, answer
        assert b'"id":"last"' not in answer
    assert (await server.post(PING)).result == {}


@pytest.mark.requirement("security:hostile:answered")
async def test_equal_ids_at_the_same_moment_are_answered_each_with_its_own(
    acme_gateway: Running,
) -> None:
    one, two = await acme_gateway.server(methods=["list"]), await acme_gateway.server()
    names = {server.id: await server.names("2025-11-25") for server in (one, two)}
    assert names[one.id] != names[two.id]
    sent = [(one, two)[number % 2] for number in range(100)]
    found = await asyncio.gather(*(server.names("2025-11-25") for server in sent))
    assert found == [names[server.id] for server in sent]


@pytest.mark.requirement("security:hostile:answered")
async def test_a_body_in_single_bytes_is_read_and_one_that_ends_early_is_dropped(
    acme_gateway: Running,
) -> None:
    server = await acme_gateway.server()
    whole = asked(server, json.dumps(ping("slow")).encode(), close=True)
    slow = await exchange(acme_gateway, *(whole[n : n + 1] for n in range(len(whole))))
    assert b'"id":"slow"' in slow
    cut = await exchange(acme_gateway, whole[:-1], half=True)
    assert b'"result"' not in cut
    assert (await server.post(PING)).result == {}
