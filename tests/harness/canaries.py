"""What must never be seen: every token that was issued and every credential that was used.

The gateway fixture hands everything the gateway wrote (answers, log lines, files) to the canaries,
so each test that uses it is also a test of redaction. What the whole run logged, in both formats,
and the databases that it left are searched once more in the end, for every secret of every test:
one that shows after its own test is over is seen as well.
"""

from __future__ import annotations

import io
import logging
import re
from typing import TYPE_CHECKING, Any

import structlog

from crossdock import log

if TYPE_CHECKING:
    from pathlib import Path

_ALLOWED_FOLDER = "secrets"  # where the harness itself puts the credentials that config names
_MINTED = re.compile(rb"cd[ma]_[0-9A-Za-z]{49}")
console = io.StringIO()
_planted: dict[str, str] = {}
_answered: set[bytes] = set()  # tokens by their form, from whatever any gateway answered


def listen(stream: io.StringIO) -> None:
    """Log as JSON to `stream`, and as a person reads it to `console`."""
    root = logging.getLogger()
    log.configure("debug", "console", console)
    (second,) = [one for one in root.handlers if getattr(one, "_crossdock", False)]
    shown = structlog.get_config()["processors"]
    log.configure("debug", "json", stream)
    for former in root.handlers[:]:
        if getattr(former, "canary", False):
            root.removeHandler(former)
    second._crossdock, second.canary = False, True  # type: ignore[attr-defined]
    root.addHandler(second)

    def also_on_the_console(wrapped: Any, name: str, event: Any) -> Any:
        line = {**event}
        for processor in shown:
            line = processor(wrapped, name, line)
        console.write(f"{line}\n")
        return event

    structlog.configure(processors=[also_on_the_console, *structlog.get_config()["processors"]])


def sweep(logged: dict[str, str], folder: Path) -> list[str]:
    """Return which secrets of the whole run stand in its logs, databases or answers."""
    seen = [(where, text.encode(errors="backslashreplace")) for where, text in logged.items()]
    seen += [
        (path.name, path.read_bytes())
        for path in folder.rglob("state/*")
        if path.is_file() and path.suffix != ".key"
    ]
    own = {secret.encode(): name for secret, name in _planted.items()}
    # Tokens, of which there are thousands, are found by their form; the few others one by one.
    others = [secret for secret in own if not _MINTED.fullmatch(secret)]
    found = [
        f"{own[secret]} in {where}"
        for where, text in seen
        for secret in (
            *(own.keys() & {*_MINTED.findall(text)}),
            *(one for one in others if one in text),
        )
    ]
    return found + [f"{own[token]} in an answer" for token in _answered & own.keys()]


class Canaries:
    """Collects secrets and all that was written, and compares them in the end."""

    def __init__(self, log: io.StringIO) -> None:
        self._log = log
        self._log_from = log.tell()
        self._secrets: dict[str, str] = {}
        self._seen: list[tuple[str, bytes]] = []

    def issue(self, secret: str, name: str) -> None:
        """From now on this must not be seen."""
        if secret:
            self._secrets[secret] = _planted[secret] = name

    def allow(self, value: str) -> None:
        """This was given as a credential, and is none that must be hidden."""
        self._secrets.pop(value, None)
        _planted.pop(value, None)

    def saw(self, *written: bytes | str, where: str = "an answer") -> None:
        """Remember something that the gateway wrote."""
        for text in written:
            seen = text.encode() if isinstance(text, str) else text
            self._seen.append((where, seen))
            _answered.update(_MINTED.findall(seen))

    def log_text(self) -> str:
        """Return what was logged since these canaries were let out."""
        return self._log.getvalue()[self._log_from :]

    def read_folder(self, folder: Path) -> None:
        """Remember every file that the gateway keeps."""
        for path in folder.rglob("*"):
            if path.is_file() and _ALLOWED_FOLDER not in path.relative_to(folder).parts:
                self.saw(path.read_bytes(), where=str(path.relative_to(folder)))

    def check(self) -> None:
        """Fail if a secret was seen anywhere."""
        self.saw(self.log_text(), where="the log")
        found = [
            f"{name} in {where}"
            for where, text in self._seen
            for secret, name in self._secrets.items()
            if secret.encode() in text
        ]
        if found:
            raise AssertionError(f"seen: {'; '.join(sorted(set(found)))}")
