"""Who hears of a change: those under it, each session once, and however many there are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness.patience import turns

from crossdock.errors import Refused
from crossdock.model import Grant, Scope, ToolList
from crossdock.protocol.replay import Stream
from crossdock.protocol.subscriptions import CHANGED, Listener, Listeners

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Door:
    """Grants by server, as the gate has them, and the tools of each."""

    def __init__(self) -> None:
        self.now = NOW
        self.grants: dict[str, Grant] = {}
        self.tools: dict[str, tuple[Any, ...]] = {}
        self.asked: list[str] = []

    def opens(self, server: str, account: str = "shop", **more: Any) -> None:
        self.grants[server] = Grant(
            server_id=server, name=server, account_id=account, scope=Scope(), **more
        )

    def list(self, grant: Grant) -> ToolList:
        return ToolList(tools=self.tools.get(grant.server_id, ()), rendered={})

    async def call(self, *_: Any) -> Any:
        raise NotImplementedError

    def admit(self, server: str) -> Grant:
        self.asked.append(server)
        grant = self.grants.get(server)
        if grant is None or (grant.expires_at is not None and self.now >= grant.expires_at):
            raise Refused(403, "gone")
        return grant


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def listeners(door: Door) -> Listeners:
    return Listeners(door, most_per_server=3, most=5_000, clock=lambda: door.now)


@pytest.fixture
def listen(door: Door, listeners: Listeners) -> Callable[..., Listener]:
    def add(server: str, session: str = "") -> Listener:
        if server not in door.grants:
            door.opens(server)
        listener = Listener(lambda: door.admit(server), Stream(), session=session)
        listeners.add(listener)
        door.asked.clear()
        return listener

    return add


def _told(listener: Listener) -> int:
    return [message for _, message in listener.stream.after(0)].count(CHANGED)


def test_a_change_touches_only_who_stands_under_it(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    door.opens("one", "shop")
    door.opens("two", "shop", second_factor="tok")
    door.opens("three", "yard")
    one, two, three = listen("one"), listen("two"), listen("three")
    for change, asked in (
        (("server", "one"), ["one"]),
        (("account", "shop"), ["two", "one"]),
        (("account", "yard"), ["three"]),
        (("token", "tok"), ["two"]),
        (("server", "shop"), []),
        (("token", "other"), []),
    ):
        door.asked.clear()
        listeners.changed([change])
        assert sorted(door.asked) == sorted(asked), change
    door.tools = {"one": ("a",), "three": ("a",)}
    listeners.changed([("server", "one"), ("account", "shop")])
    assert [_told(each) for each in (one, two, three)] == [1, 0, 0]
    listeners.changed()
    listeners.changed()
    assert [_told(each) for each in (one, two, three)] == [1, 0, 1]


def test_who_may_not_listen_any_more_is_ended_and_not_judged_again(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    gone, other = listen("one"), listen("two")
    del door.grants["one"]
    listeners.changed([("server", "one")])
    assert (gone.stream.ended, other.stream.ended) == (True, False)
    door.asked.clear()
    listeners.changed()
    listeners.check()
    assert "one" not in door.asked
    listeners.remove(gone)
    listeners.remove(gone)
    assert len(listeners) == 1


def test_a_second_factor_that_is_wanted_later_is_followed_from_then_on(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    listener = listen("one")
    door.opens("one", second_factor="tok")
    listeners.changed([("server", "one")])
    del door.grants["one"]
    listeners.changed([("token", "tok")])
    assert listener.stream.ended
    listeners.remove(listener)
    assert not listeners._under


def test_a_session_is_told_once_by_its_newest_stream(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    older, newer, other = listen("one", "s"), listen("one", "s"), listen("one", "t")
    for number in range(3):
        door.tools["one"] = (str(number),)
        listeners.changed([("server", "one")])
    assert [_told(each) for each in (older, newer, other)] == [0, 3, 3]
    newer.finish()
    listeners.remove(newer)
    door.tools["one"] = ()
    listeners.changed([("server", "one")])
    assert _told(older) == 1


async def test_many_are_looked_at_in_slices_between_other_work(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    all_of_them = [listen(f"server-{number}") for number in range(2_000)]
    door.tools = {listener.grant.server_id: ("new",) for listener in all_of_them}
    listeners.changed()
    assert 0 < sum(map(_told, all_of_them)) < 2_000
    listeners.changed([("server", "server-0")])
    await turns(10)
    assert [_told(each) for each in all_of_them] == [1] * 2_000


def test_a_server_that_expires_ends_its_own_streams(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    door.opens("one", expires_at=NOW + timedelta(minutes=1))
    ending, other = listen("one"), listen("two")
    door.now += timedelta(minutes=1)
    listeners.check()
    assert (ending.stream.ended, other.stream.ended) == (True, False)
    door.opens("two", expires_at=NOW + timedelta(minutes=2))
    listeners.changed([("server", "two")])
    door.now += timedelta(minutes=1)
    listeners.check()
    assert other.stream.ended
    for listener in (ending, other):
        listeners.remove(listener)
    assert not listeners._ends


def test_everyone_is_looked_at_twice_a_minute_and_few_at_a_time(
    door: Door, listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    for number in range(100):
        listen(f"server-{number}")
    asked: list[str] = []
    for _ in range(30):
        door.asked.clear()
        listeners.check()
        assert len(door.asked) <= 4
        asked += door.asked
    assert len({*asked}) == 100


def test_a_server_has_its_share_of_streams(
    listeners: Listeners, listen: Callable[..., Listener]
) -> None:
    kept = [listen("one") for _ in range(3)]
    with pytest.raises(Refused) as refused:
        listen("one")
    assert refused.value.status == 429
    listen("two")
    listeners.remove(kept[0])
    listen("one")
