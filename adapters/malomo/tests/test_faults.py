"""Each fault of the sandbox happens, and the gateway calls it by its name."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from aiohttp import ClientError

from crossdock.adapter import UpstreamFailure

LIST = "list_all_malomo_webhooks"


async def failing(tools: Any, name: str = LIST, **arguments: Any) -> UpstreamFailure:
    with pytest.raises(UpstreamFailure) as caught:
        await tools.call(name, **arguments)
    return caught.value


@pytest.mark.parametrize(
    ("profile", "limit", "remaining", "reset", "pause"),
    [
        ("retry_after", None, None, None, 30),
        ("retry_after_date", None, None, None, 30),
        ("x_ratelimit_delta", 100, 0, 30, None),
        ("x_ratelimit_epoch", 100, 0, 30, None),
        ("ratelimit", 100, 0, 30, None),
        ("structured", 100, 0, 30, None),
        ("bare", None, None, None, None),
    ],
)
async def test_a_429_is_passed_on_after_one_request(
    provider: Any,
    tools: Any,
    profile: str,
    limit: int | None,
    remaining: int | None,
    reset: int | None,
    pause: int | None,
) -> None:
    await provider.switch(faults=[{"kind": "rate_limited", "profile": profile}])
    failure = await failing(tools)
    assert (failure.kind, failure.status) == ("rate_limited", 429)
    rate = failure.rate
    assert (rate.limit, rate.remaining) == (limit, remaining)
    for found, wanted in ((rate.reset, reset), (rate.retry_after, pause)):
        # An epoch or a date is in whole seconds, so one may have gone by.
        assert found == wanted or (wanted is not None and found in (wanted - 1, wanted + 1))
    assert len(await provider.requests()) == 1


async def test_limits_on_a_success_are_passed_on(provider: Any, tools: Any) -> None:
    await provider.switch(rate_headers="ratelimit")
    outcome = await tools.call(LIST)
    assert (outcome.rate.limit, outcome.rate.remaining, outcome.rate.reset) == (100, 42, 30)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status"}, "upstream_error"),
        ({"kind": "status", "status": 503}, "upstream_error"),
        ({"kind": "status", "status": 422}, "upstream_rejected"),
        ({"kind": "status", "status": 403}, "forbidden"),
        ({"kind": "slow", "seconds": 30}, "upstream_timeout"),
        ({"kind": "drop"}, "upstream_unreachable"),
        ({"kind": "html"}, "upstream_malformed"),
        ({"kind": "truncated"}, "upstream_malformed"),
        ({"kind": "huge"}, "upstream_too_large"),
        ({"kind": "huge", "encoding": "gzip"}, "upstream_too_large"),
        ({"kind": "redirect"}, "upstream_redirect"),
        ({"kind": "redirect", "status": 302}, "upstream_redirect"),
    ],
)
async def test_a_bad_answer_has_its_kind_and_is_asked_for_once(
    provider: Any, tools: Any, fault: dict[str, Any], kind: str
) -> None:
    await provider.switch(faults=[fault])
    assert (await failing(tools)).kind == kind
    assert len(await provider.requests()) == 1
    await provider.switch(faults=[])
    assert len((await tools.call(LIST)).data) == 2


async def test_an_empty_answer_to_a_list_is_malformed(provider: Any, tools: Any) -> None:
    await provider.switch(faults=[{"kind": "empty"}])
    assert (await failing(tools)).kind == "upstream_malformed"


async def test_a_fault_keeps_to_its_method_path_and_times(provider: Any) -> None:
    fault = {"kind": "status", "method": "GET", "path": "/orders/.*", "skip": 1, "times": 2}
    await provider.switch(faults=[fault])
    statuses = [(await provider.http("GET", "/orders/89123"))[0] for _ in range(4)]
    assert statuses == [200, 500, 500, 200]
    assert (await provider.http("GET", "/webhooks"))[0] == 200
    assert (await provider.http("PUT", "/orders/89123", json={}))[0] == 200


async def test_failing_reads_spare_the_writes(provider: Any) -> None:
    await provider.switch(fail_reads=True)
    assert (await provider.http("GET", "/orders/89123"))[0] == 500
    assert (await provider.http("PUT", "/orders/89123", json={}))[0] == 200


@pytest.mark.parametrize("commit", [True, False])
async def test_a_failing_write_is_carried_out_only_where_the_fault_says_so(
    provider: Any, commit: bool
) -> None:
    for number, kind in enumerate(("status", "html", "redirect", "truncated", "empty")):
        await provider.switch(faults=[{"kind": kind, "commit": commit}])
        email = f"{number}@example.com"
        try:
            await provider.http(
                "PUT", "/orders/89123", json={"email": email}, allow_redirects=False
            )
        except ValueError:
            assert kind in ("html", "truncated")
        assert (provider.shop.orders["89123"]["email"] == email) is commit
    await provider.switch(faults=[{"kind": "drop", "commit": commit}])
    with pytest.raises(ClientError):
        await provider.http("POST", "/webhooks", json={"topic": "a:b", "url": "https://a.example"})
    assert len(provider.shop.webhooks) == (3 if commit else 2)


async def test_a_lie_answers_200_and_does_nothing(provider: Any) -> None:
    await provider.switch(faults=[{"kind": "lie"}])
    assert (await provider.http("PUT", "/orders/89123", json={"email": "x@y.z"}))[0] == 200
    assert provider.shop.orders["89123"]["email"] != "x@y.z"


async def test_reads_may_lag_behind_a_write(provider: Any) -> None:
    await provider.switch(stale_reads=2)
    await provider.http("PUT", "/orders/89123", json={"email": "x@y.z"})
    seen = [(await provider.http("GET", "/orders/89123"))[1]["email"] for _ in range(3)]
    assert [email == "x@y.z" for email in seen] == [False, False, True]


async def test_another_writer_comes_when_told(provider: Any) -> None:
    ups = {"order_id": "89123", "carrier": "ups", "tracking_code": "1Z1", "nth": 2}
    gone = {**ups, "action": "remove", "after": "write", "nth": 1}
    await provider.switch(interferences=[ups, gone])
    await provider.http("GET", "/orders/89123")
    assert ("ups", "1Z1") not in provider.pairs()
    _, answer, _ = await provider.http("GET", "/orders/89123")
    assert len(answer["shipments"]) == 1
    assert ("ups", "1Z1") in provider.pairs()
    await provider.http("PUT", "/orders/89123", json={"email": "x@y.z"})
    assert ("ups", "1Z1") not in provider.pairs()


def test_a_date_is_one_that_http_knows() -> None:
    from crossdock.testing.sandbox import rate_headers

    headers = rate_headers("retry_after_date", 30, 0)
    assert parsedate_to_datetime(headers["Retry-After"]).tzinfo is not None
