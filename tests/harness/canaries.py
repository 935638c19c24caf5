"""What must never be seen: every token that was issued and every credential that was used.

The gateway fixture hands everything the gateway wrote (answers, log lines, files) to the canaries,
so each test that uses it is also a test of redaction.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ALLOWED_FOLDER = "secrets"  # where the harness itself puts the credentials that config names


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
            self._secrets[secret] = name

    def saw(self, *written: bytes | str, where: str = "an answer") -> None:
        """Remember something that the gateway wrote."""
        for text in written:
            self._seen.append((where, text.encode() if isinstance(text, str) else text))

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
