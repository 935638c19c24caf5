"""A provider's limits reach the caller in every form providers use, after exactly one request."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import http_sf
import pytest
from harness.malomo import Malomo
from harness.provider import Provider, reply
from harness.running import Server
from harness.speaking import REVISIONS, STRUCTURED, Called

SHARED = pytest.mark.asyncio(loop_scope="session")
NAMES = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


async def _limited(server: Server, upstream: Provider, **headers: str) -> Called:
    upstream.plays(reply({"message": "Too many requests"}, 429, **headers))
    called = await server.call("list_all_acme_items", {})
    assert len(upstream.requests) == 1
    return called


def _headers(called: Called) -> tuple[str | None, ...]:
    return tuple(called.response.headers.get(name) for name in NAMES)


def _epoch(seconds: int, unit: str = "") -> Callable[[], str]:
    return lambda: str(int(time.time()) + seconds) + unit


def _date(seconds: int) -> Callable[[], str]:
    return lambda: formatdate(time.time() + seconds, usegmt=True)


# name -> (headers, limit, remaining, the longest wait)
FORMS: dict[str, tuple[dict[str, Any], int | None, int | None, int | None]] = {
    "retry-after in seconds": ({"Retry_After": "30"}, None, None, 30),
    "retry-after as a date": ({"Retry_After": _date(3600)}, None, None, 3600),
    "retry-after with fractions": ({"Retry_After": "1.2"}, None, None, 2),
    "retry-after of nothing": ({"Retry_After": "0"}, None, None, 0),
    "retry-after in the past": ({"Retry_After": _date(-60)}, None, None, 0),
    "retry-after below nothing": ({"Retry_After": "-5"}, None, None, 0),
    "retry-after of years": ({"Retry_After": "999999999"}, None, None, 999999999),
    "ratelimit": (
        {"RateLimit_Limit": "100", "RateLimit_Remaining": "0", "RateLimit_Reset": "45"},
        100, 0, 45,
    ),
    "ratelimit with a policy in the limit": (
        {"RateLimit_Limit": "100, 100;w=60", "RateLimit_Remaining": "7", "RateLimit_Reset": "9"},
        100, 7, 9,
    ),
    "x-ratelimit in seconds": (
        {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "12"},
        60, 0, 12,
    ),
    "x-ratelimit as an epoch": (
        {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": _epoch(3600)},
        60, 0, 3600,
    ),
    "x-ratelimit as an epoch in milliseconds": (
        {"X_RateLimit_Reset": _epoch(3600, "000")}, None, None, 3600,
    ),
    "x-rate-limit": (
        {"X_Rate_Limit_Limit": "5", "X_Rate_Limit_Remaining": "1", "X_Rate_Limit_Reset": "3"},
        5, 1, 3,
    ),
    "structured": (
        {"RateLimit": '"default";r=0;t=50', "RateLimit_Policy": '"default";q=500;w=60'},
        500, 0, 50,
    ),
    "structured, two policies": (
        {"RateLimit": '"burst";r=0;t=2, "day";r=4;t=7000',
         "RateLimit_Policy": '"burst";q=10;w=1, "day";q=1000;w=86400'},
        10, 0, 7000,
    ),
    "structured, older draft": ({"RateLimit": "limit=100, remaining=3, reset=8"}, 100, 3, 8),
    "several waits": (
        {"Retry_After": "5", "RateLimit_Reset": "45", "X_RateLimit_Reset": _epoch(20)},
        None, None, 45,
    ),
    "the longest is retry-after": ({"Retry_After": "90", "RateLimit_Reset": "45"}, None, None, 90),
    "only what is left": ({"X_RateLimit_Remaining": "0"}, None, 0, None),
    "bare": ({}, None, None, None),
    "nonsense": (
        {"Retry_After": "soon", "RateLimit_Limit": "many", "X_RateLimit_Reset": "", "RateLimit": ";;"},
        None, None, None,
    ),
}  # fmt: skip


@SHARED
@pytest.mark.requirement(
    "ratelimit:forms:understood",
    "ratelimit:429:in-result",
    "ratelimit:429:headers",
    "ratelimit:429:not-retried",
)
@pytest.mark.parametrize("form", FORMS)
async def test_each_header_form_becomes_whole_seconds_from_now(
    server: Server, upstream: Provider, form: str
) -> None:
    given, limit, remaining, wait = FORMS[form]
    # Moments count from now, not from when the test was collected.
    headers = {name: value() if callable(value) else value for name, value in given.items()}
    called = await _limited(server, upstream, **headers)
    error = called.error
    assert (error["kind"], error["retryable"], error["upstream_status"]) == (
        "rate_limited",
        True,
        429,
    )
    assert error["message"] == "Too many requests"
    told = error["ratelimit"]
    assert told["limit"] == limit
    assert told["remaining"] == remaining
    assert _near(error["retry_after_seconds"], wait)
    assert told["reset"] == error["retry_after_seconds"]
    answered = called.response.headers
    assert answered.get("ratelimit-limit") == _text(told["limit"])
    assert answered.get("ratelimit-remaining") == _text(told["remaining"])
    assert answered.get("Retry-After") == _text(error["retry_after_seconds"])
    assert answered.get("ratelimit-reset") == _text(told["reset"])


def _near(told: int | None, wanted: int | None) -> bool:
    if wanted is None or told is None:
        return told is wanted
    return isinstance(told, int) and (told == wanted or wanted - 3 <= told <= wanted + 1)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


@SHARED
@pytest.mark.requirement("ratelimit:429:headers")
async def test_the_current_ietf_fields_are_sent_too_and_can_be_parsed(
    server: Server, upstream: Provider
) -> None:
    called = await _limited(
        server, upstream, RateLimit_Limit="100", RateLimit_Remaining="0", RateLimit_Reset="45"
    )
    ((name, parameters),) = http_sf.parse(
        called.response.headers["RateLimit"].encode(), tltype="list"
    )
    assert (parameters["r"], parameters["t"]) == (0, 45)
    ((policy, quota),) = http_sf.parse(
        called.response.headers["RateLimit-Policy"].encode(), tltype="list"
    )
    assert (str(policy), quota["q"]) == (str(name), 100)


@SHARED
@pytest.mark.requirement("ratelimit:429:headers", "ratelimit:429:in-result")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_revision_is_told(server: Server, upstream: Provider, revision: str) -> None:
    upstream.plays(reply({}, 429, Retry_After="7"))
    called = await server.call("list_all_acme_items", {}, revision=revision)
    assert called.response.status == 200
    assert called.error["retry_after_seconds"] == 7
    assert called.response.headers["ratelimit-reset"] == "7"
    assert called.response.headers["Retry-After"] == "7"
    assert ("structuredContent" in called.result) == (revision in STRUCTURED)


@SHARED
@pytest.mark.requirement("ratelimit:forms:understood")
async def test_a_bare_429_invents_nothing(server: Server, upstream: Provider) -> None:
    called = await _limited(server, upstream)
    assert called.error["retry_after_seconds"] is None
    assert called.error["ratelimit"] == {"limit": None, "remaining": None, "reset": None}
    names = {name.lower() for name in called.response.headers}
    assert not names & {*NAMES, "ratelimit", "ratelimit-policy", "retry-after"}


@SHARED
@pytest.mark.requirement("ratelimit:429:not-retried")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_all_acme_items", {}),
        ("get_single_acme_item_by_id", {"id": "a"}),
        ("create_a_acme_item", {"title": "x"}),
        ("update_a_acme_item_by_id", {"id": "a", "title": "x"}),
        ("delete_a_acme_item_by_id", {"id": "a"}),
        ("acme_items_archive", {"id": "a"}),
    ],
)
async def test_a_429_is_answered_at_once_whatever_was_asked(
    server: Server, upstream: Provider, tool: str, arguments: dict[str, Any]
) -> None:
    upstream.plays(reply({}, 429, Retry_After="3600"))
    error = (await server.call(tool, arguments)).error  # slept on, it would outlast the client
    assert error["kind"] == "rate_limited"
    assert "carried out" not in error["message"]
    assert len(upstream.requests) == 1


@SHARED
@pytest.mark.requirement("ratelimit:success:passed-on")
async def test_limits_on_a_success_are_passed_on(server: Server, upstream: Provider) -> None:
    upstream.plays(
        reply({"id": 1}, X_RateLimit_Limit="60", X_RateLimit_Remaining="41", X_RateLimit_Reset="12")
    )
    called = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert called.data == {"id": 1}
    assert _headers(called) == ("60", "41", "12")
    assert "Retry-After" not in called.response.headers
    upstream.plays(reply({"id": 1}))
    silent = await server.call("get_single_acme_item_by_id", {"id": "a"})
    assert _headers(silent) == (None, None, None)


@SHARED
@pytest.mark.requirement("ratelimit:429:headers")
async def test_limits_stand_on_an_event_stream_too(server: Server, upstream: Provider) -> None:
    upstream.plays(reply({}, 429, Retry_After="7"))
    response = await server.attempt(
        "list_all_acme_items", {}, headers={"Accept": "text/event-stream"}
    )
    assert b'\\"retry_after_seconds\\":7' in response.body


@SHARED
@pytest.mark.requirement("ratelimit:429:headers")
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "9" * 400},
        {"Retry_After": "1e309"},
        {"RateLimit_Reset": "9" * 400, "RateLimit_Limit": "9" * 400},
        {"X_RateLimit_Reset": "9" * 30},
        {"Retry_After": "Fri, 31 Dec 99999 23:59:59 GMT"},
        {"Date": "Fri, 31 Dec 99999 23:59:59 GMT", "Retry_After": "5"},
        {"RateLimit": '"a";r=' + "9" * 30},
        {"RateLimit": '"a";t=?1;r=1.5'},
        {"RateLimit_Remaining": "NaN", "RateLimit_Limit": "inf"},
    ],
    ids=lambda headers: next(iter(headers.items()))[1][:20],
)
async def test_absurd_limits_are_no_server_error(
    server: Server, upstream: Provider, headers: dict[str, str]
) -> None:
    called = await _limited(server, upstream, **headers)
    assert called.error["kind"] == "rate_limited"


# --- Malomo ----------------------------------------------------------------------------------


@pytest.mark.requirement("ratelimit:429:not-retried", "ratelimit:forms:understood")
@pytest.mark.parametrize(
    "profile",
    ["retry_after", "retry_after_date", "x_ratelimit_delta", "x_ratelimit_epoch", "ratelimit",
     "structured", "bare"],
)  # fmt: skip
async def test_the_sandboxes_429_reaches_the_client_in_each_form(
    malomo: Malomo, profile: str
) -> None:
    await malomo.fault("rate_limited", profile=profile, seconds=30)
    called = await malomo.call("get_single_malomo_order_by_id", {"id": "89123"})
    assert called.error["kind"] == "rate_limited"
    assert len(await malomo.requests()) == 1
    if profile == "bare":
        assert called.error["retry_after_seconds"] is None
    else:
        assert 28 <= called.error["retry_after_seconds"] <= 31
        assert 28 <= int(called.response.headers["ratelimit-reset"]) <= 31
        assert 28 <= int(called.response.headers["Retry-After"]) <= 31
    if profile not in ("bare", "retry_after", "retry_after_date"):
        assert called.response.headers["ratelimit-limit"] == "100"
        assert called.response.headers["ratelimit-remaining"] == "0"


@pytest.mark.requirement("ratelimit:429:not-retried", "malomo:shipments:failed-read")
async def test_a_429_in_the_read_of_an_update_writes_nothing(malomo: Malomo) -> None:
    await malomo.fault("rate_limited", method="GET", seconds=30)
    called = await malomo.call("update_a_malomo_order_by_id", {"id": "89123", "email": "a@b.c"})
    assert called.error["kind"] == "rate_limited"
    assert [request["method"] for request in await malomo.requests()] == ["GET"]
