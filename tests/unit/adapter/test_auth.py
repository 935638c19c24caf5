"""How requests are signed, and what a token service is asked and may answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.adapter.auth import ApiKey, Basic, NoAuth, OAuth2, auth_of
from crossdock.adapter.manifest import AccountHeader, AuthRefresh, AuthSpec
from crossdock.authoring import UpstreamReply
from crossdock.errors import AdapterError, UpstreamFailure

OAUTH = {
    "scheme": "oauth2_client_credentials",
    "token_url": "https://login.example/token",
    "extra": {"audience": "api"},
    "send": ["username"],
}
CLIENT = {"client_id": "id", "client_secret": "secret", "username": "u", "unsent": "x"}


class TokenService:
    """A token endpoint in the place of the gateway's HTTP client."""

    def __init__(self, answer: Any, failure: UpstreamFailure | None = None) -> None:
        self._body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self._failure = failure
        self.asked: list[tuple[str, Any, Any]] = []

    async def post(
        self, url: str, *, form: Mapping[str, str] | None = None, json: Any = None
    ) -> UpstreamReply:
        self.asked.append((url, form, json))
        if self._failure is not None:
            raise self._failure
        return UpstreamReply(status=200, headers={}, body=self._body)


def test_without_a_scheme_nothing_is_added() -> None:
    assert auth_of(AuthSpec(), "x").sign({"api_key": "k"}, {}, None) == ((), ())


async def test_what_has_no_token_cannot_be_renewed() -> None:
    for scheme in (NoAuth(), ApiKey("{k}", header="X"), Basic()):
        assert not scheme.renews
        with pytest.raises(UpstreamFailure) as refused:
            await scheme.renew({}, {}, TokenService({}))
        assert refused.value.kind == "unauthenticated"


def test_a_key_stands_in_the_header_or_in_the_query() -> None:
    spec = AuthSpec(scheme="api_key", header="Authorization", format="Token {api_key}")
    assert auth_of(spec, "x").sign({"api_key": "k"}, {}, None) == (
        (("Authorization", "Token k"),),
        (),
    )
    spec = AuthSpec(scheme="api_key", query="key", format="{api_key}")
    assert auth_of(spec, "x").sign({"api_key": "k&=ü"}, {}, None) == ((), (("key", "k&=ü"),))


@given(user=st.text(), password=st.text())
def test_basic_is_read_back_as_it_was_given(user: str, password: str) -> None:
    signed = auth_of(AuthSpec(scheme="basic"), "x").sign(
        {"username": user, "password": password}, {}, None
    )
    (((name, value),), query) = signed
    assert (name, query) == ("Authorization", ())
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == f"{user}:{password}"


@pytest.mark.parametrize(
    "spec",
    [
        AuthSpec(scheme="api_key", format="{k}"),
        AuthSpec(scheme="api_key", format="{k}", header="A", query="b"),
        AuthSpec(scheme="api_key", header="A"),
        AuthSpec(scheme="oauth2_client_credentials"),
        AuthSpec(scheme="oauth2_refresh"),
        AuthSpec(scheme="kerberos"),
    ],
)
def test_a_scheme_that_is_not_complete_is_refused_with_its_file(spec: AuthSpec) -> None:
    with pytest.raises(AdapterError, match="adapter.toml:7"):
        auth_of(spec, "adapter.toml:7")


def test_account_headers_go_out_when_given_and_switched_on() -> None:
    headers = {
        "X-Org": AccountHeader(credential="org"),
        "X-Sub": AccountHeader(credential="sub", when="use_sub"),
    }
    scheme = OAuth2(AuthSpec(**OAUTH, account_headers=headers))
    bearer = ("Authorization", "Bearer t")
    both = {"org": "o", "sub": "s"}
    assert scheme.sign({}, {}, "t") == ((bearer,), ())
    assert scheme.sign(both, {"use_sub": False}, "t") == ((bearer, ("X-Org", "o")), ())
    assert scheme.sign(both, {"use_sub": True}, "t") == (
        (bearer, ("X-Org", "o"), ("X-Sub", "s")),
        (),
    )


async def test_client_credentials_are_sent_as_a_form_and_nothing_else_of_the_account() -> None:
    service = TokenService({"access_token": "t", "expires_in": 60})
    renewed = await OAuth2(AuthSpec(**OAUTH)).renew(CLIENT, {}, service)
    assert (renewed.token, renewed.expires_in, renewed.changed) == ("t", 60.0, {})
    form = {
        "grant_type": "client_credentials",
        "audience": "api",
        "client_id": "id",
        "client_secret": "secret",
        "username": "u",
    }
    assert service.asked == [("https://login.example/token", form, None)]


async def test_a_refresh_token_is_exchanged_in_its_own_way_and_a_rotated_one_is_kept() -> None:
    refresh = AuthRefresh(encoding="json", extra={"scope": "all"})
    service = TokenService({"access_token": "t", "refresh_token": "new"})
    scheme = OAuth2(AuthSpec(**OAUTH, refresh=refresh))
    settings = {"token_url": "https://other.example/token"}
    renewed = await scheme.renew({**CLIENT, "refresh_token": "old"}, settings, service)
    assert (renewed.token, renewed.expires_in) == ("t", None)
    assert renewed.changed == {"refresh_token": "new"}
    ((url, form, sent),) = service.asked
    assert (url, form) == ("https://other.example/token", None)
    assert sent == {
        "grant_type": "refresh_token",
        "refresh_token": "old",
        "scope": "all",
        "client_id": "id",
        "client_secret": "secret",
    }


@pytest.mark.parametrize("rotated", ["old", "", None, 7])
async def test_a_refresh_token_that_did_not_change_is_not_kept_anew(rotated: Any) -> None:
    service = TokenService({"access_token": "t", "refresh_token": rotated})
    renewed = await OAuth2(AuthSpec(**OAUTH)).renew({"refresh_token": "old"}, {}, service)
    assert renewed.changed == {}


@pytest.mark.parametrize("life", [None, "soon", True, 0, -5, [], {}])
async def test_a_life_that_cannot_be_read_is_unsaid(life: Any) -> None:
    service = TokenService({"access_token": "t", "expires_in": life})
    assert (await OAuth2(AuthSpec(**OAUTH)).renew(CLIENT, {}, service)).expires_in is None


async def test_a_life_that_is_written_as_text_counts() -> None:
    service = TokenService({"access_token": "t", "expires_in": "3600"})
    assert (await OAuth2(AuthSpec(**OAUTH)).renew(CLIENT, {}, service)).expires_in == 3600


@pytest.mark.parametrize(
    "answer", [{}, [], "x", None, {"access_token": ""}, {"access_token": 7}, b"<html>", b""]
)
async def test_an_answer_without_a_token_is_malformed(answer: Any) -> None:
    with pytest.raises(UpstreamFailure) as refused:
        await OAuth2(AuthSpec(**OAUTH)).renew(CLIENT, {}, TokenService(answer))
    assert refused.value.kind == "upstream_malformed"


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        ("upstream_rejected", 400, "unauthenticated"),
        ("forbidden", 403, "unauthenticated"),
        ("rate_limited", 429, "rate_limited"),
        ("upstream_error", 503, "upstream_error"),
        ("upstream_timeout", None, "upstream_timeout"),
    ],
)
async def test_only_a_refusal_is_taken_for_wrong_credentials(
    kind: Any, status: int | None, told: str
) -> None:
    service = TokenService({}, UpstreamFailure(kind, "no", status=status))
    with pytest.raises(UpstreamFailure) as refused:
        await OAuth2(AuthSpec(**OAUTH)).renew(CLIENT, {}, service)
    assert (refused.value.kind, refused.value.status) == (told, status)
