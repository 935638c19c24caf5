"""Status, headers and body of a refusal → a kind, words, and seconds from now."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.failures import clean, read_failure, read_rate
from crossdock.adapter.manifest import FailuresSpec, RateLimitSpec, ResetSpec
from crossdock.authoring import NO_RATE_LIMIT, RateLimit

PLAIN = RateLimitSpec()
NAMES = [
    "retry-after", "ratelimit", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining",
    "ratelimit-reset", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
    "x-rate-limit-reset", "date",
]  # fmt: skip


@pytest.mark.requirement("ratelimit:forms:understood")
def test_dates_count_from_the_providers_own_clock() -> None:
    headers = {
        "date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "retry-after": "Wed, 21 Oct 2015 07:30:00 GMT",
        "x-ratelimit-reset": "1445412510",
    }
    assert read_rate(headers, PLAIN) == RateLimit(retry_after=120, reset=30)


@pytest.mark.requirement("ratelimit:forms:understood")
def test_a_provider_with_a_reset_of_its_own_is_read_as_it_says() -> None:
    soon = int(time.time()) + 600
    for as_, text in (
        ("epoch", str(soon)),
        ("delta", "600"),
        ("date", formatdate(soon, usegmt=True)),
    ):
        spec = RateLimitSpec(reset=ResetSpec(header="X-Rate-Reset", as_=as_))  # type: ignore[arg-type]
        reset = read_rate({"x-rate-reset": text}, spec).reset
        assert reset is not None
        assert 598 <= reset <= 601


@pytest.mark.requirement("ratelimit:forms:understood")
def test_silence_is_no_limit() -> None:
    assert read_rate({}, PLAIN) is NO_RATE_LIMIT
    assert read_rate({"content-type": "x"}, PLAIN) is NO_RATE_LIMIT


@given(headers=st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40), max_size=5))
def test_no_header_whatsoever_is_an_error_or_a_negative_wait(headers: dict[str, str]) -> None:
    rate = read_rate(headers, PLAIN)
    for value in (rate.limit, rate.remaining, rate.reset, rate.retry_after):
        assert value is None or (isinstance(value, int) and value >= 0)


@given(
    text=st.from_regex(r"\A-?[0-9]{1,400}(\.[0-9]{1,400})?(e[0-9]{1,4})?\Z"),
    name=st.sampled_from(NAMES),
)
def test_no_number_is_too_large(text: str, name: str) -> None:
    read_rate({name: text}, PLAIN)


@given(body=st.binary(max_size=60), status=st.integers(300, 599))
def test_any_refusal_has_a_kind_and_words(body: bytes, status: int) -> None:
    failure = read_failure(status, {}, body, FailuresSpec())
    assert failure.kind
    assert str(failure)
    assert failure.status == status


def test_the_adapter_may_say_what_a_status_means_and_where_the_words_are() -> None:
    spec = FailuresSpec(message=["/error/text", "/errors"], status={"409": "conflict"})
    failure = read_failure(409, {}, b'{"error":{"text":"Taken"}}', spec)
    assert (failure.kind, str(failure)) == ("conflict", "Taken")
    assert str(read_failure(409, {}, b'{"errors":["a",1,"b"]}', spec)) == "a; b"


@given(st.text(max_size=2000))
def test_words_come_on_one_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.isprintable()
    assert len(cleaned) <= 500
    assert "  " not in cleaned
