"""Where secrets come from: references (`env:NAME`, `file:PATH`, or a plugin's scheme).

Configuration names secrets and never holds them: a literal is refused. Error texts name keys and
files, and repeat no value, since what looks like a reference may be a secret in a wrong place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from crossdock.authoring import hookimpl
from crossdock.errors import ConfigError
from crossdock.model import Secret, Struct

Resolve = Callable[[str, str], str | None]
"""Asks for `scheme:reference`; None when nobody knows the scheme."""

_REFERENCE = re.compile(r"([a-z][a-z0-9+.-]*):(\S.*)", re.DOTALL)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Reference(Struct, frozen=True):
    """`scheme:reference`, taken apart."""

    scheme: str
    reference: str


def parse_reference(value: str) -> Reference | None:
    """Take a reference apart; None for a value that is none."""
    match = _REFERENCE.fullmatch(value)
    if match is None or match[2].startswith("//"):
        return None
    return Reference(scheme=match[1], reference=match[2])


def resolve_secret(value: str, where: str, resolve: Resolve) -> Secret:
    """Return the secret that `value` names. `where` is the key it stands under, for errors."""
    reference = parse_reference(value)
    if reference is None:
        raise ConfigError(
            f"{where} holds a secret itself. Write `env:NAME` or `file:PATH` and put it there."
        )
    try:
        found = resolve(reference.scheme, reference.reference)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if found is None:
        raise ConfigError(
            f"{where} names a kind of secret that nothing here resolves. "
            "Built in are `env:NAME` and `file:PATH`; others come with a plugin."
        )
    return Secret(found)


class BuiltinSecrets:
    """The plugin behind `env:NAME` and `file:PATH`. Relative paths count from `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @hookimpl
    def crossdock_resolve_secret(self, scheme: str, reference: str) -> str | None:
        """Return the value, None for a scheme of others. Raises ConfigError with the remedy."""
        if scheme == "env":
            return _from_environment(reference)
        if scheme == "file":
            return _from_file(self._folder / reference)
        return None


def _from_environment(name: str) -> str:
    if not _ENV_NAME.fullmatch(name):
        raise ConfigError("what follows `env:` is not the name of an environment variable.")
    value = os.environ.get(name, "")
    if not value:
        shown = f" {name}" if name.isupper() else ""  # else it may be a secret put here by mistake
        raise ConfigError(
            f"the environment variable{shown} is not set. Set it where crossdock is started."
        )
    return value


def _from_file(path: Path) -> str:
    try:
        value = path.read_text("utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise ConfigError(f"the file {path} does not exist. Put the secret there.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"the file {path} is not UTF-8 text. Put the secret there.") from None
    except OSError as error:
        raise ConfigError(
            f"the file {path} cannot be read ({error.strerror}). Mend its path or permissions."
        ) from error
    if not value:
        raise ConfigError(f"the file {path} is empty. Put the secret there.")
    return value
