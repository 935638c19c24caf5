"""Tests of sessions and request states as values: signed, dated, and used up once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossdock.bus import LocalBus
from crossdock.errors import Busy, ProtocolError, Refused, StoreError
from crossdock.protocol.request_state import States
from crossdock.protocol.sessions import Session, Sessions
from crossdock.protocol.versions import LATEST_LEGACY

KEY = b"k" * 32


class Clock:
    """A clock that goes only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(KEY, clock, 60, LocalBus("aprocess"))


@pytest.fixture
def session(sessions: Sessions) -> Session:
    return sessions.begin("server", LATEST_LEGACY, None)


def test_an_id_gives_its_session_back(sessions: Sessions, session: Session) -> None:
    assert sessions.open(sessions.id_of(session), "server") == session


@pytest.mark.parametrize("seconds", [0, 59, 60, 1000])
async def test_an_ended_session_stays_ended(
    sessions: Sessions, session: Session, clock: Clock, seconds: int
) -> None:
    await sessions.end(session)
    clock.now += timedelta(seconds=seconds)
    with pytest.raises(Refused):
        sessions.open(sessions.id_of(session), "server")


def test_a_session_ends_by_itself_and_is_of_one_server(
    sessions: Sessions, session: Session, clock: Clock
) -> None:
    id = sessions.id_of(session)
    with pytest.raises(Refused):
        sessions.open(id, "another")
    clock.now += timedelta(seconds=60)
    with pytest.raises(Refused):
        sessions.open(id, "server")


async def test_the_log_level_of_a_session_ends_with_it(
    sessions: Sessions, session: Session
) -> None:
    await sessions.set_level(session, "error")
    assert sessions.level(session) == "error"
    await sessions.end(session)
    assert sessions.level(session) == "info"


async def test_a_state_is_good_once_and_in_its_time(clock: Clock) -> None:
    noted: dict[bytes, datetime] = {}

    async def use(nonce: bytes, ends_at: datetime) -> bool:
        return noted.setdefault(nonce, ends_at) is ends_at

    states = States(KEY, clock, 60, use=use)
    text = states.close(b"bound", ("key",), {})
    await states.use(states.open(text, b"bound"))
    assert [*noted.values()] == [clock.now.replace(microsecond=0) + timedelta(seconds=60)]
    with pytest.raises(ProtocolError, match="has been used"):
        await states.use(states.open(text, b"bound"))
    clock.now += timedelta(seconds=60)
    with pytest.raises(ProtocolError, match="too old"):
        states.open(text, b"bound")


async def test_a_state_that_cannot_be_written_down_is_not_acted_on(clock: Clock) -> None:
    async def use(nonce: bytes, ends_at: datetime) -> bool:
        raise StoreError("the disk is full")

    states = States(KEY, clock, 60, use=use)
    with pytest.raises(Busy, match="nothing was sent"):
        await states.use(states.open(states.close(b"", (), {}), b""))
