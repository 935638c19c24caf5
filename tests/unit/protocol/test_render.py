"""Tests of the limits as HTTP headers."""

from __future__ import annotations

import http_sf

from crossdock.authoring import RateLimit
from crossdock.protocol.render import rate_headers


def test_limits_are_told_as_the_customary_triple_and_as_structured_fields() -> None:
    rate = RateLimit(limit=60, remaining=7, reset=30)
    assert dict(rate_headers(rate, limited=False)) == {
        "ratelimit-limit": "60",
        "ratelimit-remaining": "7",
        "ratelimit-reset": "30",
        "RateLimit-Policy": '"provider";q=60',
        "RateLimit": '"provider";r=7;t=30',
    }


def test_a_limited_call_has_nothing_left_and_a_time_to_wait() -> None:
    headers = dict(rate_headers(RateLimit(retry_after=9), limited=True))
    assert headers["RateLimit"] == '"provider";r=0;t=9'
    assert headers["Retry-After"] == "9"


def test_a_number_that_no_structured_field_can_hold_is_the_greatest_that_it_can() -> None:
    headers = dict(rate_headers(RateLimit(limit=10**30, remaining=1), limited=False))
    assert headers["ratelimit-limit"] == str(10**30)
    policy = http_sf.parse(headers["RateLimit-Policy"].encode(), tltype="list")
    assert policy == [("provider", {"q": 10**15 - 1})]


def test_nothing_is_told_of_a_provider_that_told_nothing() -> None:
    assert rate_headers(RateLimit(), limited=True) == ()
