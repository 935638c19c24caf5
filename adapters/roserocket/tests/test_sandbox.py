"""The sandbox itself: what the adapter's tests and the demo rely on."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from yarl import URL

from crossdock_roserocket.sandbox import Switches, accounts, create_app, known_id

ORDER = known_id("order:PO-88912")


@pytest.fixture
async def api(provider: Any) -> Any:
    """Speak to the API as a stranger's client would."""
    (given,) = accounts(provider.url)
    body = {
        "grant_type": "client_credentials",
        "audience": "https://roserocket.com",
        **given["credentials"],
    }
    async with provider.http.post(given["settings"]["token_url"], json=body) as reply:
        answer = await reply.json()
    assert answer["token_type"] == "Bearer"

    async def call(method: str, path: str, **more: Any) -> tuple[int, Any]:
        url = URL(f"{given['settings']['base_url']}{path}", encoded=True)
        headers = {"Authorization": f"Bearer {answer['access_token']}"}
        async with provider.http.request(method, url, headers=headers, **more) as reply:
            text = await reply.read()
            return reply.status, (await reply.json()) if text else None

    return call


async def test_every_switch_can_be_read_and_turned_and_reset(provider: Any) -> None:
    await provider.switch(event_lag=2, bookmark="inclusive")
    async with provider.http.get(f"{provider.url}/_sandbox/switches") as reply:
        turned = await reply.json()
    assert (turned["event_lag"], turned["bookmark"]) == (2, "inclusive")
    wrongs: list[Any] = [{"nonsense": 1}, {"bookmark": "maybe"}, []]
    for wrong in wrongs:
        async with provider.http.post(f"{provider.url}/_sandbox/switches", json=wrong) as reply:
            assert reply.status == 400
    await provider.http.post(f"{provider.url}/_sandbox/reset")
    async with provider.http.get(f"{provider.url}/_sandbox/switches") as reply:
        assert (await reply.json())["bookmark"] == "exclusive"


async def test_switches_may_be_given_at_the_start() -> None:
    app = create_app(Switches(rate_limit="bare"))
    async with TestServer(app) as server, ClientSession() as http:
        async with http.get(server.make_url("/_sandbox/switches")) as reply:
            assert (await reply.json())["rate_limit"] == "bare"


async def test_reset_restores_the_seed(provider: Any, api: Any) -> None:
    assert (await api("DELETE", f"/objects/{ORDER}"))[0] == 200
    assert (await api("GET", f"/objects/{ORDER}"))[0] == 404
    await provider.http.post(f"{provider.url}/_sandbox/reset")
    assert (await api("GET", f"/objects/{ORDER}"))[0] == 200


async def test_nobody_gets_in_without_a_token(provider: Any) -> None:
    base = accounts(provider.url)[0]["settings"]["base_url"]
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic x"}):
        async with provider.http.get(f"{base}/userGroups", headers=headers) as reply:
            assert reply.status == 401
            assert await reply.json() == {
                "statusCode": 401,
                "message": "Action is unauthorized.",
                "error": "Unauthorized",
            }
    async with provider.http.get(f"{provider.url}/userGroups") as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    ("method", "path", "json", "status", "words"),
    [
        ("POST", "/objects", {"objectKey": "order", "status": "new"}, 400, "json must be"),
        ("POST", "/objects", {"objectKey": "Order", "json": {}}, 400, "does not exist"),
        ("POST", "/objects", {"objectKey": "order", "json": {"customer": ORDER}}, 400, "Expected"),
        (
            "POST",
            "/objects",
            {"objectKey": "task", "json": {"appointmentTime": {"dateTimeInLocation": "2026Z"}}},
            400,
            "without an offset",
        ),
        ("POST", "/objects", {"objectKey": "order", "json": {"status": "Late"}}, 422, "Options"),
        ("PATCH", f"/objects/{ORDER}", {}, 404, "Cannot PATCH"),
        ("POST", "/objects/search", {"boardId": "x"}, 400, "must be a UUID"),
        ("POST", "/events", {"recordId": ORDER, "type": "Delay"}, 400, "type must be one of"),
        ("GET", "/events?recordId=x&limit=201", None, 400, "limit must not be greater"),
        ("POST", "/userGroups", {"name": "Day Shift Ops"}, 409, "already in use"),
        ("GET", "/objects/ord_12345", None, 400, "must be a UUID"),
    ],
)
async def test_the_sandbox_refuses_as_the_provider_does(
    api: Any, method: str, path: str, json: Any, status: int, words: str
) -> None:
    found, body = await api(method, path, **({} if json is None else {"json": json}))
    assert found == status
    assert body["statusCode"] == status
    assert words in str(body["message"])


async def test_the_filters_that_fail_at_the_provider_fail_here(api: Any) -> None:
    board = known_id("board:Active Dispatch")
    for kind, operator in (
        ("SelectField", "equals"), ("DateField", "between"), ("DerivedField", "in"),
    ):  # fmt: skip
        entry = {"path": "status", "operator": operator, "value": ["new"], "fieldType": kind}
        status, _ = await api(
            "POST", "/objects/search", json={"boardId": board, "filters": [entry]}
        )
        assert status == 500


async def test_records_count_versions_and_hide_connections(api: Any) -> None:
    _, before = await api("GET", f"/objects/{ORDER}")
    body = {"objectKey": "order", "json": {"customer": {"name": "Inline Ltd"}}}
    _, after = await api("PUT", f"/objects/{ORDER}", json=body)
    assert after["version"] == before["version"] + 1
    assert after["customer"]["name"] == "Inline Ltd"
    assert "customer" not in before
    _, events = await api("GET", f"/events?recordId={ORDER}&objectKey=order&type=mutate")
    assert events["results"][-1]["json"]["changedFields"][0]["field"] == "customer"


async def test_a_record_and_its_last_event_agree_on_who_and_when(api: Any) -> None:
    for key, external in (
        ("order", "PO-5561"), ("order", "ERP-9921"), ("order", "ord_12345"), ("task", "TSK-01"),
    ):  # fmt: skip
        _, record = await api("GET", f"/objects/{key}/{external}/external")
        query = f"recordId={record['id']}&objectKey={key}&notInTypes=internal"
        _, events = await api("GET", f"/events?{query}&orderByDirection=desc")
        first, last = events["results"][-1], events["results"][0]
        assert (last["createdAt"], last["user"]["firstName"]) == (
            record["updatedAt"], record["updatedBy"],
        )  # fmt: skip
        assert (first["createdAt"], first["user"]["firstName"]) == (
            record["createdAt"], record["createdBy"],
        )  # fmt: skip
    _, boards = await api("GET", "/boards/nav")
    assert all(board["createdAt"] < record["createdAt"] for board in boards)


async def test_search_and_history_lag_behind_unless_told_otherwise() -> None:
    moment = 0.0
    app = create_app(clock=lambda: moment)
    async with TestServer(app) as server, ClientSession() as http:
        url = str(server.make_url("")).rstrip("/")
        (given,) = accounts(url)
        form = {"grant_type": "client_credentials", **given["credentials"]}
        form["audience"] = "https://roserocket.com"
        async with http.post(given["settings"]["token_url"], json=form) as reply:
            headers = {"Authorization": f"Bearer {(await reply.json())['access_token']}"}
        base = given["settings"]["base_url"]

        async def call(verb: str, path: str, **json: Any) -> Any:
            body = {"json": json} if json else {}
            async with http.request(verb, f"{base}{path}", headers=headers, **body) as reply:
                return await reply.json()

        made = await call("POST", "/objects", objectKey="order", json={"poNum": "late"})
        query = f"/events?recordId={made['id']}&objectKey=order"
        fresh = {"path": "poNum", "operator": "equals", "value": "late", "fieldType": "TextField"}
        search = {"boardId": known_id("board:Active Dispatch"), "filters": [fresh]}
        assert (await call("GET", f"/objects/{made['id']}"))["poNum"] == "late"
        assert (await call("GET", query))["results"] == []
        assert (await call("POST", "/objects/search", **search))["results"] == []
        moment = 2.5
        assert len((await call("GET", query))["results"]) == 1
        assert len((await call("POST", "/objects/search", **search))["results"]) == 1


async def test_a_field_that_nobody_has_is_dropped_without_a_word(provider: Any, api: Any) -> None:
    body = {"objectKey": "order", "json": {"stauts": "booked", "lane__c": "I-80"}}
    status, after = await api("PUT", f"/objects/{ORDER}", json=body)
    assert status == 200
    assert ("stauts" in after, after["lane__c"]) == (False, "I-80")
    await provider.switch(unknown_field="refuse")
    status, refused = await api("PUT", f"/objects/{ORDER}", json=body)
    assert (status, refused["message"]) == (400, ["property stauts should not exist"])


async def test_external_ids_are_exact_and_kept_apart_by_key(api: Any) -> None:
    for segment in ("PO%2055%2F61", "A%252FB", "%C3%A9%23%3F", "%20padded%20", "po-5561"):
        status, body = await api("GET", f"/objects/order/{segment}/external")
        assert status == 200, body
    assert (await api("GET", "/objects/task/PO-5561/external"))[0] == 404
    upsert = {"objectKey": "order", "json": {"externalId": "NEW-1"}}
    assert (await api("PATCH", "/objects", json=upsert))[0] == 201
    assert (await api("PATCH", "/objects", json=upsert))[0] == 200


async def test_consent_leads_to_a_code_and_a_code_to_tokens(provider: Any) -> None:
    verifier = "v" * 50
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": "rr-sandbox-client",
        "audience": "https://roserocket.com",
        "redirect_uri": "https://gateway.example/callback",
        "scope": "offline_access email profile",
        "state": "s1",
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    async with provider.http.get(
        f"{provider.url}/authorize", params=query, allow_redirects=False
    ) as reply:
        target = URL(reply.headers["Location"])
    assert (target.host, target.query["state"]) == ("gateway.example", "s1")
    form = {
        "grant_type": "authorization_code",
        "client_id": "rr-sandbox-client",
        "client_secret": "rr-sandbox-secret",
        "redirect_uri": query["redirect_uri"],
        "code": target.query["code"],
        "code_verifier": verifier,
    }
    async with provider.http.post(f"{provider.url}/oauth/token", data=form) as reply:
        assert "refresh_token" in await reply.json()
    async with provider.http.post(f"{provider.url}/oauth/token", data=form) as reply:
        assert reply.status == 403  # a code is good once
