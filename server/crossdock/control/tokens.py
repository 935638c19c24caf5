"""API tokens: made, shown without their text, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crossdock.access.gate import Caller
from crossdock.access.sync import Sync
from crossdock.access.tokens import hash_token, last4, mint
from crossdock.control.audited import Audited, changed_fields
from crossdock.control.requests import NewToken, can_be_id, future, invalid, missing
from crossdock.control.responses import IssuedToken, ShownToken, issued_token, shown_token
from crossdock.store import ApiToken, ApiTokenRows, BadCursor, random_id


class TokenControl:
    """What owners do with API tokens."""

    def __init__(
        self,
        rows: ApiTokenRows,
        sync: Sync,
        audited: Audited,
        *,
        pepper: bytes,
        clock: Callable[[], datetime],
        mint: Callable[[], None],
    ) -> None:
        self._rows = rows
        self._sync = sync
        self._audited = audited
        self._pepper = pepper
        self._clock = clock
        self._mint = mint

    async def create(self, new: NewToken, actor: Caller) -> IssuedToken:
        """Make an API token; this is the only moment at which it is known."""
        with self._audited(actor, "token.create") as verb:
            if new.expires_at is not None:
                self._mint()
            text = mint("api")
            now = self._clock()
            token = ApiToken(
                id=random_id("tok_", 12),
                name=new.name,
                role=new.role,
                token_hash=hash_token(self._pepper, text),
                last4=last4(text),
                created_by=actor.name,
                created_at=now,
                expires_at=future(new.expires_at, now),
            )
            verb.target = token.id
            await self._sync.write(lambda: self._rows.add(token), self._sync.learn_token)
            verb.changes = changed_fields({}, _told(shown_token(token)))
        return issued_token(token, text)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[ShownToken], str | None]:
        """Return a page of API tokens, newest first."""
        try:
            page = await self._rows.list(limit=limit, cursor=cursor)
        except BadCursor as error:
            raise invalid("cursor", str(error)) from None
        return [shown_token(token) for token in page.items], page.next_cursor

    async def show(self, token_id: str) -> ShownToken:
        """Return one API token. Raises Rejected (404)."""
        found = await self._rows.get(token_id) if can_be_id(token_id) else None
        if found is None:
            raise missing("API token", token_id)
        return shown_token(found)

    async def revoke(self, token_id: str, actor: Caller) -> None:
        """Delete an API token; it opens nothing from the next request on.

        A server that names it among its second factors stays shut to all but the others.
        """
        with self._audited(actor, "token.revoke") as verb:
            before = await self.show(token_id)
            verb.target = before.id
            removed = await self._sync.write(
                lambda: self._rows.remove(token_id), lambda _: self._sync.drop_token(token_id)
            )
            if not removed:
                raise missing("API token", token_id)
            verb.changes = changed_fields(_told(before), {})


def _told(token: ShownToken) -> dict[str, Any]:
    """Return what the call log may say of an API token."""
    return {"name": token.name, "role": token.role, "expires_at": token.expires_at}
