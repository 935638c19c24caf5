"""Whatever is sent to the admin API, the commands or a tool: an answer, never an internal error.

CI makes a few thousand inputs; tests/README.md has the command that makes as many as it is told.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiohttp import ClientSession, web
from harness import oddities
from harness.oddities import Odd
from harness.running import MakeGateway, Running
from hypothesis import given
from hypothesis import strategies as st

import crossdock_malomo.sandbox
import crossdock_roserocket.sandbox
from crossdock.cli.options import moment, span, words
from crossdock.errors import CrossdockError
from crossdock.web.admin import ROUTES
from crossdock.web.admin.routes import Route

pytestmark = pytest.mark.requirement("security:hostile:answered")
COUNT = int(os.environ.get("FUZZ", "3000"))
SEED = int(os.environ.get("FUZZ_SEED", "9"))
AT_ONCE = 8
KEPT = 20


class Records:
    """What the fuzzer made and may still ask about."""

    def __init__(self) -> None:
        self.accounts = ["shop"]
        self.servers: list[tuple[str, str]] = []
        self.tokens: list[str] = []

    def request(self, random: Random) -> tuple[Route, Odd]:
        """Return a request for any route of the table."""
        route = random.choice(ROUTES)
        account = oddities.id_of(random, self.accounts)
        servers = [server for _, server in self.servers]
        if self.servers and "server_id" in route.paths[0] and random.random() < 0.8:
            account, server = random.choice(self.servers)
        else:
            server = oddities.id_of(random, servers)
        if route.action.startswith("token"):
            account = oddities.id_of(random, self.tokens)
        if route.action == "account.test":
            account = "shop"  # the only one whose provider is on this machine
        path = random.choice(route.paths).replace("{id}", account).replace("{server_id}", server)
        body = oddities.body_of(random, route.action) if route.body else None
        return route, Odd(route.verb, path + oddities.query_of(random, route.query), body)

    def learn(self, route: Route, made: dict[str, Any]) -> list[str]:
        """Keep what was made; return the paths of what is too much by now."""
        if route.action == "account.create":
            self.accounts.append(made["id"])
        elif route.action == "server.create":
            self.servers.append((made["integrated_account_id"], made["id"]))
        elif route.action == "token.create":
            self.tokens.append(made["id"])
        gone = []
        if len(self.accounts) > KEPT:
            gone.append(f"/integrated-account/{self.accounts.pop(1)}?cascade=true")
        if len(self.servers) > KEPT:
            gone.append("/integrated-account/{}/mcp/{}".format(*self.servers.pop(0)))
        if len(self.tokens) > KEPT:
            gone.append(f"/api-token/{self.tokens.pop(0)}")
        return gone


async def test_the_admin_api_answers_whatever_is_sent(acme_gateway: Running) -> None:
    random, records = Random(SEED), Records()
    server = await acme_gateway.server()
    answers: Counter[int] = Counter()
    wrong: list[str] = []

    async def send(route: Route, odd: Odd) -> None:
        answer = await acme_gateway.request(odd.verb, odd.path, body=odd.body)
        answers[answer.status] += 1
        if answer.status >= 500 or b"nternal error" in answer.body:
            wrong.append(
                f"{odd.verb} {odd.path[:200]} {(odd.body or b'')[:400]!r}: {answer.body!r}"
            )
        if answer.status == 201:
            acme_gateway.canaries.issue(answer.json.get("token", odd.path), "a token")
            for path in records.learn(route, answer.json):
                await acme_gateway.request("DELETE", path)

    for _ in range(0, COUNT, AT_ONCE):
        await asyncio.gather(*(send(*records.request(random)) for _ in range(AT_ONCE)))
        if wrong:
            break
    print(f"{answers.total():,} inputs: {dict(sorted(answers.items()))}")
    assert wrong == []
    assert answers.total() >= COUNT
    assert {200, 201, 204, 400, 404, 422} <= answers.keys()
    assert await server.names()


async def test_tools_answer_whatever_their_arguments_are(acme_gateway: Running) -> None:
    random = Random(SEED)
    server = await acme_gateway.server()
    tools = await server.tools()
    wrong = []
    for _ in range(max(300, COUNT // 10)):
        tool = random.choice(tools)
        known = [*tool["inputSchema"].get("properties", {}), "x"]
        arguments = {random.choice(known): oddities.value(random) for _ in range(3)}
        message = {"name": tool["name"], "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": message}
        answer = await server.post(
            json.dumps(body).encode(), {"MCP-Protocol-Version": "2025-11-25"}
        )
        if answer.status >= 500 or b"-32603" in answer.body or b'"internal"' in answer.body:
            wrong.append((message, answer.body))
    assert wrong == []


@asynccontextmanager
async def sandboxed(adapter: str) -> AsyncIterator[dict[str, Any]]:
    """Start an adapter's sandbox; give the first account that it knows."""
    sandbox = {"malomo": crossdock_malomo.sandbox, "roserocket": crossdock_roserocket.sandbox}
    app = sandbox[adapter].create_app()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    quick = {"malomo": {}, "roserocket": {"search_lag": 0, "event_lag": 0}}[adapter]
    async with ClientSession() as http, http.post(f"{url}/_sandbox/switches", json=quick) as reply:
        await reply.read()
    try:
        yield {"integration": adapter, **sandbox[adapter].accounts(url)[0]}
    finally:
        await runner.cleanup()


def fitting(random: Random, schema: dict[str, Any], depth: int = 0) -> Any:
    """Return a value that a schema allows, odd ones strewn in."""
    if random.random() < 0.25 or depth > 4:
        return oddities.value(random)
    if "enum" in schema:
        return random.choice(schema["enum"])
    match schema.get("type"):
        case "integer" | "number":
            return random.choice([1, 2.0, 25, 50, 0, -1, 10**12])
        case "boolean":
            return random.random() < 0.5
        case "array":
            items = schema.get("items", {})
            return [fitting(random, items, depth + 1) for _ in range(random.randrange(3))]
        case "object":
            known = schema.get("properties", {})
            given = {key: fitting(random, one, depth + 1) for key, one in known.items()}
            names = ("status", "customer", "id", "externalId", "json", "boards", "op", "value")
            given |= {random.choice(names): oddities.value(random) for _ in range(2)}
            return {key: value for key, value in given.items() if random.random() < 0.7}
        case _:
            return random.choice(["order", "Order", "89123", "1Z999AA10123456784", "sarah"])


@pytest.mark.parametrize("adapter", ["malomo", "roserocket"])
async def test_the_adapters_tools_answer_whatever_their_arguments_are(
    gateway: MakeGateway, adapter: str
) -> None:
    random, kinds, wrong = Random(SEED), Counter[str](), []
    async with sandboxed(adapter) as account:
        running = await gateway(adapters=[adapter], accounts={"shop": account})
        for field in ("org_id", "user_id"):  # in records as well: no secrets
            running.canaries.allow(account["credentials"].get(field, ""))
        server = await running.server()
        tools = await server.tools()
        for _ in range(COUNT // 5):
            tool = random.choice(tools)
            schema = tool["inputSchema"]
            arguments = {
                key: fitting(random, one)
                for key, one in schema.get("properties", {}).items()
                if key in schema.get("required", ()) or random.random() < 0.4
            }
            params = {"name": tool["name"], "arguments": arguments}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await server.post(
                json.dumps(body).encode(), {"MCP-Protocol-Version": "2025-11-25"}
            )
            told = answer.json.get("result", {})
            kind = told.get("structuredContent", {}).get("error", {}).get("kind", "ok")
            kinds[kind if told else "protocol"] += 1
            # The sandbox answers everything, so no write can be in doubt.
            wrongly = kind in ("internal", "write_outcome_unknown")
            if answer.status >= 500 or wrongly or b"-32603" in answer.body:
                wrong.append((params, answer.body[:300]))
    print(f"{adapter}: {kinds.total():,} calls: {dict(kinds.most_common())}")
    assert wrong == []
    assert {"ok", "invalid_arguments"} <= kinds.keys()


async def test_a_look_up_by_post_that_finds_nothing_leaves_no_doubt_about_a_write(
    gateway: MakeGateway,
) -> None:
    async with sandboxed("roserocket") as account:
        running = await gateway(adapters=["roserocket"], accounts={"shop": account})
        server = await running.server()
        given = {"record_id": "PO/10042 #x", "object_key": "order", "message": "Late"}
        failed = await server.call("create_a_roserocket_event", given)
    assert failed.error["kind"] == "not_found"
    assert "may have been carried out" not in failed.error["message"]


@given(st.one_of(st.sampled_from(oddities.TEXTS), st.text(max_size=40)))
def test_what_stands_on_a_command_line_is_read_or_refused_in_words(text: str) -> None:
    for read in (lambda: moment(text, "--since"), lambda: span(text), lambda: words(text)):
        try:
            read()
        except CrossdockError as error:
            assert str(error)
