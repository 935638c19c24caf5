"""Signed cursors: bound to server, tool and filters. Authentic, not secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from crossdock.authoring import Page
from crossdock.errors import InvalidArguments

_MAC = 16
_LONGEST = 4096
_REFUSED = "does not belong to this list; pass next_cursor back unchanged, with the same filters"


class Cursors:
    """Seals a place in a list, and opens it again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, page: Page, server_id: str, tool: str, filters: dict[str, Any]) -> str:
        """Return the cursor that leads back to `page`."""
        state = msgspec.json.encode(page)
        mac = self._mac(state, server_id, tool, filters)
        return base64.urlsafe_b64encode(mac + state).rstrip(b"=").decode()

    def open(self, cursor: str, server_id: str, tool: str, filters: dict[str, Any]) -> Page:
        """Return the page behind a cursor. Raises InvalidArguments."""
        try:
            if len(cursor) > _LONGEST:
                raise ValueError
            padded = cursor + "=" * (-len(cursor) % 4)
            sealed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            raise InvalidArguments("next_cursor", _REFUSED) from None
        mac, state = sealed[:_MAC], sealed[_MAC:]
        exact = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() == cursor
        if not exact or not hmac.compare_digest(mac, self._mac(state, server_id, tool, filters)):
            raise InvalidArguments("next_cursor", _REFUSED)
        return msgspec.json.decode(state, type=Page)

    def _mac(self, state: bytes, server_id: str, tool: str, filters: dict[str, Any]) -> bytes:
        bound = msgspec.json.encode([server_id, tool, filters], order="sorted")
        message = len(bound).to_bytes(8, "big") + bound + state
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_MAC]
