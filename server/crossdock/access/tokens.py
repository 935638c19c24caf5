"""Token text: minting, checking its form, hashing. Nothing else touches it.

A token is a prefix that scanners know, 32 random bytes in base62 and a CRC32 of both in base62, so
scanners can tell one from a word that looks like it. Tokens are never stored: a keyed hash is. They
hold 256 random bits, so a slow hash would only cost time.
"""

from __future__ import annotations

import hmac
import re
import secrets
from functools import lru_cache
from typing import Literal
from zlib import crc32

TokenKind = Literal["mcp", "api"]

PREFIXES: dict[TokenKind, str] = {"mcp": "cdm_", "api": "cda_"}

PATTERN = re.compile(r"cd[ma]_[0-9A-Za-z]{49}")
"""What redaction and secret scanners look for."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY, _CHECK = 43, 6  # 62**43 > 2**256, 62**6 > 2**32
_FORMS = {
    kind: re.compile(rf"{prefix}[0-9A-Za-z]{{{_BODY + _CHECK}}}")
    for kind, prefix in PREFIXES.items()
}


def mint(kind: TokenKind) -> str:
    """Return a new token. Show it once, store only its hash."""
    text = PREFIXES[kind] + _base62(int.from_bytes(secrets.token_bytes(32)), _BODY)
    return text + _checksum(text)


def well_formed(kind: TokenKind, text: str) -> bool:
    """Whether `text` could have been minted: the whole of it, checksum included."""
    return _FORMS[kind].fullmatch(text) is not None and text[-_CHECK:] == _checksum(text[:-_CHECK])


def hash_token(pepper: bytes, token: str) -> bytes:
    """Return the keyed hash under which a token is stored and found."""
    keyed = _keyed(pepper).copy()
    keyed.update(token.encode(errors="surrogatepass"))
    return keyed.digest()


@lru_cache(maxsize=16)
def _keyed(pepper: bytes) -> hmac.HMAC:
    """Return the hash with its key taken in, once for all tokens: that is half of the work."""
    return hmac.new(pepper, digestmod="sha256")


def same(one: bytes, other: bytes) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one, other)


def last4(token: str) -> str:
    """Return what lists may show of a token: four characters of its checksum, no random bit."""
    return token[-4:]


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), _CHECK)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
