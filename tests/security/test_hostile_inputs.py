"""Every hostile request of the table gets its one answer, and the next good one is served."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import pytest
from harness.hostile import Case, table
from harness.running import Server
from harness.speaking import raw_exchange
from harness.shared import Shared

pytestmark = pytest.mark.asyncio(loop_scope="session")
CASES = table()


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


@pytest.fixture
async def marks(shared: Shared, server: Server) -> dict[str, str]:
    made = await shared.running.request("POST", "/api-token", {"name": "v", "role": "viewer"})
    shared.running.canaries.issue(made.json["token"], "a viewer's token")
    return {
        "TOKEN": server.token,
        "OWNER": shared.running.admin_token,
        "VIEWER": made.json["token"],
        "SERVER": server.id,
        "HOST": urlsplit(server.url).netloc,
    }


async def ask(url: str, case: Case, marks: dict[str, str]) -> tuple[bytes, str]:
    """Send a case; return the answer, or why there is none."""
    try:
        return await raw_exchange(url, case.filled(marks)), ""
    except (TimeoutError, ConnectionError) as error:
        return b"", "" if case.shut else f"{case.name}: {type(error).__name__}"


@pytest.mark.requirement("security:hostile:answered")
async def test_the_table_is_large_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 700


@pytest.mark.requirement("security:hostile:answered")
@pytest.mark.parametrize("part", range(8))
async def test_each_gets_its_one_answer_and_the_next_is_served(
    shared: Shared, server: Server, marks: dict[str, str], part: int
) -> None:
    failed = []
    for case in CASES[part::8]:
        answer, silent = await ask(server.url, case, marks)
        shared.running.canaries.saw(answer, where=f"the answer to {case.name}")
        failed += [silent] if silent else [f"{case.name}: {w}" for w in judge(case, answer, marks)]
    assert failed == []
    assert (await server.post(PING)).result == {}
