"""The master key, which wraps the keys of a store and is never in it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from crossdock.errors import ConfigError
from crossdock.secrets import BuiltinSecrets, Resolve, parse_reference, resolve_secret
from crossdock.store.files import write_new
from crossdock.store.sealing import KEY_BYTES, from_text, new_key, to_text


class MasterKey:
    """Where `[secrets] key` points. A `file:` is made at the first start, other kinds never are.

    `resolve` asks the plugins; without it only `env:` and `file:` work.
    """

    def __init__(self, reference: str, folder: Path, resolve: Resolve | None = None) -> None:
        parsed = parse_reference(reference)
        if parsed is None:
            raise ConfigError(
                "[secrets] key must say where the master key is, `file:PATH` or `env:NAME`; "
                "the key itself does not belong into the configuration."
            )
        self._reference = parsed
        self._path = folder / parsed.reference if parsed.scheme == "file" else None
        self._resolve = resolve or BuiltinSecrets(folder).crossdock_resolve_secret

    @classmethod
    def for_this_process(cls) -> MasterKey:
        """Return a random key that ends with the process: for a store that does so too."""
        value = to_text(new_key())
        return cls("memory:key", Path(), lambda scheme, reference: value)

    @property
    def name(self) -> str:
        """Where the key is, as people look for it."""
        if self._path is not None:
            return f"file:{self._path}"
        return f"{self._reference.scheme}:{self._reference.reference}"

    def read(self) -> bytes | None:
        """Return the key; None if its file does not exist. May block."""
        if self._path is not None:
            try:
                mode = self._path.stat().st_mode
            except FileNotFoundError:
                return None
            except OSError as error:
                raise ConfigError(
                    f"The master key {self.name} cannot be read ({error.strerror})."
                ) from error
            if os.name == "posix" and stat.S_IMODE(mode) & stat.S_IRWXO:
                raise ConfigError(
                    f"Everybody on this machine may open the master key {self._path}. "
                    f"Run `chmod 600 {self._path}`."
                )
        text = resolve_secret(
            f"{self._reference.scheme}:{self._reference.reference}", "[secrets] key", self._resolve
        ).reveal()
        key = from_text(text.strip().rstrip("=").replace("+", "-").replace("/", "_"))
        if key is None or len(key) != KEY_BYTES:
            raise ConfigError(
                f"{self.name} is not a master key: 32 random bytes as base64. Put the right key "
                "there; for a new store `openssl rand -base64 32` makes one."
            )
        return key

    def read_or_create(self) -> bytes:
        """Return the key, first making its file, for the owner alone, if it is missing. May block.

        The file appears complete or not at all, and one that appeared meanwhile is kept.
        """
        key = self.read()
        if key is None and self._path is not None:
            try:
                write_new(self._path, to_text(new_key()) + "\n")
            except OSError as error:
                raise ConfigError(
                    f"The master key {self._path} cannot be written ({error.strerror}). "
                    "Mend the folder's permissions, or point [secrets] key elsewhere."
                ) from error
            key = self.read()
        if key is None:
            raise ConfigError(f"The master key {self.name} vanished while it was made.")
        return key
