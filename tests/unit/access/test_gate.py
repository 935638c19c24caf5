"""The gate alone: who passes, who is refused with what, and when, by a clock of our own."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from harness.running import Clock
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access.gate import Access, Caller, Gate
from crossdock.access.tokens import hash_token, mint
from crossdock.errors import Refused
from crossdock.model import Grant, Scope

PEPPER = b"pepper"
URL, OTHER, API = mint("mcp"), mint("mcp"), mint("api")
SECOND = timedelta(seconds=1)


def hashed(token: str) -> bytes:
    return hash_token(PEPPER, token)


def grant(id: str = "s1", *, expires_at: datetime | None = None, **scope: Any) -> Grant:
    return Grant(
        server_id=id, name="n", account_id="shop", scope=Scope(**scope), expires_at=expires_at
    )


def gate(
    clock: Clock, given_: Grant | None = None, *, until: datetime | None = None, **access: Any
) -> Gate:
    made = Gate(PEPPER, clock)
    made.learn(Access(grants={hashed(URL): (given_ or grant(), until)}, **access))
    return made


def caller(clock: Clock, **given_: Any) -> Caller:
    return Caller(**{"id": "t1", "name": "n", "role": "client", **given_})


def refused(status: int, judge: Gate, token: str | None = URL, *more: Any) -> str:
    with pytest.raises(Refused) as found:
        judge.admit(token, *(more or (None,)))
    assert found.value.status == status
    return str(found.value)


def test_a_known_token_opens_its_server_and_its_use_is_noted_once(clock: Clock) -> None:
    judge = gate(clock)
    assert judge.admit(URL, None).server_id == "s1"
    assert judge.take_used() == ({"s1": clock.now}, {})
    assert judge.take_used() == ({}, {})


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_told_where_to_put_one(clock: Clock, token: str | None) -> None:
    assert "Bearer" in refused(401, gate(clock), token)


@pytest.mark.parametrize(
    "token",
    [OTHER, URL[:-1], URL + "x", API, "nonsense"],
    ids=["another", "cut", "longer", "of the other kind", "no token"],
)
def test_an_unknown_token_and_one_of_another_form_are_refused_alike(
    clock: Clock, token: str
) -> None:
    judge = gate(clock, callers={hashed(API): caller(clock)})
    assert refused(403, judge, token) == refused(403, judge, OTHER)
    assert judge.take_used() == ({}, {})


@given(st.text())
def test_no_text_opens_anything(text: str) -> None:
    judge = gate(Clock())
    refused(403 if text else 401, judge, text)
    assert judge.caller(text) is None


def test_an_expiry_counts_to_the_second(clock: Clock) -> None:
    judge = gate(clock, grant(expires_at=clock.now + SECOND))
    judge.admit(URL, None)
    clock.advance(seconds=1)
    assert "expired on 2026-11-21 12:00 UTC" in refused(410, judge)


def test_what_is_left_of_an_expired_server_says_so(clock: Clock) -> None:
    judge = gate(clock)
    judge.expire({hashed(URL): clock.now})
    refused(410, judge)
    assert judge.live_servers == 0


def test_the_overlap_of_a_rotation_ends_like_a_revocation(clock: Clock) -> None:
    judge = gate(clock, until=clock.now + SECOND)
    judge.admit(URL, None)
    clock.advance(seconds=1)
    assert refused(403, judge) == refused(403, judge, OTHER)


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.2.3", True), ("2001:db8::1", True), ("11.0.0.1", False), ("::1", False), (None, False)],
)
def test_networks_are_judged_by_the_address(
    clock: Clock, address: str | None, inside: bool
) -> None:
    judge = gate(clock, grant(allowed_ips=("10.0.0.0/8", "2001:db8::/32")))
    come = lambda: None if address is None else ip_address(address)  # noqa: E731
    if inside:
        assert judge.admit(URL, None, come).server_id == "s1"
    else:
        assert "network" in refused(403, judge, URL, None, come)


def test_the_address_is_not_asked_for_where_it_does_not_matter(clock: Clock) -> None:
    def ask() -> None:
        raise AssertionError

    gate(clock).admit(URL, None, ask)


@pytest.mark.parametrize(
    "second",
    [None, "", "nonsense", URL, mint("api")],
    ids=["none", "empty", "no token", "the same", "an unknown one"],
)
def test_a_second_factor_must_be_a_known_api_token(clock: Clock, second: str | None) -> None:
    judge = gate(clock, grant(require_api_token_auth=True), callers={hashed(API): caller(clock)})
    assert "API token" in refused(401, judge, URL, second)
    assert judge.take_used() == ({}, {})
    assert judge.admit(URL, API).server_id == "s1"
    assert judge.take_used() == ({"s1": clock.now}, {"t1": clock.now})


def test_an_api_token_is_good_until_its_last_second(clock: Clock) -> None:
    judge = gate(clock, callers={hashed(API): caller(clock, expires_at=clock.now + SECOND)})
    assert judge.caller(API) is not None
    clock.advance(seconds=1)
    assert judge.caller(API) is None


def test_the_configured_admin_token_may_have_any_form(clock: Clock) -> None:
    judge = Gate(PEPPER, clock)
    judge.accept_admin("whatever it is")
    found = judge.caller("whatever it is")
    assert found is not None
    assert (found.id, found.role) == ("config", "owner")
    assert judge.caller("whatever it was") is None


def test_the_configured_admin_token_is_no_second_factor(clock: Clock) -> None:
    judge = gate(clock, grant(require_api_token_auth=True))
    judge.accept_admin(API)
    assert judge.caller(API) is not None
    refused(401, judge, URL, API)


def test_only_the_tokens_that_a_server_names_count_for_it(clock: Clock) -> None:
    holders = {hashed(API): caller(clock), hashed(mint("api")): caller(clock, id="t2")}
    named = gate(clock, grant(require_api_token_auth=True, second_factors=("t1",)), callers=holders)
    assert named.admit(URL, API).second_factor == "t1"
    other = gate(clock, grant(require_api_token_auth=True, second_factors=("t2",)), callers=holders)
    refused(401, other, URL, API)
    assert gate(clock).admit(URL, API).second_factor is None


def test_what_is_put_replaces_what_was_known_of_that_one_only(clock: Clock) -> None:
    judge = gate(clock)
    judge.put_server("s2", {hashed(OTHER): (grant("s2"), None)})
    assert (judge.admit(URL, None).server_id, judge.admit(OTHER, None).server_id) == ("s1", "s2")
    judge.put_server("s1", {})
    refused(403, judge)
    assert judge.admit(OTHER, None).server_id == "s2"
    assert judge.live_servers == 1
    judge.put_caller("t1", (hashed(API), caller(clock)))
    assert judge.caller(API) is not None
    judge.put_caller("t2", None)
    assert judge.caller(API) is not None
    judge.put_caller("t1", None)
    assert judge.caller(API) is None


def test_another_pepper_knows_no_token(clock: Clock) -> None:
    judge = Gate(b"salt", clock)
    judge.learn(Access(grants={hashed(URL): (grant(), None)}))
    refused(403, judge)
