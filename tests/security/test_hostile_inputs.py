"""Every hostile request of the table gets its one answer, and the next good one is served."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.hostile import PING, Case, table
from harness.patience import until
from harness.proxied import Nginx
from harness.running import Running, Server
from harness.speaking import raw_exchange

CASES = table()
PARTS = 8


def judge(case: Case, answer: bytes, marks: dict[str, str], *, proxied: bool = False) -> list[str]:
    """Return what is wrong with an answer; nothing when it is right."""
    wrong = [
        f"shows {mark}" for mark in ("TOKEN", "OWNER", "VIEWER") if marks[mark].encode() in answer
    ]
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if found is None:
        return wrong if case.shut else [*wrong, f"no answer: {answer[:80]!r}"]
    status = int(found[1])
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
    return {
        "TOKEN": server.token,
        "OWNER": running.admin_token,
        "VIEWER": made.json["token"],
        "SERVER": server.id,
        "HOST": host,
    }


async def ask(
    url: str, case: Case, marks: dict[str, str], trust: ssl.SSLContext | None = None
) -> tuple[bytes, str]:
    """Send a case; return the answer, or why there is none."""
    try:
        return await raw_exchange(url, case.filled(marks), trust=trust), ""
    except (TimeoutError, ConnectionError, ssl.SSLError) as error:
        return b"", "" if case.shut else f"{case.name}: {type(error).__name__}"


@pytest.mark.requirement("security:hostile:answered")
def test_the_table_is_large_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 700


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
