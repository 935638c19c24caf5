"""The bus on a real Redis: who is reached, who is not, and what strangers achieve there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from harness.engines import Redis
from harness.patience import turns, until
from redis.asyncio import Redis as Client

from crossdock.bus import Absent, Away
from crossdock.bus.census import Census
from crossdock.bus.letters import Letter, Letters
from crossdock.bus.redis import Link, RedisBus
from crossdock.errors import Refused
from crossdock.store.sealing import KeyRing

MakeBus = Callable[..., RedisBus]


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(pepper=b"p" * 32, cursor_key=b"c" * 32, state_key=os.urandom(32), data={})


@pytest.fixture
async def make_bus(redis: Redis, ring: KeyRing, clock: Clock) -> AsyncIterator[MakeBus]:
    """Make a process on the bus: `make_bus("aprocess")`."""
    made: list[RedisBus] = []

    def make(
        process: str, *, keys: KeyRing = ring, url: str = "", password: str = "", **more: Any
    ) -> RedisBus:
        letters = Letters(keys.messages, clock, 100_000, **more)
        made.append(
            RedisBus(
                process, keys.store_id, letters, Link(url=url or redis.url(), password=password)
            )
        )
        made[-1].run()
        return made[-1]

    yield make
    for bus in made:
        await bus.close()


@pytest.fixture
async def both(make_bus: MakeBus, redis: Redis) -> tuple[RedisBus, RedisBus]:
    """Two processes that reach each other."""
    a, b = make_bus("aaaaaaaa"), make_bus("bbbbbbbb")
    await until(lambda: not a.trouble and not b.trouble)
    return a, b


@pytest.fixture
async def stranger(redis: Redis) -> AsyncIterator[Client]:
    """Somebody who can do on Redis whatever a client can."""
    client: Client = Client.from_url(redis.url())
    async with client:
        yield client


def heard_by(bus: RedisBus, kind: str = "news") -> list[bytes]:
    heard: list[bytes] = []
    bus.hears(kind, heard.append)
    return heard


# --- among themselves ------------------------------------------------------------------------


async def test_all_others_are_told_and_oneself_is_not(
    both: tuple[RedisBus, RedisBus], make_bus: MakeBus
) -> None:
    a, b = both
    c = make_bus("cccccccc")
    await until(lambda: not c.trouble)
    told = [heard_by(bus) for bus in (a, b, c)]
    await a.tell("news", b"1")
    await b.tell("other", b"2")
    await b.tell("news", b"3")
    await until(lambda: told == [[b"3"], [b"1"], [b"1", b"3"]])
    named = ["aaaaaaaa", "00000000", "cccccccc"]
    assert await a.absent(named) == ["00000000"]


async def test_one_is_asked_and_answers_or_refuses(both: tuple[RedisBus, RedisBus]) -> None:
    a, b = both

    async def answer(body: bytes) -> bytes:
        if body == b"refuse":
            raise Refused(429, "Too many.")
        if body == b"fail":
            raise ValueError("a fault")
        return body[::-1]

    b.answers("turn", answer)
    assert await a.ask("bbbbbbbb", "turn", b"abc") == b"cba"
    assert await a.ask("bbbbbbbb", "turn", b"abc", once=False) == b"cba"
    for body, status in ((b"refuse", 429), (b"fail", 500)):
        with pytest.raises(Refused) as refused:
            await a.ask("bbbbbbbb", "turn", body)
        assert refused.value.status == status
    with pytest.raises(Away):
        await a.ask("bbbbbbbb", "what is this", b"")
    with pytest.raises(Absent):
        await a.ask("00000000", "turn", b"")
    assert not a._asked


async def test_an_answer_takes_its_time_and_no_more(both: tuple[RedisBus, RedisBus]) -> None:
    a, b = both
    never = asyncio.Event()

    async def answer(body: bytes) -> bytes:
        await never.wait()
        return b""

    b.answers("wait", answer)
    with pytest.raises(Away):
        await a.ask("bbbbbbbb", "wait", b"", patience=0.05)
    assert not a._asked


async def test_who_gave_up_is_not_acted_for_later(
    both: tuple[RedisBus, RedisBus], redis: Redis
) -> None:
    a, b = both
    done: list[bytes] = []

    async def act(body: bytes) -> bytes:
        done.append(body)
        return b""

    b.answers("act", act)
    redis.freeze()
    with pytest.raises(Away):
        await a.ask("bbbbbbbb", "act", b"late")
    redis.thaw()
    await until(lambda: not a.trouble and not b.trouble)

    async def again() -> bool:
        try:
            await a.ask("bbbbbbbb", "act", b"again")
        except Away:
            return False
        return True

    await until(again)
    assert done == [b"again"]


async def test_a_newer_release_is_told_to_come_again(
    both: tuple[RedisBus, RedisBus], make_bus: MakeBus
) -> None:
    a, b = both
    newer = make_bus("nnnnnnnn", format=2)
    await until(lambda: not newer.trouble)
    done: list[bytes] = []

    async def act(body: bytes) -> bytes:
        done.append(body)
        return b""

    for bus in (b, newer):
        bus.answers("act", act)
    for asker, asked in ((newer, "bbbbbbbb"), (a, "nnnnnnnn")):
        with pytest.raises(Away):
            await asker.ask(asked, "act", b"", patience=0.2)
    assert done == []


# --- when it is away -------------------------------------------------------------------------


async def test_while_it_is_away_nothing_is_waited_for_and_it_comes_back_by_itself(
    both: tuple[RedisBus, RedisBus], redis: Redis
) -> None:
    a, b = both
    told = heard_by(b)
    for _ in range(2):
        redis.kill()
        await until(lambda: a.trouble and b.trouble)
        assert "is it running where [bus] url says?" in a.trouble
        await a.tell("news", b"lost")
        with pytest.raises(Away):
            await a.ask("bbbbbbbb", "act", b"")
        with pytest.raises(Away):
            await a.absent(["bbbbbbbb"])
        redis.start()
        await until(lambda: not a.trouble and not b.trouble)
        await a.tell("news", b"told")
    await until(lambda: told == [b"told", b"told"])


async def test_who_is_not_back_yet_is_not_taken_for_dead(
    both: tuple[RedisBus, RedisBus], redis: Redis
) -> None:
    a, b = both
    redis.kill()
    await until(lambda: a.trouble and b.trouble)
    await b.close()
    redis.start()
    await until(lambda: not a.trouble)
    with pytest.raises(Away):
        await a.ask("bbbbbbbb", "act", b"")


async def test_a_frozen_one_is_noticed(both: tuple[RedisBus, RedisBus], redis: Redis) -> None:
    a, b = both
    redis.freeze()
    await until(lambda: a.trouble and b.trouble)
    redis.thaw()
    await until(lambda: not a.trouble and not b.trouble)


async def test_a_wrong_password_is_told_in_words(
    both: tuple[RedisBus, RedisBus], make_bus: MakeBus, stranger: Client, redis: Redis
) -> None:
    await stranger.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "+@all", "~*")
    refused = make_bus("rrrrrrrr", url=redis.url().replace("redis://", "redis://:wrong@"))
    poor = make_bus("pppppppp", url=redis.url().replace("redis://", "redis://poor:secret@"))
    await until(lambda: "user or password" in refused.trouble)
    await until(lambda: "may not use crossdock's channels" in poor.trouble)
    assert "wrong" not in refused.trouble


async def test_a_user_of_its_own_needs_no_more_rights_than_the_guide_says(
    both: tuple[RedisBus, RedisBus], make_bus: MakeBus, stranger: Client, redis: Redis, clock: Clock
) -> None:
    guide = (Path(__file__).parents[2] / "server" / "deploy" / "README.md").read_text("utf-8")
    rule = guide.partition("`~crossdock:*")[2].partition("`")[0].split()
    lean_user = ["reset", "on", ">hush", "~crossdock:*", *rule]
    await stranger.execute_command("ACL", "SETUSER", "lean", *lean_user)
    url = redis.url().replace("redis://", "redis://lean@")
    lean = make_bus("dddddddd", url=url, password="hush")
    await until(lambda: not lean.trouble)
    told = heard_by(both[0])
    await lean.tell("news", b"kept", until=clock.now + 100)
    assert await lean.absent(["aaaaaaaa", "00000000"]) == ["00000000"]
    late = make_bus("eeeeeeee", url=url, password="hush")
    told_later = heard_by(late)
    await until(lambda: not late.trouble)
    await until(lambda: told == told_later == [b"kept"])


# --- for who starts later --------------------------------------------------------------------


async def test_what_still_counts_is_told_to_who_starts_later(
    both: tuple[RedisBus, RedisBus],
    make_bus: MakeBus,
    stranger: Client,
    ring: KeyRing,
    clock: Clock,
) -> None:
    a, _ = both
    await a.tell("news", b"over", until=clock.now + 10)
    await a.tell("news", b"first", until=clock.now + 1_000)
    clock.now += 100
    await a.tell("news", b"second", until=clock.now + 500)
    await a.tell("news", b"not kept")
    key = f"crossdock:{ring.store_id}:ended"
    sealed = await stranger.zrange(key, 0, -1)
    assert len(sealed) == 2
    assert await stranger.ttl(key) > 0
    for junk in (b"junk", sealed[0][:-1] + b"x", os.urandom(50), b"x" * 200_000):
        await stranger.zadd(key, {junk: clock.now + 10**9})
    late = make_bus("llllllll")
    told = heard_by(late)
    await until(lambda: not late.trouble)
    assert told == [b"first", b"second"]
    assert [name async for name in stranger.scan_iter(f"*{ring.store_id}*")] == [key.encode()]


# --- strangers -------------------------------------------------------------------------------


async def test_what_strangers_publish_does_nothing(
    both: tuple[RedisBus, RedisBus], stranger: Client, ring: KeyRing, clock: Clock
) -> None:
    a, b = both
    done: list[bytes] = []

    async def act(body: bytes) -> bytes:
        done.append(body)
        return b""

    b.answers("act", act)
    told = heard_by(b)
    everyone, inbox = (f"crossdock:{ring.store_id}:{tail}" for tail in ("all", "process:bbbbbbbb"))
    async with stranger.pubsub() as tapped:
        await tapped.subscribe(everyone, inbox)
        await a.tell("news", b"once")
        await a.ask("bbbbbbbb", "act", b"once", once=False)
        caught: list[tuple[bytes, bytes]] = []
        while len(caught) < 2:
            came = await tapped.get_message(ignore_subscribe_messages=True, timeout=1)
            if came is not None:
                caught.append((came["channel"], came["data"]))
    other = KeyRing(pepper=b"p" * 32, cursor_key=b"c" * 32, state_key=b"s" * 32, data={})
    forged = Letters(other.messages, clock, 100_000).close(
        inbox, Letter(format=1, sent=0, sender="aaaaaaaa", number=1, kind="act", body=b"forged")
    )
    published = [
        (channel, data)
        for name, sealed in caught
        for channel, data in (
            (name, sealed),  # replayed
            (name, sealed[:-1]),
            (name, sealed + b"x"),
            (name, bytes([*sealed[:20], sealed[20] ^ 1, *sealed[21:]])),
            (inbox if name.decode() == everyone else everyone, sealed),
        )
    ]
    published += [(inbox, forged), (everyone, forged), (inbox, b""), (everyone, b"{}")]
    published += [(inbox, b"x" * 20_000_000), (inbox, os.urandom(300)), (everyone, b"\xff\xfe")]
    before = b.dropped
    for channel, data in published:
        assert await stranger.publish(channel, data) == 1 + (
            channel in (everyone, everyone.encode())
        )
    await until(lambda: b.dropped - before == len(published))
    clock.now += 61
    for channel, data in caught:
        await stranger.publish(channel, data)
    await until(lambda: b.dropped - before == len(published) + 2)
    await turns(20)
    assert (told, done) == ([b"once"], [b"once"])
    assert all(b"once" not in data for _, data in caught)
    assert not b.trouble


async def test_two_stores_share_a_redis_and_hear_nothing_of_each_other(
    both: tuple[RedisBus, RedisBus], make_bus: MakeBus
) -> None:
    a, _ = both
    other = KeyRing(pepper=b"p" * 32, cursor_key=b"c" * 32, state_key=b"o" * 32, data={})
    alien = make_bus("bbbbbbbb", keys=other)
    await until(lambda: not alien.trouble)
    told = heard_by(alien)
    await a.tell("news", b"ours", until=a._letters.now() + 100)
    assert await alien.absent(["aaaaaaaa", "bbbbbbbb"]) == ["aaaaaaaa"]
    assert (told, alien.dropped) == ([], 0)


class Seen(NamedTuple):
    id: str
    node: str
    silent: float


async def test_who_serves_and_is_on_another_bus_is_named_and_who_was_killed_is_not(
    both: tuple[RedisBus, RedisBus],
) -> None:
    a, _ = both
    loop = asyncio.get_running_loop()
    began = loop.time()
    looks = 0

    async def serving() -> list[Seen]:
        nonlocal looks
        looks += 1
        killed = Seen("00000000", "killed", loop.time() - began)
        return [Seen("aaaaaaaa", "a", 0), Seen("bbbbbbbb", "b", 0), killed, elsewhere]

    elsewhere = Seen("11111111", "elsewhere", 0)
    census = Census(a, serving, seconds=0.01)
    census.run()
    await until(lambda: census.missing)
    begun = looks
    await until(lambda: looks > begun + 5)
    assert census.missing == ("elsewhere",)
    elsewhere = Seen("bbbbbbbb", "b", 0)
    await until(lambda: not census.missing)
    await census.close()


async def test_it_is_left_at_any_moment(make_bus: MakeBus) -> None:
    for moment in range(45):
        bus = make_bus("aaaaaaaa")
        await turns(moment)
        async with asyncio.timeout(10):
            await bus.close()
