"""Structured logs on stderr. Redaction is the last processor, so nothing gets past it.

Lines of ours take structlog's own way and never pass the standard library's logging, which costs
a call more than all the rest of its line; what libraries say through that arrives in the same form.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import sys
import threading
import time
from collections import deque
from typing import Any, Literal, TextIO

import orjson

from crossdock.redaction import redactor

# structlog takes rich where there is one: a tenth of the start, for tracebacks that show variables.
_rich = sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402

if _rich is None:
    del sys.modules["rich"]

_SECONDS = 0.02
_MOST = 256
_OURS = "_ours"

Format = Literal["auto", "json", "console"]


class LineWriter:
    """Writes lines to `stream`, at once unless told to `gather`; structlog's logger.

    Then lines of a running event loop wait up to 20 ms for others: one write takes them all. Errors
    do not wait, nor what comes when 256 wait, from another thread, or when no loop runs.
    """

    def __init__(self, stream: TextIO, *, gather: bool = False) -> None:
        self._stream = stream
        self._gather = gather
        self._waiting: deque[str] = deque()
        self._writing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def info(self, line: str) -> None:
        """Take a line that may wait."""
        self._waiting.append(line)
        if not self._gather or len(self._waiting) >= _MOST:
            self.flush()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if loop is not self._loop:  # the former may have been closed before it came to write
            self._loop = loop
            loop.call_later(_SECONDS, self._due)

    debug = warning = info

    def error(self, line: str) -> None:
        """Write a line, and those that wait."""
        self._waiting.append(line)
        self.flush()

    critical = error

    def flush(self) -> None:
        """Write what waits. What cannot be written is lost, and never repeated elsewhere."""
        with self._writing:
            # Not swapped for another: a thread may be about to add to it.
            lines = [self._waiting.popleft() + "\n" for _ in range(len(self._waiting))]
            if not lines:
                return
            try:
                self._stream.write("".join(lines))
                self._stream.flush()
            except Exception as error:
                self._lose(len(lines), error)

    def _lose(self, many: int, error: Exception) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"log lines were lost: {many} ({type(error).__name__})\n")

    def _due(self) -> None:
        self._loop = None
        self.flush()


class _Foreign(logging.Handler):
    """Takes what libraries say through the standard library's logging."""

    def __init__(self, lines: LineWriter, chain: list[Any]) -> None:
        super().__init__()
        self._lines = lines
        meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
        *shared, last = chain
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[meta, last])
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. What fails must not be repeated, with all its values, on stderr."""
        try:
            line = self.format(record)
        except Exception as error:
            line = _lost(error)
        if record.levelno >= logging.ERROR:
            self._lines.error(line)
        else:
            self._lines.info(line)


def _stamper() -> Any:
    """Return structlog's TimeStamper of ISO times in UTC; the date is formatted once a second."""
    kept = (0, "")

    def stamp(_: Any, __: str, event: Any) -> Any:
        nonlocal kept
        now = time.time_ns() // 1000
        second, rest = divmod(now, 1_000_000)
        if second != kept[0]:
            kept = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        event["timestamp"] = f"{kept[1]}.{rest:06}Z"
        return event

    return stamp


def _json(wrapped: Any, name: str, event: Any) -> str:
    event = structlog.processors.format_exc_info(wrapped, name, event)
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair
        return json.dumps(event, default=str, skipkeys=True)


def _shown(render: Any) -> Any:
    """Return the last processor: event → line, in which no secret shows, whatever happens."""

    def show(wrapped: Any, name: str, event: Any) -> str:
        ours = event.pop(_OURS, False)
        try:
            line = render(wrapped, name, event)
            return line if ours else redactor.clean(line)
        except Exception as error:
            return _lost(error)

    return show


def _lost(error: Exception) -> str:
    return f"a log line was lost: {type(error).__name__}"


def _chain(*, as_json: bool, colors: bool = False) -> list[Any]:
    """Return the processors that make a line of an event; the last one alone makes it text."""
    if as_json:
        last = _shown(_json)
    else:
        # structlog's own choice, with rich installed, shows the values of local variables
        plain = structlog.dev.plain_traceback
        last = _shown(structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain))
    return [structlog.processors.add_log_level, _stamper(), last]


def configure(
    level: str = "info",
    format: Format = "auto",
    stream: TextIO | None = None,
    *,
    gather: bool = False,
) -> None:
    """Send all logs, those of libraries included, to `stream` (stderr) as one line each.

    `gather` is for what serves, see `LineWriter`: its last lines are written by `flush` or at exit.
    """
    global _lines  # noqa: PLW0603 - there is one log
    flush()
    stream = stream or sys.stderr
    colors = stream.isatty()
    chain = _chain(as_json=format == "json" or (format == "auto" and not colors), colors=colors)
    lines = _lines = LineWriter(stream, gather=gather)
    structlog.configure(
        processors=chain,
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "_crossdock", False):
            root.removeHandler(old)
    handler = _Foreign(lines, chain)
    handler._crossdock = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "aiosqlite", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def logger(name: str, *, ours: bool = False) -> Any:
    """Return the logger of a module; events are dotted nouns with values.

    With `ours` every value of every line is of our own making (an id, a word of a fixed list, a
    number), and lines are not searched for secrets.
    """
    return structlog.get_logger(name, **({_OURS: True} if ours else {}))


def flush() -> None:
    """Write the lines that wait."""
    if _lines is not None:
        _lines.flush()


_lines: LineWriter | None = None
atexit.register(flush)

# Until `configure` is called, as in a command that has no log of its own: structlog's own choice
# would print to stdout, secrets and local variables included.
structlog.configure(
    processors=_chain(as_json=True),
    logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    wrapper_class=structlog.make_filtering_bound_logger("info"),
    cache_logger_on_first_use=False,
)
