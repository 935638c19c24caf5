"""Signatures and tokens: renewed once for all who wait, kept before they are used."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import acme

from crossdock.adapter import Renewal, load_adapter
from crossdock.calls.credentials import Credentials
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.model import Account, Secret


class Numbered:
    """A scheme whose tokens are numbered, and whose key turns with each; `goes` lets it answer."""

    renews = True

    def __init__(self) -> None:
        self.given: list[str] = []
        self.life: Any = 900
        self.asked, self.goes = asyncio.Event(), asyncio.Event()
        self.goes.set()

    def sign(self, credentials: Any, settings: Any, token: str | None) -> Any:
        return (("Authorization", f"Bearer {token}"),), ()

    async def renew(self, credentials: Mapping[str, str], settings: Any, http: Any) -> Renewal:
        self.given.append(credentials["api_key"])
        self.asked.set()
        await self.goes.wait()
        number = len(self.given)
        return Renewal(token=f"t{number}", expires_in=self.life, changed={"api_key": f"k{number}"})


class Shelf:
    """A vault that keeps what it gets, and fails while it is `full`."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.full = False

    async def current(
        self, account_id: str, configured: Mapping[str, Secret]
    ) -> Mapping[str, Secret]:
        return {**configured, **{name: Secret(value) for name, value in self.kept.items()}}

    async def keep(
        self, account_id: str, configured: Mapping[str, Secret], changed: Mapping[str, str]
    ) -> None:
        if self.full:
            raise OSError("full")
        self.kept.update(changed)


class Signer:
    """Credentials of one account, with its scheme and its vault in sight."""

    def __init__(self, module: str) -> None:
        self.scheme = Numbered()
        self.shelf = Shelf()
        account = Account(
            id="a",
            integration="acme",
            name="a",
            settings={},
            credentials={"api_key": Secret("k0")},
        )
        adapter = load_adapter(module, auth=self.scheme)
        upstream = Upstream(UpstreamLimits())  # this scheme asks nobody
        self.credentials = Credentials(account, adapter, upstream, self.shelf)

    async def token(self) -> str:
        """Return the token that a request would carry now."""
        signature = await self.credentials.signature()
        return signature.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[Signer]:
    folder = acme.write(tmp_path, python="")
    spec = importlib.util.spec_from_file_location("acme_to_sign", folder / "__init__.py")
    assert spec is not None
    sys.modules["acme_to_sign"] = importlib.util.module_from_spec(spec)
    yield Signer("acme_to_sign")
    del sys.modules["acme_to_sign"]


@pytest.mark.parametrize("life", [-1, 0, 10**400, 1e300, math.inf, math.nan, "x", None])
async def test_a_life_that_cannot_be_meant_loses_neither_token(signer: Signer, life: Any) -> None:
    signer.scheme.life = life
    assert [await signer.token(), await signer.token()] == ["t1", "t1"]
    assert signer.shelf.kept == {"api_key": "k1"}


async def test_a_token_is_fetched_once_for_all_who_wait(signer: Signer) -> None:
    assert set(await asyncio.gather(*(signer.token() for _ in range(20)))) == {"t1"}
    assert await signer.token() == "t1"
    assert signer.scheme.given == ["k0"]


async def test_a_signature_carries_what_every_request_of_the_adapter_does(signer: Signer) -> None:
    signature = await signer.credentials.signature()
    assert signature.headers["Accept"] == "application/json"
    assert signature.headers["Content-Type"] == "application/json"


async def test_a_refused_token_is_renewed_once_however_late_its_refusals_come(
    signer: Signer,
) -> None:
    refused = await signer.credentials.signature()
    replaced = await signer.credentials.replace(refused)
    assert replaced.headers["Authorization"] == "Bearer t2"
    assert await signer.credentials.replace(refused) is replaced
    assert signer.scheme.given == ["k0", "k1"]


async def test_who_goes_away_while_a_token_is_renewed_takes_it_from_nobody(signer: Signer) -> None:
    signer.scheme.goes.clear()
    hasty, patient = asyncio.create_task(signer.token()), asyncio.create_task(signer.token())
    await signer.scheme.asked.wait()
    hasty.cancel()
    signer.scheme.goes.set()
    assert await patient == "t1"
    assert hasty.cancelled()


async def test_what_is_not_kept_is_not_used_and_not_lost(signer: Signer) -> None:
    signer.shelf.full = True
    with pytest.raises(OSError, match="full"):
        await signer.token()
    with pytest.raises(OSError, match="full"):  # the spent k0 is not sent again
        await signer.token()
    assert signer.scheme.given == ["k0"]
    signer.shelf.full = False
    assert await signer.token() == "t2"
    assert signer.scheme.given == ["k0", "k1"]
    assert signer.shelf.kept == {"api_key": "k2"}
