"""How what the store keeps is sealed.

A value is sealed by AES-256-GCM with a data key, bound to its table, column and row, so one that
was altered or moved elsewhere is refused; the data keys are wrapped by the master key, which is
never in the store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crossdock.errors import StoreError

KeyPurpose = Literal["canary", "pepper", "cursor", "state", "data"]

KEY_BYTES = 32
PROCESS_ID = 8  # characters
_PROCESS = "abcdefghijklmnopqrstuvwxyz0123456789"
_FORM = "v1"
_NONCE_BYTES = 12


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

    @property
    def store_id(self) -> str:
        """A name for the store that tells nothing of its keys; all who opened it know it."""
        return hmac.digest(self.state_key, b"store", "sha256").hex()[:16]

    @property
    def messages(self) -> MessageSeal:
        """The seal of messages between the processes that serve from the store."""
        return MessageSeal(hmac.digest(self.state_key, b"messages", "sha256"))

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the data keys at hand."""
        return tuple(sorted(self._data))

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


class MessageSeal:
    """Seals messages by AES-256-GCM, each with a key of its own, derived from its place and id."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def close(self, place: str, id: bytes, plain: bytes) -> bytes:
        """Seal a message; no second one of this place may have the id."""
        bound = _message(place, id)
        return AESGCM(hmac.digest(self._key, bound, "sha256")).encrypt(_ONLY, plain, bound)

    def open(self, place: str, id: bytes, sealed: bytes) -> bytes:
        """Return what `close` was given for the same place and id. Raises SealBroken."""
        bound = _message(place, id)
        try:
            return AESGCM(hmac.digest(self._key, bound, "sha256")).decrypt(_ONLY, sealed, bound)
        except (InvalidTag, ValueError):
            raise SealBroken("It is not of this store, or not for this place.") from None


_ONLY = bytes(_NONCE_BYTES)  # a key that seals one message alone needs no other nonce


def _message(place: str, id: bytes) -> bytes:
    return len(id).to_bytes(1, "big") + id + place.encode()


def new_key() -> bytes:
    """Return a random 256-bit key."""
    return secrets.token_bytes(KEY_BYTES)


def random_id(prefix: str, size: int = 16) -> str:
    """Return a name that nobody else has: prefix and `size` random bytes in hex."""
    return prefix + secrets.token_hex(size)


def process_id() -> str:
    """Return a name for a process, which stands in front of the ids that it gives out."""
    return "".join(secrets.choice(_PROCESS) for _ in range(PROCESS_ID))


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
    return f"{_FORM}.{key_id}.{to_text(nonce)}.{to_text(body)}"


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
    nonce, body = from_text(nonce_text), from_text(body_text)
    if form != _FORM or not key_id or nonce is None or len(nonce) != _NONCE_BYTES or body is None:
        raise SealBroken("It is not in the form that crossdock seals in.")
    return key_id, nonce, body


def to_text(data: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def from_text(text: str) -> bytes | None:
    """Decode base64url without padding. None unless it is the one spelling of its bytes."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if to_text(data) == text else None
