"""A provider that repeats our credential shows it to nobody, and a rotated one is never lost."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from harness import acme
from harness.canaries import Canaries
from harness.provider import Provider, raw, reply
from harness.running import MakeGateway, Running

from crossdock.authoring import Outcome
from crossdock.calls.echoes import searched, without
from crossdock.redaction import MARK

pytestmark = pytest.mark.requirement("door:token:never-logged")
KEY = acme.API_KEY


@pytest.mark.parametrize(
    "record",
    [
        {"authorization": f"Bearer {KEY}"},
        {KEY: 1},
        {"basic": base64.b64encode(f"user:{KEY}".encode()).decode()},
        {"deep": [[{"url": f"https://x/?key={KEY}"}]]},
        {"json in json": json.dumps({"key": KEY})},
    ],
)
async def test_an_answer_that_repeats_the_accounts_key_is_cleaned(
    acme_gateway: Running, provider: Provider, record: dict[str, Any]
) -> None:
    server = await acme_gateway.server()
    provider.plays(reply(record))
    called = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert MARK in called.response.body.decode()
    assert "credential of this account" in called.response.body.decode()
    # that the key is nowhere in the answer is what the canaries check


async def test_headers_failures_and_lists_that_repeat_it_are_cleaned_as_well(
    acme_gateway: Running, provider: Provider
) -> None:
    server = await acme_gateway.server()
    provider.plays(reply({"message": f"bad key {KEY}", "errors": [{"key": KEY}]}, 422))
    failed = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert MARK in failed.response.body.decode()
    provider.plays(reply([{"id": KEY}, {"id": "b"}]))
    listed = await server.call("list_all_acme_items")
    assert [record["id"] for record in listed.data["result"]] == [MARK, "b"]


async def test_an_ordinary_answer_is_passed_on_byte_for_byte(
    acme_gateway: Running, provider: Provider
) -> None:
    server = await acme_gateway.server()
    provider.plays(reply({"id": "a", "n": 12345678901234567890, "word": "redacted"}))
    called = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert called.data == {"id": "a", "n": 12345678901234567890, "word": "redacted"}
    assert "credential" not in called.response.body.decode()


async def test_another_accounts_key_in_an_answer_is_data(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, canaries: Canaries
) -> None:
    """Else whoever can make a provider repeat a guess would learn others' secrets by its loss."""
    other = {**acme.account(provider.url), "credentials": {"api_key": "another-key-0d1e2f"}}
    running = await gateway(
        adapters=["acme"], accounts={"shop": acme.account(provider.url), "other": other}
    )
    server = await running.server()
    provider.plays(reply({"id": "another-key-0d1e2f"}))
    asked = {"name": "get_single_acme_item_by_id", "arguments": {"id": "a"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": asked}
    async with running.http.post(server.url, json=message) as shown:  # the canaries need not see it
        assert "another-key-0d1e2f" in await shown.text()


@pytest.mark.parametrize("data", [b"1234567890", b'{"a":91234567890}', b'["1234567890"]', b""])
def test_what_is_left_is_json_whatever_stood_there(data: bytes) -> None:
    outcome = Outcome(
        data=data, notes=("n 1234567890",), content=({"type": "text", "text": "1234567890"},)
    )
    cleaned = without(outcome, searched(["1234567890"]))
    assert b"1234567890" not in cleaned.data
    json.loads(cleaned.data or b"null")
    assert "1234567890" not in str(cleaned.notes) + str(cleaned.content)


# --- tokens ----------------------------------------------------------------------------------

OAUTH = """
[auth]
scheme = "oauth2_refresh"
token_url = "https://api.acme.example/token"
"""


@pytest.fixture
async def renewing(gateway: MakeGateway, acme_folder: Path, provider: Provider) -> Running:
    """A gateway whose account has a refresh token that each use replaces."""
    toml = (acme_folder / "adapter.toml").read_text("utf-8")
    start, end = toml.index("[credentials.api_key]"), toml.index("[paging]")
    fields = "".join(
        f'[credentials.{name}]\nabout = "x"\n'
        for name in ("client_id", "client_secret", "refresh_token")
    )
    settings = '[settings.token_url]\nabout = "Where tokens come from."\ndefault = ""\n'
    text = toml[:start] + fields + settings + OAUTH + toml[end:]
    (acme_folder / "adapter.toml").write_text(text, "utf-8")
    account = {
        "integration": "acme",
        "settings": {"base_url": provider.url, "token_url": f"{provider.url}/token"},
        "credentials": {
            "client_id": "client-of-acme",
            "client_secret": "client-secret-5b1",
            "refresh_token": "refresh-first-5b1",
        },
    }
    return await gateway(adapters=["acme"], accounts={"shop": account})


BAD_LIVES = [
    '"soon"', '"-1"', "-5", "0", "null", "true", "[]", "{}", '"NaN"', '"Infinity"', "1e308",
    "9" * 400, '"' + "9" * 400 + '"', '"3600"', "0.5", '""',
]  # fmt: skip


def answer(body: str) -> Any:
    return raw(body.encode())


@pytest.mark.parametrize("life", BAD_LIVES)
async def test_no_expires_in_loses_a_rotated_refresh_token(
    renewing: Running, provider: Provider, life: str
) -> None:
    canaries = renewing.canaries
    for name in ("access-one-5b1c", "access-two-5b1c", "refresh-rotated-5b1c"):
        canaries.issue(name, name)
    server = await renewing.server()
    first = (
        '{"access_token": "access-one-5b1c", "refresh_token": "refresh-rotated-5b1c", '
        f'"expires_in": {life}}}'
    )
    provider.plays(
        answer(first),
        reply({"message": "expired"}, 401),
        answer('{"access_token": "access-two-5b1c"}'),
        reply({"id": "a"}),
    )
    called = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert called.data == {"id": "a"}, called.response.body.decode()
    renewals = [one.body for one in provider.requests if one.path == "/token"]
    assert b"refresh-first-5b1" in renewals[0]
    assert b"refresh-rotated-5b1c" in renewals[1]


@pytest.mark.parametrize("token", ["null", '""', "7", "[]"])
async def test_an_answer_without_an_access_token_loses_no_refresh_token_either(
    renewing: Running, provider: Provider, token: str
) -> None:
    renewing.canaries.issue("refresh-rotated-5b1c", "the rotated one")
    server = await renewing.server()
    provider.plays(
        answer(f'{{"access_token": {token}, "refresh_token": "refresh-rotated-5b1c"}}'),
        answer('{"access_token": "access-one-5b1c"}'),
        reply({"id": "a"}),
    )
    failed = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert failed.error["kind"] == "upstream_malformed"
    assert (await server.call("get_single_acme_item_by_id", {"id": "a"})).data == {"id": "a"}
    assert b"refresh-rotated-5b1c" in provider.requests[1].body


async def test_tokens_are_known_before_an_adapters_own_code_reads_the_answer(
    gateway: MakeGateway, acme_folder: Path, provider: Provider, canaries: Canaries
) -> None:
    (acme_folder / "__init__.py").write_text(
        "from crossdock.adapter import hookimpl, load_adapter\n"
        "class Own:\n"
        "    renews = True\n"
        "    def sign(self, credentials, settings, token):\n"
        "        return (), ()\n"
        "    async def renew(self, credentials, settings, http):\n"
        "        reply = await http.post(settings['base_url'] + '/token', form={})\n"
        "        raise ValueError(f'cannot read {reply.body!r}')\n"
        "@hookimpl\n"
        "def crossdock_adapters():\n"
        "    yield load_adapter(__name__, auth=Own())\n",
        encoding="utf-8",
    )
    running = await gateway(adapters=["acme"], accounts={"shop": acme.account(provider.url)})
    server = await running.server()
    tokens = ["never-seen-token-77aa1", "short-1", "a/b/c-token-with+signs/77aa2==" * 2]
    for token in tokens:
        canaries.issue(token, "a token that nobody has parsed yet")
    for body in (
        json.dumps({"access_token": tokens[0], "refresh": {"token": tokens[1]}, "x": tokens[2]}),
        f"access_token={tokens[2]}&expires_in=x",
        f'{{"access_token": "{tokens[2]}", ',
    ):
        provider.plays(answer(body))
        await server.attempt("acme_items_archive", {"id": "a"})
    assert canaries.log_text().count(MARK) >= 3
