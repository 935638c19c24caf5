"""What a call sends is shown to who writes the adapter, and to nobody else."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from harness import acme
from harness.provider import Provider, reply
from harness.running import MakeGateway, Running

KEY = "crossdock/requests"
SHOW = {"X-Crossdock-Show-Request": "1"}
TOOL = "create_a_acme_item"
ARGUMENTS = {"title": f"holds {acme.API_KEY}", "notify": True}


@pytest.fixture
def provider_answers(provider: Provider) -> Provider:
    provider.plays(reply({"id": "7"}))
    return provider


async def test_every_request_is_shown_with_its_credentials_hidden(
    acme_gateway: Running, provider_answers: Provider
) -> None:
    server = await acme_gateway.server()
    called = await server.call(TOOL, ARGUMENTS, headers=SHOW)
    (sent,) = called.result["_meta"][KEY]
    assert (sent["verb"], sent["status"]) == ("POST", 200)
    assert sent["url"] == f"{provider_answers.url}/items?notify=true"
    assert sent["headers"]["X-Api-Key"] == "***"
    assert sent["headers"]["Accept"] == "application/json"
    assert sent["body"] == '{"title":"holds ***"}'
    assert sent["ms"] >= 0
    assert "reply" not in sent
    assert acme.API_KEY not in str(called.result)


async def test_a_failure_shows_what_was_sent_as_well(
    acme_gateway: Running, provider: Provider
) -> None:
    provider.plays(reply({"message": "no"}, 422))
    server = await acme_gateway.server()
    called = await server.call(TOOL, ARGUMENTS, headers=SHOW)
    assert called.is_error
    assert [one["status"] for one in called.result["_meta"][KEY]] == [422]


async def test_who_does_not_ask_is_shown_nothing_even_on_the_same_connection(
    acme_gateway: Running, provider_answers: Provider
) -> None:
    server = await acme_gateway.server()
    for headers in (SHOW, None, SHOW):
        called = await server.call(TOOL, ARGUMENTS, headers=headers)
        shown = called.result["_meta"].get(KEY)
        assert shown is None if headers is None else len(shown) == 1


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_what_comes_through_a_proxy_is_refused_and_sends_nothing(
    acme_gateway: Running, provider_answers: Provider, name: str
) -> None:
    server = await acme_gateway.server()
    response = await server.attempt(TOOL, ARGUMENTS, headers={**SHOW, name: "203.0.113.9"})
    assert response.status == 403
    assert "owner" in str(response.body)
    assert provider_answers.requests == []


async def test_under_a_public_origin_only_an_owners_token_will_do(
    gateway: MakeGateway, acme_folder: Any, provider_answers: Provider
) -> None:
    running = await gateway(
        adapters=["acme"],
        accounts={"shop": acme.account(provider_answers.url)},
        settings={"server": {"public_url": "https://gateway.example"}},
    )
    server = await running.server()
    server.url = f"{running.url}/mcp/{server.token}"
    for role, status in ((None, 403), ("viewer", 403), ("operator", 403), ("owner", 200)):
        token = {} if role is None else {"X-Api-Token": await running.api_token(role)}
        response = await server.attempt(TOOL, ARGUMENTS, headers={**SHOW, **token})
        assert response.status == status, role
    assert len(response.result["_meta"][KEY]) == 1


async def test_call_prints_them_on_stderr(
    acme_gateway: Running, provider_answers: Provider
) -> None:
    import asyncio

    server = await acme_gateway.server()
    words = ("call", server.url, TOOL, "title=Box", "--show-request")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, told
    assert out == '{\n  "id": "7"\n}\n'
    assert f"POST {provider_answers.url}/items\n" in told
    assert "X-Api-Key: ***\n" in told
    assert '"title": "Box"' in told
    assert "→ 200 in " in told
    assert acme.API_KEY not in told
