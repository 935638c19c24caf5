"""Reads what is written on a command line: words, moments, spans, pairs and headers."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from crossdock.errors import CrossdockError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class UsageError(CrossdockError):
    """A command line with a word that cannot be read; the text names it and how it is written."""


def words(text: str) -> tuple[str, ...]:
    """Return comma-separated words."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def moment(text: str, option: str) -> datetime | None:
    """Read a moment with its zone, or a span from now as `90m`, `12h`, `30d`."""
    if not text:
        return None
    if (length := span(text)) is not None:
        return datetime.now(UTC) + length
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(
            f"{option} {text!r} is no moment; write 2027-01-31T00:00:00Z, or 30d for a span"
        )
    return found


def span(text: str) -> timedelta | None:
    """Read a span as `45s`, `90m`, `12h`, `30d` or `2w`; None for anything else."""
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not number.isascii() or not number.isdigit() or len(number) > 6:
        return None
    return timedelta(**{unit: int(number)})


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """Read NAME=VALUE pairs."""
    found: dict[str, str] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} takes NAME=VALUE")
        found[name] = value
    return found


def mcp_url(text: str) -> str:
    """Return an MCP URL; what was given is not repeated in an error, since it may be a secret."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(text.strip())
        if parts.scheme in ("http", "https") and parts.hostname:
            return text.strip()
    raise UsageError("that is no URL; use https://<gateway>/mcp/<token>")


def headers_of(given: list[str] | None) -> dict[str, str]:
    """Read `Name: value` headers; `${NAME}` in a value is taken from the environment.

    What was given is not repeated in an error, since it may be a secret.
    """
    return dict(_header(text) for text in given or [])


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name.strip()):
        raise UsageError("--header wants 'Name: value'")
    value = expanded(value, "--header").strip()
    if not value.isprintable():
        raise UsageError(f"the header {name.strip()} holds a character that none may hold")
    return name.strip(), value


def expanded(text: str, what: str) -> str:
    """Replace each `${NAME}` by the environment's value, so that no command line holds a secret.

    Raises CrossdockError that calls the text `what`.
    """
    return _VARIABLE.sub(lambda found: _from_environment(found[1], what), text)


def _from_environment(name: str, what: str) -> str:
    if name not in os.environ:
        raise CrossdockError(f"{what} names ${{{name}}}, but the environment has no {name}")
    return os.environ[name]
