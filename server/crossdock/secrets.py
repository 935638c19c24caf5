"""Where secrets come from, and how those in the store are sealed.

Configuration names secrets (`env:NAME`, `file:PATH`, or a plugin's scheme) and never holds them: a
literal is refused. What the store keeps is sealed by AES-256-GCM with a data key, bound to its
table, column and row, so a value that was altered or moved elsewhere is refused; the data keys are
wrapped by the master key, which is never in the store. Error texts name keys, files and rows, and
repeat no value, since what looks like a reference may be a secret put into the wrong place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crossdock.errors import ConfigError, StoreError
from crossdock.hookspecs import hookimpl
from crossdock.model import Secret, Struct

Resolve = Callable[[str, str], str | None]
"""Asks for `scheme:reference`; None when nobody knows the scheme."""

KeyPurpose = Literal["canary", "pepper", "cursor", "state", "data"]

_REFERENCE = re.compile(r"([a-z][a-z0-9+.-]*):(\S.*)", re.DOTALL)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORM = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


# --- references ------------------------------------------------------------------------------


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


# --- the master key --------------------------------------------------------------------------


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
        value = _to_text(secrets.token_bytes(_KEY_BYTES))
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
        key = _from_text(text.strip().rstrip("=").replace("+", "-").replace("/", "_"))
        if key is None or len(key) != _KEY_BYTES:
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
                _write_new(self._path, _to_text(secrets.token_bytes(_KEY_BYTES)) + "\n")
            except OSError as error:
                raise ConfigError(
                    f"The master key {self._path} cannot be written ({error.strerror}). "
                    "Mend the folder's permissions, or point [secrets] key elsewhere."
                ) from error
            key = self.read()
        if key is None:
            raise ConfigError(f"The master key {self.name} vanished while it was made.")
        return key


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def publish(draft: Path, path: Path) -> None:
    """Give a finished file its name, for good. A file that already has this name is kept."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if path.exists():
            return
        draft.rename(path)
    if os.name == "posix":  # the name, too, must survive a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# --- sealing ---------------------------------------------------------------------------------


class SealBroken(StoreError):
    """A sealed text was altered, moved to another place, or sealed with another key."""


class UnknownKey(SealBroken):
    """A sealed text names a key that is not at hand; `key_id` is its name."""

    def __init__(self, key_id: str) -> None:
        super().__init__("It was sealed with a key that this store does not hold.")
        self.key_id = key_id


class KeyRing:
    """The unwrapped keys of a store. Lives in memory only.

    `pepper` keys the hashes of tokens, `cursor_key` signs cursors, `state_key` signs sessions and
    request states. No rotation changes these three, so none kills a URL.
    """

    def __init__(
        self, *, pepper: bytes, cursor_key: bytes, state_key: bytes, data: Mapping[str, bytes]
    ) -> None:
        self.pepper = pepper
        self.cursor_key = cursor_key
        self.state_key = state_key
        self._data = dict(data)

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._data)})"

    def learn(self, data: Mapping[str, bytes]) -> None:
        """Hold exactly these data keys from now on."""
        self._data = dict(data)

    def holds(self, key_id: str) -> bool:
        """Whether this data key is at hand."""
        return key_id in self._data

    def seal(self, key_id: str, table: str, column: str, row: str, plain: str) -> str:
        """Seal a value for one place: `v1.<key id>.<nonce>.<ciphertext and tag>`."""
        return _encrypt(self._key(key_id), key_id, (table, column, row), plain.encode())

    def open(self, table: str, column: str, row: str, sealed: str) -> str:
        """Return what `seal` was given for the same place. Raises SealBroken."""
        return _decrypt(self._key(key_id_of(sealed)), (table, column, row), sealed).decode()

    def _key(self, key_id: str) -> bytes:
        try:
            return self._data[key_id]
        except KeyError:
            raise UnknownKey(key_id) from None


def new_key() -> bytes:
    """Return a random 256-bit key."""
    return secrets.token_bytes(_KEY_BYTES)


def random_id(prefix: str, size: int = 16) -> str:
    """Return a name that nobody else has: prefix and `size` random bytes in hex."""
    return prefix + secrets.token_hex(size)


def wrap(master: bytes, key_id: str, purpose: KeyPurpose, key: bytes) -> str:
    """Seal a key of the ring with the master key."""
    return _encrypt(master, fingerprint(master), ("keys", purpose, key_id), key)


def unwrap(master: bytes, key_id: str, purpose: KeyPurpose, wrapped: str) -> bytes:
    """Return a key of the ring. Raises UnknownKey for another master key, else SealBroken."""
    if key_id_of(wrapped) != fingerprint(master):
        raise UnknownKey(key_id_of(wrapped))
    return _decrypt(master, ("keys", purpose, key_id), wrapped)


def fingerprint(master: bytes) -> str:
    """Return a name for a master key that tells nothing of it: it has 256 random bits."""
    return "m" + hashlib.sha256(b"crossdock master key\0" + master).hexdigest()[:12]


def key_id_of(sealed: str) -> str:
    """Return the id of the key that a sealed text names."""
    return _parts(sealed)[0]


def _encrypt(key: bytes, key_id: str, place: tuple[str, ...], plain: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    body = AESGCM(key).encrypt(nonce, plain, _associated(place, key_id))
    return f"{_FORM}.{key_id}.{_to_text(nonce)}.{_to_text(body)}"


def _decrypt(key: bytes, place: tuple[str, ...], sealed: str) -> bytes:
    key_id, nonce, body = _parts(sealed)
    try:
        return AESGCM(key).decrypt(nonce, body, _associated(place, key_id))
    except (InvalidTag, ValueError):
        raise SealBroken("It was altered, or moved here from another place.") from None


def _associated(place: tuple[str, ...], key_id: str) -> bytes:
    # each part carries its length, or ("a|b", "c") and ("a", "b|c") would be one place
    return "|".join(f"{len(part)}:{part}" for part in (*place, key_id, _FORM)).encode()


def _parts(sealed: str) -> tuple[str, bytes, bytes]:
    form, _, rest = sealed.partition(".")
    key_id, _, rest = rest.partition(".")
    nonce_text, _, body_text = rest.partition(".")
    nonce, body = _from_text(nonce_text), _from_text(body_text)
    if form != _FORM or not key_id or nonce is None or len(nonce) != _NONCE_BYTES or body is None:
        raise SealBroken("It is not in the form that crossdock seals in.")
    return key_id, nonce, body


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_text(text: str) -> bytes | None:
    """Decode base64url without padding. None unless it is the one spelling of its bytes."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _to_text(data) == text else None
