"""A log line shows what was said, never the variables that lay about when it was."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from crossdock.log import configure, logger

pytestmark = pytest.mark.requirement("door:token:never-logged")
FORMATS: tuple[Literal["json", "console"], ...] = ("json", "console")


class Terminal(io.StringIO):
    """What somebody who starts the gateway by hand reads."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def parse_answer(customer: str) -> None:
    access_token = "tok_" + "5f1e" * 5
    raise ValueError(f"expires_in of {len(access_token)} is no number")


def fail(log: Any) -> None:
    try:
        parse_answer("Sarah " + "Smith")
    except ValueError as error:
        log.error("renewal.failed", exc_info=error)
        log.exception("renewal.failed")


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@pytest.mark.parametrize("format", [*FORMATS, "auto"])
def test_a_traceback_shows_no_local_variable(
    restored: None, format: Literal["json", "console", "auto"], stream: type[io.StringIO]
) -> None:
    written = stream()
    configure("debug", format, written)
    fail(logger("test"))
    fail(logging.getLogger("a.library"))
    text = written.getvalue()
    assert text.count("is no number") >= 4
    assert "5f1e5f1e" not in text
    assert "Sarah Smith" not in text


def test_a_program_that_never_set_up_its_log_shows_none_either() -> None:
    program = """
from crossdock.log import logger
from crossdock.redaction import redactor
redactor.pin("x", ["the-pinned-secret"])
def parse(token):
    raise ValueError("the-pinned-secret is no number")
try:
    parse("tok_" + "5f1e" * 5)
except ValueError as error:
    logger("x").error("failed", exc_info=error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert b"is no number" in done.stderr
    assert b"5f1e5f1e" not in done.stderr + done.stdout
    assert b"the-pinned-secret" not in done.stderr.replace(b"raise ValueError", b"") + done.stdout
    assert done.stdout == b""


class Unwritable:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize("format", FORMATS)
def test_a_line_that_cannot_be_written_is_not_repeated_on_stderr(
    restored: None, format: Literal["json", "console"], capfd: pytest.CaptureFixture[str]
) -> None:
    written = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own would write the lines as well, and raise
    configure("debug", format, written)
    logging.getLogger("a.library").error("sent %s and %d", "tok_5f1e5f1e", "no number")
    logger("test").error("odd", secret="tok_5f1e5f1e", value=Unwritable())
    logger("test").info("and.on")
    seen = capfd.readouterr()
    assert "tok_5f1e5f1e" not in seen.err + seen.out
    assert "and.on" in written.getvalue()


@pytest.mark.parametrize("value", [2**80, "\ud800", {1: 2**70}, float("nan"), {("a", 1): 1}])
def test_strange_values_do_not_lose_a_line(restored: None, value: Any) -> None:
    written = io.StringIO()
    configure("debug", "json", written)
    logger("test").info("odd", value=value)
    assert json.loads(written.getvalue())["event"] == "odd"
