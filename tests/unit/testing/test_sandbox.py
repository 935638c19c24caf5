"""The sandbox toolkit, spoken to as a provider is: pages, auth, faults and control routes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from aiohttp import ClientError, ClientSession
from aiohttp.test_utils import TestServer

from crossdock.testing.sandbox import Refusal, Sandbox

GATES = [{"id": f"g{number}", "name": "north" if number % 2 else "south"} for number in range(45)]
STYLES: dict[str, dict[str, Any]] = {
    "link": {"style": "link", "ask": {"cursor": "next", "limit": "size"}},
    "offset": {
        "style": "offset",
        "items": "/data/gates",
        "ask": {"offset": "from", "limit": "size"},
        "tell": {"total": "/meta/total"},
    },
    "page": {
        "style": "page",
        "items": "/gates",
        "ask": {"page": "page", "size": "size"},
        "tell": {"pages": "/pages"},
    },
    "cursor": {
        "style": "cursor",
        "items": "/gates",
        "ask": {"cursor": "after", "limit": "size"},
        "tell": {"next": "/meta/next"},
    },
    "next_url": {
        "style": "next_url",
        "items": "/gates",
        "ask": {"limit": "size"},
        "tell": {"next": "/links/next"},
    },
    "keyset": {
        "style": "keyset",
        "items": "/gates",
        "ask": {"after": "after_id", "limit": "size"},
        "tell": {"key": "/id", "more": "/has_more"},
    },
}


class Tried:
    """A running sandbox."""

    def __init__(self, url: str, http: ClientSession) -> None:
        self.url = url
        self._http = http

    async def ask(self, method: str, path: str, **given: Any) -> tuple[int, Any, dict[str, str]]:
        target = path if path.startswith("http") else f"{self.url}{path}"
        async with self._http.request(method, target, allow_redirects=False, **given) as reply:
            body = await reply.read()
            is_json = reply.content_type == "application/json" and body
            return reply.status, msgspec.json.decode(body) if is_json else body, dict(reply.headers)


Start = Callable[[Sandbox], Awaitable[Tried]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())

        async def run(sandbox: Sandbox) -> Tried:
            server = await stack.enter_async_context(TestServer(sandbox.create_app()))
            return Tried(str(server.make_url("")).rstrip("/"), http)

        yield run


def yard(**paging: Any) -> Sandbox:
    sandbox = Sandbox()
    sandbox.collection("gates", GATES, paging=paging or None)
    return sandbox


def pointed(body: Any, pointer: str) -> Any:
    for name in pointer.split("/")[1:]:
        body = body[name]
    return body


async def walked(tried: Tried, style: str, size: int, **filters: str) -> list[str]:
    """Follow a list as its style says."""
    spec = STYLES[style]
    ask, tell = spec["ask"], spec.get("tell", {})
    query, target, seen = {"size": str(size), **filters}, "/gates", []
    for number in range(100):
        _, body, headers = await tried.ask("GET", target, params=query)
        page = pointed(body, spec.get("items", ""))
        assert len(page) <= size
        seen += [one["id"] for one in page]
        match style:
            case "link":
                target = headers.get("Link", "").partition("<")[2].partition(">")[0]
                query = {}
                more = bool(target)
            case "next_url":
                target, query = pointed(body, tell["next"]), {}
                more = bool(target)
            case "cursor":
                found = pointed(body, tell["next"])
                more = found is not None
                query[ask["cursor"]] = str(found)
            case "keyset":
                more = pointed(body, tell["more"])
                query[ask["after"]] = page[-1]["id"]
            case "page":
                query["page"] = str(number + 2)
                more = number + 1 < pointed(body, tell["pages"])
            case _:
                query["from"] = str(len(seen))
                more = len(seen) < pointed(body, tell["total"])
        if not more:
            return seen
    raise AssertionError("no end")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [1, 7, 45, 100])
async def test_each_style_of_pages_gives_every_record_once_in_order(
    start: Start, style: str, size: int
) -> None:
    tried = await start(yard(**STYLES[style]))
    assert await walked(tried, style, size) == [one["id"] for one in GATES]


@pytest.mark.parametrize("style", STYLES)
async def test_filters_stay_on_the_pages_that_follow(start: Start, style: str) -> None:
    tried = await start(yard(**STYLES[style]))
    north = [one["id"] for one in GATES if one["name"] == "north"]
    assert await walked(tried, style, 4, name="north") == north


async def test_a_collection_is_made_read_changed_and_removed(start: Start) -> None:
    sandbox = Sandbox(base="/v1")
    sandbox.collection("gates", [{"id": "g1", "a": 1, "b": 2}], wrap="/gate", replaces=True)
    tried = await start(sandbox)
    status, made, _ = await tried.ask("POST", "/v1/gates", json={"gate": {"name": "x"}})
    assert (status, made["gate"]["name"]) == (201, "x")
    id = made["gate"]["id"]
    assert (await tried.ask("GET", f"/v1/gates/{id}"))[1] == made
    assert (await tried.ask("PATCH", "/v1/gates/g1", json={"gate": {"a": 7}}))[1] == {
        "gate": {"id": "g1", "a": 7, "b": 2}
    }
    assert (await tried.ask("PUT", "/v1/gates/g1", json={"gate": {"b": 3}}))[1] == {
        "gate": {"id": "g1", "b": 3}
    }
    assert (await tried.ask("DELETE", f"/v1/gates/{id}"))[0] == 204
    assert (await tried.ask("GET", f"/v1/gates/{id}"))[0] == 404
    assert (await tried.ask("POST", "/v1/gates", json={"name": "x"}))[0] == 422
    form = {"gate[size][w]": "2", "gate[tags][]": "a"}
    assert (await tried.ask("POST", "/v1/gates", data=form))[1]["gate"]["size"] == {"w": "2"}


async def test_an_odd_route_works_on_the_running_sandboxs_own_records(start: Start) -> None:
    sandbox = Sandbox()
    gates = sandbox.collection("gates", [{"id": "g1", "open": True}])

    @sandbox.route("POST /gates/{id}/shut")
    def shut(request: Any) -> Any:
        gate = gates.find(request.match_info["id"])
        if not gate["open"]:
            raise Refusal(409, {"errors": ["it is shut"]})
        gate["open"] = False
        return gate

    @sandbox.route("GET /gates")
    async def listed(request: Any) -> Any:
        return ["mine"]

    one, other = await start(sandbox), await start(sandbox)
    assert (await one.ask("POST", "/gates/g1/shut"))[1] == {"id": "g1", "open": False}
    assert (await one.ask("POST", "/gates/g1/shut"))[:2] == (409, {"errors": ["it is shut"]})
    assert (await other.ask("GET", "/gates/g1"))[1]["open"] is True
    assert (await one.ask("GET", "/gates"))[1] == ["mine"]
    await one.ask("POST", "/_sandbox/reset")
    assert (await one.ask("GET", "/gates/g1"))[1]["open"] is True


def basic(name: str, word: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{word}'.encode()).decode()}"}


@pytest.mark.parametrize(
    ("auth", "good", "bad"),
    [
        (
            {"scheme": "api_key", "header": "X-Key", "format": "Key {key}"},
            {"X-Key": "Key k1"},
            {"X-Key": "k1"},
        ),
        ({"scheme": "bearer", "token": "{key}"}, {"Authorization": "Bearer k1"}, {}),
        (
            {"scheme": "basic", "username": "{key}", "password": ""},
            basic("k1", ""),
            basic("", "k1"),
        ),
    ],
)
async def test_only_the_right_credentials_come_in(
    start: Start, auth: dict[str, str], good: dict[str, str], bad: dict[str, str]
) -> None:
    sandbox = Sandbox(auth=auth, credentials={"key": "k1"})
    sandbox.collection("gates")
    tried = await start(sandbox)
    assert (await tried.ask("GET", "/gates", headers=good))[0] == 200
    assert (await tried.ask("GET", "/gates", headers=bad))[0] == 401
    (account,) = sandbox.accounts(tried.url)
    assert account["credentials"] == {"key": "k1"}
    assert account["settings"] == {"base_url": tried.url}


@pytest.mark.parametrize("client", ["post", "basic"])
async def test_tokens_are_given_for_a_secret_a_refresh_token_and_a_code(
    start: Start, client: str
) -> None:
    credentials = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    sandbox = Sandbox(
        auth={"scheme": "oauth2_refresh", "client": client, "rotate": True},
        credentials=credentials,
        settings={"token_url": "{origin}/oauth/token"},
    )
    sandbox.collection("gates")
    tried = await start(sandbox)

    async def token(**fields: str) -> tuple[int, Any]:
        proof = {"client_id": "c", "client_secret": "s"} if client == "post" else {}
        headers = {} if client == "post" else basic("c", "s")
        status, answer, _ = await tried.ask(
            "POST", "/oauth/token", data={**proof, **fields}, headers=headers
        )
        return status, answer

    for fields in (
        {"grant_type": "client_credentials"},
        refresh := {"grant_type": "refresh_token", "refresh_token": "r"},
    ):
        _, answer = await token(**fields)
        bearer = {"Authorization": f"Bearer {answer['access_token']}"}
        assert (await tried.ask("GET", "/gates", headers=bearer))[0] == 200
    assert (await token(**refresh))[0] == 400
    assert (await tried.ask("POST", "/oauth/token", data={"grant_type": "client_credentials"}))[
        0
    ] == 401
    query = {
        "client_id": "c",
        "redirect_uri": "http://x/y?z=1",
        "state": "q",
        "code_challenge": "n",
    }
    back = (await tried.ask("GET", "/oauth/authorize", params=query))[2]["Location"]
    assert back.startswith("http://x/y?z=1&code=") and back.endswith("&state=q")
    code = back.partition("code=")[2].partition("&")[0]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": "http://x/y?z=1"}
    assert (await token(**grant))[0] == 400
    await tried.ask("POST", "/_sandbox/expire_tokens")
    assert (await tried.ask("GET", "/gates", headers=bearer))[0] == 401


FAULTS: dict[str, tuple[dict[str, Any], int, bytes]] = {
    "status": ({"status": 422, "body": {"message": "no"}}, 422, b"no"),
    "rate_limited": ({"seconds": 7}, 429, b"Too many"),
    "unauthorized": ({}, 401, b"Unauthorized"),
    "html": ({}, 200, b"<!doctype"),
    "redirect": ({}, 307, b""),
    "echo": ({}, 400, b"X-Mark: 77"),
    "lie": ({}, 200, b'{"name":"y"}'),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("commit", [True, False])
async def test_a_fault_answers_in_its_way_and_does_the_write_only_where_told(
    start: Start, kind: str, commit: bool
) -> None:
    fields, status, words = FAULTS[kind]
    tried = await start(yard())
    fault = {"kind": kind, "commit": commit, "method": "PUT", "path": "/gates/g1", **fields}
    assert (await tried.ask("POST", "/_sandbox/faults", json=fault))[0] == 200
    got, body, headers = await tried.ask(
        "PUT", "/gates/g1", json={"name": "y"}, headers={"X-Mark": "77"}
    )
    text = body if isinstance(body, bytes) else msgspec.json.encode(body)
    assert (got, words in text) == (status, True)
    assert ("Retry-After" in headers) is (kind == "rate_limited")
    seen = (await tried.ask("GET", "/gates/g1"))[1]["name"]
    assert (seen == "y") is commit


async def test_faults_count_their_requests_and_leave_others_alone(start: Start) -> None:
    tried = await start(yard())
    fault = {"kind": "status", "path": "/gates/g[12]", "skip": 1, "times": 2}
    await tried.ask("POST", "/_sandbox/faults", json=[fault])
    statuses = [(await tried.ask("GET", "/gates/g1"))[0] for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    assert (await tried.ask("GET", "/gates/g3"))[0] == 200
    assert (await tried.ask("POST", "/_sandbox/faults", json={"kind": "odd"}))[0] == 400
    assert len((await tried.ask("GET", "/_sandbox/faults"))[1]) == 1
    await tried.ask("DELETE", "/_sandbox/faults")
    assert (await tried.ask("GET", "/_sandbox/faults"))[1] == []


async def test_answers_break_off_are_empty_too_large_or_never_come(start: Start) -> None:
    tried = await start(yard())

    async def spoiled(**fault: Any) -> Any:
        await tried.ask("DELETE", "/_sandbox/faults")
        await tried.ask("POST", "/_sandbox/faults", json=fault)
        return (await tried.ask("GET", "/gates/g1"))[1]

    whole = msgspec.json.encode(GATES[1])
    with pytest.raises(msgspec.DecodeError):
        await spoiled(kind="truncated")
    assert await spoiled(kind="empty") == b""
    for encoding in ("", "gzip"):
        assert await spoiled(kind="huge", size=200_000, encoding=encoding) == []
    assert await spoiled(kind="slow", seconds=0) == msgspec.json.decode(whole)
    with pytest.raises(ClientError):
        await spoiled(kind="drop")


async def test_another_writer_comes_in_between_and_is_not_recorded(start: Start) -> None:
    tried = await start(yard())
    write = {"method": "PATCH", "json": {"name": "theirs"}}
    await tried.ask("POST", "/_sandbox/faults", json={"kind": "elsewhere", "write": write})
    assert (await tried.ask("GET", "/gates/g1"))[1]["name"] == "north"
    assert (await tried.ask("GET", "/gates/g1"))[1]["name"] == "theirs"
    received = (await tried.ask("GET", "/_sandbox/requests"))[1]
    assert [one["method"] for one in received] == ["GET", "GET"]
    assert set(received[0]) == {"method", "path_qs", "headers", "body"}
    await tried.ask("DELETE", "/_sandbox/requests")
    assert (await tried.ask("GET", "/_sandbox/requests"))[1] == []


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    shut: bool = False


async def test_switches_turn_what_the_provider_leaves_open(start: Start) -> None:
    sandbox = Sandbox(switches=Switches())

    @sandbox.route("GET /state")
    def state(request: Any) -> Any:
        return {"shut": sandbox.switches.shut}

    tried = await start(sandbox)
    assert (await tried.ask("POST", "/_sandbox/switches", json={"shut": True}))[1] == {"shut": True}
    assert (await tried.ask("GET", "/state"))[1] == {"shut": True}
    assert (await tried.ask("POST", "/_sandbox/switches", json={"shut": 7}))[0] == 400
    await tried.ask("POST", "/_sandbox/reset")
    assert (await tried.ask("GET", "/_sandbox/switches"))[1] == {"shut": False}
