"""No token and no credential stands anywhere but where it was asked for.

Every test with a gateway checks this in the end (see harness/canaries.py). These make the gateway
speak as much as it can first, and show that the check would notice.
"""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest
from harness import acme, running
from harness.canaries import Canaries, sweep
from harness.malomo import API_KEY, Malomo
from harness.provider import Provider, reply
from harness.running import MakeGateway
from harness.speaking import raw_exchange

from crossdock.access.tokens import mint

pytestmark = pytest.mark.requirement("door:token:never-logged")


def test_the_canaries_notice_a_secret_in_the_log_an_answer_and_a_file(tmp_path: Path) -> None:
    def watched() -> Canaries:
        canaries = Canaries(stream)
        canaries.issue("cdm_secret", "the token")
        return canaries

    stream = io.StringIO()
    fine = watched()
    stream.write("GET /mcp/[redacted]")
    fine.saw(b"nothing")
    fine.check()
    logged = watched()
    stream.write("GET /mcp/cdm_secret")
    with pytest.raises(AssertionError, match="the token in the log"):
        logged.check()
    answered = watched()
    answered.saw(b'{"path": "/mcp/cdm_secret"}')
    with pytest.raises(AssertionError, match="the token in an answer"):
        answered.check()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "crossdock.db").write_bytes(b"\x00cdm_secret\x00")
    kept = watched()
    kept.read_folder(tmp_path)
    with pytest.raises(AssertionError, match="crossdock.db"):
        kept.check()


def test_the_sweep_of_the_whole_run_notices_what_shows_after_its_test(tmp_path: Path) -> None:
    Canaries(io.StringIO()).issue("planted-and-swept-61f0", "the planted one")
    assert sweep({"the console": "planted-and-swept-61f0"}, tmp_path) == [
        "the planted one in the console"
    ]
    (tmp_path / "a" / "state").mkdir(parents=True)
    left = tmp_path / "a" / "state" / "crossdock.db-wal"
    left.write_bytes(b"\0planted-and-swept-61f0\0")
    assert sweep({}, tmp_path) == ["the planted one in crossdock.db-wal"]
    left.unlink()  # the sweep of this run need not find it


async def test_everything_that_can_be_logged_of_malomo_shows_no_secret(malomo: Malomo) -> None:
    server = malomo.server
    for fault in ("status", "drop", "html", "truncated", "redirect", "rate_limited", "empty"):
        await malomo.fault(fault)
        for tool in ("get_single_malomo_order_by_id", "update_a_malomo_order_by_id"):
            await malomo.call(tool, {"id": "89123"})
    await malomo.fault("status", status=401)
    await malomo.call("list_all_malomo_webhooks", {})
    for path in (
        f"/mcp/{server.token}/x",
        f"//mcp/{server.token}",
        f"/x/{server.token}?{server.token}",
        f"/mcp/{server.token}%2f..",
        f"/.well-known/x/mcp/{server.token}",
        f"/{server.token}",
    ):
        for verb in ("GET", "POST", "DELETE", "OPTIONS"):
            await server.request(verb, malomo.running.url + path)
    for head in (f"GET /mcp/{server.token} HTTP/9.9", f"{server.token}", f"GET /{server.token}"):
        answer = await raw_exchange(server.url, head.encode() + b"\r\n\r\n")
        malomo.running.canaries.saw(answer)
    log = malomo.running.canaries.log_text()
    assert log.count("call.finished") >= 15
    assert "upstream_redirect" in log
    assert server.id in log  # what is logged of a server instead of its token


async def test_a_library_that_logs_a_url_or_a_header_is_redacted_too(malomo: Malomo) -> None:
    token = malomo.server.token
    strange = logging.getLogger("a.library")
    strange.error("GET /mcp/%s failed", token)
    strange.error("headers: %r", {"Authorization": f"Bearer {API_KEY}"})
    strange.warning("half a token: /mcp/%s", token[:30])
    try:
        raise ValueError(f"{malomo.server.url} with {API_KEY}")
    except ValueError:
        strange.exception("it broke")
    log = malomo.running.canaries.log_text()
    assert "a.library" in log or "it broke" in log
    assert log.count("[redacted]") >= 4
    assert token[4:30] not in log


async def test_a_mapper_that_raises_its_secrets_does_not_show_them(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, canaries: Canaries
) -> None:
    (acme_folder / "__init__.py").write_text(
        "from crossdock.adapter import hookimpl, load_adapter\n"
        "async def archive(call, context):\n"
        f"    raise ValueError('the key is {acme.API_KEY[:7]}' + '{acme.API_KEY[7:]}')\n"
        "@hookimpl\n"
        "def crossdock_adapters():\n"
        "    yield load_adapter(__name__, mappers={'items.archive': archive})\n",
        encoding="utf-8",
    )
    running_ = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running_.server()
    response = await server.attempt("acme_items_archive", {"id": "a"})
    assert response.result["structuredContent"]["error"]["kind"] == "internal"
    assert "the key is [redacted]" in canaries.log_text()


@pytest.mark.requirement("server:payload:not-kept")
async def test_nothing_that_a_provider_answers_is_logged_or_kept(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, canaries: Canaries
) -> None:
    canaries.issue("payload-canary-913", "the provider's data")
    canaries.issue("argument-canary-913", "an argument")
    running_ = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider.url)},
        settings={"limits": running.SMALL},
    )
    server = await running_.server()
    record = {"id": "a", "name": "payload-canary-913"}
    for played, tool in (
        (reply(record), "get_single_acme_item_by_id"),
        (reply({"message": "payload-canary-913"}, 422), "get_single_acme_item_by_id"),
        (reply({"message": "payload-canary-913"}, 500), "archive"),
    ):
        provider.plays(played)
        name = "acme_items_archive" if tool == "archive" else tool
        # The answer itself may show the record, so it is not searched here.
        async with running_.http.post(
            server.url,
            json={
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": name, "arguments": {"id": "argument-canary-913"}},
            },
        ) as answer:
            assert "payload-canary-913" in await answer.text()
    log = canaries.log_text()
    assert log.count("call.finished") == 3


@pytest.mark.requirement("server:payload:not-kept")
async def test_a_record_is_fetched_anew_for_each_call(
    gateway: MakeGateway, acme_folder: Path, provider: Provider
) -> None:
    running_ = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running_.server()
    provider.plays(*(reply({"n": number}) for number in range(3)))
    found = [
        (await server.call("get_single_acme_item_by_id", {"id": "a"})).data["n"] for _ in range(3)
    ]
    assert found == [0, 1, 2]
    assert len(provider.requests) == 3


@pytest.mark.requirement("server:token:hashed")
async def test_the_state_on_disk_holds_no_token_and_is_for_its_owner_only(malomo: Malomo) -> None:
    state = malomo.running.folder / "state"
    files = [path for path in state.iterdir() if path.is_file()]
    assert any(path.name == "crossdock.db" for path in files)
    for path in files:
        content = path.read_bytes()
        assert malomo.server.token.encode() not in content
        assert API_KEY.encode() not in content
        if os.name == "posix" and path.name == "master.key":
            assert path.stat().st_mode & 0o077 == 0


async def test_tokens_are_hidden_by_their_form_also_when_nobody_issued_them(
    malomo: Malomo,
) -> None:
    stranger = mint("mcp")
    malomo.running.canaries.issue(stranger, "a stranger's token")
    other = mint("api")
    malomo.running.canaries.issue(other, "a stranger's API token")
    await malomo.running.speaker(f"/mcp/{stranger}").send("tools/list")
    await malomo.server.send("tools/list", headers={"X-Api-Token": other})
    logging.getLogger("x").warning("seen %s and %s", stranger, other)
    assert malomo.running.canaries.log_text().count("[redacted]") >= 2
