"""Tokens: fetched, shared, renewed, rotated, and lost by nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crossdock.adapter import UpstreamFailure
from crossdock.testing import ToolError
from crossdock.testing.direct import KeptRenewals
from crossdock_roserocket.sandbox import REFRESH_TOKEN, accounts, known_id

GET = "get_single_roserocket_object_by_id"
ORDER = known_id("order:PO-88912")
_GIVEN: dict[str, str] = accounts("")[0]["credentials"]
REFRESHED = {
    **{name: _GIVEN[name] for name in ("client_id", "client_secret", "org_id")},
    "refresh_token": REFRESH_TOKEN,
}


@pytest.fixture
def kept() -> KeptRenewals:
    """What outlives a process: the store's part of it is proven with the store."""
    return KeptRenewals()


PO = {"poNum": "1"}


class StoreIsAway(Exception):
    """Nothing can be kept just now."""


@pytest.mark.requirement("roserocket:auth:token-renewed")
async def test_one_token_serves_many_calls(provider: Any, tools: Any) -> None:
    await asyncio.gather(*(tools.call(GET, id=ORDER) for _ in range(20)))
    assert await provider.tokens() == {
        "requests": 1,
        "by_grant": {"client_credentials": 1},
        "issued": 1,
    }


@pytest.mark.requirement("roserocket:auth:token-renewed")
async def test_twenty_calls_with_an_expired_token_make_one_token_request(
    provider: Any, tools: Any
) -> None:
    await tools.call(GET, id=ORDER)
    await provider.expire_tokens()
    await provider.switch(token_seconds=0.05)
    answers = await asyncio.gather(*(tools.found(GET, id=ORDER) for _ in range(20)))
    assert {answer["id"] for answer in answers} == {ORDER}
    assert (await provider.tokens())["requests"] == 2


async def test_a_write_that_met_an_expired_token_is_carried_out_once(
    provider: Any, tools: Any
) -> None:
    await tools.call(GET, id=ORDER)
    await provider.expire_tokens()
    made = await tools.found("create_a_roserocket_object", objectKey="order", json={"poNum": "1"})
    assert made["version"] == 1
    found = await tools.everything(
        "list_all_roserocket_objects", 100, objectKey="order", filters={"poNum": "1"}
    )
    assert len(found) == 1


async def test_a_short_life_is_renewed_before_its_end(provider: Any, tools: Any) -> None:
    await provider.switch(token_ttl=0)
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(GET, id=ORDER)
    assert failed.value.kind == "unauthenticated"
    assert len(await provider.requests()) == 2  # sent, renewed once, replayed once


async def test_a_token_without_a_life_is_used_until_it_is_refused(
    provider: Any, tools: Any
) -> None:
    await provider.switch(token_says_expiry=False)
    await tools.call(GET, id=ORDER)
    await provider.expire_tokens()
    assert (await tools.found(GET, id=ORDER))["id"] == ORDER


async def test_the_token_request_is_as_the_provider_wants_it(provider: Any, tools: Any) -> None:
    await tools.call(GET, id=ORDER)
    async with provider.http.get(f"{provider.url}/_sandbox/requests") as reply:
        first, second = await reply.json()
    assert first["path_qs"] == "/oauth/token"
    assert first["headers"]["content-type"] == "application/json"
    for part in ("https://roserocket.com", "client_credentials", _GIVEN["user_id"]):
        assert part in first["body"]
    assert second["headers"]["x-org-id"] == _GIVEN["org_id"]
    assert "oauth" not in second["path_qs"]


async def test_the_organisation_header_can_be_turned_off(provider: Any, account: Any) -> None:
    await account(settings={"send_org_header": False}).call(GET, id=ORDER)
    (sent,) = await provider.requests()
    assert "x-org-id" not in sent["headers"]
    await provider.switch(require_org_header=True)
    with pytest.raises(UpstreamFailure, match="forbidden"):
        await account(settings={"send_org_header": False}).call(GET, id=ORDER)
    assert await account().found(GET, id=ORDER)


@pytest.mark.parametrize("words", ["invalid_client", "access_denied"])
async def test_a_wrong_secret_is_unauthenticated_and_not_shown(
    provider: Any, account: Any, words: str
) -> None:
    await provider.switch(wrong_secret=words)
    tools = account(credentials={**_GIVEN, "client_secret": "not-the-secret"})
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(GET, id=ORDER)
    assert failed.value.kind == "unauthenticated"
    assert "not-the-secret" not in str(failed.value)
    assert await provider.requests() == []


async def test_a_missing_user_id_is_told(account: Any) -> None:
    without = {name: value for name, value in _GIVEN.items() if name != "user_id"}
    with pytest.raises(UpstreamFailure, match="user_id"):
        await account(credentials=without).call(GET, id=ORDER)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("500", "upstream_error"),
        ("drop", "upstream_unreachable"),
        ("no_token", "upstream_malformed"),
    ],
)
async def test_a_broken_token_service_is_not_a_wrong_credential(
    provider: Any, tools: Any, fault: str, kind: str
) -> None:
    await provider.switch(token_fault=fault)
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call(GET, id=ORDER)
    assert failed.value.kind == kind
    await provider.switch(token_fault="none")
    assert await tools.found(GET, id=ORDER)


# --- refresh tokens --------------------------------------------------------------------------


async def test_a_refresh_token_is_sent_as_a_form_and_rotated(provider: Any, account: Any) -> None:
    tools = account(credentials=REFRESHED)
    for _ in range(3):
        assert await tools.found(GET, id=ORDER)
        await provider.expire_tokens()
    counts = await provider.tokens()
    assert counts["by_grant"] == {"refresh_token": 3}


async def test_a_rotated_refresh_token_outlives_the_process(
    provider: Any, account: Any, kept: KeptRenewals
) -> None:
    before = account(credentials=REFRESHED, vault=kept)
    assert await before.found(GET, id=ORDER)
    await provider.expire_tokens()
    after = account(credentials=REFRESHED, vault=kept)
    assert await after.found(GET, id=ORDER)
    assert (await provider.tokens())["by_grant"] == {"refresh_token": 2}


async def test_a_kill_between_rotation_and_use_loses_no_account(
    provider: Any, account: Any, kept: KeptRenewals
) -> None:
    class Killed(BaseException):
        """The process ends here."""

    class KilledAfterKeeping:
        current = kept.current

        async def keep(self, *given: Any) -> None:
            await kept.keep(*given)
            raise Killed

    dying = account(credentials=REFRESHED, vault=KilledAfterKeeping())
    with pytest.raises(Killed):
        await dying.call(GET, id=ORDER)
    assert await provider.requests() == []
    assert await account(credentials=REFRESHED, vault=kept).found(GET, id=ORDER)


async def test_a_store_that_fails_once_loses_no_account(
    provider: Any, account: Any, kept: KeptRenewals
) -> None:
    class FullOnce:
        current = kept.current
        full = True

        async def keep(self, *given: Any) -> None:
            if self.full:
                self.full = False
                raise StoreIsAway
            await kept.keep(*given)

    tools = account(credentials=REFRESHED, vault=FullOnce())
    with pytest.raises(StoreIsAway):
        await tools.call(GET, id=ORDER)
    assert await provider.requests() == []  # what is not kept is not used
    assert await tools.found(GET, id=ORDER)
    await provider.expire_tokens()
    assert await account(credentials=REFRESHED, vault=kept).found(GET, id=ORDER)


async def test_a_write_that_met_a_401_was_not_carried_out_whatever_the_renewal_says(
    workbench: Any,
) -> None:
    await workbench.tools.call(GET, id=ORDER)
    workbench.provider.fault("unauthorized", method="POST", path=".*/objects", times=1)
    workbench.provider.fault("drop", path="/oauth/token")
    before = len(workbench.provider.requests())
    with pytest.raises(ToolError) as failed:
        await workbench.tools.call("create_a_roserocket_object", object_key="order", json=PO)
    assert failed.value.kind == "upstream_unreachable"
    assert "may have been carried out" not in failed.value.error["message"]
    sent = [one["path_qs"] for one in workbench.provider.requests()[before:]]
    assert [path.rpartition("/")[2] for path in sent] == ["objects", "token"]


async def test_a_write_for_which_there_is_no_token_was_not_sent(provider: Any, tools: Any) -> None:
    await provider.switch(token_fault="drop")
    with pytest.raises(UpstreamFailure) as failed:
        await tools.call("create_a_roserocket_object", object_key="order", json=PO)
    assert (failed.value.kind, failed.value.rejected) == ("upstream_unreachable", True)
    assert await provider.requests() == []


async def test_a_spent_refresh_token_is_unauthenticated(provider: Any, account: Any) -> None:
    await account(credentials=REFRESHED).call(GET, id=ORDER)
    with pytest.raises(UpstreamFailure, match="invalid refresh token") as failed:
        await account(credentials=REFRESHED).call(GET, id=ORDER)
    assert failed.value.kind == "unauthenticated"


async def test_a_provider_that_does_not_rotate_is_fine_too(provider: Any, account: Any) -> None:
    await provider.switch(rotate_refresh_tokens=False)
    for _ in range(2):
        assert await account(credentials=REFRESHED).found(GET, id=ORDER)
