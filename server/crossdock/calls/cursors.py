"""Cursors: places in a list, signed, and bound to server, tool and filters."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.authoring import Page
from crossdock.errors import InvalidArguments
from crossdock.signing import Seal

_LONGEST = 4096
_REFUSED = "does not belong to this list; pass next_cursor back unchanged, with the same filters"


class Cursors:
    """Seals a place in a list, and opens it again."""

    def __init__(self, key: bytes) -> None:
        self._seal = Seal(key, "cursor", _LONGEST)

    def seal(self, page: Page, server_id: str, tool: str, filters: dict[str, Any]) -> str:
        """Return the cursor that leads back to `page`."""
        return self._seal.close(msgspec.json.encode(page), _bound(server_id, tool, filters))

    def open(self, cursor: str, server_id: str, tool: str, filters: dict[str, Any]) -> Page:
        """Return the page behind a cursor. Raises InvalidArguments."""
        state = self._seal.open(cursor, _bound(server_id, tool, filters))
        if state is None:
            raise InvalidArguments("next_cursor", _REFUSED)
        return msgspec.json.decode(state, type=Page)


def _bound(server_id: str, tool: str, filters: dict[str, Any]) -> bytes:
    return msgspec.json.encode([server_id, tool, filters], order="sorted")
