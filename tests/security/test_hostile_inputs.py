"""Every hostile request of the table gets its one answer, and the next good one is served."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest
from harness.hostile import PING, Case, table
from harness.running import Server
from harness.speaking import raw_exchange
from wire.conftest import Shared

pytestmark = pytest.mark.asyncio(loop_scope="session")
CASES = table()


def judge(case: Case, answer: bytes, marks: dict[str, str], *, proxied: bool = False) -> list[str]:
    """Return what is wrong with an answer; nothing when it is right."""
    wrong = [f"shows {mark}" for mark in ("TOKEN", "OWNER", "VIEWER") if marks[mark].encode() in answer]
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


@pytest.fixture
async def marks(shared: Shared, server: Server) -> dict[str, str]:
    return {}


async def test_each_gets_its_one_answer(shared: Shared, server: Server) -> None:
    viewer = await shared.running.request("POST", "/api-token", {"name": "v", "role": "viewer"})
    marks = {
        "TOKEN": server.token,
        "OWNER": shared.running.admin_token,
        "VIEWER": viewer.json["token"],
        "SERVER": server.id,
        "HOST": urlsplit(server.url).netloc,
    }
    failed = []
    for case in CASES:
        try:
            answer = await raw_exchange(server.url, case.filled(marks))
        except (TimeoutError, ConnectionError) as error:
            answer = b""
            if not case.shut:
                failed.append(f"{case.name}: {type(error).__name__}")
                continue
        failed += [f"{case.name}: {why}" for why in judge(case, answer, marks)]
    print(len(CASES), len({c.name for c in CASES}))
    for one in failed:
        print("FAIL", one)
    assert not failed
