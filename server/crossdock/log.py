"""Structured logs on stderr. Redaction is the last processor, so nothing gets past it."""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

import orjson
import structlog

_TOKEN = re.compile(r"cd[ma]_[0-9A-Za-z]{20,}")
_CAPABILITY = re.compile(r"(/mcp/)(?![{<])[^/\s\"'?#\\]+")


_MOST = 1000


class Redactor:
    """Hides MCP and API tokens by their form, and known secrets by their value."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these values from now on; those shorter than 6 characters would hide words.

        The oldest are forgotten beyond a thousand: access tokens come and go.
        """
        fresh = [secret for secret in secrets if len(secret) >= 6 and secret not in self._known]
        if fresh:
            self._known.update(dict.fromkeys(fresh))
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def clean(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        text = _CAPABILITY.sub(r"\1[redacted]", _TOKEN.sub("[redacted]", text))
        return self._pattern.sub("[redacted]", text) if self._pattern else text


redactor = Redactor()


def _redact(_: Any, __: str, rendered: Any) -> str:
    return redactor.clean(rendered if isinstance(rendered, str) else str(rendered))


def _json(event: Any, default: Any = str, **_: Any) -> str:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()


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
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
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
    handler = logging.StreamHandler(stream)
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
