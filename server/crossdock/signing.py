"""Values that leave the gateway and come back: signed, so that nobody else can make or change them.

Authentic, not secret: nothing may be put in that its holder must not read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_MAC = 16


class Seal:
    """Signs for one purpose: what was signed for another does not open."""

    def __init__(self, key: bytes, purpose: str, longest: int) -> None:
        self._key = hmac.new(key, purpose.encode(), hashlib.sha256).digest()
        self._longest = longest

    def close(self, value: bytes, bound: bytes = b"") -> str:
        """Return text that gives `value` back to who knows what it is `bound` to."""
        return base64.urlsafe_b64encode(self._mac(value, bound) + value).rstrip(b"=").decode()

    def open(self, text: str, bound: bytes = b"") -> bytes | None:
        """Return the value; None unless it was closed here, for this, and is unchanged."""
        if len(text) > self._longest:
            return None
        try:
            padded = text + "=" * (-len(text) % 4)
            sealed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            return None
        mac, value = sealed[:_MAC], sealed[_MAC:]
        # One value has one text: base64 would leave room for others.
        if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
            return None
        return value if hmac.compare_digest(mac, self._mac(value, bound)) else None

    def _mac(self, value: bytes, bound: bytes) -> bytes:
        message = len(bound).to_bytes(8, "big") + bound + value
        return hmac.digest(self._key, message, "sha256")[:_MAC]
