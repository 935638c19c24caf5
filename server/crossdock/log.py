"""Structured logs on stderr. Redaction is the last processor, so nothing gets past it."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.config
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog

from crossdock.redaction import redactor


def _redact(_: Any, __: str, rendered: Any) -> str:
    return redactor.clean(rendered if isinstance(rendered, str) else str(rendered))


def _json(event: Any, default: Any = str, **_: Any) -> str:
    try:
        return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair
        return json.dumps(event, default=str, skipkeys=True)


class _Lines(logging.StreamHandler[TextIO]):
    """A line that cannot be written must not be repeated, with all its values, on stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"a log line of {record.name} was lost: {type(error).__name__}\n")


def configure(
    level: str = "info",
    format: Literal["auto", "json", "console"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send all logs, those of libraries included, to `stream` (stderr) as one line each."""
    stream = stream or sys.stderr
    as_json = format == "json" or (format == "auto" and not stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                # structlog's own choice, with rich installed, shows the values of local variables
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *renderer,
            _redact,
        ],
    )
    handler = _Lines(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "_crossdock", False):
            root.removeHandler(old)
    handler._crossdock = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "aiosqlite", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def logger(name: str) -> Any:
    """Return the logger of a module; events are dotted nouns with values."""
    return structlog.stdlib.get_logger(name)


# Until `configure` is called, as in a command that has no log of its own: structlog's own choice
# would print to stdout, secrets and local variables included.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_json),
        _redact,
    ],
    logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    wrapper_class=structlog.make_filtering_bound_logger("info"),
    cache_logger_on_first_use=False,
)
