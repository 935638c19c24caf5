"""When lines are written: at once, or together with their neighbours where a gateway serves."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from crossdock.log import configure, flush, logger
from crossdock.redaction import MARK, redactor


class Stream(io.StringIO):
    """Counts writes, and tells of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes += 1
        self.written.set()
        return super().write(text)

    @property
    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.getvalue().splitlines()]


@pytest.fixture
def stream(restored: None) -> Iterator[Stream]:
    before = structlog.get_config()
    stream = Stream()
    configure("info", "json", stream, gather=True)
    yield stream
    flush()
    structlog.configure(**before)


async def test_lines_of_a_serving_loop_are_written_together(stream: Stream) -> None:
    log = logger("test")
    log.info("one")
    logging.getLogger("a.library").warning("two")
    log.warning("three")
    assert stream.events == []
    async with asyncio.timeout(10):
        await stream.written.wait()
    assert (stream.events, stream.writes) == (["one", "two", "three"], 1)


async def test_an_error_waits_for_nobody_and_takes_those_before_it_along(stream: Stream) -> None:
    logger("test").info("one")
    logger("test").error("two")
    assert stream.events == ["one", "two"]
    logger("test").info("three")
    logging.getLogger("a.library").error("four")
    assert stream.events == ["one", "two", "three", "four"]


async def test_no_more_than_256_lines_wait(stream: Stream) -> None:
    log = logger("test").bind()
    for number in range(300):
        log.info(str(number))
    assert (len(stream.events), stream.writes) == (256, 1)
    flush()
    assert stream.events == [str(number) for number in range(300)]


async def test_a_line_of_another_thread_is_written_at_once_and_takes_the_others_along(
    stream: Stream,
) -> None:
    logger("test").info("one")
    await asyncio.to_thread(logger("test").info, "two")
    assert stream.events == ["one", "two"]


async def test_threads_that_write_at_the_same_time_lose_no_line(stream: Stream) -> None:
    def say(number: int) -> None:
        log = logger("test").bind()
        for count in range(200):
            log.info(f"{number} {count}")

    work = asyncio.gather(*(asyncio.to_thread(say, number) for number in range(4)))
    say(4)
    await work
    flush()
    assert sorted(stream.events) == sorted(f"{n} {c}" for n in range(5) for c in range(200))


def test_lines_of_a_loop_that_was_closed_are_not_lost(stream: Stream) -> None:
    async def say(what: str) -> None:
        logger("test").info(what)

    asyncio.run(say("one"))
    asyncio.run(say("two"))
    assert stream.events == []  # each loop was closed before it came to write
    logger("test").info("three")
    assert stream.events == ["one", "two", "three"]


def test_what_waits_at_the_end_of_the_process_is_written() -> None:
    program = """
import asyncio
from crossdock.log import configure, logger
configure("info", "json", gather=True)
async def main():
    logger("x").info("the.last")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(done.stderr)["event"] == "the.last"


def test_a_stream_that_takes_nothing_stops_nobody(stream: Stream) -> None:
    def refuse(text: str) -> int:
        raise OSError(28, "No space left on device")

    stream.write = refuse  # type: ignore[method-assign]
    logger("test").error("one")
    del stream.write
    logger("test").error("two")
    assert stream.events == ["two"]


def test_times_are_iso_in_utc_to_the_microsecond(stream: Stream) -> None:
    for _ in range(3):
        logger("test").error("now")
    for line in stream.getvalue().splitlines():
        text = json.loads(line)["timestamp"]
        assert text.endswith("Z")
        assert len(text) == len("2026-11-21T12:00:00.000000Z")
        assert abs(datetime.now(UTC) - datetime.fromisoformat(text)) < timedelta(minutes=1)


def test_only_lines_of_our_own_making_are_not_searched(stream: Stream) -> None:
    redactor.learn(["word-of-a-list"])
    said: dict[str, Any] = {"outcome": "word-of-a-list"}
    logger("test", ours=True).error("call.finished", **said)
    logger("test").error("call.finished", **said)
    ours, others = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["outcome"], others["outcome"]) == ("word-of-a-list", MARK)
    assert ours.keys() == others.keys()
