"""API tokens: made, shown without their text, and taken back."""

from __future__ import annotations

from crossdock.access.gate import Caller
from crossdock.access.tokens import hash_token, last4, mint
from crossdock.control.audited import Desk, can_be_id, missing
from crossdock.control.requests import NewToken, future, invalid
from crossdock.control.responses import IssuedToken, ShownToken, issued_token, shown_token
from crossdock.store import ApiToken, BadCursor, random_id


class TokenVerbs(Desk):
    """What owners do with API tokens."""

    async def create_token(self, new: NewToken, actor: Caller) -> IssuedToken:
        """Make an API token; this is the only moment at which it is known."""
        with self._audited(actor, "token.create") as line:
            text = mint("api")
            now = self._clock()
            token = ApiToken(
                id=random_id("tok_", 12),
                name=new.name,
                role=new.role,
                token_hash=hash_token(self._store.keys.ring.pepper, text),
                last4=last4(text),
                created_by=actor.name,
                created_at=now,
                expires_at=future(new.expires_at, now),
            )
            line.target = token.id
            await self._store.api_tokens.add(token)
            await self._changed(token=token.id)
        return issued_token(token, text)

    async def tokens(self, limit: int, cursor: str | None) -> tuple[list[ShownToken], str | None]:
        """Return a page of API tokens, newest first."""
        try:
            page = await self._store.api_tokens.list(limit=limit, cursor=cursor)
        except BadCursor as error:
            raise invalid("cursor", str(error)) from None
        return [shown_token(token) for token in page.items], page.next_cursor

    async def token(self, token_id: str) -> ShownToken:
        """Return one API token. Raises Rejected (404)."""
        found = await self._store.api_tokens.get(token_id) if can_be_id(token_id) else None
        if found is None:
            raise missing("API token", token_id)
        return shown_token(found)

    async def revoke_token(self, token_id: str, actor: Caller) -> None:
        """Delete an API token; it opens nothing from the next request on."""
        with self._audited(actor, "token.revoke") as line:
            line.target = (await self.token(token_id)).id
            removed = await self._store.api_tokens.remove(token_id)
            await self._changed(token=token_id)
            if not removed:
                raise missing("API token", token_id)
