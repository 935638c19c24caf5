"""The event reader: however the bytes are cut and lines end, the same events come out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.client import sse
from crossdock.client.sse import Event, read_events


async def read(*chunks: bytes) -> list[Event]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [event async for event in read_events(stream())]


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        (b"data: a\n\n", [Event(data=b"a")]),
        (b"data:a\n\n", [Event(data=b"a")]),
        (b"data:  a\n\n", [Event(data=b" a")]),  # one blank belongs to the format
        (b"data: a: b\n\n", [Event(data=b"a: b")]),
        (b"data: a\ndata: b\n\n", [Event(data=b"a\nb")]),
        (b"data\n\n", [Event(data=b"")]),
        (b"event: endpoint\ndata: /x\n\n", [Event(name="endpoint", data=b"/x")]),
        (b"event:\ndata: a\n\n", [Event(data=b"a")]),
        (b"id: 7\ndata: a\n\n", [Event(id="7", data=b"a")]),
        (b"id\ndata: a\n\n", [Event(id="", data=b"a")]),
        (b"retry: 1500\ndata: a\n\n", [Event(retry=1.5, data=b"a")]),
        (b"retry: soon\ndata: a\n\n", [Event(data=b"a")]),
        (b"retry: -5\ndata: a\n\n", [Event(data=b"a")]),
        ("retry: ٣\ndata: a\n\n".encode(), [Event(data=b"a")]),
        (b"unknown: x\ndata: a\n\n", [Event(data=b"a")]),
        (b": a comment\n\n", []),
        (b": a comment\ndata: a\n\n", [Event(data=b"a")]),
        (b"\n\n\ndata: a\n\n\n\n", [Event(data=b"a")]),
        (b"data: cut off", []),
        (b"data: cut off\n", []),
        (b"data: a\n\ndata: b\n\n", [Event(data=b"a"), Event(data=b"b")]),
        (b"data: \xff\nid: \xff\n\n", [Event(data=b"\xff", id="\ufffd")]),
        (b"", []),
    ],
)
async def test_the_format_is_read(sent: bytes, events: list[Event]) -> None:
    assert await read(sent) == events


LINE = st.binary(max_size=6).filter(lambda line: not {b"\r"[0], b"\n"[0]} & {*line})
EVENTS = st.lists(
    st.builds(
        Event,
        data=st.lists(LINE, min_size=1, max_size=3).map(b"\n".join),
        name=st.sampled_from(["message", "endpoint"]),
        id=st.none() | st.sampled_from(["", "7", "a b"]),
        retry=st.none() | st.integers(0, 9999).map(lambda number: number / 1000),
    ),
    max_size=4,
)


def written(events: Sequence[Event], end: bytes) -> bytes:
    lines: list[bytes] = []
    for event in events:
        lines += [b"event: " + event.name.encode()]
        lines += [] if event.id is None else [b"id: " + event.id.encode()]
        lines += [] if event.retry is None else [b"retry: %d" % round(event.retry * 1000)]
        lines += [b"data: " + line for line in event.data.split(b"\n")] + [b""]
    return b"".join(line + end for line in lines)


@given(
    events=EVENTS, end=st.sampled_from([b"\n", b"\r\n", b"\r"]), cuts=st.lists(st.integers(0, 200))
)
async def test_neither_line_ends_nor_chunks_change_what_is_read(
    events: list[Event], end: bytes, cuts: list[int]
) -> None:
    sent = written(events, end)
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    chunks = [sent[one:two] for one, two in zip(places, places[1:], strict=False)]
    assert await read(*chunks) == events


@given(events=EVENTS, end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
async def test_it_may_come_a_byte_at_a_time(events: list[Event], end: bytes) -> None:
    sent = written(events, end)
    assert await read(*(sent[place : place + 1] for place in range(len(sent)))) == events


async def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_MOST_LINE", 100)
    assert await read(b"data: " + b"x" * 80, b"\n\n") == [Event(data=b"x" * 80)]
    with pytest.raises(ValueError, match="too long"):
        await read(b"data: ", b"x" * 60, b"x" * 60)


async def test_what_came_before_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_MOST_LINE", 10)
    assert len(await read(*[b"data: 1\n\n"] * 50)) == 50
