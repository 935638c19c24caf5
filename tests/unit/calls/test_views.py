"""What a list costs: nothing that grows with tools, accounts or servers is done twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

import crossdock_malomo
from crossdock.adapter.load import load_adapter
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.catalog import Catalog
from crossdock.model import Account, Grant, Scope, Secret


def catalog_of(accounts: int) -> Catalog:
    adapter = load_adapter(crossdock_malomo.__name__)
    opened = OpenAccounts({"malomo": adapter})
    key = {"api_key": Secret("a-key-of-the-views")}
    opened.put(
        *(
            Account(id=f"a{n}", integration="malomo", name="x", settings={}, credentials=key)
            for n in range(accounts)
        )
    )
    return Catalog({"malomo": adapter}, opened)


def grant_of(account: int = 0, server: int = 0, **more: object) -> Grant:
    # Scopes and sets are made anew, as they are when the store is read again.
    given = {"accepted_tools": None, **more}
    return Grant(
        server_id=f"s{server}",
        name="x",
        account_id=f"a{account}",
        scope=Scope(methods=("read",)),
        accepted_version="0",
        **given,  # type: ignore[arg-type]
    )


def test_accounts_with_the_same_toolset_share_one_list() -> None:
    catalog = catalog_of(50)
    listed = catalog.listing(grant_of())
    assert len(listed.tools) > 5
    for number in range(50):
        assert catalog.listing(grant_of(number, server=number)) is listed


def test_pages_that_were_read_again_are_listed_anew() -> None:
    catalog = catalog_of(2)
    before = [catalog.listing(grant_of(number)) for number in range(2)]
    adapter = catalog.adapters["malomo"]
    adapter._loaded = adapter._read(generation=2)
    after = [catalog.listing(grant_of(number)) for number in range(2)]
    assert after[0] is after[1]
    assert after[0] is not before[0]
    assert len(catalog._views) == 1


def test_servers_that_wait_for_new_tools_keep_to_what_each_has_accepted() -> None:
    catalog = catalog_of(1)
    names = [tool.name for tool in catalog.listing(grant_of()).tools]
    for first, second in ((names[:1], names[1:3]), (names[:2], names[:1])):
        for number, accepted in enumerate((first, second, first)):
            grant = grant_of(server=number % 2, accepted_tools=frozenset(accepted))
            assert [tool.name for tool in catalog.listing(grant).tools] == accepted
            listed = catalog.listing(msgspec.structs.replace(grant, name="renamed"))
            assert listed is catalog.listing(grant)


def test_a_list_asks_no_disk(tmp_path: Path) -> None:
    source = Path(crossdock_malomo.__file__).parent
    place = tmp_path / "malomo"
    shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
    catalog = catalog_of(1)
    adapter = catalog.adapters["malomo"]
    adapter._folder, adapter._toml, adapter._docs = place, place / "adapter.toml", place / "docs"
    adapter._loaded = adapter._read(generation=1)
    assert not catalog.outdated()
    listed = catalog.listing(grant_of())
    shutil.rmtree(place)
    assert catalog.listing(grant_of()) is listed
    assert catalog.outdated()
    catalog.refresh()  # said once, and the tools stay
    assert not catalog.outdated()
    assert [tool.name for tool in catalog.listing(grant_of()).tools]
