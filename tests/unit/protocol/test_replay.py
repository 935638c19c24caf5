"""What is kept for clients that come back: bounded, and each server has its share."""

from __future__ import annotations

import pytest

from crossdock.bus import LocalBus
from crossdock.protocol.replay import Stream, StreamLimits, Streams

LIMITS = StreamLimits(seconds=60.0, events=10, bytes_in_all=100)


def _kept(stream: Stream) -> int:
    return len(stream.after(0))


@pytest.mark.requirement("security:replay:shares")
async def test_who_holds_the_most_loses_its_own_oldest_and_nobody_elses() -> None:
    streams = Streams(LIMITS, LocalBus("aprocess"))
    small = streams.begin("a", "tenant")
    streams.push(small, b"x" * 10)
    floods = [streams.begin(str(number), "greedy") for number in range(50)]
    for flood in floods:
        streams.push(flood, b"y" * 30)
    assert _kept(small) == 1
    assert [_kept(flood) for flood in floods] == [0] * 47 + [1] * 3
    streams.close()


@pytest.mark.requirement("security:replay:shares")
async def test_what_is_larger_than_all_room_is_not_kept_and_takes_nobodys() -> None:
    streams = Streams(LIMITS, LocalBus("aprocess"))
    small = streams.begin("a", "tenant")
    streams.push(small, b"x" * 10)
    huge = streams.begin("b", "greedy")
    assert streams.push(huge, b"y" * 1_000) == 1
    assert (_kept(small), _kept(huge)) == (1, 0)
    streams.close()
