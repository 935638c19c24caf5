"""API tokens in the store, on both engines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crossdock.model import Role
from crossdock.store import ApiToken, Store


def a_token(clock: Any, number: int, role: Role = "operator", **changes: Any) -> ApiToken:
    values: dict[str, Any] = {
        "id": f"tok_{number}",
        "name": "CI",
        "role": role,
        "token_hash": number.to_bytes(32, "big"),
        "last4": "a1B2",
        "created_by": "cli",
        "created_at": clock.now,
    }
    return ApiToken(**(values | changes))


async def test_a_token_comes_back_as_it_was_stored(store: Store, clock: Any) -> None:
    plain = a_token(clock, 1)
    full = a_token(clock, 2, "viewer", expires_at=clock.now + timedelta(days=1))
    for token in (plain, full):
        await store.api_tokens.add(token)
        assert await store.api_tokens.get(token.id) == token
    assert await store.api_tokens.get("tok_none") is None
    assert {token.id for token in (await store.load_grants()).api_tokens} == {"tok_1", "tok_2"}


async def test_tokens_are_listed_newest_first(store: Store, clock: Any) -> None:
    for number in range(3):
        clock.advance(seconds=1)
        await store.api_tokens.add(a_token(clock, number))
    first = await store.api_tokens.list(limit=2)
    rest = await store.api_tokens.list(limit=2, cursor=first.next_cursor)
    assert [token.id for token in (*first.items, *rest.items)] == ["tok_2", "tok_1", "tok_0"]
    assert rest.next_cursor is None


async def test_a_removed_token_is_gone_and_an_expired_one_stays_listed(
    store: Store, clock: Any
) -> None:
    await store.api_tokens.add(a_token(clock, 1))
    await store.api_tokens.add(a_token(clock, 2, expires_at=clock.now))
    clock.advance(days=1)
    await store.expire()
    assert await store.api_tokens.remove("tok_1")
    assert not await store.api_tokens.remove("tok_1")
    assert [token.id for token in (await store.api_tokens.list()).items] == ["tok_2"]


async def test_last_use_is_noted(store: Store, clock: Any) -> None:
    await store.api_tokens.add(a_token(clock, 1))
    clock.advance(seconds=5)
    await store.api_tokens.touch({"tok_1": clock.now})
    token = await store.api_tokens.get("tok_1")
    assert token is not None
    assert token.last_used_at == clock.now
